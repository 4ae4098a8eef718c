"""What is installed is complete: data files travel with the code."""

from __future__ import annotations

import ast
import importlib.resources
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
import yaml

from architecture import tree

if TYPE_CHECKING:
    from pathlib import Path

DATA = (
    "closedwon/py.typed",
    "closedwon_sandbox/py.typed",
    "closedwon/db/migrations/script.py.mako",
    "closedwon/db/migrations/versions/0001_first_tables.py",
    "closedwon/connectors/dynamics/manifest.yaml",
    "closedwon/connectors/xero/manifest.yaml",
    "closedwon_sandbox/dataverse/rows/tables.yaml",
)


@pytest.mark.parametrize("file", DATA)
def test_data_files_are_found_where_the_package_is_installed(file: str) -> None:
    """The installed package has its data files, whatever folder it runs in."""
    package, _, rest = file.partition("/")
    assert importlib.resources.files(package).joinpath(rest).is_file()


def test_the_wheel_carries_all_of_src(tmp_path: Path) -> None:
    """A wheel built from this tree has every file of src: code, migrations and manifests."""
    pytest.importorskip("hatchling", reason="the build backend is only installed for building")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=tree.ROOT,
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    files = {tree.name(path) for path in tree.SRC.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {file for file in files if file.startswith(("closedwon/", "closedwon_sandbox/"))} - packed == set()


def test_yaml_files_can_be_read() -> None:
    """Every YAML file under src is valid."""
    files = list(tree.SRC.rglob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        assert yaml.safe_load(file.read_text(encoding="utf-8")) is not None


def test_the_quality_lists_say_done_todo_or_exempt_with_a_reason() -> None:
    """Each connector says for each rule whether it is kept, and why not where it is not."""
    for file in sorted((tree.PRODUCT / "connectors").glob("*/quality.yaml")):
        for rule, state in yaml.safe_load(file.read_text(encoding="utf-8"))["rules"].items():
            if isinstance(state, str):
                assert state == "done", f"{file.parent.name}: {rule}"
            else:
                assert state["status"] in {"done", "todo", "exempt"}, f"{file.parent.name}: {rule}"
                assert state["status"] == "done" or state.get("reason") or state.get("comment"), (
                    f"{file.parent.name}: {rule}"
                )


def test_constraints_name_versions_and_nothing_else() -> None:
    """The tested set is plain `name==version` lines, so that any package index can serve it."""
    lines = (tree.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    assert [pin for pin in pins if "==" not in pin or "@" in pin or "//" in pin] == []


def test_every_dependency_is_pinned_for_the_tests() -> None:
    """Each direct dependency has its tested version in constraints.txt."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {metadata_name(line) for line in wanted} - {"closedwon"}
    text = (tree.ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {metadata_name(line) for line in text.splitlines() if line and not line.startswith("#")}
    assert names - pinned == set()


def metadata_name(requirement: str) -> str:
    """Return the normalised name in a requirement line."""
    bare = requirement
    for mark in "[=<>!~; ":
        bare = bare.partition(mark)[0]
    return bare.lower().replace("_", "-")


def test_the_version_is_the_package_s() -> None:
    """The installed version is the one the code states."""
    stated = importlib.import_module("closedwon").__version__
    assert metadata.version("closedwon") == stated


def test_what_the_code_imports_is_declared() -> None:
    """Every library that src imports is a dependency of ours, not one that happens to be there."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]["postgres"]
    declared = {metadata_name(line.replace("[", ";")) for line in (*project["dependencies"], *extras)}
    providers = metadata.packages_distributions()
    foreign = {root for path in tree.modules() for root in imported_roots(path)} - {"closedwon", "closedwon_sandbox"}
    undeclared = {
        root
        for root in foreign - sys.stdlib_module_names
        if not declared & {metadata_name(name) for name in providers.get(root, [root])}
    }
    assert undeclared == set()


def imported_roots(path: Path) -> set[str]:
    """Return the first parts of the names that a module imports."""
    roots: set[str] = set()
    for node in ast.walk(tree.parse(path)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.partition(".")[0])
    return roots

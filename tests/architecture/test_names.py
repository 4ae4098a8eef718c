"""Names and docstrings: a newcomer finds the way by them."""

from __future__ import annotations

import ast
import re

import pytest

from architecture import tree

BANNED = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
# The files by which one knows a connector, whatever the vendor.
CONNECTOR_FILES = {
    "__init__.py", "connector.py", "client.py", "changes.py", "webhooks.py", "errors.py", "settings.py",
    "manifest.yaml", "quality.yaml", "README.md", "mappings/__init__.py",
}  # fmt: skip
CONNECTORS = [path.parent for path in sorted((tree.PRODUCT / "connectors").glob("*/__init__.py"))]


def docstring(package: str) -> str:
    """Return a package's docstring."""
    return ast.get_docstring(tree.parse(tree.SRC / package / "__init__.py")) or ""


def reading_order(text: str) -> list[str]:
    """Return the modules named after "Reading order:", in order, up to the first full stop; asides are left out."""
    found = re.search(r"Reading order:\s*([^.;]+)[.;]", re.sub(r"\s*\([^)]*\)", "", text))
    return [word.strip() for word in found.group(1).split(",")] if found else []


def undocumented(path: str) -> list[str]:
    """Return the public functions, classes and methods of a module that promise nothing."""
    found: list[str] = []
    pending: list[tuple[str, ast.AST]] = [("", tree.parse(tree.SRC / path))]
    while pending:
        prefix, node = pending.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or child.name.startswith(
                "_"
            ):
                continue
            if ast.get_docstring(child) is None:
                found.append(f"{path}:{prefix}{child.name}")
            if isinstance(child, ast.ClassDef):
                pending.append((f"{prefix}{child.name}.", child))
    return found


def test_no_module_is_a_drawer() -> None:
    """No module or folder has a name under which anything could be put."""
    assert [tree.name(path) for path in tree.modules() if BANNED & {path.stem, *path.relative_to(tree.SRC).parts}] == []


@pytest.mark.parametrize("package", [tree.name(path) for path in tree.packages(tree.PRODUCT) if path != tree.PRODUCT])
def test_the_product_s_packages_say_what_to_read_first(package: str) -> None:
    """Each package lists its modules in reading order; none is missing and none is made up."""
    listed = reading_order(docstring(package))
    single_files = {path.stem for path in (tree.SRC / package).glob("*.py")} - {"__init__", "__main__"}
    assert len(listed) == len(set(listed))
    assert single_files <= set(listed) <= tree.contents(tree.SRC / package)


@pytest.mark.parametrize("package", [tree.name(path) for path in tree.packages(tree.SRC / "closedwon_sandbox")])
def test_the_sandbox_s_packages_name_their_modules(package: str) -> None:
    """Each package of the sandbox mentions every module in its docstring."""
    words = set(re.findall(r"\w+", docstring(package)))
    assert tree.contents(tree.SRC / package) - words == set()


def test_everything_public_makes_a_promise() -> None:
    """Every public function, method and class has a docstring."""
    assert [name for path in tree.modules() for name in undocumented(tree.name(path))] == []


def test_connectors_have_one_shape() -> None:
    """Whoever knows one connector's files knows the other's."""
    assert len(CONNECTORS) >= 2
    missing = {
        f"{folder.name}/{file}" for folder in CONNECTORS for file in CONNECTOR_FILES if not (folder / file).exists()
    }
    assert missing == set()

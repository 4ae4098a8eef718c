"""Money is exact, time comes from one place, and the product knows nothing of this machine."""

from __future__ import annotations

import ast
import re
import subprocess
from typing import TYPE_CHECKING

from architecture import tree

if TYPE_CHECKING:
    from pathlib import Path

MONEY_ROOTS = ("model", "flows", "connectors/dynamics/mappings", "connectors/xero/mappings")
CLOCK_READS = {
    ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns"), ("time", "perf_counter"),
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
}  # fmt: skip
CLOCK_EXCEPTIONS = {
    "closedwon/kernel/clock.py": "the one place",
    "closedwon/kernel/ids.py": "ids are ordered by the time of their making; nobody reads a time out of them",
}
SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[A-Za-z0-9_-]{20,}\.eyJ"
    r"|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
)
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home/\w+|Users/\w+|opt)/[\w.]")
BINARY = {".png", ".ico", ".gz", ".whl"}


def calls(path: Path) -> list[tuple[int, str, str]]:
    """Return each call of a module as (line, name before the dot, name)."""
    found = []
    for node in ast.walk(tree.parse(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            before = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            found.append((node.lineno, before, node.func.attr))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.append((node.lineno, "", node.func.id))
    return found


def imported_from(path: Path) -> set[tuple[str, str]]:
    """Return what a module imports by name, as (module, name)."""
    nodes = (node for node in ast.walk(tree.parse(path)) if isinstance(node, ast.ImportFrom))
    return {(node.module or "", alias.name) for node in nodes for alias in node.names}


def floats(path: Path) -> list[str]:
    """Return the floats a module writes down, other than seconds (names that end in _S)."""
    parsed = tree.parse(path)
    seconds = {
        id(node.value)
        for node in ast.walk(parsed)
        if isinstance(node, ast.Assign)
        and all(isinstance(to, ast.Name) and to.id.endswith("_S") for to in node.targets)
    }
    constants = (node for node in ast.walk(parsed) if isinstance(node, ast.Constant) and id(node) not in seconds)
    return [f"{tree.name(path)}:{node.lineno}: {node.value}" for node in constants if isinstance(node.value, float)]


def test_no_float_comes_near_an_amount() -> None:
    """Where amounts are computed or mapped, nothing is turned into a float and no float is written down."""
    paths = [path for root in MONEY_ROOTS for path in tree.modules(tree.PRODUCT / root)]
    turned = [
        f"{tree.name(path)}:{line}" for path in paths for line, owner, name in calls(path) if owner + name == "float"
    ]
    assert turned + [found for path in paths for found in floats(path)] == []


def test_amounts_are_rounded_in_one_place() -> None:
    """Only model/money.py rounds: there one can read how cents come about."""
    roots = [path for root in MONEY_ROOTS for path in tree.modules(tree.PRODUCT / root) if path.name != "money.py"]
    rounding = {"quantize", "round"}
    found = [f"{tree.name(path)}:{line}: {name}" for path in roots for line, _, name in calls(path) if name in rounding]
    assert found == []


def test_only_the_clock_reads_the_time() -> None:
    """Time comes from kernel/clock.py, so that a test can set it."""
    found = []
    for path in tree.modules(tree.PRODUCT):
        if tree.name(path) in CLOCK_EXCEPTIONS:
            continue
        found += [
            f"{tree.name(path)}:{line}: {before}.{name}"
            for line, before, name in calls(path)
            if (before, name) in CLOCK_READS
        ]
        found += [
            f"{tree.name(path)}: from {module} import {name}" for module, name in imported_from(path) & CLOCK_READS
        ]
    assert found == []


def test_every_exception_to_the_clock_is_still_needed() -> None:
    """An exception that no longer reads the time is removed from the list."""
    for name in CLOCK_EXCEPTIONS:
        assert any((before, call) in CLOCK_READS for _, before, call in calls(tree.SRC / name)), name


def committed() -> list[Path]:
    """Return the text files of the repository, as git knows them, or as they lie in src where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=tree.ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\n")
    files = [tree.ROOT / line for line in listed if line] or [path for path in tree.SRC.rglob("*") if path.is_file()]
    return [path for path in files if path.suffix not in BINARY and path.is_file()]


def test_the_tree_holds_no_secret() -> None:
    """No private key, token or vendor's secret has been committed."""
    hits = [path.name for path in committed() if SECRET.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert hits == []


def test_the_tree_knows_no_machine() -> None:
    """No path of somebody's machine has been committed."""
    hits = {
        f"{path.relative_to(tree.ROOT)}: {found.group()}"
        for path in committed()
        for found in MACHINE.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert hits == set()

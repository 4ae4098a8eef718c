"""Nothing grows beyond what one can read in one go."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from architecture import tree

if TYPE_CHECKING:
    from pathlib import Path

MODULE_LINES = 500
FUNCTION_LINES = 50
PACKAGE_FILES = 12
# A migration is written once and never changed: it may be as long as the tables it makes, and there will be many.
EXEMPT_FOLDER = tree.PRODUCT / "db" / "migrations" / "versions"


def sized(root: Path = tree.SRC) -> list[Path]:
    """Return the modules to which the limits apply."""
    return [path for path in tree.modules(root) if EXEMPT_FOLDER not in path.parents]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function of a module, methods and inner ones included."""
    return [node for node in ast.walk(tree.parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_there_is_something_to_measure() -> None:
    """The tests below look at the real code, not at an empty folder."""
    assert len(sized()) > 100


def test_no_module_is_too_long() -> None:
    """A module has at most 500 lines."""
    lengths = {tree.name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sized()}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_no_function_is_too_long() -> None:
    """A function has at most 50 lines, its docstring and decorators included."""
    long = {
        f"{tree.name(path)}:{node.name}": lines
        for path in sized()
        for node in functions(path)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_no_package_has_too_many_files() -> None:
    """A package has at most 12 Python files, `__init__` not counted."""
    counts = {tree.name(package): len(list(package.glob("*.py"))) - 1 for package in tree.packages()}
    assert {name: files for name, files in counts.items() if files > PACKAGE_FILES} == {}

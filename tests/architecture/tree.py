"""What the architecture tests look at: the files under src, parsed once."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PRODUCT = SRC / "closedwon"


@functools.cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def modules(root: Path = SRC) -> tuple[Path, ...]:
    """Return every Python file below `root`."""
    return tuple(sorted(path for path in root.rglob("*.py")))


@functools.cache
def packages(root: Path = SRC) -> tuple[Path, ...]:
    """Return every folder below `root` that is a package."""
    return tuple(sorted(path.parent for path in root.rglob("__init__.py")))


def name(path: Path) -> str:
    """Return a path as readers know it: below src, with forward slashes."""
    return path.relative_to(SRC).as_posix()


def contents(package: Path) -> set[str]:
    """Return what a reader of the package must know: its modules and packages."""
    files = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    return files | {path.parent.name for path in package.glob("*/__init__.py")}

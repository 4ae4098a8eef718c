"""How the command line prints: tables and texts for people, one JSON document for programs, errors on stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from closedwon.kernel.errors import ClosedwonError, Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXIT_FINE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
PIPE_WIDTH = 200  # a pipe has no width of its own; ids should stay on one line

STYLES = {
    "ok": "green",
    "succeeded": "green",
    "confirmed": "green",
    "resolved": "green",
    "parked": "yellow",
    "waiting": "yellow",
    "open": "yellow",
    "failed": "red",
    "rejected": "red",
    "error": "red",
    "running": "cyan",
    "pending": "cyan",
}


class Screen(Console):
    """A console that says honestly when nobody reads any more, instead of ending the process."""

    def on_broken_pipe(self) -> NoReturn:
        """Let the entry point end quietly."""
        raise BrokenPipeError


def screen(*, error: bool = False) -> Screen:
    """Return a console on standard output or error, as both are now."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Screen(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


def say(*parts: Any, style: str = "") -> None:
    """Print texts, or whatever rich can print."""
    screen().print(*parts, style=style or None)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(render_json(document) + "\n")


def render_json(document: Any) -> str:
    """Render plain values as indented JSON; amounts and times become text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> Table:
    """Build a table; words such as parked and failed get their colour."""
    built = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        built.add_column(column, overflow="fold")
    for row in rows:
        built.add_row(*(coloured(cell) for cell in row))
    return built


def coloured(cell: Any) -> Text:
    """Render a cell with the colour of its word."""
    text = "" if cell is None else str(cell)
    return Text(text, style=STYLES.get(text, ""))


def exit_code_of(error: ClosedwonError) -> int:
    """Return what a command exits with that ended in this error."""
    if isinstance(error, Misconfigured):
        return EXIT_USAGE
    return EXIT_UNREACHABLE if isinstance(error, Unavailable) else EXIT_FAILED


def print_error(error: ClosedwonError, *, as_json: bool = False, debug: bool = False) -> None:
    """Print an error with its next step on standard error."""
    if as_json:
        document = {"error": error.as_dict() | {"exit_code": exit_code_of(error)}}
        sys.stderr.write(render_json(document) + "\n")
        return
    console = screen(error=True)
    console.print(Text.assemble(("Error: ", "bold red"), error.text), soft_wrap=True)
    if error.hint:
        console.print(Text.assemble(("  Next: ", "bold"), error.hint), soft_wrap=True)
    if error.request_ids:
        console.print(f"  The vendor's request: {', '.join(error.request_ids)}", soft_wrap=True)
    if debug:
        sys.stderr.write(_trace(error))


def print_fault(fault: Exception, *, as_json: bool = False, debug: bool = False) -> None:
    """Print a bug: short, and where to find the rest."""
    from closedwon.kernel.redact import redact  # noqa: PLC0415 - rarely needed

    text = redact(f"{type(fault).__name__}: {fault}")
    hint = "this is a mistake of ours; the same command with --debug shows where"
    if as_json:
        document = {"error": {"code": "bug", "text": text, "hint": hint, "exit_code": EXIT_FAILED}}
        sys.stderr.write(render_json(document) + "\n")
    else:
        console = screen(error=True)
        console.print(Text.assemble(("Unexpected error: ", "bold red"), text), soft_wrap=True)
        console.print(Text.assemble(("  Next: ", "bold"), hint), soft_wrap=True)
    if debug:
        sys.stderr.write(_trace(fault))


def _trace(error: BaseException) -> str:
    from closedwon.kernel.redact import redact  # noqa: PLC0415

    return redact("".join(traceback.format_exception(error)))


@contextmanager
def progress(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Show on a terminal that long work goes on; elsewhere show nothing."""
    console = screen(error=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(Text(text)):
        yield

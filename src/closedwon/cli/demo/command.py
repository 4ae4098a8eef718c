"""The `demo` command: opens the stage, plays the story or the proof, writes the report."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from closedwon.cli.options import DEBUG, Debug
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from closedwon.cli.demo.report import Report
    from closedwon.cli.demo.stage import Stage

EXIT_FINE = 0
EXIT_FAILED = 1
MOST_DEALS = 2_000
HEADLESS_DEALS = 200
PIPE_WIDTH = 100
LOOK_EVERY_S = 0.5
HTTP_TIMEOUT_S = 120


def demo(
    *,
    headless: Annotated[
        bool, Parameter(negative="", help="Tell nothing: work off a backlog of deals, prove the result, end by itself.")
    ] = False,
    deals: Annotated[
        int, Parameter(validator=Number(gte=1, lte=MOST_DEALS), help="How many deals --headless wins.")
    ] = HEADLESS_DEALS,
    seed: Annotated[int, Parameter(help="The same seed makes the same customers and deals.")] = 1,
    report: Annotated[Path | None, Parameter(help="Write the figures and verdicts to this JSON file.")] = None,
    fast: Annotated[bool, Parameter(negative="", help="Tell the story without pauses.")] = False,
    stay: Annotated[
        bool, Parameter(negative="", help="Keep everything running after the story, to try commands on it.")
    ] = False,
    folder: Annotated[
        Path | None, Parameter(name="--dir", help="An empty folder for the demo's files; a temporary one unless given.")
    ] = None,
    options: Debug = DEBUG,
) -> int:
    """Tell the whole story in the terminal, with simulators of both systems; exit 0 if their own data agree."""
    _ = options
    if report is not None and not report.absolute().parent.is_dir():
        raise Misconfigured(
            f"there is no folder {report.absolute().parent}", hint="create it, or name another --report"
        )
    signal.signal(signal.SIGTERM, _interrupt)
    with _folder(folder) as place, _stage(place, seed) as stage:
        if headless:
            found = _prove(stage, deals, seed)
        else:
            found = _tell(stage, seed, unhurried=not fast and sys.stdout.isatty())
        if report is not None:
            report.write_bytes(found.to_json())
        if stay and not headless:
            _stay(stage)
    return EXIT_FINE if found.holds else EXIT_FAILED


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        yield chosen.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="closedwon-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def _stage(folder: Path, seed: int) -> Iterator[Stage]:
    from closedwon.cli.demo.stage import open_stage  # noqa: PLC0415 - `--help` need not wait for it
    from closedwon.kernel.http import HttpClient  # noqa: PLC0415 - likewise
    from closedwon.kernel.log import set_up_logging  # noqa: PLC0415 - likewise

    set_up_logging(level="ERROR")
    http = HttpClient(timeout_s=HTTP_TIMEOUT_S)
    try:
        with open_stage(folder, seed, http) as stage:
            yield stage
    finally:
        http.close()


def _prove(stage: Stage, deals: int, seed: int) -> Report:
    from closedwon.cli.demo.proof import Proof  # noqa: PLC0415 - `--help` need not wait for it
    from closedwon.cli.demo.report import show_report  # noqa: PLC0415 - likewise

    console = _console()
    found = Proof(stage, deals, seed, lambda text: console.print(f"  {text}", highlight=False)).run()
    show_report(console, found)
    words = "[green]All of it holds.[/]" if found.holds else "[red]Not all of it holds.[/]"
    console.print(words)
    return found


def _tell(stage: Stage, seed: int, *, unhurried: bool) -> Report:
    from closedwon.cli.demo.story import Story  # noqa: PLC0415 - `--help` need not wait for it

    return Story(stage, seed, _console(), unhurried=unhurried).tell()


def _stay(stage: Stage) -> None:
    """Keep both systems and the product running until Ctrl+C."""
    from closedwon.cli.demo.stage import CLOCK  # noqa: PLC0415 - `--help` need not wait for it
    from closedwon.cli.demo.story import show_places  # noqa: PLC0415 - likewise

    show_places(_console(), stage)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            stage.refuse_dead_children()
            CLOCK.sleep(LOOK_EVERY_S)


def _console() -> Console:
    """Return a console on standard output; what is no terminal has a fixed width."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make SIGTERM end the demo as Ctrl+C does: with its children."""
    raise KeyboardInterrupt

"""The entry point: which commands there are, and what an error becomes. Commands are imported when they are called."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from closedwon import __version__
from closedwon.cli.output import EXIT_FAILED, EXIT_FINE, EXIT_USAGE, Screen, exit_code_of, print_error, print_fault
from closedwon.kernel.errors import ClosedwonError, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130

# name, where it is, one sentence; DETAILS has more
COMMANDS = (
    ("demo", "closedwon.cli.demo:demo", "Tell the whole story in the terminal, with simulators of both systems."),
    ("init", "closedwon.cli.init:init", "Write a commented closedwon.yaml from your answers or options."),
    ("connect", "closedwon.cli.connections:connect", "Test the connections and register their webhooks."),
    ("check", "closedwon.cli.connections:check", "Find out what is wrong, why, and what to do about it."),
    ("run", "closedwon.cli.run:run", "Run everything in one process: webhooks, feeds, engine."),
    ("status", "closedwon.cli.run:status", "Show how things stand: runs, review items, feeds, pauses."),
    ("preview", "closedwon.cli.records:preview", "Show what a deal would write where, without writing anything."),
    ("sync", "closedwon.cli.records:sync", "Run a deal's flow now and wait for its end."),
    ("retry", "closedwon.cli.records:retry", "Put parked, waiting and failed runs back into their lanes."),
    ("replay", "closedwon.cli.records:replay", "Run a record anew from its stored event."),
    ("version", "closedwon.cli.run:version", "Print the version."),
)
GROUPS = {
    "records": (
        "List records and show their stories.",
        (
            ("list", "closedwon.cli.records:list_records", "List the records worked on last, newest first."),
            (
                "show",
                "closedwon.cli.records:show_record",
                "Tell one record's story: events, runs, steps, writes, links.",
            ),
        ),
    ),
    "review": (
        "Decide what a machine cannot settle.",
        (
            ("list", "closedwon.cli.review:list_items", "List the open review items."),
            ("show", "closedwon.cli.review:show_item", "Show a review item with its evidence and proposals."),
            ("resolve", "closedwon.cli.review:resolve", "Decide a review item; its run goes on with the decision."),
            ("dismiss", "closedwon.cli.review:dismiss", "Close a review item without going on; its run is cancelled."),
        ),
    ),
    "sandbox": (
        "Simulators of Dynamics CRM and Xero on this machine.",
        (("start", "closedwon.cli.sandbox:start", "Start both simulators; they run until stopped."),),
    ),
}
DETAILS = {
    "init": """\
Asks on a terminal for what the options leave out; elsewhere it names the options that are missing. Secrets are written
as references to environment variables. An existing file stays unless --force is given.""",
    "check": """\
Looks at the configuration, the store and the key file, and for each connection at credentials, rights, webhooks, clock
and reference data. Exits 1 when something is wrong, 3 when a system cannot be reached.""",
    "run": """\
SIGINT and SIGTERM end it in order: what is being written is finished, the rest goes on at the next start.""",
    "preview": """\
Prints the plan, its totals and the payloads. Exits 1 when the plan could not be carried out.""",
    "sync": """\
Works whether or not `closedwon run` is running. Exits 1 unless the run succeeded.""",
    "replay": """\
Where nothing is missing nothing happens.""",
}
EPILOGUE = "Exit codes: 0 fine, 1 work failed, 2 usage or configuration, 3 cannot reach a system."


def build_cli(*, completion: bool = True) -> App:
    """Build the command line. Nothing of the product is imported by it."""
    cli = App(
        name="closedwon",
        help="Connects Microsoft Dynamics CRM and Xero: a won deal becomes one invoice, its payment shows in the CRM.",
        help_epilogue=EPILOGUE,
        version=__version__,
        help_format="plaintext",
        console=Screen(),
    )
    for name, place, sentence in COMMANDS:
        more = DETAILS.get(name, "").replace("\n", " ")
        cli.command(place, name=name, help=f"{sentence}\n\n{more}".strip())
    for group, (sentence, commands) in GROUPS.items():
        nested = App(name=group, help=sentence)
        for name, place, inner in commands:
            nested.command(place, name=name, help=inner)
        cli.command(nested)
    if completion:
        cli.register_install_completion_command(help="Install completion for your shell.")
    return cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; whatever it raises becomes a text and a code."""
    before, _, _ = _split(arguments)
    as_json, debug = "--json" in before, "--debug" in before
    try:
        code = _call(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return EXIT_FINE
    except KeyboardInterrupt:
        return INTERRUPTED
    except ClosedwonError as error:
        print_error(error, as_json=as_json, debug=debug)
        return exit_code_of(error)
    except Exception as fault:  # noqa: BLE001 - the outermost door: a bug gets a text too
        print_fault(fault, as_json=as_json, debug=debug)
        return EXIT_FAILED
    return code


def _call(arguments: Sequence[str]) -> int:
    try:
        result: Any = build_cli()(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise Misconfigured(str(error).strip(), hint=_usage_hint(arguments)) from None
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else (EXIT_USAGE if end.code else EXIT_FINE)
    return result if isinstance(result, int) else EXIT_FINE


def _usage_hint(arguments: Sequence[str]) -> str:
    """Name the help page of the command that was meant."""
    words = ["closedwon"]
    known: dict[str, Any] = {name: {} for name, _, _ in COMMANDS}
    known |= {group: {name: {} for name, _, _ in inner} for group, (_, inner) in GROUPS.items()}
    for word in arguments:
        if word not in known:
            break
        words.append(word)
        known = known[word]
    return f"`{' '.join(words)} --help` explains the options"


def _split(arguments: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Split arguments at `--`, behind which everything is plain text."""
    given = list(arguments)
    if "--" not in given:
        return given, "", []
    at = given.index("--")
    return given[:at], "--", given[at + 1 :]


def _forget_output() -> None:
    """Let the interpreter end without complaining that nobody reads its output."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()

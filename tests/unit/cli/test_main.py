"""The entry point: exit codes, errors as text and JSON, help, and what is imported when."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from closedwon import __version__
from closedwon.cli import main, output
from closedwon.cli.main import COMMANDS, DETAILS, GROUPS, build_cli
from closedwon.cli.options import choose_tenant
from closedwon.cli.reference import render_reference
from closedwon.kernel.errors import AuthExpired, ClosedwonError, Misconfigured, NoMatch, Throttled, Unavailable
from command_line import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts import App

ROOT = Path(__file__).parents[3]
HEAVY = ("dbos", "sqlalchemy", "litestar", "uvicorn", "httpx2", "alembic")


def _commands(cli: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in cli:
        if not name.startswith("-"):
            command = cli[name]
            yield (*path, name), command
            if command.default_command is None:
                yield from _commands(command, (*path, name))


def test_every_command_and_option_has_its_sentence() -> None:
    """Help texts are documentation: each begins with one sentence and none is missing."""
    commands = list(_commands(build_cli()))
    assert len(commands) == len(COMMANDS) + len(GROUPS) + sum(len(inner) for _, inner in GROUPS.values())
    for path, command in commands:
        assert command.help.endswith("."), path
        if command.default_command is not None:
            for argument in command.assemble_argument_collection().filter_by(show=True):
                assert argument.parameter.help, (path, argument.name)
                assert argument.parameter.help.endswith((".", "…", "postgresql://…")), (path, argument.name)


def test_the_table_says_what_the_functions_say() -> None:
    """A command's sentence in the table is the promise of its function."""
    for path, command in _commands(build_cli()):
        if command.default_command is not None and path != ("demo",):
            assert command.help.partition("\n")[0] == (command.default_command.__doc__ or "").partition("\n")[0]


def test_details_belong_to_commands() -> None:
    """No longer text is left over from a command that was renamed."""
    assert set(DETAILS) <= {name for name, _, _ in COMMANDS}


def test_the_reference_page_is_current() -> None:
    """docs/reference/cli.md is what `python -m closedwon.cli.reference` writes."""
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text("utf-8") == render_reference(), "run `python -m closedwon.cli.reference`"


@pytest.mark.parametrize(
    "arguments", [["version"], ["--help"], ["--version"], ["records", "--help"], ["run", "--help"]]
)
def test_help_and_version_import_nothing_of_the_product(arguments: list[str]) -> None:
    """They answer at once because the engine, the database and the web server stay out."""
    code = (
        "import sys\nfrom closedwon.cli.main import execute\n"
        f"code = execute({arguments!r})\n"
        f"found = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'imported: {found}' if found else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    """As text and as JSON."""
    assert execute(["version"]) == 0
    assert execute(["version", "--json"]) == 0
    text, _, document = capsys.readouterr().out.partition("\n")
    assert text.startswith(f"closedwon {__version__} (Python ")
    assert json.loads(document)["version"] == __version__


@pytest.mark.parametrize(
    ("arguments", "said", "page"),
    [
        (["frobnicate"], "frobnicate", "`closedwon --help`"),
        (["status", "--wat"], "Unknown option: --wat", "`closedwon status --help`"),
        (["records", "show"], "requires an argument", "`closedwon records show --help`"),
        (["run", "--port", "70000"], "70000", "`closedwon run --help`"),
        (["run", "--workers", "0"], "Must be >= 1", "`closedwon run --help`"),
        (["records", "list", "--state", "odd"], "odd", "`closedwon records list --help`"),
        (["sandbox", "start"], "--dir", "`closedwon sandbox start --help`"),
    ],
)
def test_wrong_usage_exits_2_and_names_the_help_page(
    arguments: list[str], said: str, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing mistake gets a sentence and the next step."""
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert page in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Misconfigured("x"), 2),
        (Unavailable("x"), 3),
        (AuthExpired("x"), 1),
        (NoMatch("x"), 1),
        (Throttled("x"), 1),
        (ClosedwonError("x"), 1),
    ],
)
def test_the_class_of_an_error_decides_the_exit_code(error: ClosedwonError, code: int) -> None:
    """0 fine, 1 work failed, 2 usage or configuration, 3 cannot reach a system."""
    assert output.exit_code_of(error) == code


def _failing(monkeypatch: pytest.MonkeyPatch, fault: BaseException) -> None:
    def fail(_arguments: Any) -> int:
        raise fault

    monkeypatch.setattr(main, "_call", fail)


def test_an_error_is_a_text_and_the_next_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """People read what happened, what to do, and the vendor's request id for the support desk."""
    _failing(monkeypatch, AuthExpired("the secret is wrong", hint="renew it", request_ids=["r-1"]))
    assert execute(["status"]) == 1
    assert capsys.readouterr() == (
        "",
        "Error: the secret is wrong\n  Next: renew it\n  The vendor's request: r-1\n",
    )


def test_with_json_an_error_is_one_document_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Programs get code, text, hint, details and exit code; standard output stays empty."""
    _failing(monkeypatch, Unavailable("no answer", hint="wait", details={"host": "h"}))
    assert execute(["status", "--json"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["error"] == {
        "code": "unavailable",
        "text": "no answer",
        "hint": "wait",
        "details": {"host": "h"},
        "request_ids": [],
        "exit_code": 3,
    }


def test_a_bug_prints_a_short_text_and_its_traceback_only_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody meets a traceback unasked, and no secret is in it."""
    _failing(monkeypatch, RuntimeError("broken: client_secret=hunter2"))
    assert execute(["status"]) == 1
    short = capsys.readouterr().err
    assert "Unexpected error: RuntimeError: broken" in short
    assert "--debug" in short
    assert "Traceback" not in short
    assert execute(["status", "--debug"]) == 1
    long = capsys.readouterr().err
    assert "Traceback (most recent call last)" in long
    assert "hunter2" not in short + long


def test_a_bug_is_json_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs that asked for JSON always get it."""
    _failing(monkeypatch, KeyError("odd"))
    assert execute(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "bug"


def test_an_interrupted_command_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl+C is no error; the code is the shell's own for it."""
    _failing(monkeypatch, KeyboardInterrupt())
    assert execute(["status"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_word_behind_two_dashes_is_no_option(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--json` as a record's name does not change how errors are printed."""
    _failing(monkeypatch, NoMatch("nothing"))
    assert execute(["records", "show", "--", "--json"]) == 1
    assert capsys.readouterr().err == "Error: nothing\n"


def test_the_only_tenant_is_the_default_and_several_are_listed() -> None:
    """Nobody types what can be known; nobody is guessed for."""
    assert choose_tenant("", ["acme"]) == "acme"
    assert choose_tenant("zeta", ["acme", "zeta"]) == "zeta"
    with pytest.raises(Misconfigured, match="2 tenants: acme, zeta") as several:
        choose_tenant("", ["acme", "zeta"])
    assert "--tenant" in several.value.hint
    with pytest.raises(Misconfigured, match="there is no tenant odd"):
        choose_tenant("odd", ["acme"])


@pytest.mark.parametrize("command", [["status"], ["check"], ["run"], ["connect"], ["records", "list"]])
def test_every_problem_of_a_wrong_configuration_is_named_with_its_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, exit 2, whatever the command."""
    path = tmp_path / "closedwon.yaml"
    path.write_text(
        "store: mysql://x\nstoore: 1\ntenants:\n  acme:\n    connections:\n      crm:\n        connector: sap\n"
        "    integrations: {}\n"
    )
    assert execute([*command, "--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert "has 3 problems" in said
    for line in ("line 1: store", "line 2: stoore", "line 7: tenants.acme.connections.crm.connector"):
        assert line in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"tenants: [", "line 1"),
        (b"a: &x 1\nb: *x\n", "anchors and aliases are not allowed"),
        (b"- 1\n", "the file must be a list of `key: value` lines"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_explained(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and the next step."""
    path = tmp_path / "closedwon.yaml"
    if content is not None:
        path.write_bytes(content)
    assert execute(["status", "--config", str(path), "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert said in error["text"]
    assert error["hint"]


def test_the_environment_names_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """CLOSEDWON_CONFIG is used where --config is not."""
    monkeypatch.setenv("CLOSEDWON_CONFIG", str(tmp_path / "elsewhere.yaml"))
    assert execute(["status"]) == 2
    assert "elsewhere.yaml" in capsys.readouterr().err

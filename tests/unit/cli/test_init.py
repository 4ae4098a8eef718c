"""`closedwon init`: what it writes, and what it refuses."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from closedwon.app.settings import load_settings
from closedwon.cli.init import Answers, render_config
from command_line import execute

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = {
    "tenant": "acme",
    "crm-url": "https://acme.crm.dynamics.com",
    "directory": "acme.onmicrosoft.com",
    "crm-client-id": "app-1",
    "xero-client-id": "app-2",
}


def _options(**changes: str) -> list[str]:
    answers = ANSWERS | {name.replace("_", "-"): value for name, value in changes.items()}
    return [f"--{name}={value}" for name, value in answers.items()]


def test_the_file_it_writes_can_be_run_once_the_variables_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names it prints are all that is missing."""
    path = tmp_path / "closedwon.yaml"
    assert execute(["init", "-c", str(path), *_options(public_url="https://hooks.example.com")]) == 0
    printed = capsys.readouterr().out
    for name in ("ACME_CRM_SECRET", "ACME_XERO_SECRET", "ACME_CRM_WEBHOOK_SECRET", "ACME_XERO_WEBHOOK_KEY"):
        assert f"export {name}=" in printed
        monkeypatch.setenv(name, "x")
    settings = load_settings(path)
    assert settings.tenants == ["acme"]
    assert settings.integrations["acme", "sales"].flows["opportunity_won"].invoice_status == "draft"


@pytest.mark.parametrize("xero_auth", ["custom_connection", "authorization_code"])
@pytest.mark.parametrize("public_url", ["", "https://hooks.example.com"])
@pytest.mark.parametrize("name", ["", 'Quotes " and # and: colons'])
def test_every_choice_makes_a_file_that_loads(
    xero_auth: str, public_url: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The draft is read as `run` would read it, before it takes its place."""
    path = tmp_path / "c.yaml"
    given = _options(xero_auth=xero_auth, public_url=public_url, organisation=name, account_code="200")
    assert execute(["init", "-c", str(path), "--json", *given]) == 0
    written = yaml.safe_load(path.read_text())
    assert written["tenants"]["acme"]["connections"]["books"].get("organisation", "") == name
    assert list(json.loads(capsys.readouterr().out)["variables"])[:2] == ["ACME_CRM_SECRET", "ACME_XERO_SECRET"]


def test_secrets_stand_in_the_file_as_references_only() -> None:
    """There is no option for a secret, and every secret setting is a reference."""
    text = render_config(Answers(tenant="acme", public_url="https://h.example", xero_auth="authorization_code"))
    document = yaml.safe_load(text)["tenants"]["acme"]["connections"]
    assert document["crm"]["auth"]["client_secret"] == "env:ACME_CRM_SECRET"
    assert document["books"]["auth"]["refresh_token"] == "env:ACME_XERO_REFRESH_TOKEN"
    assert document["books"]["webhook_key"] == "env:ACME_XERO_WEBHOOK_KEY"


def test_an_existing_file_stays_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is overwritten by accident."""
    path = tmp_path / "closedwon.yaml"
    path.write_text("mine")
    assert execute(["init", "-c", str(path), *_options()]) == 2
    assert path.read_text() == "mine"
    assert "--force replaces it" in capsys.readouterr().err
    assert execute(["init", "-c", str(path), "--force", *_options()]) == 0
    assert path.read_text() != "mine"


def test_without_a_terminal_it_names_the_options_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script gets an error, never a question."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert execute(["init", "-c", str(tmp_path / "c.yaml"), "--tenant=acme"]) == 2
    assert "missing: --crm-url, --directory, --crm-client-id, --xero-client-id" in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_asks_for_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an option gave is not asked again; an empty answer to a required question is asked again."""
    answers = ["", "https://acme.crm.dynamics.com", "dir", "app-1", "app-2", "", "", "200", "", "Europe/London"]
    monkeypatch.setattr("sys.stdin", _Terminal("\n".join(answers) + "\n"))
    path = tmp_path / "c.yaml"
    assert execute(["init", "-c", str(path), "--tenant=acme"]) == 0
    tenant = yaml.safe_load(path.read_text())["tenants"]["acme"]
    won = tenant["integrations"]["sales"]["flows"]["opportunity_won"]
    assert (won["account_code"], won["timezone"], "tax_type" in won) == ("200", "Europe/London", False)
    assert "Short name of your company" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"crm_url": "acme"}, "url must be an address"),
        ({"timezone": "Mars/Olympus"}, "there is no time zone Mars/Olympus"),
        ({"tenant": "Acme Ltd"}, "is not a short name"),
        ({"store": "mysql://x"}, "neither sqlite"),
        ({"invoice_status": "paid"}, "invalid value"),
    ],
)
def test_answers_that_make_no_configuration_write_nothing(
    option: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong answer is named at once instead of at the first run."""
    assert execute(["init", "-c", str(tmp_path / "c.yaml"), *_options(**option)]) == 2
    assert said in capsys.readouterr().err.lower().replace("mars/olympus", "Mars/Olympus")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says which file could not be written."""
    assert execute(["init", "-c", str(tmp_path / "none" / "c.yaml"), *_options()]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err

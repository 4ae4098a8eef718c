"""The command line on a real sandbox: what each command prints, writes and exits with."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from command_line import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from product import Stage

    Ask = Callable[..., Any]
    Say = Callable[..., str]

DEAD_ADDRESS = "http://127.0.0.1:9"


@pytest.fixture
def config(stage: Stage) -> Path:
    """Return a configuration for the stage."""
    return stage.configure()


@pytest.fixture
def ask(config: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return what runs a command with --json and gives its document; the exit code must be the one expected."""

    def run(*arguments: str, code: int = 0, path: Path = config) -> Any:
        found = execute([*arguments, "--json", "--config", str(path)])
        captured = capsys.readouterr()
        assert found == code, captured.err
        return json.loads(captured.out or captured.err)

    return run


@pytest.fixture
def say(config: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return what runs a command and gives all it printed; the exit code must be the one expected."""

    def run(*arguments: str, code: int = 0, path: Path = config) -> str:
        found = execute([*arguments, "--config", str(path)])
        captured = capsys.readouterr()
        assert found == code, captured
        assert "Traceback" not in captured.err
        return captured.out + captured.err

    return run


def test_a_deal_from_preview_to_story(stage: Stage, ask: Ask, say: Say) -> None:
    """A won deal is previewed without a write, synced, and its whole story can be read."""
    (deal,) = stage.win(stage.clean_deals()[0])
    plan = ask("preview", deal)
    assert plan["stop"] is None
    assert plan["invoice_total"] is not None
    assert "create invoice" in [write["operation"] for write in plan["writes"]]
    assert stage.invoices(deal) == []
    assert ask("sync", deal)["run"]["state"] == "succeeded"
    assert stage.invoice(deal)["Total"]
    story = ask("records", "show", deal)
    (link,) = (one for one in story["links"] if one["record_type"] == "invoice")
    assert link["books_id"] == stage.invoice(deal)["InvoiceID"]
    told = say("records", "show", link["books_number"])
    for word in ("event", "run", "step", "intent", "receipt", "link", link["books_id"], "create_invoice on books"):
        assert word in told
    assert "exists already" in say("preview", deal)


def test_a_second_sync_writes_nothing(stage: Stage, ask: Ask) -> None:
    """The flow finds its own invoice and leaves it."""
    (deal,) = stage.win(stage.clean_deals()[0])
    ask("sync", deal)
    assert ask("sync", deal)["run"]["outcome"] == "unchanged"
    assert len(stage.invoices(deal)) == 1


def test_stories_are_masked_unless_asked_otherwise(stage: Stage, ask: Ask) -> None:
    """The customer's name, e-mail and telephone stand in a story only with --unmasked."""
    deal = stage.clean_deals(person=True)[0]
    stage.win(deal)
    ask("sync", deal.id)
    (name,) = {row["Name"] for row in stage.books()["contacts"] if row.get("ContactNumber") == deal.customer_id}
    assert name not in json.dumps(ask("records", "show", deal.id), ensure_ascii=False)
    assert name in json.dumps(ask("records", "show", deal.id, "--unmasked"), ensure_ascii=False)


def test_lists_and_status_show_what_happened(stage: Stage, ask: Ask, say: Say) -> None:
    """Runs by lane and state, the newest run of each record, filters that filter."""
    assert "No runs yet" in say("status")
    assert "No records yet" in say("records", "list")
    (deal,) = stage.win(stage.clean_deals()[0])
    ask("sync", deal)
    assert ask("status")["runs"]["sales/opportunity_won"]["succeeded"] == 1
    number = stage.invoice(deal)["InvoiceNumber"]
    assert [(row["record_id"], row["invoice"]) for row in ask("records", "list")["records"]] == [(deal, number)]
    assert ask("records", "list", "--state", "parked")["records"] == []
    assert deal in say("records", "list")
    assert "sales/opportunity_won" in say("status")
    assert "No records whose newest run is failed" in say("records", "list", "--state", "failed")


def test_a_deal_with_an_archived_account_is_decided_at_the_review_desk(stage: Stage, ask: Ask, say: Say) -> None:
    """It parks, the item names the cause and the ways out, a decision lets it through."""
    deal = stage.wrinkled_deal("archived_account").id
    stage.win(stage.wrinkled_deal("archived_account"))
    assert ask("preview", deal, code=1)["stop"]["code"] == "mapping_failed"
    assert "This cannot be carried out" in say("preview", deal, code=1)
    assert ask("sync", deal, code=1)["run"]["state"] == "parked"
    (item,) = ask("review", "list")["items"]
    number = str(item["number"])
    assert "review show N" in say("review", "list")
    shown = say("review", "show", number)
    assert item["text"] in shown
    assert f"1. {item['proposals'][0]['label']}" in shown
    assert f"`closedwon review show {number}`" in say("records", "show", deal)
    resolved = ask("review", "resolve", number, "--account", "200", "--by", "Robin")
    assert resolved["state"] == "resolved"
    assert resolved["resolutions"][0]["decided_by"] == "Robin"
    assert ask("sync", deal)["run"]["state"] == "succeeded"
    assert {line["AccountCode"] for line in stage.invoice(deal)["LineItems"]} >= {"200"}
    assert "Nothing waits for a person" in say("review", "list")
    assert [one["state"] for one in ask("review", "list", "--all")["items"]] == ["resolved"]
    assert ask("review", "resolve", number, "--retry", code=1)["error"]["text"].endswith("is closed")


def test_a_proposal_is_taken_by_its_number(stage: Stage, ask: Ask) -> None:
    """Proposal K stands for its decision; a number that is not there, two decisions or none are refused."""
    deal = stage.wrinkled_deal("archived_account").id
    stage.win(stage.wrinkled_deal("archived_account"))
    ask("sync", deal, code=1)
    (item,) = ask("review", "list")["items"]
    number = str(item["number"])
    assert "not a number 99" in ask("review", "resolve", number, "--proposal", "99", code=2)["error"]["text"]
    both = ask("review", "resolve", number, "--proposal", "1", "--account", "200", code=2)
    assert "stands alone" in both["error"]["text"]
    assert "no decision given" in ask("review", "resolve", number, code=2)["error"]["text"]
    taken = ask("review", "resolve", number, "--proposal", "1")
    assert taken["resolutions"][0]["decision"] == item["proposals"][0]["decision"]


def test_a_dismissed_item_cancels_its_run(stage: Stage, ask: Ask) -> None:
    """Nothing is written, and the reason is kept."""
    deal = stage.wrinkled_deal("archived_account").id
    stage.win(stage.wrinkled_deal("archived_account"))
    ask("sync", deal, code=1)
    (item,) = ask("review", "list")["items"]
    closed = ask("review", "dismiss", str(item["number"]), "--reason", "a test order")
    assert closed["resolutions"][0]["decision"] == {"reason": "a test order"}
    assert [row["state"] for row in ask("records", "list")["records"]] == ["cancelled"]
    assert stage.invoices(deal) == []


def test_retry_and_replay_queue_runs(stage: Stage, ask: Ask, say: Say) -> None:
    """Retry takes up what stopped, replay what went through; the engine does the rest."""
    assert "Nothing to retry" in say("retry")
    (done,) = stage.win(stage.clean_deals()[0])
    stuck = stage.wrinkled_deal("archived_account").id
    stage.win(stage.wrinkled_deal("archived_account"))
    ask("sync", done)
    ask("sync", stuck, code=1)
    assert ask("retry")["queued"] == 1
    assert ask("retry", done)["queued"] == 0
    assert ask("replay", done)["queued"] == 1
    assert "queued" in say("replay", done)
    assert len(stage.invoices(done)) == 1


def test_what_nobody_knows_is_said_so(stage: Stage, ask: Ask) -> None:
    """A wrong id or number gets the next step, exit 1."""
    assert stage.folder.is_dir()
    for command in (["records", "show", "x"], ["replay", "x"], ["review", "show", "7"], ["preview", "x"]):
        error = ask(*command, code=1)["error"]
        assert error["code"] == "no_match"
        assert error["hint"]


def test_connect_registers_webhooks_and_check_finds_all_well(stage: Stage, ask: Ask, say: Say) -> None:
    """After connect nothing is left for check to complain about; before, it names the webhooks."""
    before = ask("check", code=1)
    assert any("webhook" in one["subject"] for one in before["findings"] if not one["ok"])
    done = ask("connect")["connections"]
    assert any("Registered" in line for line in done["demo.crm"])
    assert stage.simulators.xero.webhook_key not in say("connect")
    after = ask("check")
    assert after["ok"]
    subjects = " ".join(one["subject"] for one in after["findings"])
    for subject in ("configuration", "store", "credentials", "webhook", "clock", "reference data", "scopes"):
        assert subject in subjects
    assert "findings are fine" in say("check", "--tenant", "demo")


def _unreachable(tenant: dict[str, Any]) -> None:
    crm = tenant["connections"]["crm"]
    crm["url"] = crm["auth"]["authority_url"] = DEAD_ADDRESS


def test_an_unreachable_host_is_exit_3_and_the_next_step(stage: Stage, ask: Ask, say: Say) -> None:
    """Connect, preview and check say which host does not answer, and what to look at."""
    path = stage.configure(_unreachable)
    deal = stage.clean_deals()[0].id
    for command in (["connect"], ["preview", deal]):
        error = ask(*command, code=3, path=path)["error"]
        assert "127.0.0.1:9" in error["text"]
        assert error["hint"]
    findings = ask("check", code=3, path=path)["findings"]
    assert [one["code"] for one in findings if not one["ok"]] == ["unavailable"]
    assert "WRONG demo.crm: Cannot reach 127.0.0.1:9" in say("check", code=3, path=path)


@pytest.mark.parametrize(("connection", "other"), [("crm", "books"), ("books", "crm")])
def test_a_wrong_secret_is_named_and_never_shown(connection: str, other: str, stage: Stage, ask: Ask, say: Say) -> None:
    """The finding says which credentials are refused; the other side is still looked at."""

    def change(tenant: dict[str, Any]) -> None:
        tenant["connections"][connection]["auth"]["client_secret"] = "wrong-hunter2"

    path = stage.configure(change)
    assert ask("connect", code=1, path=path)["error"]["code"] == "auth_expired"
    findings = ask("check", code=1, path=path)["findings"]
    (refused,) = (one for one in findings if one["code"])
    assert (refused["subject"], refused["code"]) == (f"demo.{connection}", "auth_expired")
    assert any(one["ok"] for one in findings if one["subject"].startswith(f"demo.{other}"))
    printed = say("check", code=1, path=path)
    assert "client_secret" in printed
    assert "hunter2" not in printed


def test_missing_rights_are_named(stage: Stage, ask: Ask) -> None:
    """An app without the right to write invoices is found by check, with where to give the right."""

    def change(tenant: dict[str, Any]) -> None:
        tenant["connections"]["books"]["auth"]["scopes"] = ["accounting.settings.read", "accounting.contacts"]

    findings = ask("check", code=1, path=stage.configure(change))["findings"]
    wrong = {one["subject"]: one for one in findings if not one["ok"]}
    assert "accounting.invoices" in wrong["demo.books: scopes"]["text"]
    assert "portal" in wrong["demo.books: scopes"]["hint"]
    assert "demo.books: reading invoices" in wrong


def test_two_tenants_want_a_choice(stage: Stage, ask: Ask, tmp_path: Path) -> None:
    """A command for one tenant lists them; check looks at both."""
    document = yaml.safe_load(stage.configure().read_text())
    document["tenants"]["zeta"] = copy.deepcopy(document["tenants"]["demo"])
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(document))
    error = ask("status", code=2, path=path)["error"]
    assert error["text"] == "the configuration has 2 tenants: demo, zeta"
    assert ask("status", "--tenant", "zeta", path=path)["tenant"] == "zeta"
    subjects = [one["subject"] for one in ask("check", code=1, path=path)["findings"]]
    assert {"demo.books: sign-in", "zeta.books: sign-in"} <= set(subjects)

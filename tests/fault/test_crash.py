"""kill -9 at every border of our work and at random moments: exactly one invoice per deal, and the CRM shows it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from closedwon.app.compose import open_app
from deals import People
from sandbox_process import Sandbox, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

DEALS = 200
WORKER = Path(__file__).with_name("worker.py")
STEPS = ("fetch", "plan", "contacts", "invoices", "crm_invoices", "write_back")
OPERATIONS = {"create_contact": (1,), "create_invoice": (1, 4), "create_crm_invoice": (1,), "update_document": (1,)}
BORDERS = [
    "after take#1",
    *(f"{side} step {step}#1" for step in STEPS for side in ("before", "after")),
    *(
        f"{moment} {operation}#{number}"
        for operation, numbers in OPERATIONS.items()
        for number in numbers
        for moment in ("after promise", "before receipt", "after receipt")
    ),
    "before commit#1",
    "after commit#1",
]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Run a sandbox in which 200 deals are won."""
    with running_sandbox(tmp_path / "sandbox") as running:
        with People(running.info) as people:
            people.sell(DEALS)
        yield running


def work(sandbox: Sandbox, until: str = "none") -> subprocess.Popen[str]:
    """Start the product as a process of its own."""
    command = [sys.executable, str(WORKER), str(sandbox.config_file), until]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(sandbox: Sandbox) -> None:
    """Let the product work to the end."""
    worker = work(sandbox)
    output, _ = worker.communicate(timeout=150)
    assert worker.returncode == 0, output[-3000:]


def assert_each_deal_has_one_invoice(sandbox: Sandbox) -> None:
    """Judge from the simulators' own data: no double, no loss, no wrong cent, nothing the CRM does not show."""
    books, crm = sandbox.state("xero"), sandbox.state("dynamics")
    live = [one for one in _documents(books, "invoices") if one["Status"] not in {"VOIDED", "DELETED"}]
    won = [deal for deal in crm["opportunities"] if deal["statecode"] == 1]
    assert len(won) == DEALS
    assert Counter(one["Reference"] for one in live) == Counter({deal["opportunityid"]: 1 for deal in won})
    totals = {one["Reference"]: Decimal(one["Total"]) for one in live}
    assert totals == {deal["opportunityid"]: Decimal(deal["totalamount"]) for deal in won}
    shown = {one["new_xeroinvoiceid"] for one in crm["invoices"]}
    assert len(crm["invoices"]) == DEALS
    assert shown == {one["InvoiceID"] for one in live}
    names = Counter(one["Name"].casefold() for one in _documents(books, "contacts"))
    assert not [name for name, number in names.items() if number > 1]


def _documents(books: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [one for organisation in books["organisations"] for one in organisation[kind]]


def assert_nothing_stopped_without_cause(sandbox: Sandbox) -> None:
    """Nothing is parked: every deal here can be invoiced."""
    app = open_app(sandbox.config_file)
    try:
        assert app.reviews.list_items("demo", state=None) == []
        assert app.engine.count_runs("demo")["sales/opportunity_won"].keys() <= {"succeeded", "cancelled"}
        assert app.links.count("demo", "sales", "invoice") == DEALS
    finally:
        app.close()


@pytest.mark.parametrize("border", BORDERS)
def test_killed_at_a_border_of_our_work(sandbox: Sandbox, border: str) -> None:
    """Killed right there and started again, the product makes each invoice exactly once."""
    worker = work(sandbox, border)
    output, _ = worker.communicate(timeout=120)
    assert worker.returncode == -signal.SIGKILL, f"{border} was not reached: {output[-2000:]}"
    finish(sandbox)
    assert_each_deal_has_one_invoice(sandbox)
    assert_nothing_stopped_without_cause(sandbox)


def test_killed_and_its_store_lost(sandbox: Sandbox) -> None:
    """Even with an empty store afterwards, the invoices the CRM had not yet heard of are found and not made again."""
    worker = work(sandbox, "after receipt create_invoice#3")
    worker.communicate(timeout=120)
    assert worker.returncode == -signal.SIGKILL
    for file in sandbox.folder.glob("closedwon.db*"):
        file.unlink()
    finish(sandbox)
    assert_each_deal_has_one_invoice(sandbox)
    assert_nothing_stopped_without_cause(sandbox)


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_moment(sandbox: Sandbox, seed: int) -> None:
    """Killed after a random while, up to three times in a row, the product makes each invoice exactly once."""
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 3)):
        worker = work(sandbox)
        time.sleep(rng.uniform(1.2, 4.5))  # the moment of a kill is the point of this test
        worker.kill()
        worker.communicate()
    finish(sandbox)
    assert_each_deal_has_one_invoice(sandbox)
    assert_nothing_stopped_without_cause(sandbox)

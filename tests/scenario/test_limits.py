"""Many deals under the vendors' limits: few calls, no refusal for too many, and nothing made twice."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from closedwon.app.compose import open_app
from closedwon.app.desk import Desk

if TYPE_CHECKING:
    from product import Stage

DEALS = 200
MOST_CALLS = 12


def made(stage: Stage) -> dict[str, int]:
    """Count what there is in both systems that the product can have made."""
    books, crm = stage.books(), stage.crm()
    counts = {kind: len(books[kind]) for kind in ("invoices", "contacts", "payments")}
    return counts | {"crm invoices": len(crm["invoices"])}


def test_a_backlog_of_200_deals_costs_few_calls_and_is_worked_off_once(stage: Stage) -> None:
    """200 deals under 5/60/5,000: at most 12 calls to each system, no 429; replayed or seen by a new store, no more.

    Counted from the start of the engine, after `connect` has signed in and read the reference data.
    """
    ids = stage.people.sell(DEALS)
    config = stage.configure()
    with closing(open_app(config)) as app:
        Desk(app).connect("demo")
    stage.simulators.reset_stats()
    with stage.product(config) as product:
        product.work_off()
        calls = stage.calls()
        assert product.items() == []
        stage.assert_invoiced_once(ids)
        assert stage.throttled() == 0
        assert max(calls.values()) <= MOST_CALLS, stage.simulators.stats()

        before = made(stage)
        for deal_id in ids:
            product.app.replayer.replay("demo", "crm", "opportunity", deal_id)
        product.wait_settled()
        assert made(stage) == before
        assert {product.run_of(deal_id)["outcome"] for deal_id in ids} == {"unchanged"}

    store = Path(product.app.settings.store.removeprefix("sqlite:///"))
    for file in store.parent.glob(f"{store.name}*"):
        file.unlink()
    with stage.product(config) as product:
        product.work_off()
        assert product.items() == []
        assert product.app.links.count("demo", "sales", "invoice") == DEALS
    assert made(stage) == before
    stage.assert_invoiced_once(ids)
    assert stage.throttled() == 0

"""Webhooks are lost, doubled, or echo our own writes: the CRM and the books end as if each had come once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from product import Product, Stage


def test_a_lost_webhook_is_healed_by_the_feed(stage: Stage) -> None:
    """Deal won, then invoice paid, and both webhooks lost: the feeds find what happened."""
    with stage.product(hooks=True) as product:
        product.read_feeds()
        stage.simulators.fault("dynamics", "webhook_lose", when={"always": True})
        stage.simulators.fault("xero", "webhook_lose", when={"always": True})
        (deal_id,) = stage.win(stage.clean_deals()[0])
        product.wait_until(lambda: stage.simulators.webhooks()["dynamics"]["lost"] > 0, "a webhook lost")
        assert product.desk.list_records("demo") == []
        product.work_off()
        stage.assert_invoiced_once([deal_id])
        invoice = stage.invoice(deal_id)
        stage.people.pay([(invoice["InvoiceID"], invoice["Total"])])
        product.wait_until(lambda: stage.simulators.webhooks()["xero"]["lost"] > 0, "a webhook lost")
        assert stage.shown(deal_id)["new_xerostatus"] == "authorised"
        product.work_off()
        assert stage.shown(deal_id)["new_xerostatus"] == "paid"
        assert product.items() == []


def test_doubled_webhooks_make_one_invoice(stage: Stage) -> None:
    """Every webhook delivered twice: one event each, one run, one invoice."""
    with stage.product(hooks=True) as product:
        stage.simulators.fault("dynamics", "webhook_duplicate", when={"always": True})
        stage.simulators.fault("xero", "webhook_duplicate", when={"always": True})
        (deal_id,) = stage.win(stage.clean_deals()[0])
        product.wait_until(lambda: stage.crm()["invoices"], "a CRM invoice")
        product.wait_until(lambda: stage.simulators.webhooks()["dynamics"]["doubled"] > 0, "a webhook doubled")
        product.wait_until(lambda: stage.simulators.webhooks()["dynamics"]["under_way"] == 0, "all delivered")
        product.wait_settled()
        stage.assert_invoiced_once([deal_id])
        story = product.desk.show_record("demo", deal_id)
        wins = [one for one in story["events"] if one["record_id"] == deal_id and one["name"] == "Win"]
        assert len(wins) == 1
        made = [one for one in story["runs"] if one["record_id"] == deal_id and one["outcome"] == "created"]
        assert len(made) == 1


def _wait_for_echoes(stage: Stage, product: Product) -> None:
    """Wait until every webhook of the CRM has arrived and what it started has ended."""
    product.wait_until(lambda: stage.simulators.webhooks()["dynamics"]["under_way"] == 0, "all delivered")
    product.wait_settled()


def test_the_echo_of_our_own_writes_costs_no_call(stage: Stage) -> None:
    """The webhooks that our own writes set off are stored and ask nothing of either system.

    Measured on the second deal: before its first invoice a process looks back once at what it made earlier.
    """
    first, second = stage.clean_deals()[:2]
    with stage.product(hooks=True) as product:
        stage.win(first)
        product.wait_until(lambda: len(stage.crm()["invoices"]) == 1, "the first CRM invoice")
        _wait_for_echoes(stage, product)
        stage.simulators.reset_stats()
        (deal_id,) = stage.win(second)
        product.wait_until(lambda: len(stage.crm()["invoices"]) == 2, "the second CRM invoice")
        invoice_id = stage.invoice(deal_id)["InvoiceID"]
        product.wait_until(lambda: product.app.engine.story("demo", [invoice_id])["events"], "the echo of the invoice")
        _wait_for_echoes(stage, product)
        calls = stage.simulators.stats()
        assert "GET Invoices" not in calls["xero"]["app"]["endpoints"]
        runs = product.app.engine.list_runs(
            "demo", record_id=deal_id
        )  # more than one where the win's events came apart
        assert calls["dynamics"]["app"]["endpoints"] == {"GET opportunities": len(runs), "POST $batch": 2}
        assert product.run_of(invoice_id)["outcome"] in {"unchanged", "skipped"}
        assert product.items() == []

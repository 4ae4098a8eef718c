"""The main story: a deal is won, its invoice is paid, and the CRM shows it all along."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from product import as_json

if TYPE_CHECKING:
    from product import Product, Stage

ACTIVE, PAID, CANCELLED = 0, 2, 3  # states of a CRM invoice


def pay(stage: Stage, invoice_id: str, amount: Decimal) -> str:
    """Enter a payment in the books; return its id."""
    day = datetime.now(UTC).date().isoformat()
    payment = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"Code": "090"}, "Date": day, "Amount": amount}
    answer = stage.people.books.put("Payments", content=as_json({"Payments": [payment]}))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["Payments"][0]["PaymentID"])


def take_back(stage: Stage, payment_id: str) -> None:
    """Remove a payment from the books, as when it bounced."""
    answer = stage.people.books.post(f"Payments/{payment_id}", json={"Status": "DELETED"})
    assert answer.status_code == 200, answer.text


def void(stage: Stage, invoice_id: str) -> None:
    """Void an invoice in the books."""
    answer = stage.people.books.post(f"Invoices/{invoice_id}", json={"InvoiceID": invoice_id, "Status": "VOIDED"})
    assert answer.status_code == 200, answer.text


def wait_shown(stage: Stage, product: Product, deal_id: str, status: str, kind: str = "invoices") -> dict[str, Any]:
    """Wait until the CRM shows a status; return the record that shows it."""
    return dict(
        product.wait_until(
            lambda: (row := stage.shown(deal_id, kind)).get("new_xerostatus") == status and row, f"shown as {status}"
        )
    )


def amounts(row: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """Read paid and due off a CRM record."""
    return Decimal(row.get("new_xeroamountpaid") or 0), Decimal(row.get("new_xeroamountdue") or 0)


def test_a_won_deal_becomes_a_paid_invoice_and_the_crm_shows_every_turn(stage: Stage) -> None:
    """Webhooks carry a deal from won through partly paid, paid, payment removed, paid again; another one is voided."""
    with stage.product(hooks=True) as product:
        deal_id, other_id = stage.win(*stage.clean_deals()[:2])
        product.wait_until(lambda: len(stage.crm()["invoices"]) == 2, "two CRM invoices")
        row = wait_shown(stage, product, deal_id, "authorised")
        invoice = stage.invoice(deal_id)
        total = Decimal(invoice["Total"])
        assert row["new_xeroinvoiceid"] == invoice["InvoiceID"]
        assert row["new_xeroinvoicenumber"] == invoice["InvoiceNumber"]
        assert invoice["InvoiceID"] in row["new_xerolink"]
        assert (row["statecode"], amounts(row), row.get("new_xeropaidon")) == (ACTIVE, (Decimal(0), total), None)

        half = (total / 2).quantize(Decimal("0.01"))
        pay(stage, invoice["InvoiceID"], half)
        row = wait_shown(stage, product, deal_id, "partially_paid")
        assert (row["statecode"], amounts(row), row.get("new_xeropaidon")) == (ACTIVE, (half, total - half), None)

        payment = pay(stage, invoice["InvoiceID"], total - half)
        row = wait_shown(stage, product, deal_id, "paid")
        product.wait_settled()
        row = stage.shown(deal_id)
        assert (row["statecode"], amounts(row)) == (PAID, (total, Decimal(0)))
        assert row["new_xeropaidon"] == datetime.now(UTC).date().isoformat()

        take_back(stage, payment)
        row = wait_shown(stage, product, deal_id, "partially_paid")
        product.wait_settled()
        row = stage.shown(deal_id)
        assert (row["statecode"], amounts(row), row.get("new_xeropaidon")) == (ACTIVE, (half, total - half), None)

        pay(stage, invoice["InvoiceID"], total - half)
        wait_shown(stage, product, deal_id, "paid")
        void(stage, stage.invoice(other_id)["InvoiceID"])
        row = wait_shown(stage, product, other_id, "voided")
        product.wait_settled()
        assert stage.shown(deal_id)["statecode"] == PAID
        assert stage.shown(other_id)["statecode"] == CANCELLED
        assert product.items() == []


def test_every_kind_of_customer_and_currency_gets_a_right_invoice(stage: Stage) -> None:
    """Companies and individuals, NZD, AUD and USD, freight and a discount on an export: every total is the CRM's."""
    deals = {
        deal.id: deal
        for currency in ("NZD", "AUD", "USD")
        for deal in (
            *stage.clean_deals(currency)[:2],
            *stage.clean_deals(currency, person=True)[:2],
            *stage.clean_deals(currency, extras=True)[:1],
        )
    }
    kinds = {(deal.currency, deal.customer_is_person) for deal in deals.values()}
    assert {("NZD", False), ("NZD", True), ("AUD", False), ("USD", False)} <= kinds
    extra = next(deal for deal in deals.values() if deal.freight and deal.discount)
    ids = stage.win(*deals.values())
    with stage.product() as product:
        product.work_off()
        assert product.items() == []
    stage.assert_invoiced_once(ids)
    lines = {line["Description"]: line for line in stage.invoice(extra.id)["LineItems"]}
    assert Decimal(lines["Freight"]["LineAmount"]) == extra.freight
    assert Decimal(lines["Discount"]["LineAmount"]) == -extra.discount
    assert lines["Freight"]["TaxType"] == "ZERORATED"


def make_order(stage: Stage, deal_id: str) -> None:
    """Make a sales order of a deal in the CRM, as an order desk does."""
    body = {"OpportunityId": deal_id, "ColumnSet": {"AllColumns": True}}
    answer = stage.people.crm.post("GenerateSalesOrderFromOpportunity", json=body)
    assert answer.is_success, answer.text


@pytest.mark.parametrize(("write_back", "kind"), [("order", "salesorders"), ("opportunity", "opportunities")])
def test_an_order_or_the_deal_itself_can_show_the_invoice(stage: Stage, write_back: str, kind: str) -> None:
    """With write_back set to order or opportunity that record shows the invoice, and no CRM invoice is made."""
    config = stage.configure(lambda tenant: tenant["connections"]["crm"].update(write_back=write_back))
    with stage.product(config) as product:
        (deal_id,) = stage.win(stage.clean_deals()[0])
        if write_back == "order":
            make_order(stage, deal_id)
        product.work_off()
        assert product.items() == []
        invoice = stage.invoice(deal_id)
        row = stage.shown(deal_id, kind)
        assert row["new_xeroinvoiceid"] == invoice["InvoiceID"]
        pay(stage, invoice["InvoiceID"], Decimal(invoice["Total"]))
        product.work_off()
        row = stage.shown(deal_id, kind)
        assert (row["new_xerostatus"], amounts(row)) == ("paid", (Decimal(invoice["Total"]), Decimal(0)))
    assert stage.crm()["invoices"] == []


def test_a_deal_without_an_order_waits_until_there_is_one(stage: Stage) -> None:
    """Where the order shall show the invoice and there is none, the deal is parked, and goes on once there is one."""
    config = stage.configure(lambda tenant: tenant["connections"]["crm"].update(write_back="order"))
    with stage.product(config) as product:
        (deal_id,) = stage.win(stage.clean_deals()[0])
        product.work_off()
        item = product.item(deal_id)
        assert item["text"] == "the deal has no order that could show the invoice"
        assert "create the order in the CRM" in item["hint"]
        make_order(stage, deal_id)
        product.resolve(deal_id, retry=True)
        assert product.items() == []
        assert stage.shown(deal_id, "salesorders")["new_xeroinvoiceid"] == stage.invoice(deal_id)["InvoiceID"]


def test_a_draft_is_approved_in_the_books_and_the_crm_shows_both(stage: Stage) -> None:
    """With invoice_status draft an accountant approves the invoice; the CRM shows it as a draft until then."""
    with stage.product(stage.configure(invoice_status="draft")) as product:
        (deal_id,) = stage.win(stage.clean_deals()[0])
        product.work_off()
        invoice = stage.invoice(deal_id)
        assert (invoice["Status"], stage.shown(deal_id)["new_xerostatus"]) == ("DRAFT", "draft")
        change = {"InvoiceID": invoice["InvoiceID"], "Status": "AUTHORISED"}
        answer = stage.people.books.post(f"Invoices/{invoice['InvoiceID']}", json=change)
        assert answer.status_code == 200, answer.text
        product.work_off()
        row = stage.shown(deal_id)
        assert (row["new_xerostatus"], row["statecode"]) == ("authorised", ACTIVE)
        assert product.items() == []

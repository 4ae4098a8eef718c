"""Judges by what the simulators hold, never by our own tables: is every won deal invoiced once, right, and shown. Pure.

An invoice names its deal in its reference; that is how a bookkeeper would check it too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

WON, PAID = 1, 2  # state codes of the CRM: of a deal, of an invoice
DEAD = frozenset({"VOIDED", "DELETED"})
PAYMENT_GONE = "DELETED"
SHOWN_STATUS = {"DRAFT": "draft", "SUBMITTED": "submitted", "PAID": "paid", "VOIDED": "voided", "DELETED": "deleted"}
MOST_QUOTED = 10

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One statement about both systems, and everything that speaks against it."""

    statement: str
    wrong: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Tell whether nothing speaks against it."""
        return not self.wrong

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for the report."""
        return {"statement": self.statement, "holds": self.holds, "wrong": list(self.wrong[:MOST_QUOTED])}


@dataclass(frozen=True, slots=True)
class Holdings:
    """What both systems hold, ready to be compared."""

    deals: dict[str, Record]  # all opportunities by id
    invoices: tuple[Record, ...]  # live sales invoices of the books
    crm_invoices: dict[str, list[Record]]  # by deal
    payments: dict[str, Decimal]  # the sum of live payments by invoice
    payment_count: int
    currencies: dict[str, str]  # code by id
    counts: dict[str, int]  # what a second run must leave alone

    @property
    def won(self) -> dict[str, Record]:
        """Return the won deals by id."""
        return {deal_id: deal for deal_id, deal in self.deals.items() if deal["statecode"] == WON}

    def of_deal(self) -> dict[str, list[Record]]:
        """Return the live invoices of the books by the deal they name."""
        found: dict[str, list[Record]] = defaultdict(list)
        for invoice in self.invoices:
            found[invoice.get("Reference", "")].append(invoice)
        return found


def read_holdings(state: Record) -> Holdings:
    """Arrange the state that the sandbox gives out."""
    crm, books = state["dynamics"], state["xero"]["organisations"][0]
    crm_invoices: dict[str, list[Record]] = defaultdict(list)
    for row in crm["invoices"]:
        crm_invoices[(row.get("opportunityid") or {}).get("id", "")].append(row)
    payments: dict[str, Decimal] = defaultdict(Decimal)
    for row in books["payments"]:
        if row["Status"] != PAYMENT_GONE and row.get("InvoiceID"):
            payments[row["InvoiceID"]] += Decimal(row["Amount"])
    live = tuple(row for row in books["invoices"] if row["Type"] == "ACCREC" and row["Status"] not in DEAD)
    return Holdings(
        deals={row["opportunityid"]: row for row in crm["opportunities"]},
        invoices=live,
        crm_invoices=dict(crm_invoices),
        payments=dict(payments),
        payment_count=sum(1 for row in books["payments"] if row["Status"] != PAYMENT_GONE),
        currencies={row["transactioncurrencyid"]: row["isocurrencycode"] for row in crm["currencies"]},
        counts={
            "invoices": len(books["invoices"]),
            "contacts": len(books["contacts"]),
            "payments": len(books["payments"]),
            "credit notes": len(books["credit_notes"]),
            "CRM invoices": len(crm["invoices"]),
            "CRM orders": len(crm["salesorders"]),
        },
    )


def judge(held: Holdings, *, all_paid: bool) -> list[Verdict]:
    """Judge both systems; `all_paid` demands that every invoice is paid in full."""
    verdicts = [
        Verdict("every won deal has exactly one invoice", tuple(_miscounted(held))),
        Verdict("no invoice stands without a won deal", tuple(_strays(held))),
        Verdict("every total is the CRM's, to the cent", tuple(_wrong_totals(held))),
        Verdict("the CRM shows number, link, status and amounts of every invoice", tuple(_wrong_in_crm(held))),
        Verdict("every payment in the books shows in the CRM", tuple(_wrong_payments(held))),
    ]
    if all_paid:
        verdicts.append(Verdict("every invoice is paid, and the CRM says so", tuple(_unpaid(held))))
    return verdicts


def judge_unchanged(before: Holdings, after: Holdings, when: str) -> Verdict:
    """Judge that nothing came into being between two looks."""
    wrong = [
        f"{before.counts[kind]} {kind} before, {count} after"
        for kind, count in after.counts.items()
        if count != before.counts[kind]
    ]
    return Verdict(f"{when} creates nothing", tuple(wrong))


def _miscounted(held: Holdings) -> list[str]:
    invoices = held.of_deal()
    counts = {deal_id: len(invoices.get(deal_id, ())) for deal_id in held.won}
    return [f"{_named(held, deal_id)} has {count} invoices" for deal_id, count in counts.items() if count != 1]


def _strays(held: Holdings) -> list[str]:
    won = held.won
    books = [one for one in held.invoices if one.get("Reference", "") not in won]
    wrong = [f"{one.get('InvoiceNumber')} names {_named(held, one.get('Reference', ''))}" for one in books]
    return wrong + [
        f"the CRM has an invoice {row.get('invoicenumber')} of {_named(held, deal_id)}"
        for deal_id, rows in held.crm_invoices.items()
        if deal_id not in won
        for row in rows
    ]


def _wrong_totals(held: Holdings) -> list[str]:
    wrong = []
    for deal_id, deal, invoice in _pairs(held):
        wanted, has = _amount(deal["totalamount"]), _amount(invoice["Total"])
        currency = held.currencies[deal["transactioncurrencyid"]["id"]]
        if wanted != has or currency != invoice["CurrencyCode"]:
            name = _named(held, deal_id)
            wrong.append(f"{name} comes to {currency} {wanted}, its invoice to {invoice['CurrencyCode']} {has}")
    return wrong


def _wrong_in_crm(held: Holdings) -> list[str]:
    wrong = []
    for deal_id, deal, invoice in _pairs(held):
        rows = held.crm_invoices.get(deal_id, [])
        name = _named(held, deal_id)
        if len(rows) != 1:
            wrong.append(f"{name} has {len(rows)} invoices in the CRM")
            continue
        row = rows[0]
        wanted = {
            "new_xeroinvoiceid": invoice["InvoiceID"],
            "new_xeroinvoicenumber": invoice["InvoiceNumber"],
            "new_xerostatus": _status(invoice),
        }
        wrong += [
            f"{name}: {column} is {row.get(column)!r} instead of {value!r}"
            for column, value in wanted.items()
            if str(row.get(column) or "").lower() != value.lower()
        ]
        if invoice["InvoiceID"] not in str(row.get("new_xerolink") or ""):
            wrong.append(f"{name}: the link does not lead to its invoice")
        if _amount(row.get("totalamount")) != _amount(deal["totalamount"]):
            wrong.append(f"{name}: the CRM's invoice comes to {row.get('totalamount')}")
    return wrong


def _wrong_payments(held: Holdings) -> list[str]:
    wrong = []
    for deal_id, _, invoice in _pairs(held):
        paid = held.payments.get(invoice["InvoiceID"], Decimal(0))
        due = _amount(invoice["Total"]) - paid
        for row in held.crm_invoices.get(deal_id, [])[:1]:
            shown = _amount(row.get("new_xeroamountpaid")), _amount(row.get("new_xeroamountdue"))
            if shown != (paid, due) or (row["statecode"] == PAID) != (invoice["Status"] == "PAID"):
                wrong.append(
                    f"{_named(held, deal_id)}: {paid} is paid and {due} due, the CRM shows {shown[0]} and {shown[1]} "
                    f"in state {row['statecode']}"
                )
    return wrong


def _unpaid(held: Holdings) -> list[str]:
    wrong = []
    for deal_id, _, invoice in _pairs(held):
        rows = held.crm_invoices.get(deal_id, [])
        paid = held.payments.get(invoice["InvoiceID"], Decimal(0))
        if invoice["Status"] != "PAID" or paid != _amount(invoice["Total"]):
            wrong.append(f"{_named(held, deal_id)}: {paid} of {invoice['Total']} is paid in the books")
        elif not rows or rows[0]["statecode"] != PAID:
            wrong.append(f"{_named(held, deal_id)} is paid, but the CRM does not say so")
    return wrong


def _pairs(held: Holdings) -> list[tuple[str, Record, Record]]:
    """Pair won deals with their invoices: every one of them, also of a deal with too many."""
    invoices = held.of_deal()
    return [(deal_id, deal, one) for deal_id, deal in held.won.items() for one in invoices.get(deal_id, ())]


def _status(invoice: Record) -> str:
    if invoice["Status"] in SHOWN_STATUS:
        return SHOWN_STATUS[invoice["Status"]]
    return "partially_paid" if Decimal(invoice.get("AmountPaid") or 0) > 0 else "authorised"


def _amount(amount: Any) -> Decimal:
    return Decimal(str(amount or 0))


def _named(held: Holdings, deal_id: str) -> str:
    deal = held.deals.get(deal_id)
    return f"“{deal['name']}”" if deal else f"an unknown deal {deal_id or '(none)'}"

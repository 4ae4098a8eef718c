"""The judge of the demo sees what is wrong."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from closedwon.cli.demo.judge import judge, judge_unchanged, read_holdings

if TYPE_CHECKING:
    from collections.abc import Callable

NZD = "cur-nzd"


def _deal(deal_id: str, state: int, total: str) -> dict[str, Any]:
    return {
        "opportunityid": deal_id,
        "name": f"Deal {deal_id}",
        "statecode": state,
        "totalamount": total,
        "transactioncurrencyid": {"table": "transactioncurrency", "id": NZD},
    }


def _invoice(deal_id: str, number: str, total: str, paid: str) -> dict[str, Any]:
    return {
        "InvoiceID": f"inv-{deal_id}",
        "InvoiceNumber": number,
        "Type": "ACCREC",
        "Status": "PAID" if paid == total else "AUTHORISED",
        "Reference": deal_id,
        "CurrencyCode": "NZD",
        "Total": total,
        "AmountPaid": paid,
    }


def _shown(deal_id: str, number: str, total: str, paid: str, due: str, status: str) -> dict[str, Any]:
    return {
        "invoiceid": f"crm-{deal_id}",
        "opportunityid": {"table": "opportunity", "id": deal_id},
        "statecode": 2 if status == "paid" else 0,
        "totalamount": f"{total}00",
        "new_xeroinvoiceid": f"INV-{deal_id}".lower(),
        "new_xeroinvoicenumber": number,
        "new_xerostatus": status,
        "new_xerolink": f"https://books.example/?InvoiceID=inv-{deal_id}",
        "new_xeroamountpaid": paid,
        "new_xeroamountdue": due,
    }


@pytest.fixture
def state() -> dict[str, Any]:
    """Two won deals, one paid and one half paid, an open and a lost one."""
    return {
        "dynamics": {
            "opportunities": [
                _deal("a", 1, "115.0000"),
                _deal("b", 1, "230.0000"),
                _deal("c", 0, "50.0000"),
                _deal("d", 2, "60.0000"),
            ],
            "invoices": [
                _shown("a", "INV-1", "115.00", "115.00", "0.0000", "paid"),
                _shown("b", "INV-2", "230.00", "100.00", "130.00", "partially_paid"),
            ],
            "salesorders": [],
            "currencies": [{"transactioncurrencyid": NZD, "isocurrencycode": "NZD"}],
        },
        "xero": {
            "organisations": [
                {
                    "invoices": [
                        _invoice("a", "INV-1", "115.00", "115.00"),
                        _invoice("b", "INV-2", "230.00", "100.00"),
                    ],
                    "contacts": [{}],
                    "credit_notes": [],
                    "payments": [
                        {"InvoiceID": "inv-a", "Amount": "115.00", "Status": "AUTHORISED"},
                        {"InvoiceID": "inv-b", "Amount": "100.00", "Status": "AUTHORISED"},
                        {"InvoiceID": "inv-b", "Amount": "30.00", "Status": "DELETED"},
                    ],
                }
            ]
        },
    }


def _wrong(state: dict[str, Any], *, all_paid: bool = False) -> dict[str, tuple[str, ...]]:
    verdicts = judge(read_holdings(state), all_paid=all_paid)
    return {verdict.statement: verdict.wrong for verdict in verdicts if not verdict.holds}


def test_what_is_right_is_found_right(state: dict[str, Any]) -> None:
    """Nothing speaks against two systems that agree, whatever the case of an id and the zeros of an amount."""
    assert _wrong(state) == {}
    held = read_holdings(state)
    assert (len(held.won), len(held.invoices), held.payment_count) == (2, 2, 2)


def test_all_paid_means_all(state: dict[str, Any]) -> None:
    """A half paid invoice is fine in a story and wrong where everything was to be paid."""
    assert list(_wrong(state, all_paid=True)) == ["every invoice is paid, and the CRM says so"]


def _double(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"].append(_invoice("b", "INV-3", "230.00", "0.00") | {"InvoiceID": "inv-b2"})


def _a_cent_more(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"][1]["Total"] = "230.01"


def _other_currency(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"][0]["CurrencyCode"] = "AUD"


def _payment_unseen(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["payments"].append({"InvoiceID": "inv-b", "Amount": "10.00", "Status": "AUTHORISED"})


def _payment_invented(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["payments"][1]["Status"] = "DELETED"


def _lost_deal_invoiced(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"].append(_invoice("d", "INV-4", "60.00", "0.00"))


def _unknown_deal_invoiced(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"].append(_invoice("x", "INV-5", "60.00", "0.00"))


def _invoice_missing(_: dict[str, Any], books: dict[str, Any]) -> None:
    books["invoices"][0]["Status"] = "VOIDED"


def _no_number(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"][0]["new_xeroinvoicenumber"] = None


def _wrong_link(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"][0]["new_xerolink"] = "https://books.example/?InvoiceID=inv-b"


def _stale_status(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"][1]["new_xerostatus"] = "authorised"


def _doubled_in_crm(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"].append(copy.deepcopy(crm["invoices"][0]))


def _lost_deal_in_crm(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"].append(_shown("d", "INV-9", "60.00", "0.00", "60.00", "authorised"))


def _not_closed(crm: dict[str, Any], _: dict[str, Any]) -> None:
    crm["invoices"][0]["statecode"] = 0


@pytest.mark.parametrize(
    ("spoil", "statement"),
    [
        (_double, "every won deal has exactly one invoice"),
        (_invoice_missing, "every won deal has exactly one invoice"),
        (_lost_deal_invoiced, "no invoice stands without a won deal"),
        (_unknown_deal_invoiced, "no invoice stands without a won deal"),
        (_lost_deal_in_crm, "no invoice stands without a won deal"),
        (_a_cent_more, "every total is the CRM's, to the cent"),
        (_other_currency, "every total is the CRM's, to the cent"),
        (_no_number, "the CRM shows number, link, status and amounts of every invoice"),
        (_wrong_link, "the CRM shows number, link, status and amounts of every invoice"),
        (_stale_status, "the CRM shows number, link, status and amounts of every invoice"),
        (_doubled_in_crm, "the CRM shows number, link, status and amounts of every invoice"),
        (_payment_unseen, "every payment in the books shows in the CRM"),
        (_payment_invented, "every payment in the books shows in the CRM"),
        (_not_closed, "every payment in the books shows in the CRM"),
    ],
)
def test_what_is_wrong_is_found_wrong(
    state: dict[str, Any], spoil: Callable[[dict[str, Any], dict[str, Any]], None], statement: str
) -> None:
    """Each way in which the systems can disagree is seen, and named after a deal."""
    spoil(state["dynamics"], state["xero"]["organisations"][0])
    wrong = _wrong(state)
    assert wrong[statement]
    assert all("eal" in text for text in wrong[statement])


def test_a_second_run_may_create_nothing(state: dict[str, Any]) -> None:
    """A new contact is as much as a new invoice."""
    before = read_holdings(state)
    assert judge_unchanged(before, read_holdings(state), "a second run").holds
    state["xero"]["organisations"][0]["contacts"].append({})
    verdict = judge_unchanged(before, read_holdings(state), "a second run")
    assert verdict.wrong == ("1 contacts before, 2 after",)
    assert verdict.as_dict() == {"statement": "a second run creates nothing", "holds": False, "wrong": [*verdict.wrong]}

"""Which writes make a CRM record show its invoice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from closedwon.connectors.dynamics.mappings.writeback import expected_document, plan_writes
from closedwon.connectors.dynamics.settings import Columns
from closedwon.connectors.port import DocumentUpdate
from closedwon.model.opportunity import CrmDocument
from closedwon.model.payment import Settlement

SHOWN: dict[str, Any] = {
    "books_id": "x1",
    "books_number": "INV-1",
    "books_link": "https://x/1",
    "amount_due": Decimal("115.00"),
}
BILLED, PAID, CANCELLED = (0, 4), (2, 100001), (3, 100003)


def update(
    status: Any = "authorised", paid: str = "0", due: str = "115", day: date | None = None, **document: Any
) -> DocumentUpdate:
    """Return the wish to show an invoice of 115.00 on a record with these members."""
    record = CrmDocument(**{"kind": "invoice", "id": "i1", "version": "5", **document})
    settlement = Settlement(status=status, amount_paid=Decimal(paid), amount_due=Decimal(due), paid_on=day)
    return DocumentUpdate(record, "x1", "INV-1", "https://x/1", settlement)


def states(writes: list[dict[str, Any]]) -> list[tuple[int, int] | None]:
    """Return the state each write sets, None for those that set columns only."""
    return [(write["statecode"], write["statuscode"]) if "statecode" in write else None for write in writes]


def test_a_fresh_record_is_billed_and_gets_every_column() -> None:
    """One write, while the record is active; amounts that are zero on both sides are no difference."""
    assert plan_writes(update(), Columns()) == [
        {
            "new_xeroinvoiceid": "x1",
            "new_xeroinvoicenumber": "INV-1",
            "new_xerostatus": "authorised",
            "new_xerolink": "https://x/1",
            "new_xeroamountdue": Decimal(115),
            "statecode": 0,
            "statuscode": 4,
        }
    ]


def test_a_draft_is_not_billed_yet() -> None:
    """The status column alone tells of a draft."""
    (write,) = plan_writes(update("draft"), Columns())
    assert "statuscode" not in write
    assert write["new_xerostatus"] == "draft"


def test_what_is_shown_already_is_not_written_again() -> None:
    """Same values cost no call and wake nobody's rules."""
    assert plan_writes(update(books_status="authorised", **SHOWN), Columns()) == []


def test_only_what_changed_is_written() -> None:
    """A partial payment changes status and amounts, not the ids, and the record stays active."""
    (write,) = plan_writes(update("partially_paid", "15", "100", books_status="authorised", **SHOWN), Columns())
    assert write == {
        "new_xerostatus": "partially_paid",
        "new_xeroamountpaid": Decimal(15),
        "new_xeroamountdue": Decimal(100),
    }


def test_a_paid_record_is_closed_after_its_columns_are_written() -> None:
    """A paid CRM invoice is read-only, so its state comes last."""
    wish = update("paid", "115", "0", date(2026, 11, 22), books_status="authorised", **SHOWN)
    columns, state = plan_writes(wish, Columns())
    assert columns["new_xeropaidon"] == date(2026, 11, 22)
    assert states([columns, state]) == [None, PAID]


@pytest.mark.parametrize("status", ["voided", "deleted"])
def test_a_voided_invoice_cancels_the_record(status: str) -> None:
    """Columns first, then the state."""
    wish = update(status, "0", "0", books_status="authorised", **SHOWN)
    assert states(plan_writes(wish, Columns())) == [None, CANCELLED]


def test_a_removed_payment_reopens_the_record() -> None:
    """State first, then the columns; the day of payment is emptied."""
    shown = {**SHOWN, "amount_paid": Decimal(115), "amount_due": Decimal(0), "paid_on": date(2026, 11, 22)}
    wish = update("authorised", "0", "115", state="paid", books_status="paid", **shown)
    reopen, columns = plan_writes(wish, Columns())
    assert states([reopen, columns]) == [BILLED, None]
    assert columns["new_xeropaidon"] is None
    assert columns["new_xeroamountdue"] == 115


def test_a_correction_on_a_closed_record_opens_writes_and_closes() -> None:
    """A paid record whose link changed is opened for it and closed again."""
    shown = {**SHOWN, "amount_paid": Decimal(115), "amount_due": Decimal(0), "books_link": "old"}
    wish = update("paid", "115", "0", state="paid", books_status="paid", **shown)
    assert states(plan_writes(wish, Columns())) == [BILLED, None, PAID]


def test_a_cancelled_record_is_reopened_before_it_is_paid() -> None:
    """The vendor pays active invoices only, so a cancelled one is opened first even when no column differs."""
    shown = {**SHOWN, "amount_paid": Decimal(115), "amount_due": Decimal(0)}
    wish = update("paid", "115", "0", state="cancelled", books_status="paid", **shown)
    assert states(plan_writes(wish, Columns())) == [BILLED, PAID]


def test_a_paid_record_can_be_cancelled_at_once() -> None:
    """Only the state differs: one write."""
    wish = update("voided", "0", "115", state="paid", books_status="voided", **SHOWN)
    assert states(plan_writes(wish, Columns())) == [CANCELLED]


def test_a_state_that_lags_behind_is_corrected() -> None:
    """Columns say paid, the record is still active: only the state is written."""
    shown = {**SHOWN, "amount_paid": Decimal(115), "amount_due": Decimal(0)}
    assert states(plan_writes(update("paid", "115", "0", books_status="paid", **shown), Columns())) == [PAID]


@pytest.mark.parametrize("kind", ["order", "opportunity"])
def test_orders_and_deals_keep_their_state(kind: str) -> None:
    """On other records only the columns are ours."""
    writes = plan_writes(update("paid", "115", "0", kind=kind), Columns())
    assert states(writes) == [None]
    assert "statuscode" not in writes[0]
    assert plan_writes(update(kind=kind, state="closed", books_status="authorised", **SHOWN), Columns()) == []


def test_a_column_left_out_is_never_written() -> None:
    """An empty column name leaves that fact alone."""
    (write,) = plan_writes(update(), Columns(books_link="", amount_due="new_due"))
    assert "new_xerolink" not in write
    assert "" not in write
    assert write["new_due"] == 115


def test_the_record_after_its_writes() -> None:
    """All facts are in it, its state follows the invoice, its version is no longer known."""
    after = expected_document(update("paid", "115", "0", date(2026, 11, 22)))
    assert (after.state, after.books_id, after.books_status) == ("paid", "x1", "paid")
    assert after.amount_paid == 115
    assert after.version == ""
    assert expected_document(update("paid", kind="order", state="closed")).state == "closed"


def test_writing_twice_changes_nothing() -> None:
    """Planning against the record as it stands after the writes plans nothing."""
    for status in ("draft", "submitted", "authorised", "partially_paid", "paid", "voided", "deleted"):
        for state in ("active", "paid", "cancelled"):
            wish = update(status, "15", "100", state=state)
            after = DocumentUpdate(expected_document(wish), "x1", "INV-1", "https://x/1", wish.settlement)
            assert plan_writes(after, Columns()) == [], (status, state)

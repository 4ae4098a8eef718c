"""What a CRM record shall show of an invoice becomes the writes that are still missing on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from closedwon.connectors.dynamics.settings import MANIFEST

if TYPE_CHECKING:
    from closedwon.connectors.dynamics.settings import Columns
    from closedwon.connectors.port import DocumentUpdate
    from closedwon.model.invoice import InvoiceStatus
    from closedwon.model.opportunity import CrmDocument

BILLED = frozenset({"authorised", "partially_paid"})
CANCELLED = frozenset({"voided", "deleted"})
# What the update says of each `Columns` member; the order is that of the columns in a payload.
FACTS = ("books_id", "books_number", "books_status", "books_link", "amount_paid", "amount_due", "paid_on")


def plan_writes(update: DocumentUpdate, columns: Columns) -> list[dict[str, Any]]:
    """Return the bodies to write on the record, in order; none when it shows everything already.

    A paid or cancelled CRM invoice is read-only, so it is reopened before its columns change, and its columns are
    written before it is closed.
    """
    changed = _changed(update, columns)
    document = update.document
    if document.kind != "invoice":
        return [changed] if changed else []
    wanted = _wanted_state(update.settlement.status)
    reopen = _must_reopen(document.state, wanted, bool(changed))
    writes = [_reopened(update.settlement.status)] if reopen else []
    if not reopen and update.settlement.status in BILLED and document.books_status not in BILLED:
        changed |= MANIFEST.invoice_states["billed"]
    if changed:
        writes.append(changed)
    if wanted != "active" and (reopen or document.state != wanted):
        writes.append(dict(MANIFEST.invoice_states[wanted]))
    return writes


def expected_document(update: DocumentUpdate) -> CrmDocument:
    """Return the record as it stands after its writes; its version is unknown."""
    values = _values(update)
    state = _wanted_state(update.settlement.status) if update.document.kind == "invoice" else update.document.state
    return msgspec.structs.replace(update.document, **values, state=state, version="")


def _must_reopen(state: str, wanted: str, columns_change: bool) -> bool:  # noqa: FBT001 - one of three plain facts
    if state == "active":
        return False
    return columns_change or not (state == wanted or (state == "paid" and wanted == "cancelled"))


def _reopened(status: InvoiceStatus) -> dict[str, Any]:
    return dict(MANIFEST.invoice_states["new" if status in {"draft", "submitted"} else "billed"])


def _wanted_state(status: InvoiceStatus) -> Literal["active", "paid", "cancelled"]:
    if status == "paid":
        return "paid"
    return "cancelled" if status in CANCELLED else "active"


def _values(update: DocumentUpdate) -> dict[str, Any]:
    settlement = update.settlement
    return {
        "books_id": update.books_id,
        "books_number": update.books_number,
        "books_status": settlement.status,
        "books_link": update.books_link,
        "amount_paid": settlement.amount_paid,
        "amount_due": settlement.amount_due,
        "paid_on": settlement.paid_on,
    }


def _changed(update: DocumentUpdate, columns: Columns) -> dict[str, Any]:
    values = _values(update)
    return {
        getattr(columns, fact): values[fact]
        for fact in FACTS
        if getattr(columns, fact) and values[fact] != getattr(update.document, fact)
    }

"""Payment: how far an invoice is paid, as one value that either side can be compared with."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from closedwon.model.invoice import BooksInvoice, InvoiceStatus
from closedwon.model.money import round_half_up


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What the CRM should show of an invoice: status, amounts and the day it was paid in full."""

    status: InvoiceStatus
    amount_paid: Decimal
    amount_due: Decimal
    paid_on: date | None


def settlement(invoice: BooksInvoice) -> Settlement:
    """Read the settlement off an invoice; credits count as paid, because the customer owes that much less."""
    return Settlement(
        status=invoice.status,
        amount_paid=round_half_up(invoice.amount_paid + invoice.amount_credited),
        amount_due=round_half_up(invoice.amount_due),
        paid_on=invoice.paid_on,
    )

"""The invoice: what we ask the books to make, and what they say of it afterwards.

Business terms of EN 16931 stand behind each attribute (BT-n) so that totals follow that standard's rules.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec

InvoiceStatus = Literal["draft", "submitted", "authorised", "partially_paid", "paid", "voided", "deleted"]
LineAmounts = Literal["exclusive", "inclusive", "none"]


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line to be invoiced. Amounts are in the invoice's currency; `tax_amount` None lets the books compute it."""

    description: str  # BT-153, BT-154
    quantity: Decimal  # BT-129
    unit_amount: Decimal  # BT-146, at most 4 decimals
    discount_amount: Decimal = Decimal(0)  # BT-136
    account_code: str = ""  # BT-133
    tax_type: str = ""  # BT-151 in the books' own codes
    tax_amount: Decimal | None = None
    item_code: str = ""  # BT-155


class Invoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice to create. The totals are ours: what the books will compute, proven before anything is sent."""

    contact_id: str  # BT-46
    issue_date: date  # BT-2
    due_date: date  # BT-9
    currency: str  # BT-5
    lines: tuple[InvoiceLine, ...]
    status: Literal["draft", "submitted", "authorised"] = "draft"
    line_amounts: LineAmounts = "exclusive"
    number: str = ""  # BT-1, empty lets the books number it
    reference: str = ""  # BT-10 / BT-13
    source_url: str = ""  # link back to the deal
    currency_rate: Decimal | None = None  # units of this currency per 1 of the books' base currency
    sub_total: Decimal = Decimal(0)  # BT-109
    total_tax: Decimal = Decimal(0)  # BT-110
    total: Decimal = Decimal(0)  # BT-112


class BooksInvoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An invoice as it stands in the books. `version` changes whenever the books change it."""

    id: str
    number: str
    status: InvoiceStatus
    currency: str
    contact_id: str = ""
    reference: str = ""
    source_url: str = ""
    sub_total: Decimal = Decimal(0)
    total_tax: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    amount_paid: Decimal = Decimal(0)
    amount_credited: Decimal = Decimal(0)
    amount_due: Decimal = Decimal(0)  # BT-115
    paid_on: date | None = None
    due_date: date | None = None
    updated_at: datetime | None = None
    version: str = ""

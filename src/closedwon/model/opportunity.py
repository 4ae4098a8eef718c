"""The opportunity: a deal in the CRM, with everything needed to invoice it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from closedwon.model.customer import Customer
from closedwon.model.product import Product

OpportunityState = Literal["open", "won", "lost"]


class OpportunityLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a deal. Amounts are in the deal's currency; `discount` is the whole line's, `tax` the whole line's.

    `tax` is None where the CRM holds no tax for the line, which differs from a tax of zero.
    """

    id: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal = Decimal(0)
    tax: Decimal | None = None
    product: Product | None = None


class CrmDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The CRM record that shows the invoice to CRM people: an invoice, an order or the opportunity itself.

    The `books_*` members are what an earlier write-back left on it; empty when there was none.
    """

    kind: Literal["invoice", "order", "opportunity"]
    id: str
    number: str = ""
    state: Literal["active", "paid", "cancelled", "closed"] = "active"
    total: Decimal = Decimal(0)
    version: str = ""
    books_id: str = ""
    books_number: str = ""
    books_status: str = ""
    books_link: str = ""
    amount_paid: Decimal = Decimal(0)
    amount_due: Decimal = Decimal(0)
    paid_on: date | None = None


class Opportunity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deal as the CRM has it. `discount` and `freight` are the header's; `total` is the CRM's own sum.

    `documents` are the CRM records that could show the invoice, oldest first. `url` opens the deal in the CRM.
    """

    id: str
    name: str
    state: OpportunityState
    currency: str
    customer: Customer | None
    lines: tuple[OpportunityLine, ...] = ()
    discount: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    total_tax: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    estimated_value: Decimal | None = None
    closed_on: date | None = None
    description: str = ""
    version: str = ""
    url: str = ""
    documents: tuple[CrmDocument, ...] = ()

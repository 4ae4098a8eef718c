"""The pricing formulas of sales documents, on plain decimals. Source: reference section 14.3."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse.rows.values import money

if TYPE_CHECKING:
    from collections.abc import Iterable

ZERO = Decimal(0)
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """What a line comes to. `discount` is the manual discount of the whole line."""

    base: Decimal
    discount: Decimal
    tax: Decimal
    extended: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """What a document comes to."""

    line_items: Decimal
    line_discounts: Decimal
    tax: Decimal
    discount: Decimal
    less_freight: Decimal
    total: Decimal


def price_line(
    unit_price: Decimal,
    quantity: Decimal,
    *,
    volume_discount: Decimal = ZERO,
    manual_discount: Decimal = ZERO,
    tax: Decimal = ZERO,
    discount_per_unit: bool = False,
    precision: int = 2,
) -> LineAmounts:
    """Price one line. *Units*: `manual_discount` is per unit where the organization counts discounts so."""
    base = money((unit_price - volume_discount) * quantity, precision)
    discount = money(manual_discount * quantity if discount_per_unit else manual_discount, precision)
    rounded_tax = money(tax, precision)
    return LineAmounts(base, discount, rounded_tax, money(base - discount + rounded_tax, precision))


def total(
    lines: Iterable[LineAmounts], discount: Decimal, discount_pct: Decimal, freight: Decimal, precision: int = 2
) -> Totals:
    """Add a document up."""
    priced = list(lines)
    line_items = sum((line.base - line.discount for line in priced), ZERO)
    tax = sum((line.tax for line in priced), ZERO)
    reduction = money(discount + discount_pct * line_items / HUNDRED, precision)
    less_freight = line_items - reduction
    return Totals(
        money(line_items, precision),
        money(sum((line.discount for line in priced), ZERO), precision),
        money(tax, precision),
        reduction,
        money(less_freight, precision),
        money(less_freight + freight + tax, precision),
    )

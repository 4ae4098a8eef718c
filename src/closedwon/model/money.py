"""Amounts, and the only rounding in the product.

Rounding mirrors Xero, because Xero computes the totals that must come out right: line amounts and the tax of each line
are rounded half-up to 2 decimals, then summed. *Source*: Xero's page on rounding, read 2026-11-22.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

CENTS = 2
UNIT_DECIMALS = 4  # decimals of a unit price that Xero keeps when asked with unitdp=4
QUANTITY_DECIMALS = 4  # decimals of a quantity that Xero keeps [community]
ZERO = Decimal(0)
HUNDRED = Decimal(100)


class Money(msgspec.Struct, frozen=True):
    """An amount of one currency (ISO 4217 code)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{round_half_up(self.amount):,.2f} {self.currency}"


def round_half_up(amount: Decimal, decimals: int = CENTS) -> Decimal:
    """Round to a number of decimals, halves away from zero."""
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP)


def line_amount(quantity: Decimal, unit_amount: Decimal, discount_amount: Decimal = ZERO) -> Decimal:
    """Return what one line comes to before tax: quantity times unit price, less discount, each as Xero keeps it."""
    gross = round_half_up(quantity, QUANTITY_DECIMALS) * round_half_up(unit_amount, UNIT_DECIMALS)
    return round_half_up(gross - round_half_up(discount_amount))


def tax_exclusive(net: Decimal, rate_pct: Decimal) -> Decimal:
    """Return the tax on a net line amount at a rate in per cent."""
    return round_half_up(net * rate_pct / HUNDRED)

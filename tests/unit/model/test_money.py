"""Rounding, which mirrors the books'."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.model.money import Money, line_amount, round_half_up, tax_exclusive
from closedwon_sandbox.xero.books.lines import tax_on, to_cents

amounts = st.decimals(min_value=-10_000_000, max_value=10_000_000, places=6)


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("2.165", "2.17"), ("2.175", "2.18"), ("2.1649", "2.16"), ("-2.165", "-2.17"), ("0.005", "0.01"), ("3", "3.00")],
)
def test_halves_go_away_from_zero(amount: str, rounded: str) -> None:
    """Not to the even neighbour."""
    assert str(round_half_up(Decimal(amount))) == rounded


def test_the_vendors_published_example() -> None:
    """25.06, 25.61 and 25.63 at 15 %: rounded line by line, then summed, the tax is 11.44."""
    taxes = [tax_exclusive(Decimal(net), Decimal(15)) for net in ("25.06", "25.61", "25.63")]
    assert [str(tax) for tax in taxes] == ["3.76", "3.84", "3.84"]
    assert sum(taxes) == Decimal("11.44")


@given(amounts)
def test_rounding_is_the_books_rounding(amount: Decimal) -> None:
    """Whatever the amount."""
    assert round_half_up(amount) == to_cents(amount)


@given(amounts.map(to_cents), st.decimals(0, 30, places=2))
def test_tax_is_the_books_tax(net: Decimal, rate_pct: Decimal) -> None:
    """On top of a net amount."""
    assert tax_exclusive(net, rate_pct) == tax_on(net, rate_pct, "Exclusive")


@pytest.mark.parametrize(
    ("quantity", "unit_amount", "discount", "comes_to"),
    [
        ("3", "1.11115", "0", "3.33"),  # the unit price is kept with four decimals, 1.1112
        ("1.00005", "100", "0", "100.01"),  # the quantity, too: 1.0001
        ("1", "10", "0.005", "9.99"),  # a discount with two
        ("0.5", "0.01", "0", "0.01"),
        ("-1", "10.005", "0", "-10.01"),
    ],
)
def test_a_line_comes_to_what_the_books_make_of_it(
    quantity: str, unit_amount: str, discount: str, comes_to: str
) -> None:
    """Each number is first rounded as the books keep it."""
    assert str(line_amount(Decimal(quantity), Decimal(unit_amount), Decimal(discount))) == comes_to


def test_money_is_shown_with_its_currency() -> None:
    """Thousands apart, two decimals."""
    assert str(Money(Decimal("1234567.891"), "NZD")) == "1,234,567.89 NZD"

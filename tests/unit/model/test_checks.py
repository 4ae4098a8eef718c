"""Checks of deals and invoices: every problem at once, each with its place."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from books_data import deal, line
from closedwon.model.checks import check_invoice, check_opportunity
from closedwon.model.customer import Customer
from closedwon.model.invoice import BooksInvoice, Invoice
from closedwon.model.payment import settlement


def invoice(**changes: Any) -> Invoice:
    """Return an invoice of 115.00, with these members changed."""
    members: dict[str, Any] = {
        "contact_id": "c",
        "issue_date": date(2026, 9, 20),
        "due_date": date(2026, 10, 20),
        "currency": "NZD",
        "lines": (),
        "sub_total": Decimal(100),
        "total_tax": Decimal(15),
        "total": Decimal(115),
    }
    return Invoice(**members | changes)


def test_a_complete_deal_has_no_problems() -> None:
    """Customer, currency and lines with quantities."""
    assert check_opportunity(deal(line()), estimated_value_line=False) == []


def test_everything_a_deal_lacks_is_said_at_once() -> None:
    """Not one thing after another."""
    found = check_opportunity(deal(customer=None, currency=""), estimated_value_line=False)
    assert [one.field for one in found] == ["customer", "currency", "lines"]
    assert all(one.hint for one in found)


def test_a_customer_needs_a_name() -> None:
    """Blanks are none."""
    nameless = Customer(id="c", kind="company", name="  ")
    (found,) = check_opportunity(deal(line(), customer=nameless), estimated_value_line=False)
    assert found.field == "customer.name"


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_a_line_needs_a_positive_quantity(quantity: str) -> None:
    """The line is named by its number."""
    (found,) = check_opportunity(deal(line(), line(quantity=quantity)), estimated_value_line=False)
    assert found.field == "lines[2].quantity"


@pytest.mark.parametrize(
    ("allowed", "value", "count"), [(True, Decimal(5), 0), (True, None, 1), (False, Decimal(5), 1)]
)
def test_the_estimated_value_may_stand_for_lines(*, allowed: bool, value: Decimal | None, count: int) -> None:
    """If it is allowed, and there is one."""
    assert len(check_opportunity(deal(estimated_value=value), estimated_value_line=allowed)) == count


def test_a_sound_invoice_has_no_problems() -> None:
    """Net and tax make the total."""
    assert check_invoice(invoice()) == []


def test_everything_wrong_with_an_invoice_is_said_at_once() -> None:
    """A total that is not positive, does not add up, and is due before it is issued."""
    found = check_invoice(invoice(total=Decimal(0), due_date=date(2026, 9, 19)))
    assert [one.rule for one in found] == ["positive", "BR-CO-15", "order"]


def test_credits_count_as_paid() -> None:
    """The customer owes that much less."""
    there = BooksInvoice(
        id="i",
        number="INV-1",
        status="partially_paid",
        currency="NZD",
        amount_paid=Decimal(40),
        amount_credited=Decimal("10.5"),
        amount_due=Decimal("64.5"),
    )
    shown = settlement(there)
    assert (shown.status, str(shown.amount_paid), str(shown.amount_due)) == ("partially_paid", "50.50", "64.50")

"""Checks: whether a deal can become an invoice at all, and whether an invoice's totals are what they must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closedwon.model.money import ZERO, Money
from closedwon.model.problem import Problem

if TYPE_CHECKING:
    from closedwon.model.invoice import Invoice
    from closedwon.model.opportunity import Opportunity


def check_opportunity(deal: Opportunity, *, estimated_value_line: bool) -> list[Problem]:
    """Return everything a deal lacks to be invoiced, all at once.

    `estimated_value_line` allows a deal without lines to become one line of its estimated value.
    """
    problems: list[Problem] = []
    if deal.customer is None:
        problems.append(
            Problem("customer", "required", "the deal has no customer", "choose an account or contact in the CRM")
        )
    elif not deal.customer.name.strip():
        problems.append(Problem("customer.name", "required", "the customer has no name", "name it in the CRM"))
    if not deal.currency:
        problems.append(Problem("currency", "required", "the deal has no currency", "choose one in the CRM"))
    if not deal.lines and not (estimated_value_line and deal.estimated_value):
        problems.append(
            Problem(
                "lines",
                "required",
                "the deal has no products",
                "add products in the CRM, or set estimated_value_line to invoice its estimated value",
            )
        )
    problems += [
        Problem(
            f"lines[{number}].quantity",
            "positive",
            f"line {number} has the quantity {line.quantity}",
            "correct the quantity in the CRM, or take the line out",
        )
        for number, line in enumerate(deal.lines, 1)
        if line.quantity <= ZERO
    ]
    return problems


def check_invoice(invoice: Invoice) -> list[Problem]:
    """Return what is wrong with an invoice's sums: they must add up, and there must be something to pay.

    *Source*: EN 16931 business rules BR-CO-10, BR-CO-14 and BR-CO-15.
    """
    problems: list[Problem] = []
    if invoice.total <= ZERO:
        problems.append(
            Problem(
                "total",
                "positive",
                f"the invoice would come to {Money(invoice.total, invoice.currency)}",
                "only a positive total can be invoiced; correct prices and discounts in the CRM",
            )
        )
    if invoice.total != invoice.sub_total + invoice.total_tax:
        problems.append(Problem("total", "BR-CO-15", "the total is not the sum of net and tax"))
    if invoice.due_date < invoice.issue_date:
        problems.append(Problem("due_date", "order", "the invoice would be due before it is issued"))
    return problems

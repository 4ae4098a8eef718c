"""Makes the invoice of a won deal, to the cent, and says everything that speaks against it. Pure.

Account and tax of a line come from the books' item, else from the rule for the product's category, else from the
tenant's default; a person's decision in review overrides what was refused. Whose tax counts follows from the deal:
where the CRM holds tax amounts the invoice must come to the CRM's total, where it holds none the books add the tax.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from closedwon.model.checks import check_invoice, check_opportunity
from closedwon.model.invoice import Invoice, InvoiceLine
from closedwon.model.money import (
    QUANTITY_DECIMALS,
    UNIT_DECIMALS,
    ZERO,
    line_amount,
    round_half_up,
    tax_exclusive,
)
from closedwon.model.opportunity import OpportunityLine
from closedwon.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.connectors.port import Account, Reference, TaxRate
    from closedwon.model.opportunity import Opportunity
    from closedwon.model.product import Product

LONGEST_TEXT = 255  # of a reference; a longer name is cut
REVENUE = "REVENUE"
ROUNDING_ROLE = "ROUNDING"
CLOSE_ACCOUNTS = 5  # proposals for an account that cannot be used


class CategoryRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Account and tax for the products of one CRM category."""

    account_code: str = ""
    tax_type: str = ""


class WonSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the flow opportunity_won.

    `due_days` counts from the issue date; `timezone` (IANA name) decides which day it is; `since` leaves out deals
    closed before it (default: the day before the integration first started). `zero_tax_type` is the tax type of lines
    that the CRM says bear no tax. Differences up to `rounding_tolerance` get a rounding line instead of a question.
    """

    invoice_status: Literal["draft", "submitted", "authorised"] = "draft"
    account_code: str = ""
    tax_type: str = ""
    zero_tax_type: str = ""
    categories: dict[str, CategoryRule] = {}
    reference: Literal["id", "name", "none"] = "id"
    due_days: int = 30
    timezone: str = "UTC"
    since: date | None = None
    estimated_value_line: bool = False
    freight_account: str = ""
    discount_account: str = ""
    rounding_tolerance: Decimal = Decimal("0.05")


@dataclass(slots=True)
class Draft:
    """An invoice in the making: the lines so far, what speaks against it, and which codes were refused."""

    invoice: Invoice | None = None
    problems: list[Problem] = field(default_factory=list)
    bad_accounts: set[str] = field(default_factory=set)
    bad_tax_types: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)  # adjustments, in words
    difference: Decimal = ZERO  # what the CRM's total has more than the invoice's

    def object(self, where: str, rule: str, text: str, hint: str = "") -> None:
        """Note a problem that forbids the invoice."""
        self.problems.append(Problem(where, rule, text, hint))


@dataclass(frozen=True, slots=True)
class Books:
    """Reference data arranged for looking up."""

    reference: Reference
    accounts: Mapping[str, Account]
    tax_rates: Mapping[str, TaxRate]
    items: Mapping[str, Product]


def arrange(reference: Reference) -> Books:
    """Index the reference data of the books by code."""
    return Books(
        reference,
        {one.code: one for one in reference.accounts if one.code},
        {one.tax_type: one for one in reference.tax_rates},
        {one.code.casefold(): one for one in reference.items},
    )


def draft_invoice(
    deal: Opportunity, contact_id: str, books: Books, settings: WonSettings, decision: Mapping[str, Any], today: date
) -> Draft:
    """Make the invoice of a deal as far as it goes; without problems in the result it may be sent.

    `decision` is what people decided in review; `today` the issue date unless they decided another.
    """
    draft = Draft()
    draft.problems += check_opportunity(deal, estimated_value_line=settings.estimated_value_line)
    _check_currency(draft, deal, books)
    issue_date = date.fromisoformat(decision["date"]) if "date" in decision else today
    _check_lock(draft, issue_date, books)
    deal_lines = deal.lines or _estimated_line(deal)
    crm_taxes = any(line.tax is not None for line in deal_lines)
    lines = [_line(draft, line, number, books, settings, decision) for number, line in enumerate(deal_lines, 1)]
    lines += _header_lines(draft, deal, books, settings, decision, crm_taxes=crm_taxes)
    sub_total = sum((_net(line) for line in lines), ZERO)
    if not draft.problems:
        target = deal.total if crm_taxes else deal.total - deal.total_tax
        total_tax = _total_tax(lines, books)
        reached = sub_total + total_tax if crm_taxes else sub_total
        draft.difference = round_half_up(target) - reached if deal.lines else ZERO
        sub_total += _round_off(draft, lines, books, settings, decision)
    total_tax = _total_tax(lines, books)
    draft.invoice = Invoice(
        contact_id=contact_id,
        issue_date=issue_date,
        due_date=issue_date + timedelta(days=settings.due_days),
        currency=deal.currency,
        lines=tuple(lines),
        status=settings.invoice_status,
        reference=_reference(deal, settings),
        source_url=deal.url,
        sub_total=sub_total,
        total_tax=total_tax,
        total=sub_total + total_tax,
    )
    if not draft.problems:
        draft.problems += check_invoice(draft.invoice)
    return draft


def propose_fixes(draft: Draft, books: Books) -> list[dict[str, Any]]:
    """Return ranked ways out of a draft's problems, from the tenant's own chart of accounts and tax rates."""
    proposals: list[dict[str, Any]] = []
    for bad in sorted(draft.bad_accounts):
        proposals += [
            {"label": f"use account {one.code} {one.name}", "decision": {"account_code": one.code}}
            for one in _close_accounts(bad, books)
        ]
    if draft.bad_tax_types:
        proposals += [
            {"label": f"use tax type {one.tax_type} ({one.name})", "decision": {"tax_type": one.tax_type}}
            for one in books.tax_rates.values()
            if one.active and REVENUE in one.kinds
        ][:CLOSE_ACCOUNTS]
    if draft.difference:
        proposals.append(
            {"label": f"invoice with a rounding line of {draft.difference}", "decision": {"accept_total": True}}
        )
    return proposals


def _check_currency(draft: Draft, deal: Opportunity, books: Books) -> None:
    if deal.currency and deal.currency not in books.reference.currencies:
        draft.object(
            "currency",
            "not_enabled",
            f"the books do not use the currency {deal.currency}",
            f"add {deal.currency} to the organisation's currencies, then try again",
        )


def _check_lock(draft: Draft, issue_date: date, books: Books) -> None:
    lock = books.reference.organisation.lock_date
    if lock is not None and issue_date <= lock:
        draft.object(
            "issue_date",
            "locked",
            f"the books are locked up to {lock}, the invoice would be dated {issue_date}",
            "move the lock date in the books, or decide another date",
        )


def _estimated_line(deal: Opportunity) -> tuple[OpportunityLine, ...]:
    if not deal.estimated_value:
        return ()
    return (OpportunityLine(id=deal.id, description=deal.name, quantity=Decimal(1), unit_price=deal.estimated_value),)


def _line(
    draft: Draft, line: OpportunityLine, number: int, books: Books, settings: WonSettings, decision: Mapping[str, Any]
) -> InvoiceLine:
    item = books.items.get(line.product.code.casefold()) if line.product and line.product.code else None
    rule = settings.categories.get(line.product.category, CategoryRule()) if line.product else CategoryRule()
    where = f"lines[{number}]"
    account = _first(item.account_code if item else "", rule.account_code, settings.account_code)
    account = _usable_account(draft, where, account, books, decision)
    tax_type = _first(item.tax_type if item else "", rule.tax_type, settings.tax_type, _account_tax(account, books))
    if line.tax is not None and not line.tax and _rate(tax_type, books):
        tax_type = settings.zero_tax_type or tax_type
    tax_type = _usable_tax(draft, where, tax_type, account, books, decision)
    made = InvoiceLine(
        description=line.description or f"Line {number}",
        quantity=round_half_up(line.quantity, QUANTITY_DECIMALS),
        unit_amount=round_half_up(line.unit_price, UNIT_DECIMALS),
        discount_amount=round_half_up(line.discount),
        account_code=account,
        tax_type=tax_type,
        item_code=item.code if item and item.sold else "",
    )
    if line.tax is None:
        return made
    decided = str(decision.get("tax_type", ""))
    if _tax_gap(made, line.tax, books) > settings.rounding_tolerance and _tax_fits(
        decided, books.accounts.get(account), books
    ):
        made = msgspec.structs.replace(made, tax_type=decided)
    return _with_crm_tax(draft, where, made, line.tax, books, settings)


def _tax_gap(line: InvoiceLine, tax: Decimal, books: Books) -> Decimal:
    return abs(round_half_up(tax) - tax_exclusive(_net(line), _rate(line.tax_type, books)))


def _with_crm_tax(
    draft: Draft, where: str, line: InvoiceLine, tax: Decimal, books: Books, settings: WonSettings
) -> InvoiceLine:
    """Keep the CRM's tax where it differs from the rate by rounding only; anything more is a question."""
    if not line.tax_type:
        return line
    computed = tax_exclusive(_net(line), _rate(line.tax_type, books))
    tax = round_half_up(tax)
    if tax == computed:
        return line
    if abs(tax - computed) <= settings.rounding_tolerance:
        draft.notes.append(f"{where}: the CRM's tax {tax} is kept instead of {computed}")
        return msgspec.structs.replace(line, tax_amount=tax)
    draft.bad_tax_types.add(line.tax_type)
    draft.object(
        f"{where}.tax",
        "tax_differs",
        f"the CRM has a tax of {tax} on “{line.description[:60]}”, {line.tax_type} makes it {computed}",
        "correct the tax in the CRM, or decide which tax type applies",
    )
    return line


def _header_lines(
    draft: Draft,
    deal: Opportunity,
    books: Books,
    settings: WonSettings,
    decision: Mapping[str, Any],
    *,
    crm_taxes: bool,
) -> list[InvoiceLine]:
    """Turn the deal's freight and discount into lines; the CRM never taxes them."""
    lines = []
    parts = (
        ("Freight", deal.freight, settings.freight_account),
        ("Discount", -deal.discount, settings.discount_account),
    )
    for text, amount, account in parts:
        if amount:
            where = text.lower()
            code = _usable_account(draft, where, account or settings.account_code, books, decision)
            tax_type = (settings.zero_tax_type if crm_taxes else settings.tax_type) or _account_tax(code, books)
            tax_type = _usable_tax(draft, where, tax_type, code, books, decision)
            lines.append(
                InvoiceLine(
                    description=text,
                    quantity=Decimal(1),
                    unit_amount=round_half_up(amount, UNIT_DECIMALS),
                    account_code=code,
                    tax_type=tax_type,
                )
            )
    return lines


def _round_off(
    draft: Draft, lines: list[InvoiceLine], books: Books, settings: WonSettings, decision: Mapping[str, Any]
) -> Decimal:
    """Close a small difference to the CRM's total with a rounding line; return what it adds."""
    if not draft.difference:
        return ZERO
    account = next((one for one in books.accounts.values() if one.role == ROUNDING_ROLE and one.active), None)
    allowed = abs(draft.difference) <= settings.rounding_tolerance or decision.get("accept_total")
    if not allowed or account is None:
        draft.object(
            "total",
            "totals_differ",
            f"the CRM's total is {draft.difference} more than the lines come to",
            "correct the deal in the CRM, or decide to add a rounding line",
        )
        return ZERO
    tax_type = settings.zero_tax_type or "NONE"
    lines.append(
        InvoiceLine(
            description="Rounding",
            quantity=Decimal(1),
            unit_amount=draft.difference,
            account_code=account.code,
            tax_type=tax_type,
        )
    )
    draft.notes.append(f"a rounding line of {draft.difference} makes the CRM's total")
    return draft.difference


def _usable_account(draft: Draft, where: str, code: str, books: Books, decision: Mapping[str, Any]) -> str:
    account = books.accounts.get(code)
    if account is not None and account.active and account.usable:
        return code
    decided = str(decision.get("account_code", ""))
    replacement = books.accounts.get(decided)
    if replacement is not None and replacement.active and replacement.usable:
        return decided
    draft.bad_accounts.add(code)
    if not code:
        text = "no ledger account is known for this line"
    elif account is None:
        text = f"the books have no account {code}"
    else:
        text = f"account {code} {account.name} is archived or not for invoice lines"
    draft.object(f"{where}.account_code", "account", text, "choose another account, or mend it in the books")
    return code


def _usable_tax(
    draft: Draft, where: str, tax_type: str, account_code: str, books: Books, decision: Mapping[str, Any]
) -> str:
    account = books.accounts.get(account_code)
    if _tax_fits(tax_type, account, books):
        return tax_type
    decided = str(decision.get("tax_type", ""))
    if _tax_fits(decided, account, books):
        return decided
    if account is None:  # the account is the problem, and it decides which tax types fit
        return tax_type
    draft.bad_tax_types.add(tax_type)
    if not tax_type:
        text = "no tax type is known for this line (set tax_type, and zero_tax_type for lines without tax)"
    elif tax_type not in books.tax_rates:
        text = f"the books have no tax type {tax_type}"
    else:
        text = f"the tax type {tax_type} cannot be used with account {account_code}"
    draft.object(f"{where}.tax_type", "tax_type", text, "choose another tax type, or mend it in the books")
    return tax_type


def _account_tax(code: str, books: Books) -> str:
    account = books.accounts.get(code)
    return account.tax_type if account is not None else ""


def _tax_fits(tax_type: str, account: Account | None, books: Books) -> bool:
    rate = books.tax_rates.get(tax_type)
    if rate is None or not rate.active:
        return False
    return account is None or account.kind in rate.kinds


def _close_accounts(bad: str, books: Books) -> list[Account]:
    """Rank revenue accounts that can be used by how close their code is to the refused one."""

    def distance(one: Account) -> tuple[int, str]:
        both = one.code.isdigit() and bad.isdigit()
        return (abs(int(one.code) - int(bad)) if both else 0, one.code)

    usable = [one for one in books.accounts.values() if one.active and one.usable and one.kind == REVENUE]
    return sorted(usable, key=distance)[:CLOSE_ACCOUNTS]


def _net(line: InvoiceLine) -> Decimal:
    return line_amount(line.quantity, line.unit_amount, line.discount_amount)


def _rate(tax_type: str, books: Books) -> Decimal:
    rate = books.tax_rates.get(tax_type)
    return rate.rate_pct if rate is not None else ZERO


def _total_tax(lines: list[InvoiceLine], books: Books) -> Decimal:
    taxes = (
        line.tax_amount if line.tax_amount is not None else tax_exclusive(_net(line), _rate(line.tax_type, books))
        for line in lines
    )
    return sum(taxes, ZERO)


def _reference(deal: Opportunity, settings: WonSettings) -> str:
    return {"id": deal.id, "name": " ".join(deal.name.split())[:LONGEST_TEXT], "none": ""}[settings.reference]


def _first(*values: str) -> str:
    return next((value for value in values if value), "")

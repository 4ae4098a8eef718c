"""A deal becomes an invoice to the cent, or everything that speaks against it is said at once."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from books_data import ACCOUNTS, DEAL_ID, TODAY, deal, line, product, reference
from closedwon.connectors.port import Organisation
from closedwon.connectors.xero.mappings.payloads import render_invoice
from closedwon.flows.invoicing import CategoryRule, Draft, WonSettings, arrange, draft_invoice, propose_fixes
from closedwon.kernel.exact_json import encode
from closedwon.model.opportunity import Opportunity, OpportunityLine
from xero_desk import Desk

USUAL = WonSettings(account_code="200", zero_tax_type="ZERORATED")
CENT = Decimal("0.01")


def draft(
    won: Opportunity, chosen: WonSettings = USUAL, decision: dict[str, Any] | None = None, **changes: Any
) -> Draft:
    """Draft the invoice of a deal."""
    return draft_invoice(won, "contact", arrange(reference(**changes)), chosen, decision or {}, TODAY)


def rules(made: Draft) -> list[tuple[str, str]]:
    """Return field and rule of every problem."""
    return [(one.field, one.rule) for one in made.problems]


def totals(made: Draft) -> tuple[str, str, str]:
    """Return net, tax and total of a draft without problems."""
    assert made.problems == []
    assert made.invoice is not None
    return str(made.invoice.sub_total), str(made.invoice.total_tax), str(made.invoice.total)


def accounts(made: Draft) -> list[tuple[str, str]]:
    """Return account and tax type of every line."""
    assert made.invoice is not None
    return [(one.account_code, one.tax_type) for one in made.invoice.lines]


# --- the promise: our totals are the books' totals ----------------------------------------------------------


@st.composite
def crm_lines(draw: st.DrawFn) -> tuple[OpportunityLine, ...]:
    """Draw lines as a CRM may have them: odd quantities, prices and discounts of 2 or 4 decimals, taxes or none."""
    places = draw(st.sampled_from([2, 4]))
    taxed = draw(st.sampled_from(["none", "15", "mixed"]))
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        quantity = draw(st.decimals("0.00001", 500, places=draw(st.sampled_from([0, 2, 5])))) or Decimal(1)
        price = draw(st.decimals(0, 10_000, places=places))
        discount = draw(st.sampled_from([Decimal(0), Decimal("0.005"), price * quantity / 10]))
        discount = discount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        rate = {"none": None, "15": 15, "mixed": draw(st.sampled_from([0, 15]))}[taxed]
        net = price * quantity - discount
        off = draw(st.sampled_from([Decimal(0), CENT, -CENT]))
        tax = None if rate is None else max(Decimal(0), (net * rate / 100).quantize(CENT) + (off if rate else 0))
        lines.append(
            OpportunityLine(
                id="line", description="Work", quantity=quantity, unit_price=price, discount=discount, tax=tax
            )
        )
    return tuple(lines)


DESK = Desk()
CONTACT = DESK.contact()["ContactID"]


@settings(max_examples=150, deadline=None)
@given(
    lines=crm_lines(),
    freight=st.sampled_from([Decimal(0), Decimal("12.50"), Decimal("0.0149")]),
    discount=st.sampled_from([Decimal(0), Decimal("3.33"), Decimal("1.0051")]),
)
def test_the_totals_are_those_that_the_books_compute(
    lines: tuple[OpportunityLine, ...], freight: Decimal, discount: Decimal
) -> None:
    """Whatever lines, discounts and taxes: what we plan is to the cent what Xero makes of the payload we send."""
    won = deal(*lines, freight=freight, discount=discount)
    made = draft(won, WonSettings(account_code="200", zero_tax_type="ZERORATED", rounding_tolerance=Decimal(5)))
    assume(not made.problems)
    assert made.invoice is not None
    payload = {**render_invoice(made.invoice), "Contact": {"ContactID": CONTACT}}
    answer = DESK.ask("PUT", "Invoices?unitdp=4", encode(payload), content_type="application/json")
    (there,) = answer["Invoices"]
    ours = (made.invoice.sub_total, made.invoice.total_tax, made.invoice.total)
    assert (there["SubTotal"], there["TotalTax"], there["Total"]) == ours


@settings(max_examples=150, deadline=None)
@given(lines=crm_lines())
def test_the_total_is_the_crms_total(lines: tuple[OpportunityLine, ...]) -> None:
    """Where the CRM holds the taxes, the invoice comes to its total, with a rounding line where cents are missing."""
    won = deal(*lines)
    made = draft(won, WonSettings(account_code="200", zero_tax_type="ZERORATED", rounding_tolerance=Decimal(5)))
    assume(not made.problems and lines[0].tax is not None)
    assert made.invoice is not None
    assert made.invoice.total == won.total.quantize(CENT, ROUND_HALF_UP)


def test_the_vendors_example_comes_to_the_vendors_tax() -> None:
    """25.06, 25.61 and 25.63 at 15 % make a tax of 11.44."""
    assert totals(draft(deal(*(line(price) for price in ("25.06", "25.61", "25.63"))))) == ("76.30", "11.44", "87.74")


# --- account and tax ----------------------------------------------------------------------------------------


def test_the_books_item_knows_best() -> None:
    """Account and tax of the item come before category and default; its code is sent, whatever its case in the CRM."""
    chosen = WonSettings(account_code="200", categories={"services": CategoryRule(account_code="206")})
    made = draft(deal(line(product=product("srv-01", "services"))), chosen)
    assert accounts(made) == [("260", "OUTPUT2")]
    assert made.invoice is not None
    assert made.invoice.lines[0].item_code == "SRV-01"


def test_the_category_comes_before_the_default() -> None:
    """A rule for the product's family."""
    chosen = WonSettings(
        account_code="200", categories={"services": CategoryRule(account_code="206", tax_type="ZERORATED")}
    )
    assert accounts(draft(deal(line(product=product("", "services"))), chosen)) == [("206", "ZERORATED")]


def test_the_default_is_for_everything_else() -> None:
    """Without item and rule the tenant's account counts, and that account's tax."""
    assert accounts(draft(deal(line(product=product("NEW-1", "hardware"))))) == [("200", "OUTPUT2")]


def test_a_decision_replaces_only_what_was_refused() -> None:
    """The archived account of the one item gives way; the good one stays."""
    won = deal(line(product=product("OLD-01")), line(product=product("SRV-01")))
    assert rules(draft(won)) == [("lines[1].account_code", "account")]
    assert accounts(draft(won, decision={"account_code": "206"})) == [("206", "OUTPUT2"), ("260", "OUTPUT2")]


@pytest.mark.parametrize(
    ("code", "said"),
    [("", "no ledger account"), ("999", "have no account 999"), ("205", "archived"), ("090", "not for invoice lines")],
)
def test_an_account_that_cannot_be_used_is_named(code: str, said: str) -> None:
    """Missing, unknown, archived or not for lines."""
    problem, *_ = draft(deal(line()), WonSettings(account_code=code)).problems
    assert problem.rule == "account"
    assert said in problem.text


def test_a_bad_decision_does_not_help() -> None:
    """Deciding for another account that cannot be used leaves the question open."""
    assert rules(draft(deal(line()), WonSettings(account_code="999"), {"account_code": "205"})) == [
        ("lines[1].account_code", "account")
    ]


def test_close_accounts_are_proposed_first() -> None:
    """The nearest revenue account that can be used leads the list."""
    made = draft(deal(line(product=product("OLD-01"))))
    proposals = propose_fixes(made, arrange(reference()))
    assert [one["decision"] for one in proposals][:2] == [{"account_code": "206"}, {"account_code": "200"}]
    assert {one["decision"]["account_code"] for one in proposals} == {"200", "206", "260", "270"}


@pytest.mark.parametrize(
    ("tax_type", "said"),
    [("GST99", "no tax type GST99"), ("INPUT2", "cannot be used with account 200"), ("OLD", "cannot be used")],
)
def test_a_tax_type_that_cannot_be_used_is_named(tax_type: str, said: str) -> None:
    """Unknown, of another kind of account, or deleted."""
    made = draft(deal(line()), WonSettings(account_code="200", tax_type=tax_type))
    assert rules(made) == [("lines[1].tax_type", "tax_type")]
    assert said in made.problems[0].text
    assert {"tax_type": "OUTPUT2"} in [one["decision"] for one in propose_fixes(made, arrange(reference()))]


def test_a_decided_tax_type_replaces_a_refused_one() -> None:
    """The line goes out with the decided type."""
    made = draft(deal(line()), WonSettings(account_code="200", tax_type="GST99"), {"tax_type": "OUTPUT2"})
    assert accounts(made) == [("200", "OUTPUT2")]


# --- whose tax counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tax_type", ["OUTPUT2", ""])
def test_a_line_without_tax_in_the_crm_gets_the_zero_tax_type(tax_type: str) -> None:
    """Whether its usual type is configured or is that of its account."""
    chosen = WonSettings(account_code="200", tax_type=tax_type, zero_tax_type="ZERORATED")
    made = draft(deal(line(tax="0")), chosen)
    assert accounts(made) == [("200", "ZERORATED")]
    assert totals(made) == ("100.00", "0.00", "100.00")


def test_a_line_without_tax_keeps_a_type_that_bears_none() -> None:
    """An account without tax needs no other type."""
    assert accounts(draft(deal(line(tax="0")), WonSettings(account_code="270", zero_tax_type="ZERORATED"))) == [
        ("270", "NONE")
    ]


@pytest.mark.parametrize("tax", ["15.01", "14.99", "15.05"])
def test_the_crms_cents_are_kept(tax: str) -> None:
    """A tax that differs by rounding is sent as it is, and a note says so."""
    made = draft(deal(line(tax=tax)))
    assert made.invoice is not None
    assert made.invoice.lines[0].tax_amount == Decimal(tax)
    assert totals(made)[1] == tax
    assert len(made.notes) == 1


def test_the_same_tax_is_left_to_the_books() -> None:
    """Nothing is overridden where both compute the same."""
    made = draft(deal(line(tax="15.00")))
    assert made.invoice is not None
    assert made.invoice.lines[0].tax_amount is None
    assert made.notes == []


def test_another_tax_is_a_question() -> None:
    """Ten per cent in the CRM and fifteen in the books is no rounding."""
    made = draft(deal(line(tax="10")))
    assert rules(made) == [("lines[1].tax", "tax_differs")]
    assert "10.00" in made.problems[0].text


def test_deciding_the_tax_type_answers_that_question() -> None:
    """The type that a person chose, and under which both agree, is used for the line that was in question only."""
    won = deal(line(tax="15"), line(tax="0"))
    chosen = WonSettings(account_code="200")
    assert rules(draft(won, chosen)) == [("lines[2].tax", "tax_differs")]
    made = draft(won, chosen, {"tax_type": "NONE"})
    assert accounts(made) == [("200", "OUTPUT2"), ("200", "NONE")]
    assert totals(made) == ("200.00", "15.00", "215.00")


def test_without_taxes_in_the_crm_the_books_add_theirs() -> None:
    """The CRM's total is then compared before tax."""
    assert totals(draft(deal(line()))) == ("100.00", "15.00", "115.00")


# --- header amounts and rounding ----------------------------------------------------------------------------


def test_freight_and_discount_of_the_deal_become_lines() -> None:
    """On their own accounts, untaxed as the CRM has them."""
    chosen = WonSettings(account_code="200", zero_tax_type="ZERORATED", freight_account="260", discount_account="270")
    made = draft(deal(line(tax="15"), freight=Decimal(20), discount=Decimal(5)), chosen)
    assert made.invoice is not None
    assert [(one.description, str(one.unit_amount)) for one in made.invoice.lines[1:]] == [
        ("Freight", "20.0000"),
        ("Discount", "-5.0000"),
    ]
    assert accounts(made)[1:] == [("260", "ZERORATED"), ("270", "ZERORATED")]
    assert totals(made) == ("115.00", "15.00", "130.00")


def test_cents_that_are_missing_become_a_rounding_line() -> None:
    """Up to the tolerance, on the organisation's rounding account."""
    made = draft(deal(line(tax="15"), total=Decimal("115.03")))
    assert made.invoice is not None
    assert (made.invoice.lines[1].account_code, str(made.invoice.lines[1].unit_amount)) == ("860", "0.03")
    assert totals(made)[2] == "115.03"


def test_more_than_cents_is_a_question_with_a_way_out() -> None:
    """A person may decide that the rounding line is right all the same."""
    won = deal(line(tax="15"), total=Decimal("114.00"))
    made = draft(won)
    assert rules(made) == [("total", "totals_differ")]
    assert {"accept_total": True} in [one["decision"] for one in propose_fixes(made, arrange(reference()))]
    assert totals(draft(won, decision={"accept_total": True}))[2] == "114.00"


def test_without_a_rounding_account_cents_are_a_question() -> None:
    """There is nowhere to put them."""
    few = tuple(one for one in ACCOUNTS if one.role != "ROUNDING")
    assert rules(draft(deal(line(tax="15"), total=Decimal("115.01")), accounts=few)) == [("total", "totals_differ")]


# --- bad input ----------------------------------------------------------------------------------------------


def test_a_currency_that_the_books_have_not_is_named() -> None:
    """With the way to mend it."""
    (problem,) = draft(deal(line(), currency="GBP")).problems
    assert (problem.field, problem.rule) == ("currency", "not_enabled")
    assert "add GBP" in problem.hint


LOCKED = Organisation(id="o", name="Acme NZ", base_currency="NZD", lock_date=TODAY)


def test_a_locked_period_is_a_question() -> None:
    """The lock date itself is locked, too."""
    assert rules(draft(deal(line()), organisation=LOCKED)) == [("issue_date", "locked")]


def test_another_date_may_be_decided() -> None:
    """The due date moves with it."""
    made = draft(
        deal(line()), WonSettings(account_code="200", due_days=10), {"date": "2026-10-01"}, organisation=LOCKED
    )
    assert made.problems == []
    assert made.invoice is not None
    assert (made.invoice.issue_date, made.invoice.due_date) == (date(2026, 10, 1), date(2026, 10, 11))


@pytest.mark.parametrize("price", ["0", "-5"])
def test_nothing_to_pay_is_no_invoice(price: str) -> None:
    """A zero or negative total."""
    assert rules(draft(deal(line(price)))) == [("total", "positive")]


def test_everything_is_said_at_once() -> None:
    """No customer, an unknown currency, a bad account and a bad quantity: four problems, not one after another."""
    won = deal(line(quantity="-1"), customer=None, currency="GBP")
    assert set(rules(draft(won, WonSettings(account_code="999")))) == {
        ("customer", "required"),
        ("currency", "not_enabled"),
        ("lines[1].account_code", "account"),
        ("lines[1].quantity", "positive"),
    }


def test_a_deal_without_lines_is_a_question() -> None:
    """Unless its estimated value may be invoiced."""
    empty = deal(estimated_value=Decimal("99.95"), total=Decimal(0))
    assert rules(draft(empty)) == [("lines", "required")]
    made = draft(empty, WonSettings(account_code="200", estimated_value_line=True))
    assert totals(made) == ("99.95", "14.99", "114.94")
    assert made.invoice is not None
    assert made.invoice.lines[0].description == "A deal"


def test_three_hundred_lines_are_invoiced() -> None:
    """All of them, in order."""
    made = draft(deal(*(line("1.11", tax="0.17", description=f"Line {number}") for number in range(300))))
    assert totals(made) == ("333.00", "51.00", "384.00")
    assert made.invoice is not None
    assert [one.description for one in made.invoice.lines] == [f"Line {number}" for number in range(300)]


def test_a_name_of_four_thousand_characters_is_cut() -> None:
    """Emoji and line breaks included; the reference stays within what the books take."""
    made = draft(deal(line(), name="🚀 launch\n" + "x" * 4000), WonSettings(account_code="200", reference="name"))
    assert made.invoice is not None
    assert made.invoice.reference.startswith("🚀 launch xxx")
    assert len(made.invoice.reference) == 255


@pytest.mark.parametrize(("kind", "expected"), [("id", DEAL_ID), ("name", "A deal"), ("none", "")])
def test_the_reference_is_what_the_settings_say(kind: Any, expected: str) -> None:
    """The source link names the deal in any case."""
    made = draft(deal(line()), WonSettings(account_code="200", reference=kind))
    assert made.invoice is not None
    assert made.invoice.reference == expected
    assert DEAL_ID in made.invoice.source_url


def test_a_line_without_words_gets_some() -> None:
    """The books want a description."""
    made = draft(deal(line(description="")))
    assert made.invoice is not None
    assert made.invoice.lines[0].description == "Line 1"

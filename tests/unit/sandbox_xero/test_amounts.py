"""What Xero makes of lines: rounding, tax, discounts, and the sums of a document."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon_sandbox.xero.books.lines import tax_on, to_cents
from xero_desk import invoice, line

if TYPE_CHECKING:
    from xero_desk import Desk

CENT = Decimal("0.01")
money = st.decimals(min_value=-1_000_000, max_value=1_000_000, places=2)


def _totals(document: Any) -> tuple[str, str, str]:
    return str(document["SubTotal"]), str(document["TotalTax"]), str(document["Total"])


def test_tax_is_rounded_half_up_line_by_line_then_summed(desk: Desk) -> None:
    """The vendor's own example: 25.06, 25.61 and 25.63 at 15 % make 11.44, where the sum would make 11.45."""
    made = desk.invoice(*[line(UnitAmount=amount) for amount in (25.06, 25.61, 25.63)])
    assert [str(row["TaxAmount"]) for row in made["LineItems"]] == ["3.76", "3.84", "3.84"]
    assert _totals(made) == ("76.30", "11.44", "87.74")


@pytest.mark.parametrize(
    ("amount", "rate", "tax"),
    [("14.43", "15", "2.16"), ("14.50", "15", "2.18"), ("43.30", "5", "2.17"), ("-14.50", "15", "-2.18")],
)
def test_half_cents_go_away_from_zero(amount: str, rate: str, tax: str) -> None:
    """2.165 becomes 2.17 and 2.175 becomes 2.18, negative amounts mirror that."""
    assert tax_on(Decimal(amount), Decimal(rate), "Exclusive") == Decimal(tax)


def test_inclusive_prices_hold_their_tax(desk: Desk) -> None:
    """The total is what the lines say; the tax is taken out of each."""
    made = desk.invoice(line(UnitAmount=115), line(UnitAmount=10), LineAmountTypes="Inclusive")
    assert [str(row["TaxAmount"]) for row in made["LineItems"]] == ["15.00", "1.30"]
    assert _totals(made) == ("108.70", "16.30", "125.00")


def test_without_tax_there_is_none(desk: Desk) -> None:
    """NoTax turns every line's tax type to NONE."""
    made = desk.invoice(line(TaxType="OUTPUT2"), LineAmountTypes="NoTax")
    assert (made["LineItems"][0]["TaxType"], *_totals(made)) == ("NONE", "100.00", "0.00", "100.00")


def test_zero_rated_sales_carry_no_tax(desk: Desk) -> None:
    """ZERORATED is a rate of nothing."""
    assert _totals(desk.invoice(line(TaxType="ZERORATED"))) == ("100.00", "0.00", "100.00")


def test_unit_amounts_are_rounded_before_they_are_multiplied(desk: Desk) -> None:
    """By default to two decimals, with unitdp=4 to four; totals keep two."""
    plain = desk.invoice(line(UnitAmount=0.1255, Quantity=1000))
    assert (str(plain["LineItems"][0]["UnitAmount"]), str(plain["SubTotal"])) == ("0.13", "130.00")
    exact = desk.ask("PUT", "Invoices?unitdp=4", invoice(line(UnitAmount=0.1255, Quantity=1000)))["Invoices"][0]
    assert (str(exact["LineItems"][0]["UnitAmount"]), str(exact["SubTotal"])) == ("0.1255", "125.50")
    read = desk.ask("GET", f"Invoices/{exact['InvoiceID']}")["Invoices"][0]
    assert (str(read["LineItems"][0]["UnitAmount"]), str(read["SubTotal"])) == ("0.13", "125.50")


def test_discounts_lower_the_line_and_are_summed(desk: Desk) -> None:
    """By rate or by amount; the document says how much was given."""
    made = desk.invoice(line(DiscountRate=12.5), line(DiscountAmount=7.77))
    assert [str(row["LineAmount"]) for row in made["LineItems"]] == ["87.50", "92.23"]
    assert (str(made["TotalDiscount"]), made["IsDiscounted"]) == ("20.27", True)
    assert _totals(made) == ("179.73", "26.96", "206.69")


def test_a_third_of_quantity_and_amounts_is_worked_out(desk: Desk) -> None:
    """Two of quantity, unit amount and line amount are enough."""
    rows = [
        {"Quantity": 4, "LineAmount": 50},
        {"UnitAmount": 12.5, "LineAmount": 50},
        {"UnitAmount": 12.5},
        {"LineAmount": 50},
    ]
    made = desk.invoice(*[{"Description": "x", "AccountCode": "200", **row} for row in rows])
    shown = [(str(row["Quantity"]), str(row["UnitAmount"]), str(row["LineAmount"])) for row in made["LineItems"]]
    assert shown == [
        ("4.0000", "12.50", "50.00"),
        ("4.0000", "12.50", "50.00"),
        ("1.0000", "12.50", "12.50"),
        ("1.0000", "50.00", "50.00"),
    ]


def test_a_line_amount_that_disagrees_is_refused(desk: Desk) -> None:
    """Sent amounts are checked against quantity times price."""
    found = desk.complaints("PUT", "Invoices", invoice(line(Quantity=2, UnitAmount=20, LineAmount=41)))
    assert found == ["The line total 41 does not match the expected line total 40.00"]


def test_sent_totals_are_ignored(desk: Desk) -> None:
    """Xero computes the document's totals itself."""
    assert _totals(desk.invoice(SubTotal=1, TotalTax=1, Total=2)) == ("100.00", "15.00", "115.00")


def test_a_tax_amount_can_be_overridden(desk: Desk) -> None:
    """The caller's tax of a line wins over the computed one, and stays when the invoice is approved."""
    made = desk.invoice(line(TaxAmount=14.99), Status="DRAFT")
    assert _totals(made) == ("100.00", "14.99", "114.99")
    approved = desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": "AUTHORISED"})["Invoices"][0]
    assert _totals(approved) == ("100.00", "14.99", "114.99")


def test_an_item_fills_what_the_line_leaves_out(desk: Desk) -> None:
    """Description, price, account and tax come from the item."""
    product = next(row for row in desk.world.products if row.account_code == "200")
    made = desk.invoice({"ItemCode": product.number, "Quantity": 2})
    row = made["LineItems"][0]
    assert row["Description"] == product.description
    assert row["UnitAmount"] == product.unit_price["NZD"]
    assert (row["AccountCode"], row["TaxType"], row["Item"]["Code"]) == ("200", "OUTPUT2", product.number)


def test_an_item_of_an_archived_account_stops_its_lines_until_it_is_moved(desk: Desk) -> None:
    """The training products of the world point to an account that has been archived."""
    product = next(row for row in desk.world.products if row.number.startswith("TRN-"))
    (text,) = desk.complaints("PUT", "Invoices", invoice({"ItemCode": product.number, "Quantity": 1}))
    assert text.startswith("Account code '205' has been archived")
    desk.ask("POST", "Items", {"Code": product.number, "SalesDetails": {"AccountCode": "206"}})
    made = desk.invoice({"ItemCode": product.number, "Quantity": 1})
    assert made["LineItems"][0]["AccountCode"] == "206"


def test_money_is_written_with_two_decimals(desk: Desk) -> None:
    """Numbers keep their cents on the wire, quantities four decimals."""
    body = desk.send("PUT", "Invoices", invoice()).body
    assert b'"Total":115.00' in body
    assert b'"Quantity":1.0000' in body
    assert b'"CurrencyRate":1.000000' in body


@given(money)
def test_inclusive_net_and_tax_always_make_the_gross(amount: Decimal) -> None:
    """Taking tax out of a price and adding it again loses no cent."""
    tax = tax_on(amount, Decimal(15), "Inclusive")
    assert to_cents(amount - tax) + tax == amount
    assert abs(tax_on(amount - tax, Decimal(15), "Exclusive") - tax) <= CENT


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (line(Description=""), "The description field is mandatory for each line item."),
        (line(AccountCode=""), "Account code must be specified"),
        (line(AccountCode="999"), "Account code '999' is not a valid code for this document."),
        (line(AccountCode="610"), "Account code '610' is not a valid code for this document."),
        (line(AccountCode="090"), "Account code '090' is not a valid code for this document."),
        (
            line(AccountCode="205"),
            "Account code '205' has been archived, or has been deleted. Each line item must reference a valid account.",
        ),
        (
            line(TaxType="GST on Income"),
            "The TaxType code GST on Income does not exist or cannot be used for this type of transaction.",
        ),
        (line(TaxType="INPUT2"), "The TaxType code 'INPUT2' cannot be used with account code '200'."),
        (line(ItemCode="NOPE"), "Item code 'NOPE' is not valid"),
        (
            line(Tracking=[{"Name": "Region", "Option": "Atlantis"}]),
            "The tracking category or option 'Atlantis' is not",
        ),
        (line(Tracking=[{"Name": "Region", "Option": "Auckland"}] * 2), "A line item cannot have more than 2 tracking"),
        (line(UnitAmount=10**10), "The line amount cannot be more than 9,999,999,999.99."),
        (line(DiscountRate=101), "The discount rate must be between 0 and 100."),
        (line(Description="x" * 4001), "The Description field exceeds the maximum length of 4000 characters."),
    ],
)
def test_lines_that_cannot_be_posted_are_refused(desk: Desk, row: dict[str, Any], text: str) -> None:
    """Each rule of a line has its text."""
    (found,) = desk.complaints("PUT", "Invoices", invoice(row))
    assert found.startswith(text)


def test_all_problems_are_reported_at_once(desk: Desk) -> None:
    """A refused invoice says everything that is wrong with it."""
    bad = invoice(line(AccountCode="999"), line(TaxType="NOPE"), CurrencyCode="EUR")
    assert len(desk.complaints("PUT", "Invoices", bad)) == 3


def test_a_line_may_be_a_remark(desk: Desk) -> None:
    """A line with nothing but a text needs no account."""
    made = desk.invoice(line(), {"Description": "Thank you"})
    assert str(made["Total"]) == "115.00"


def test_tracking_of_the_wrong_shape_is_dropped_silently(desk: Desk) -> None:
    """The vendor ignores tracking it cannot read; good tracking comes back with its ids."""
    nested = {"TrackingCategory": {"Name": "Region", "Option": "Auckland"}}
    assert desk.invoice(line(Tracking=nested))["LineItems"][0]["Tracking"] == []
    assert desk.invoice(line(Tracking=[nested]))["LineItems"][0]["Tracking"] == []
    (good,) = desk.invoice(line(Tracking=[{"Name": "Region", "Option": "auckland"}]))["LineItems"][0]["Tracking"]
    assert (good["Name"], good["Option"]) == ("Region", "Auckland")
    assert {"TrackingCategoryID", "TrackingOptionID"} <= good.keys()

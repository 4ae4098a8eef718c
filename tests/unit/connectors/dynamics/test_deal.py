"""A Dataverse row becomes an opportunity."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from closedwon.connectors.dynamics.mappings.deal import parse_document, parse_opportunity
from closedwon.connectors.dynamics.settings import Columns
from dynamics_vendor import HOST

if TYPE_CHECKING:
    from closedwon.model.opportunity import Opportunity

ACCOUNT = {
    "@odata.etag": 'W/"77"',
    "accountid": "a1",
    "name": "  Kōwhai   Joinery ",
    "accountnumber": "ACC-1",
    "emailaddress1": None,
    "telephone1": "+64 9 1",
    "address1_line1": "1 Quay St",
    "address1_line2": "Level 2",
    "address1_line3": " ",
    "address1_city": "Auckland",
    "address1_stateorprovince": None,
    "address1_postalcode": "1010",
    "address1_country": "New Zealand",
    "statecode": 0,
    "primarycontactid": {"contactid": "c9", "emailaddress1": "ana@kowhai.example"},
}
CONTACT = {"contactid": "c1", "firstname": "Ana", "lastname": " de  Wit", "fullname": "x", "mobilephone": "021"}
LINE = {
    "opportunityproductid": "l1",
    "opportunityproductname": "Oak door",
    "isproductoverridden": False,
    "quantity": Decimal("2.0000000000"),
    "priceperunit": Decimal("199.9900"),
    "manualdiscountamount": Decimal("10.0000"),
    "volumediscountamount": None,
    "baseamount": Decimal("399.98"),
    "tax": Decimal("58.50"),
    "extendedamount": Decimal("448.48"),
    "lineitemnumber": 1,
    "productid": {
        "productid": "p1",
        "name": "Door, oak",
        "productnumber": " D-OAK ",
        "parentproductid": {"productid": "p0", "name": "Doors"},
    },
}


def deal(**members: Any) -> Opportunity:
    """Map a row with these members set."""
    row = {
        "@odata.etag": 'W/"4711"',
        "opportunityid": "o1",
        "statecode": 1,
        "name": "Doors for Quay St",
        "actualclosedate": "2026-11-20",
        "totalamount": Decimal("448.4800"),
        "totaltax": Decimal("58.50"),
        "totaldiscountamount": None,
        "freightamount": None,
        "estimatedvalue": 450,
        "customerid_account": ACCOUNT,
        "customerid_contact": None,
        "transactioncurrencyid": {"isocurrencycode": "NZD"},
        "product_opportunities": [LINE],
        "opportunity_invoices": [],
        **members,
    }
    return parse_opportunity(row, "invoice", Columns(), HOST)


def line(**members: Any) -> Any:
    """Map a deal with one line with these members set, and return the line."""
    return deal(product_opportunities=[{**LINE, **members}]).lines[0]


def test_the_header_is_taken_over_exactly() -> None:
    """Amounts stay what they were, what is absent is zero; version and link come from ETag and id."""
    won = deal()
    assert (won.id, won.name, won.state, won.currency) == ("o1", "Doors for Quay St", "won", "NZD")
    assert (won.total, won.total_tax) == (Decimal("448.48"), Decimal("58.5"))
    assert won.discount == won.freight == 0
    assert won.estimated_value == 450
    assert won.closed_on == date(2026, 11, 20)
    assert won.version == "4711"
    assert won.url == f"{HOST}/main.aspx?pagetype=entityrecord&etn=opportunity&id=o1"


@pytest.mark.parametrize(("code", "state"), [(0, "open"), (1, "won"), (2, "lost")])
def test_states_have_our_names(code: int, state: str) -> None:
    """Statecode 0, 1, 2 is open, won, lost."""
    assert deal(statecode=code).state == state


def test_an_account_is_a_company_reached_by_its_primary_contact() -> None:
    """A company without e-mail of its own has that of its primary contact; blanks in names are collapsed."""
    customer = deal().customer
    assert customer is not None
    assert (customer.id, customer.kind, customer.name) == ("a1", "company", "Kōwhai Joinery")
    assert (customer.email, customer.number, customer.version) == ("ana@kowhai.example", "ACC-1", "77")
    assert (customer.address.line2, customer.address.postal_code, customer.address.region) == ("Level 2", "1010", "")
    own = deal(customerid_account={**ACCOUNT, "emailaddress1": "hi@kowhai.example"}).customer
    assert own is not None
    assert own.email == "hi@kowhai.example"


def test_a_contact_is_a_person() -> None:
    """First and last name make the name; the mobile number stands in for a missing telephone."""
    customer = deal(customerid_account=None, customerid_contact=CONTACT).customer
    assert customer is not None
    assert (customer.kind, customer.name, customer.first_name, customer.last_name) == (
        "person",
        "Ana de Wit",
        "Ana",
        "de Wit",
    )
    assert customer.phone == "021"
    nameless = deal(customerid_account=None, customerid_contact={"contactid": "c1", "fullname": "Ana"}).customer
    assert nameless is not None
    assert nameless.name == "Ana"


def test_a_deal_may_lack_customer_currency_and_lines() -> None:
    """What is missing is empty; whether that is a problem is decided elsewhere."""
    bare = deal(
        customerid_account=None, transactioncurrencyid=None, product_opportunities=[], name=None, totalamount=None
    )
    assert bare.customer is None
    assert (bare.currency, bare.lines, bare.name, bare.total) == ("", (), "", Decimal(0))


def test_a_line_names_its_product_and_family() -> None:
    """Code, name and family come with the line."""
    product = line().product
    assert (product.id, product.code, product.name, product.category) == ("p1", "D-OAK", "Door, oak", "Doors")
    assert line(productid=None).product is None


def test_no_tax_differs_from_a_tax_of_zero() -> None:
    """A line without tax in the CRM is None, a zero-rated one is 0."""
    assert line(tax=None).tax is None
    assert line(tax=Decimal("0.00")).tax == 0


@pytest.mark.parametrize(
    ("members", "description"),
    [
        ({}, "Oak door"),
        ({"description": " With handle "}, "Oak door\nWith handle"),
        ({"isproductoverridden": True, "productdescription": "Fitting", "productid": None}, "Fitting"),
        ({"opportunityproductname": None}, "Door, oak"),
        ({"opportunityproductname": None, "productid": None, "productdescription": "Thing"}, "Thing"),
    ],
)
def test_a_line_is_described_by_its_product_or_by_hand(members: dict[str, Any], description: str) -> None:
    """A written-in line has its own words; the description column comes as a second line."""
    assert line(**members).description == description


def test_discounts_count_for_the_whole_line() -> None:
    """The manual discount is the line's; a volume discount is per unit."""
    assert line().discount == 10
    assert line(volumediscountamount=Decimal("1.25")).discount == Decimal("12.50")
    assert line(manualdiscountamount=None).discount == 0


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("7.5000000000", "7.5"), ("10.0000000000", "10"), ("100", "100"), ("0.0000000001", "1E-10"), ("0E-10", "0")],
)
def test_quantities_lose_the_zeros_that_fill_them_up(sent: str, shown: str) -> None:
    """The vendor sends ten decimals; the number is the same without its last zeros."""
    assert str(line(quantity=Decimal(sent)).quantity) == shown


def test_an_organisation_may_discount_per_unit() -> None:
    """Where the line's own sums show that the manual discount was taken for each unit, it is."""
    assert line(quantity=3, baseamount=600, manualdiscountamount=10, tax=0, extendedamount=570).discount == 30
    assert line(quantity=3, baseamount=600, manualdiscountamount=10, tax=0, extendedamount=590).discount == 10
    assert line(baseamount=None, extendedamount=None).discount == 10


def test_lines_are_in_the_order_people_see() -> None:
    """Sorted by line number, then sequence number; lines without number come last, in a stable order."""
    rows = [
        {"opportunityproductid": "z", "lineitemnumber": None},
        {"opportunityproductid": "y", "lineitemnumber": None},
        {"opportunityproductid": "x", "lineitemnumber": 2},
        {"opportunityproductid": "w", "lineitemnumber": 1},
    ]
    assert [one.id for one in deal(product_opportunities=rows).lines] == ["w", "x", "y", "z"]


def test_the_records_that_show_the_invoice_are_oldest_first() -> None:
    """Each has what an earlier write-back left on it."""
    rows = [
        {"invoiceid": "i2", "createdon": "2026-11-21T10:00:00Z", "statecode": 3},
        {
            "@odata.etag": 'W/"9"',
            "invoiceid": "i1",
            "createdon": "2026-11-20T10:00:00Z",
            "statecode": 2,
            "invoicenumber": "INV-01000-A",
            "totalamount": Decimal("448.4800"),
            "new_xeroinvoiceid": "x1",
            "new_xeroinvoicenumber": "INV-0042",
            "new_xerostatus": "paid",
            "new_xerolink": "https://go.xero.example/x1",
            "new_xeroamountpaid": Decimal("448.48"),
            "new_xeroamountdue": 0,
            "new_xeropaidon": "2026-11-22",
        },
    ]
    old, new = deal(opportunity_invoices=rows).documents
    assert (old.id, old.number, old.state, old.total, old.version) == (
        "i1",
        "INV-01000-A",
        "paid",
        Decimal("448.48"),
        "9",
    )
    assert (old.books_id, old.books_number, old.books_status) == ("x1", "INV-0042", "paid")
    assert old.total == old.amount_paid == Decimal("448.48")
    assert (old.amount_due, old.paid_on) == (Decimal(0), date(2026, 11, 22))
    assert (new.id, new.state, new.books_id, new.paid_on) == ("i2", "cancelled", "", None)


def test_the_deal_itself_may_be_the_record() -> None:
    """With write-back to the opportunity, it is its own document."""
    row = {"opportunityid": "o1", "statecode": 1, "new_xerostatus": "draft", "totalamount": 5, "@odata.etag": 'W/"3"'}
    (document,) = parse_opportunity(row, "opportunity", Columns(), HOST).documents
    assert (document.kind, document.id, document.books_status, document.version) == ("opportunity", "o1", "draft", "3")


def test_an_order_has_states_of_its_own() -> None:
    """Fulfilled and invoiced orders are closed."""
    states = [parse_document({"salesorderid": "s", "statecode": n}, "order", Columns()).state for n in range(5)]
    assert states == ["active", "active", "cancelled", "closed", "closed"]


@pytest.mark.parametrize(
    "members",
    [
        {"statecode": 9},
        {"statecode": "1"},
        {"totalamount": "12 NZD"},
        {"product_opportunities": "none"},
        {"product_opportunities": [{}]},
        {"actualclosedate": "yesterday"},
        {"opportunity_invoices": [{"invoiceid": "i", "statecode": 8}]},
        {"opportunity_invoices": [{"invoiceid": 5, "statecode": 0}]},
        {"customerid_account": {"name": "no id"}},
    ],
)
def test_a_row_that_breaks_the_vendors_promise_is_refused(members: dict[str, Any]) -> None:
    """A wrong type is an error that names it, never a guess."""
    with pytest.raises(ValueError, match=r"."):
        deal(**members)

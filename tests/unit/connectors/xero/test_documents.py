"""Xero's rows, in the shapes recorded from the real API, become our documents."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from closedwon.connectors.port import Account, Change, Organisation, TaxRate
from closedwon.connectors.xero.mappings import documents
from closedwon.connectors.xero.mappings.wire import (
    AccountRow,
    ContactRow,
    InvoiceRow,
    ItemRow,
    OrganisationRow,
    TaxRateRow,
    milliseconds,
    parse_date,
    parse_moment,
    parse_row,
    parse_rows,
    render_modified_since,
)
from closedwon.kernel.errors import Unavailable
from closedwon.model.customer import Address, Customer
from closedwon.model.invoice import BooksInvoice
from closedwon.model.product import Product

INVOICE: dict[str, Any] = {
    "Type": "ACCREC",
    "InvoiceID": "f032db18-8b2f-4f4b-9e21-6a9d0b1f6d11",
    "InvoiceNumber": "INV-0055",
    "Reference": "9a2f6f4e",
    "Url": "https://crm.example/deal/1",
    "Prepayments": [],
    "Overpayments": [],
    "AmountDue": Decimal("115.00"),
    "AmountPaid": Decimal("0.00"),
    "SentToContact": False,
    "CurrencyRate": Decimal("1.0000000000"),
    "IsDiscounted": False,
    "HasErrors": False,
    "InvoicePaymentServices": [],
    "Contact": {"ContactID": "b59bf06c-de12-4c09-83b5-15608bd128e7", "Name": "Acme", "ContactGroups": []},
    "DateString": "2026-09-14T00:00:00",
    "Date": "/Date(1789344000000+0000)/",
    "DueDateString": "2026-10-20T00:00:00",
    "DueDate": "/Date(1792454400000+0000)/",
    "BrandingThemeID": "d1b1a6c6-13d5-44e0-8f1f-7c1c2b0f2a33",
    "Status": "AUTHORISED",
    "LineAmountTypes": "Exclusive",
    "SubTotal": Decimal("100.00"),
    "TotalTax": 15,
    "Total": Decimal("115.00"),
    "UpdatedDateUTC": "/Date(1789378199160+0000)/",
    "UpdatedDateUTCString": "2026-09-14T09:29:59Z",
    "CurrencyCode": "NZD",
    "FullyPaidOnDate": None,
}


def invoice(**changes: Any) -> BooksInvoice:
    """Read the recorded invoice with some members changed."""
    return documents.parse_invoice(parse_row(INVOICE | changes, "Invoices", InvoiceRow))


def test_an_invoice_is_read_whole() -> None:
    """Amounts stay exact, dates are days, the version is the instant of the last change in milliseconds."""
    assert invoice() == BooksInvoice(
        id="f032db18-8b2f-4f4b-9e21-6a9d0b1f6d11",
        number="INV-0055",
        status="authorised",
        currency="NZD",
        contact_id="b59bf06c-de12-4c09-83b5-15608bd128e7",
        reference="9a2f6f4e",
        source_url="https://crm.example/deal/1",
        sub_total=Decimal("100.00"),
        total_tax=Decimal(15),
        total=Decimal("115.00"),
        amount_due=Decimal("115.00"),
        due_date=date(2026, 10, 20),
        updated_at=datetime(2026, 9, 14, 9, 29, 59, 160_000, tzinfo=UTC),
        version="1789378199160",
    )


@pytest.mark.parametrize(
    ("status", "paid", "credited", "due", "ours"),
    [
        ("DRAFT", "0", "0", "115", "draft"),
        ("SUBMITTED", "0", "0", "115", "submitted"),
        ("AUTHORISED", "0", "0", "115", "authorised"),
        ("AUTHORISED", "15", "0", "100", "partially_paid"),
        ("AUTHORISED", "0", "15", "100", "partially_paid"),
        ("AUTHORISED", "115", "0", "0", "authorised"),
        ("PAID", "115", "0", "0", "paid"),
        ("VOIDED", "0", "0", "0", "voided"),
        ("DELETED", "0", "0", "0", "deleted"),
    ],
)
def test_statuses(status: str, paid: str, credited: str, due: str, ours: str) -> None:
    """Partly paid, by money or by credit, is a status of ours that Xero shows by amounts only."""
    amounts = {"AmountPaid": Decimal(paid), "AmountCredited": Decimal(credited), "AmountDue": Decimal(due)}
    assert invoice(Status=status, **amounts).status == ours


def test_a_paid_invoice_knows_its_day() -> None:
    """The day of full payment is read from the date-only form."""
    assert invoice(Status="PAID", FullyPaidOnDate="/Date(1789344000000+0000)/").paid_on == date(2026, 9, 14)


def test_a_change_names_version_and_status() -> None:
    """A row of the feed says which invoice, in which version, in which state."""
    row = parse_row(INVOICE | {"Status": "VOIDED"}, "Invoices", InvoiceRow)
    expected = Change(record_id="f032db18-8b2f-4f4b-9e21-6a9d0b1f6d11", version="1789378199160", state="voided")
    assert documents.parse_change(row) == expected


def test_a_created_contact_echo() -> None:
    """The echo of a create has empty phones and addresses around the real ones; the real ones are found."""
    row = {
        "ContactID": "5f4a1b0e-3f8e-4b59-9f65-0c9f3d2b1e77",
        "ContactNumber": "7b2b6bd8-0f2e-4f56-9d6c-1b7a0c3c1a01",
        "AccountNumber": "C100234",
        "ContactStatus": "ACTIVE",
        "Name": "Southern Cross Tools Ltd",
        "EmailAddress": "accounts@southerncross.example",
        "Addresses": [
            {"AddressType": "STREET", "City": "", "Region": "", "PostalCode": "", "Country": ""},
            {"AddressType": "POBOX", "AddressLine1": "1 Quay St", "City": "Auckland", "Region": "", "Country": ""},
        ],
        "Phones": [
            {"PhoneType": "DDI"},
            {"PhoneType": "DEFAULT", "PhoneNumber": "555 0100", "PhoneAreaCode": "9", "PhoneCountryCode": "64"},
            {"PhoneType": "MOBILE", "PhoneNumber": "", "PhoneAreaCode": "", "PhoneCountryCode": ""},
        ],
        "UpdatedDateUTC": "/Date(1789378199160+0000)/",
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }
    assert documents.parse_contact(parse_row(row, "Contacts", ContactRow)) == Customer(
        id="5f4a1b0e-3f8e-4b59-9f65-0c9f3d2b1e77",
        kind="company",
        name="Southern Cross Tools Ltd",
        email="accounts@southerncross.example",
        phone="64 9 555 0100",
        number="C100234",
        address=Address(line1="1 Quay St", city="Auckland"),
        external_id="7b2b6bd8-0f2e-4f56-9d6c-1b7a0c3c1a01",
        version="1789378199160",
    )


@pytest.mark.parametrize(
    ("name", "first", "last", "kind"),
    [
        ("Ana Sá", "Ana", "Sá", "person"),
        ("ANA  SÁ", "Ana", "Sá", "person"),
        ("Sá Ltd", "Ana", "Sá", "company"),
        ("Ana", "Ana", "", "company"),
        ("Acme", "", "", "company"),
    ],
)
def test_persons_are_told_by_their_name(name: str, first: str, last: str, kind: str) -> None:
    """A contact called by its first and last name is a person; one with a contact person inside is not."""
    row = ContactRow(id="c", name=name, first_name=first, last_name=last)
    assert documents.parse_contact(row).kind == kind


@pytest.mark.parametrize(("status", "active"), [("ACTIVE", True), ("ARCHIVED", False), ("GDPRREQUEST", False)])
def test_archived_contacts_are_not_active(status: str, active: bool) -> None:  # noqa: FBT001
    """Only active contacts may be invoiced."""
    assert documents.parse_contact(ContactRow(id="c", contact_status=status)).active is active


def test_the_later_lock_date_counts() -> None:
    """A lock date is the day in its own zone, as New Zealand organisations send it."""
    row = OrganisationRow(
        id="o",
        name="Demo",
        base_currency="NZD",
        country_code="NZ",
        short_code="!abc12",
        timezone="NEWZEALANDSTANDARDTIME",
        period_lock_date="/Date(1419937200000+1300)/",
        end_of_year_lock_date="/Date(1388448000000+0000)/",
    )
    assert documents.parse_organisation(row) == Organisation(
        id="o",
        name="Demo",
        base_currency="NZD",
        country="NZ",
        short_code="!abc12",
        timezone="NEWZEALANDSTANDARDTIME",
        lock_date=date(2014, 12, 31),
    )
    assert documents.parse_organisation(OrganisationRow()).lock_date is None


@pytest.mark.parametrize(
    ("members", "usable", "active"),
    [
        ({"Code": "200", "Type": "REVENUE", "Status": "ACTIVE"}, True, True),
        ({"Code": "205", "Type": "REVENUE", "Status": "ARCHIVED"}, False, False),
        ({"Code": "090", "Type": "BANK", "Status": "ACTIVE"}, False, True),
        ({"Code": "610", "Type": "CURRENT", "Status": "ACTIVE", "SystemAccount": "DEBTORS"}, False, True),
        ({"Code": "860", "Type": "CURRLIAB", "Status": "ACTIVE", "SystemAccount": "ROUNDING"}, True, True),
        ({"Code": "860", "Type": "CURRLIAB", "Status": "ACTIVE", "SystemAccount": ""}, True, True),
        ({"Type": "CURRENT", "Status": "ACTIVE"}, False, True),
    ],
)
def test_usable_accounts(members: dict[str, str], usable: bool, active: bool) -> None:  # noqa: FBT001
    """Bank, system and archived accounts and those without a code cannot stand on a line; rounding can."""
    account = documents.parse_account(parse_row({"Name": "x", "Class": "REVENUE", **members}, "Accounts", AccountRow))
    assert (account.usable, account.active) == (usable, active)


def test_an_account_is_read_whole() -> None:
    """Code, class, default tax type and role are what checks need."""
    row = AccountRow(code="860", name="Rounding", type="CURRLIAB", account_class="LIABILITY", system_account="ROUNDING")
    assert documents.parse_account(row) == Account(code="860", name="Rounding", kind="LIABILITY", role="ROUNDING")


def test_a_tax_rate_names_the_kinds_it_is_for() -> None:
    """The flags become kinds of account."""
    row = {
        "Name": "15% GST on Income",
        "TaxType": "OUTPUT2",
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": False,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": True,
        "DisplayTaxRate": Decimal("15.0000"),
        "EffectiveRate": Decimal("15.0000"),
        "Status": "ACTIVE",
        "TaxComponents": [{"Name": "GST", "Rate": Decimal("15.0000"), "IsCompound": False}],
    }
    assert documents.parse_tax_rate(parse_row(row, "TaxRates", TaxRateRow)) == TaxRate(
        tax_type="OUTPUT2",
        name="15% GST on Income",
        rate_pct=Decimal("15.0000"),
        kinds=("ASSET", "EQUITY", "LIABILITY", "REVENUE"),
    )


def test_an_item_says_what_it_says_of_sales() -> None:
    """Code, name, and account and tax of sales; the code stands in for a missing name."""
    row = {
        "ItemID": "i-1",
        "Code": "TW-1",
        "IsSold": True,
        "SalesDetails": {"AccountCode": "200", "TaxType": "OUTPUT2"},
    }
    expected = Product(id="i-1", code="TW-1", name="TW-1", account_code="200", tax_type="OUTPUT2")
    assert documents.parse_item(parse_row(row, "Items", ItemRow)) == expected
    assert documents.parse_item(parse_row({"ItemID": "i", "Code": "c"}, "Items", ItemRow)).account_code == ""


@pytest.mark.parametrize(
    ("text", "moment", "day"),
    [
        ("/Date(1789378199160+0000)/", datetime(2026, 9, 14, 9, 29, 59, 160_000, tzinfo=UTC), date(2026, 9, 14)),
        ("/Date(1439434356790)/", datetime(2015, 8, 13, 2, 52, 36, 790_000, tzinfo=UTC), date(2015, 8, 13)),
        ("/Date(1419937200000+1300)/", datetime(2014, 12, 30, 11, 0, tzinfo=UTC), date(2014, 12, 31)),
        ("/Date(1419937200000-1100)/", datetime(2014, 12, 30, 11, 0, tzinfo=UTC), date(2014, 12, 30)),
        ("/Date(0+0000)/", datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)),
        ("/Date(-86400000+0000)/", datetime(1969, 12, 31, tzinfo=UTC), date(1969, 12, 31)),
        ("2026-09-14T00:00:00", datetime(2026, 9, 14, tzinfo=UTC), date(2026, 9, 14)),
        ("2026-09-14T09:29:59Z", datetime(2026, 9, 14, 9, 29, 59, tzinfo=UTC), date(2026, 9, 14)),
    ],
)
def test_all_forms_of_dates(text: str, moment: datetime, day: date) -> None:
    """Both forms, with and without offset, before and after 1970."""
    assert parse_moment(text) == moment
    assert parse_date(text) == day


@pytest.mark.parametrize("text", ["tomorrow", "/Date()/", "/Date(99999999999999999)/", "/Date(1+9900)/", "0000-00-00"])
def test_unknown_dates_are_an_error_of_the_answer(text: str) -> None:
    """A date of another form is told, not guessed."""
    with pytest.raises(Unavailable, match="date of an unknown form"):
        parse_moment(text)


def test_no_date_is_no_date() -> None:
    """A member that is left out stays unknown."""
    assert parse_moment("") is None
    assert parse_date("") is None
    assert milliseconds("") == ""


def test_modified_since_is_whole_seconds_of_utc() -> None:
    """The header has no zone and no fraction."""
    assert render_modified_since(datetime(2026, 9, 14, 9, 29, 59, 999_000, tzinfo=UTC)) == "2026-09-14T09:29:59"


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        "x",
        None,
        {"Invoices": {}},
        {"Invoices": None},
        {"Invoices": ["x"]},
        {"Invoices": [{"AmountDue": "ten"}]},
    ],
)
def test_another_shape_is_an_error_of_the_answer(document: Any) -> None:
    """An answer that is JSON and yet not what was asked for is Unavailable, not a crash."""
    with pytest.raises(Unavailable):
        parse_rows(document, "Invoices", InvoiceRow)

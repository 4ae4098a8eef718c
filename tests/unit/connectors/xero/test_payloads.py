"""Documents become payloads that Xero takes, to the cent and to the character."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.connectors.xero.mappings.payloads import contact_name, is_email, render_contact, render_invoice
from closedwon.kernel.exact_json import encode
from closedwon.model.customer import Address, Customer
from closedwon.model.invoice import Invoice, InvoiceLine

COMPANY = Customer(
    id="7b2b6bd8-0f2e-4f56-9d6c-1b7a0c3c1a01",
    kind="company",
    name="Southern Cross Tools Ltd",
    number="C100234",
    email="accounts@southerncross.example",
    phone="+64 9 555 0100",
    address=Address(line1="1 Quay St", city="Auckland", postal_code="1010", country="New Zealand"),
    currency="NZD",
)
LINE = InvoiceLine(
    description="Torque wrench",
    quantity=Decimal(3),
    unit_amount=Decimal("19.9900"),
    account_code="200",
    tax_type="OUTPUT2",
)
INVOICE = Invoice(
    contact_id="b59bf06c-de12-4c09-83b5-15608bd128e7",
    issue_date=date(2026, 11, 22),
    due_date=date(2026, 12, 20),
    currency="NZD",
    lines=(LINE,),
)


def test_a_company_becomes_a_contact() -> None:
    """Every known part is sent once; our id travels as ContactNumber, the customer's number as AccountNumber."""
    assert render_contact(COMPANY) == {
        "Name": "Southern Cross Tools Ltd",
        "ContactNumber": "7b2b6bd8-0f2e-4f56-9d6c-1b7a0c3c1a01",
        "AccountNumber": "C100234",
        "EmailAddress": "accounts@southerncross.example",
        "DefaultCurrency": "NZD",
        "Phones": [{"PhoneType": "DEFAULT", "PhoneNumber": "+64 9 555 0100"}],
        "Addresses": [
            {
                "AddressType": "POBOX",
                "AddressLine1": "1 Quay St",
                "City": "Auckland",
                "PostalCode": "1010",
                "Country": "New Zealand",
            }
        ],
    }


def test_a_person_has_first_and_last_name() -> None:
    """A person's names are sent; what is unknown is not sent at all, so nothing is overwritten with blanks."""
    person = Customer(id="p-1", kind="person", name="Ana Sá", first_name="Ana", last_name="Sá")
    assert render_contact(person) == {"Name": "Ana Sá", "ContactNumber": "p-1", "FirstName": "Ana", "LastName": "Sá"}


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("  Acme   Ltd ", "Acme Ltd"),
        ("Acme\t\n Ltd", "Acme Ltd"),
        ("A<b>c", "A b c"),
        ("x" * 400, "x" * 255),
        ("x" * 254 + "  y", "x" * 254),
        ("Zoë 🛠 & Söhne", "Zoë 🛠 & Söhne"),
    ],
)
def test_names_are_made_fit(name: str, sent: str) -> None:
    """Blanks are collapsed, angle brackets leave, and nothing is longer than 255 characters."""
    assert contact_name(name) == sent


@given(st.text())
def test_fit_names_stay_fit(name: str) -> None:
    """Whatever a CRM holds, the result keeps the vendor's rules, and making it fit again changes nothing."""
    made = contact_name(name)
    assert len(made) <= 255
    assert made == made.strip()
    assert "  " not in made
    assert not {"<", ">"} & set(made)
    assert contact_name(made) == made


@pytest.mark.parametrize(
    ("email", "good"),
    [
        ("a@b.co", True),
        ("first.last+tag@sub.example.org", True),
        ("", False),
        ("nobody", False),
        ("a@b", False),
        ("müller@example.org", False),
        ("a b@example.org", False),
        ("a@example.org; b@example.org", False),
        ("x" * 250 + "@example.org", False),
    ],
)
def test_addresses_that_would_spoil_the_contact_are_left_out(email: str, good: bool) -> None:  # noqa: FBT001
    """A wrong e-mail address is not sent, because Xero would refuse the whole contact for it."""
    assert is_email(email) is good
    assert ("EmailAddress" in render_contact(msgspec.structs.replace(COMPANY, email=email))) is good


def test_countries_have_letters_only() -> None:
    """Digits and brackets leave the country, which Xero takes as letters only."""
    customer = msgspec.structs.replace(COMPANY, address=Address(country="Côte d'Ivoire (CI) 225"))
    assert render_contact(customer)["Addresses"] == [{"AddressType": "POBOX", "Country": "Côte d'Ivoire  CI"}]


def test_a_plain_invoice() -> None:
    """Contact by id only, no number (Xero gives it), no discount where there is none."""
    assert render_invoice(INVOICE) == {
        "Type": "ACCREC",
        "Contact": {"ContactID": "b59bf06c-de12-4c09-83b5-15608bd128e7"},
        "Date": "2026-11-22",
        "DueDate": "2026-12-20",
        "LineAmountTypes": "Exclusive",
        "CurrencyCode": "NZD",
        "Status": "DRAFT",
        "LineItems": [
            {
                "Description": "Torque wrench",
                "Quantity": Decimal(3),
                "UnitAmount": Decimal("19.9900"),
                "AccountCode": "200",
                "TaxType": "OUTPUT2",
            }
        ],
    }


def test_a_full_invoice() -> None:
    """Everything an invoice can say is sent."""
    line = msgspec.structs.replace(LINE, discount_amount=Decimal("0.50"), tax_amount=Decimal("8.92"), item_code="TW-1")
    invoice = msgspec.structs.replace(
        INVOICE,
        lines=(line,),
        status="authorised",
        line_amounts="inclusive",
        number="OUR-7",
        reference="b" * 300,
        source_url="https://acme.crm.dynamics.example/main.aspx?id=1",
        currency="USD",
        currency_rate=Decimal("0.612300"),
    )
    payload = render_invoice(invoice)
    assert payload["LineItems"][0]["DiscountAmount"] == Decimal("0.50")
    assert payload["LineItems"][0]["TaxAmount"] == Decimal("8.92")
    assert payload["LineItems"][0]["ItemCode"] == "TW-1"
    assert payload["Reference"] == "b" * 255
    expected = {
        "Status": "AUTHORISED",
        "LineAmountTypes": "Inclusive",
        "InvoiceNumber": "OUR-7",
        "Url": "https://acme.crm.dynamics.example/main.aspx?id=1",
        "CurrencyCode": "USD",
        "CurrencyRate": Decimal("0.612300"),
    }
    assert expected.items() <= payload.items()


def test_a_tax_of_zero_is_sent() -> None:
    """Zero tax is a statement; only unknown tax is left to Xero."""
    line = msgspec.structs.replace(LINE, tax_amount=Decimal(0))
    assert render_invoice(msgspec.structs.replace(INVOICE, lines=(line,)))["LineItems"][0]["TaxAmount"] == 0


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "file:///etc/passwd", "crm", "https://", "http://[::1"])
def test_only_web_addresses_become_links(url: str) -> None:
    """A source that is no web address is not sent as one."""
    assert "Url" not in render_invoice(msgspec.structs.replace(INVOICE, source_url=url))


def test_long_descriptions_are_cut() -> None:
    """4,000 characters are kept, emoji included."""
    line = msgspec.structs.replace(LINE, description="🛠" * 5000)
    payload = render_invoice(msgspec.structs.replace(INVOICE, lines=(line,)))
    assert payload["LineItems"][0]["Description"] == "🛠" * 4000


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_amounts_are_sent_digit_for_digit(amount: Decimal) -> None:
    """What is on the wire, read as a Decimal, is the amount we meant, and no exponent is written."""
    line = msgspec.structs.replace(LINE, unit_amount=amount, quantity=Decimal("1E+2"))
    body = encode(render_invoice(msgspec.structs.replace(INVOICE, lines=(line,)))).decode()
    sent: Any = json.loads(body, parse_float=Decimal)["LineItems"][0]
    assert Decimal(sent["UnitAmount"]) == amount
    assert sent["Quantity"] == 100
    assert '"Quantity":100,' in body

"""Documents to the payloads that create them in Xero. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from closedwon.connectors.xero.manifest import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.model.customer import Address, Customer
    from closedwon.model.invoice import Invoice, InvoiceLine

SALES_INVOICE = "ACCREC"
LINE_AMOUNTS = {"exclusive": "Exclusive", "inclusive": "Inclusive", "none": "NoTax"}
WEB_SCHEMES = frozenset({"http", "https"})
_BLANKS = re.compile(r"\s+")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_NOT_COUNTRY = re.compile(r"[^A-Za-zÀ-ÖØ-öø-ÿ .'-]+")


def render_contact(customer: Customer) -> dict[str, Any]:
    """Return the payload that creates a contact; ContactNumber carries the customer's id."""
    payload = {
        "Name": contact_name(customer.name),
        "ContactNumber": _cut(customer.id, "contact_number"),
        "AccountNumber": _cut(customer.number, "account_number"),
        "EmailAddress": customer.email.strip() if is_email(customer.email) else "",
        "DefaultCurrency": customer.currency,
        "Phones": _phones(customer.phone),
        "Addresses": _addresses(customer.address),
    }
    if customer.kind == "person":
        payload["FirstName"] = _cut(customer.first_name, "person_name")
        payload["LastName"] = _cut(customer.last_name, "person_name")
    return _without_empty(payload)


def render_invoice(invoice: Invoice) -> dict[str, Any]:
    """Return the payload that creates a sales invoice; amounts stay the Decimals they are."""
    payload = {
        "Type": SALES_INVOICE,
        "Contact": {"ContactID": invoice.contact_id},
        "Date": invoice.issue_date.isoformat(),
        "DueDate": invoice.due_date.isoformat(),
        "LineAmountTypes": LINE_AMOUNTS[invoice.line_amounts],
        "CurrencyCode": invoice.currency,
        "CurrencyRate": _number(invoice.currency_rate),
        "Reference": _cut(invoice.reference, "reference"),
        "Url": invoice.source_url if is_web_address(invoice.source_url) else "",
        "Status": invoice.status.upper(),
        "InvoiceNumber": _cut(invoice.number, "invoice_number"),
        "LineItems": [_render_line(line) for line in invoice.lines],
    }
    return _without_empty(payload)


def contact_name(name: str) -> str:
    """Return a name as Xero takes it: no angle brackets, no blanks around it or doubled, not too long."""
    plain = name.replace("<", " ").replace(">", " ")
    return _cut(_BLANKS.sub(" ", plain), "contact_name")


def is_email(text: str) -> bool:
    """Tell whether Xero may take an address; a wrong one would have the whole contact refused."""
    return len(text) <= manifest().lengths["email"] and _EMAIL.fullmatch(text.strip()) is not None


def is_web_address(text: str) -> bool:
    """Tell whether a link can be opened in a browser."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in WEB_SCHEMES and bool(parts.netloc)


def _render_line(line: InvoiceLine) -> dict[str, Any]:
    payload = {
        "Description": _cut(line.description, "description"),
        "Quantity": _number(line.quantity),
        "UnitAmount": _number(line.unit_amount),
        "DiscountAmount": _number(line.discount_amount) if line.discount_amount else None,
        "AccountCode": line.account_code,
        "TaxType": line.tax_type,
        "TaxAmount": _number(line.tax_amount),
        "ItemCode": line.item_code,
    }
    return _without_empty(payload)


def _phones(phone: str) -> list[dict[str, str]]:
    number = _cut(phone, "phone")
    return [{"PhoneType": "DEFAULT", "PhoneNumber": number}] if number else []


def _addresses(address: Address) -> list[dict[str, str]]:
    parts = _without_empty(
        {
            "AddressLine1": _cut(address.line1, "address_line"),
            "AddressLine2": _cut(address.line2, "address_line"),
            "City": _cut(address.city, "city"),
            "Region": _cut(address.region, "region"),
            "PostalCode": _cut(address.postal_code, "postal_code"),
            "Country": _cut(_NOT_COUNTRY.sub(" ", address.country), "country"),
        }
    )
    return [{"AddressType": "POBOX", **parts}] if parts else []


def _number(value: Decimal | None) -> Decimal | None:
    """Return the same number written without an exponent, which some JSON readers do not expect."""
    return None if value is None else Decimal(format(value, "f"))


def _cut(text: str, field: str) -> str:
    return text.strip()[: manifest().lengths[field]].strip()


def _without_empty(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if value is not None and value not in ("", [])}

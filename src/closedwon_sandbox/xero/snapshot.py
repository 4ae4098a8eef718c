"""What tests and tools see of an organisation: plain JSON values, money as text with two decimals."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record

_CONTACT: Final = (
    "ContactID", "ContactNumber", "AccountNumber", "ContactStatus", "Name", "FirstName", "LastName", "EmailAddress",
    "DefaultCurrency", "IsCustomer", "IsSupplier", "UpdatedDateUTC",
)  # fmt: skip
_DOCUMENT: Final = (
    "InvoiceID", "InvoiceNumber", "CreditNoteID", "CreditNoteNumber", "Type", "Status", "Reference", "Url", "Date",
    "DueDate", "CurrencyCode", "CurrencyRate", "LineAmountTypes", "SubTotal", "TotalTax", "Total", "TotalDiscount",
    "AmountDue", "AmountPaid", "AmountCredited", "RemainingCredit", "AppliedAmount", "FullyPaidOnDate",
    "SentToContact", "UpdatedDateUTC",
)  # fmt: skip
_LINE: Final = (
    "LineItemID", "Description", "Quantity", "UnitAmount", "DiscountRate", "DiscountAmount", "ItemCode", "AccountCode",
    "TaxType", "TaxAmount", "LineAmount", "Tracking",
)  # fmt: skip
_PAYMENT: Final = (
    "PaymentID", "PaymentType", "Status", "Date", "Amount", "BankAmount", "CurrencyRate", "Reference", "IsReconciled",
    "UpdatedDateUTC",
)  # fmt: skip
_EXACT: Final = frozenset({"CurrencyRate", "Quantity", "UnitAmount", "DiscountRate"})


def snapshot(books: Books) -> Record:
    """Return everything an organisation holds."""
    return {
        "id": books.organisation_id,
        "name": books.profile["Name"],
        "short_code": books.profile["ShortCode"],
        "base_currency": books.base_currency,
        "currencies": [row["Code"] for row in books.currencies],
        "accounts": [_taken(row, ("AccountID", "Code", "Name", "Type", "Status")) for row in books.accounts],
        "items": [_taken(row, ("ItemID", "Code", "Name")) for row in books.items],
        "contacts": [_taken(row, _CONTACT) for row in books.contacts],
        "invoices": [_document(row) for row in books.invoices],
        "credit_notes": [_document(row) for row in books.credit_notes],
        "payments": [_payment(row) for row in books.payments],
    }


def _document(document: Record) -> Record:
    contact = document["Contact"]
    return {
        **_taken(document, _DOCUMENT),
        "ContactID": contact["ContactID"],
        "ContactName": contact["Name"],
        "LineItems": [_taken(line, _LINE) for line in document["LineItems"]],
        "Payments": [payment["PaymentID"] for payment in document["Payments"]],
    }


def _payment(payment: Record) -> Record:
    document = payment.get("Invoice") or payment["CreditNote"]
    named = _taken(document, ("InvoiceID", "InvoiceNumber", "CreditNoteID", "CreditNoteNumber"))
    return {**_taken(payment, _PAYMENT), **named, "AccountCode": payment["Account"].get("Code")}


def _taken(record: Record, names: Iterable[str]) -> Record:
    return {name: _plain(name, record[name]) for name in names if record.get(name) is not None}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f") if name in _EXACT else f"{value:.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    return value.isoformat() if isinstance(value, date) else value

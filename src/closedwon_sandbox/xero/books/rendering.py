"""How records look on the wire: members in the vendor's names, forms of dates, and what each kind of answer leaves out.

*Source*: Xero's OpenAPI description 16.1.0 and recorded answers, read 2026-11-22.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from closedwon_sandbox.xero.books.documents import CREDIT_NOTES, INVOICES
from closedwon_sandbox.xero.books.lines import to_places

if TYPE_CHECKING:
    from collections.abc import Iterable

    from closedwon_sandbox.xero.books.documents import Family
    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record


class Form(Enum):
    """How much of a record an answer shows: one record or a write, a page, a list without paging, summaryOnly."""

    FULL = auto()
    PAGE = auto()
    LIST = auto()
    SUMMARY = auto()


_CONTACT_HEAD: Final = (
    "ContactID", "ContactNumber", "AccountNumber", "ContactStatus", "Name", "FirstName", "LastName", "CompanyNumber",
    "EmailAddress", "BankAccountDetails", "TaxNumber", "TaxNumberType", "AccountsReceivableTaxType",
    "AccountsPayableTaxType", "DefaultCurrency",
)  # fmt: skip
_CONTACT_EXTRA: Final = (
    "SalesDefaultLineAmountType", "PurchasesDefaultLineAmountType", "XeroNetworkKey", "SalesDefaultAccountCode",
    "PurchasesDefaultAccountCode", "PaymentTerms",
)  # fmt: skip
_ADDRESS_TYPES: Final = ("STREET", "POBOX")
_ADDRESS_BLANKS: Final = ("City", "Region", "PostalCode", "Country")
_PHONE_TYPES: Final = ("DEFAULT", "DDI", "FAX", "MOBILE")
_PHONE_BLANKS: Final = ("PhoneNumber", "PhoneAreaCode", "PhoneCountryCode")
_LINE_MEMBERS: Final = ("TaxType", "TaxAmount", "LineAmount", "AccountCode", "AccountID", "Tracking", "Quantity")


@lru_cache(maxsize=4096)
def ms_date(day: date) -> str:
    """Write a calendar date: midnight UTC of that date in milliseconds."""
    return f"/Date({int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000}+0000)/"


def ms_instant(moment: datetime) -> str:
    """Write an instant in milliseconds with the offset that record stamps carry."""
    return f"/Date({round(moment.timestamp() * 1000)}+0000)/"


def render_value(value: Any) -> Any:
    """Write one plain value."""
    if isinstance(value, datetime):
        return ms_instant(value)
    return ms_date(value) if isinstance(value, date) else value


def render_plain(record: Record) -> Record:
    """Write a record as it is stored, without our own marks and empty members."""
    return {name: _nested(value) for name, value in record.items() if value is not None and not name.startswith("_")}


def _nested(value: Any) -> Any:
    if isinstance(value, dict):
        return render_plain(value)
    if isinstance(value, list):
        return [_nested(entry) for entry in value]
    return render_value(value)


def _stamps(record: Record) -> Record:
    moment: datetime = record["UpdatedDateUTC"]
    return {"UpdatedDateUTC": ms_instant(moment), "UpdatedDateUTCString": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}


def _dates(record: Record, *names: str) -> Record:
    shown: Record = {}
    for name in names:
        if day := record.get(name):
            shown[f"{name}String"] = f"{day:%Y-%m-%d}T00:00:00"
            shown[name] = ms_date(day)
    return shown


def _taken(record: Record, names: Iterable[str]) -> Record:
    return {name: render_value(record[name]) for name in names if record.get(name) is not None}


# Contacts


def render_contact(books: Books, contact: Record, form: Form) -> Record:
    """Write a contact with its balances where the form shows them."""
    balances = _balances(books, contact) if form in {Form.FULL, Form.PAGE} else {}
    return _contact(contact, form) | balances


def _contact(contact: Record, form: Form) -> Record:
    blank = form is Form.FULL
    shown = _taken(contact, _CONTACT_HEAD)
    shown["Addresses"] = _typed(contact["Addresses"], "AddressType", _ADDRESS_TYPES, _ADDRESS_BLANKS if blank else ())
    shown["Phones"] = _typed(contact["Phones"], "PhoneType", _PHONE_TYPES, _PHONE_BLANKS if blank else ())
    shown["UpdatedDateUTC"] = ms_instant(contact["UpdatedDateUTC"])
    shown["ContactGroups"] = []
    if form is not Form.SUMMARY:
        shown |= {name: contact[name] for name in ("IsSupplier", "IsCustomer")}
    shown["ContactPersons"] = []
    if form in {Form.FULL, Form.PAGE}:
        shown["ContactPersons"] = contact["ContactPersons"]
        shown |= _taken(contact, _CONTACT_EXTRA)
        shown |= {"SalesTrackingCategories": [], "PurchasesTrackingCategories": []}
    return shown | {"HasAttachments": False, "HasValidationErrors": False}


def _typed(held: Record, key: str, types: tuple[str, ...], blanks: tuple[str, ...]) -> list[Record]:
    empty = dict.fromkeys(blanks, "")
    known = [{key: name, **empty, **held.get(name, {})} for name in types]
    return known + [row for name, row in held.items() if name not in types]


def _balances(books: Books, contact: Record) -> Record:
    """Show what a contact owes and is owed; only where something is open."""
    today = books.today()
    sides: Record = {}
    for invoice in books.invoices.having("Contact.ContactID", contact["ContactID"]):
        if invoice["Status"] != "AUTHORISED":
            continue
        name = "AccountsReceivable" if INVOICES.sells(invoice["Type"]) else "AccountsPayable"
        side = sides.setdefault(name, {"Outstanding": Decimal("0.00"), "Overdue": Decimal("0.00")})
        side["Outstanding"] += invoice["AmountDue"]
        if invoice["DueDate"] < today:
            side["Overdue"] += invoice["AmountDue"]
    return {"Balances": sides} if sides else {}


def _contact_stub(contact: Record) -> Record:
    return {
        "ContactID": contact["ContactID"],
        "Name": contact["Name"],
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


# Invoices and credit notes


def render_document(books: Books, family: Family, document: Record, form: Form, unit_places: int) -> Record:
    """Write an invoice or credit note. Unit amounts are rounded to `unit_places`, totals always have two decimals."""
    shown = _taken(document, ("Type", family.id_name, family.number_name, "Reference"))
    if form is not Form.SUMMARY:
        shown |= _settlement(family, document)
    amounts = (
        ("AmountDue", "AmountPaid", "AmountCredited") if family is INVOICES else ("RemainingCredit", "AppliedAmount")
    )
    shown |= _taken(document, (*amounts, "SentToContact", "CurrencyRate", "TotalDiscount"))
    if not shown["TotalDiscount"]:
        del shown["TotalDiscount"]
    shown |= {"IsDiscounted": "TotalDiscount" in shown, "HasErrors": False}
    if family is CREDIT_NOTES:
        del shown["IsDiscounted"]
    if form is not Form.SUMMARY:
        shown["HasAttachments"] = document["HasAttachments"]
    whole = form is Form.FULL
    shown["Contact"] = _contact(document["Contact"], Form.FULL) if whole else _contact_stub(document["Contact"])
    shown |= _dates(document, "Date", "DueDate")
    shown |= _dates(document, "ExpectedPaymentDate", "PlannedPaymentDate")
    shown |= _taken(document, ("BrandingThemeID", "Url", "Status", "LineAmountTypes"))
    if form is not Form.SUMMARY:
        lines = document["LineItems"] if form is not Form.LIST else ()
        shown["LineItems"] = [_line(books, line, unit_places) for line in lines]
    shown |= _taken(document, ("SubTotal", "TotalTax", "Total")) | _stamps(document)
    return shown | _taken(document, ("CurrencyCode", "FullyPaidOnDate"))


def _settlement(family: Family, document: Record) -> Record:
    payments = [_payment_stub(payment) for payment in document["Payments"]]
    if family is CREDIT_NOTES:
        return {"Payments": payments, "Allocations": [render_allocation(entry) for entry in document["Allocations"]]}
    credits_used = [_credit_stub(entry) for entry in document["Allocations"]]
    shown: Record = {"Payments": payments, "CreditNotes": credits_used, "Prepayments": [], "Overpayments": []}
    return shown | {"InvoicePaymentServices": []}


def _payment_stub(payment: Record) -> Record:
    shown = _taken(payment, ("PaymentID", "Date", "Amount", "Reference", "CurrencyRate"))
    return shown | {"HasAccount": True, "HasValidationErrors": False}


def _credit_stub(allocation: Record) -> Record:
    note = allocation["CreditNote"]
    shown = _taken(note, ("CreditNoteID", "CreditNoteNumber"))
    return shown | {"ID": note["CreditNoteID"], "AppliedAmount": allocation["Amount"]} | _dates(allocation, "Date")


def _line(books: Books, line: Record, unit_places: int) -> Record:
    shown = _taken(line, ("ItemCode", "Description"))
    if "UnitAmount" in line:
        shown["UnitAmount"] = to_places(line["UnitAmount"], unit_places)
    shown |= _taken(line, _LINE_MEMBERS)
    for item in books.items.having("Code", line["ItemCode"]) if "ItemCode" in line else ():
        shown["Item"] = _taken(item, ("ItemID", "Name", "Code"))
    return shown | _taken(line, ("DiscountRate", "DiscountAmount", "LineItemID")) | {"ValidationErrors": []}


def render_allocation(allocation: Record) -> Record:
    """Write an allocation of a credit note."""
    invoice = allocation["Invoice"]
    return {
        "AllocationID": allocation["AllocationID"],
        "Amount": allocation["Amount"],
        "Date": ms_date(allocation["Date"]),
        "Invoice": _taken(invoice, ("InvoiceID", "InvoiceNumber")) | _EMPTY_DOCUMENT,
    }


_EMPTY_DOCUMENT: Final[Record] = {
    "Payments": [],
    "CreditNotes": [],
    "Prepayments": [],
    "Overpayments": [],
    "HasErrors": False,
    "IsDiscounted": False,
    "LineItems": [],
    "ValidationErrors": [],
}


# Payments


def render_payment(payment: Record) -> Record:
    """Write a payment with the summary of its document."""
    shown = _taken(payment, ("PaymentID", "Date", "BankAmount", "Amount", "Reference", "CurrencyRate", "PaymentType"))
    shown |= _taken(payment, ("Status",)) | _stamps(payment)
    shown |= {"HasAccount": True, "IsReconciled": payment["IsReconciled"]}
    shown["Account"] = _taken(payment["Account"], ("AccountID", "Code", "Name"))
    family = INVOICES if "Invoice" in payment else CREDIT_NOTES
    document = payment[family.element]
    summary = _taken(document, ("Type", family.id_name, family.number_name)) | _EMPTY_DOCUMENT
    summary["Contact"] = {"ContactID": document["Contact"]["ContactID"], "Name": document["Contact"]["Name"]}
    summary["CurrencyCode"] = document["CurrencyCode"]
    return shown | {family.element: summary, "HasValidationErrors": False}

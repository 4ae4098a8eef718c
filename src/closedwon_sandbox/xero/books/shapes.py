"""The members of every resource with their kinds: what a body is read by, and what `where` and `order` may name.

*Source*: Xero's OpenAPI description 16.1.0, read 2026-11-22.
Members that only Xero sets are listed after a resource's writable ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

Record: TypeAlias = dict[str, Any]

_MS_DATE = re.compile(r"/Date\((-?\d{1,16})([+-]\d{4})?\)/")
_NUMBER_LIMIT = Decimal("1e15")  # far above any amount the API takes, far below what would make arithmetic slow


class Kind(Enum):
    """What a member holds."""

    TEXT = auto()
    NUMBER = auto()
    BOOLEAN = auto()
    GUID = auto()
    DATE = auto()
    INSTANT = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """One plain member; `limit` is the longest text, `writable` is False where only Xero sets it."""

    kind: Kind
    limit: int | None = None
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """A nested object or a list of them; a `lenient` list drops what it cannot read, as tracking does."""

    shape: Shape
    many: bool = False
    lenient: bool = False
    writable: bool = True


Shape: TypeAlias = "Mapping[str, Member | Part]"


def _texts(**limits: int) -> dict[str, Member | Part]:
    return {name: Member(Kind.TEXT, limit) for name, limit in limits.items()}


def _all(kind: Kind, *names: str, writable: bool = True) -> dict[str, Member | Part]:
    return {name: Member(kind, None, writable) for name in names}


_STAMP: Shape = _all(Kind.INSTANT, "UpdatedDateUTC", writable=False)

ADDRESS: Shape = _texts(
    AddressType=50, AddressLine1=500, AddressLine2=500, AddressLine3=500, AddressLine4=500, City=255, Region=255,
    PostalCode=50, Country=50, AttentionTo=255,
)  # fmt: skip
PHONE: Shape = _texts(PhoneType=50, PhoneNumber=50, PhoneAreaCode=10, PhoneCountryCode=20)
PERSON: Shape = {**_texts(FirstName=255, LastName=255, EmailAddress=255), **_all(Kind.BOOLEAN, "IncludeInEmails")}
TERM: Shape = {**_all(Kind.NUMBER, "Day"), **_texts(Type=50)}

CONTACT: Shape = {
    **_all(Kind.GUID, "ContactID"),
    **_texts(
        ContactNumber=50, AccountNumber=50, ContactStatus=20, Name=255, FirstName=255, LastName=255, CompanyNumber=50,
        EmailAddress=255, BankAccountDetails=255, TaxNumber=50, TaxNumberType=10, AccountsReceivableTaxType=50,
        AccountsPayableTaxType=50, SalesDefaultLineAmountType=20, PurchasesDefaultLineAmountType=20, DefaultCurrency=3,
        XeroNetworkKey=100, SalesDefaultAccountCode=10, PurchasesDefaultAccountCode=10,
    ),
    "Addresses": Part(ADDRESS, many=True),
    "Phones": Part(PHONE, many=True),
    "ContactPersons": Part(PERSON, many=True),
    "PaymentTerms": Part({"Bills": Part(TERM), "Sales": Part(TERM)}),
    **_all(Kind.BOOLEAN, "IsSupplier", "IsCustomer", writable=False),
    **_STAMP,
}  # fmt: skip

TRACKING: Shape = {**_all(Kind.GUID, "TrackingCategoryID", "TrackingOptionID"), **_texts(Name=100, Option=100)}
LINE: Shape = {
    **_all(Kind.GUID, "LineItemID", "AccountID"),
    **_texts(Description=4000, ItemCode=30, AccountCode=10, TaxType=50),
    **_all(Kind.NUMBER, "Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount"),
    "Tracking": Part(TRACKING, many=True, lenient=True),
}
_HEADER: Shape = {
    **_texts(Type=50, Status=50, LineAmountTypes=50, CurrencyCode=3, Reference=255),
    **_all(Kind.DATE, "Date"),
    **_all(Kind.NUMBER, "CurrencyRate"),
    **_all(Kind.GUID, "BrandingThemeID"),
    **_all(Kind.BOOLEAN, "SentToContact"),
    "Contact": Part(CONTACT),
    "LineItems": Part(LINE, many=True),
    **_all(Kind.NUMBER, "SubTotal", "TotalTax", "Total", writable=False),
    **_all(Kind.DATE, "FullyPaidOnDate", writable=False),
    **_all(Kind.BOOLEAN, "HasAttachments", writable=False),
    **_STAMP,
}
INVOICE: Shape = {
    **_HEADER,
    **_all(Kind.GUID, "InvoiceID"),
    **_texts(InvoiceNumber=255, Url=2048),
    **_all(Kind.DATE, "DueDate", "ExpectedPaymentDate", "PlannedPaymentDate"),
    **_all(Kind.NUMBER, "AmountDue", "AmountPaid", "AmountCredited", "TotalDiscount", writable=False),
}
CREDIT_NOTE: Shape = {
    **_HEADER,
    **_all(Kind.GUID, "CreditNoteID"),
    **_texts(CreditNoteNumber=255),
    **_all(Kind.NUMBER, "RemainingCredit", "AppliedAmount", writable=False),
}
_DOCUMENT_NAME: Shape = {
    **_all(Kind.GUID, "InvoiceID", "CreditNoteID"),
    **_texts(InvoiceNumber=255, CreditNoteNumber=255),
}
_ACCOUNT_NAME: Shape = {**_all(Kind.GUID, "AccountID"), **_texts(Code=10)}
PAYMENT: Shape = {
    **_all(Kind.GUID, "PaymentID"),
    "Invoice": Part(_DOCUMENT_NAME),
    "CreditNote": Part(_DOCUMENT_NAME),
    "Prepayment": Part({}),
    "Overpayment": Part({}),
    "Account": Part(_ACCOUNT_NAME),
    **_texts(InvoiceNumber=255, CreditNoteNumber=255, Code=10, Reference=255, Status=50),
    **_all(Kind.DATE, "Date"),
    **_all(Kind.NUMBER, "Amount", "CurrencyRate", "BankAmount"),
    **_all(Kind.BOOLEAN, "IsReconciled"),
    **_all(Kind.TEXT, "PaymentType", writable=False),
    **_STAMP,
}
ALLOCATION: Shape = {
    "Invoice": Part(_DOCUMENT_NAME),
    **_all(Kind.NUMBER, "Amount"),
    **_all(Kind.DATE, "Date"),
}
_PRICE: Shape = {**_all(Kind.NUMBER, "UnitPrice"), **_texts(AccountCode=10, COGSAccountCode=10, TaxType=50)}
ITEM: Shape = {
    **_all(Kind.GUID, "ItemID"),
    **_texts(Code=30, Name=50, Description=4000, PurchaseDescription=4000, InventoryAssetAccountCode=10),
    **_all(Kind.BOOLEAN, "IsSold", "IsPurchased"),
    "SalesDetails": Part(_PRICE),
    "PurchaseDetails": Part(_PRICE),
    **_all(Kind.BOOLEAN, "IsTrackedAsInventory", writable=False),
    **_STAMP,
}
ACCOUNT: Shape = {
    **_all(Kind.GUID, "AccountID"),
    **_texts(
        Code=10, Name=150, Type=20, Status=20, Description=4000, TaxType=50, BankAccountNumber=50, BankAccountType=20,
        CurrencyCode=3,
    ),
    **_all(Kind.BOOLEAN, "EnablePaymentsToAccount", "ShowInExpenseClaims", "AddToWatchlist"),
    **_all(Kind.TEXT, "Class", "SystemAccount", "ReportingCode", writable=False),
    **_STAMP,
}  # fmt: skip
TAX_RATE: Shape = {
    **_texts(Name=100, TaxType=50, Status=20, ReportTaxType=50),
    **_all(Kind.NUMBER, "DisplayTaxRate", "EffectiveRate", writable=False),
}
OPTION: Shape = {**_all(Kind.GUID, "TrackingOptionID", "TrackingCategoryID"), **_texts(Name=100, Status=20)}
CATEGORY: Shape = {
    **_all(Kind.GUID, "TrackingCategoryID"),
    **_texts(Name=100, Status=20),
    "Options": Part(OPTION, many=True),
}
CURRENCY: Shape = _texts(Code=3, Description=255)
NOTE: Shape = _texts(Details=2500)


def read_element(value: object, shape: Shape) -> Record:
    """Read one object of a body: known writable members with their Python values, everything else dropped.

    *Raises* MalformedError when a member has a value that its kind cannot hold.
    """
    if not isinstance(value, dict):
        raise MalformedError("Object reference not set to an instance of an object.")
    found: Record = {}
    for name, member in shape.items():
        sent = value.get(name)
        if sent is not None and member.writable:
            found[name] = _read_part(sent, member) if isinstance(member, Part) else read_value(sent, member.kind, name)
    return found


def _read_part(sent: object, part: Part) -> Any:
    if not part.many:
        return read_element(sent, part.shape)
    if part.lenient:
        entries = sent if isinstance(sent, list) else []
        return [entry for entry in (read_element(row, part.shape) for row in entries if isinstance(row, dict)) if entry]
    if not isinstance(sent, list):
        raise MalformedError("Object reference not set to an instance of an object.")
    return [read_element(row, part.shape) for row in sent]


def read_value(sent: object, kind: Kind, name: str) -> Any:
    """Read one plain value. *Raises* MalformedError."""
    if kind is Kind.BOOLEAN:
        return _read_boolean(sent, name)
    if isinstance(sent, bool) or not isinstance(sent, str | int | Decimal):
        raise MalformedError(f"The value of {name} cannot be read.")
    text = str(sent)
    if kind is Kind.TEXT:
        return text
    if kind is Kind.GUID:
        return read_guid(text)
    if kind is Kind.NUMBER:
        return _read_number(text, name)
    return read_date(text, name)


def read_guid(text: str) -> str:
    """Return a GUID in the vendor's spelling: lower case with dashes. *Raises* MalformedError."""
    try:
        return str(UUID(text))
    except ValueError:
        raise MalformedError(messages.GUID_FORM) from None


@lru_cache(maxsize=4096)
def read_date(text: str, name: str = "Date") -> date:
    """Read a calendar date: ISO with or without a time, or /Date(ms+zone)/ in its own zone. *Raises* MalformedError."""
    try:
        if match := _MS_DATE.fullmatch(text):
            return (_epoch_ms(int(match[1])) + _offset(match[2])).date()
        return date.fromisoformat(text) if len(text) == len("2026-01-01") else datetime.fromisoformat(text).date()
    except (ValueError, OverflowError):
        raise MalformedError(f"Invalid date supplied for field {name}") from None


def overlong(element: Record, shape: Shape) -> list[str]:
    """List the texts of `element`, nested ones included, that are longer than the resource allows."""
    found: list[str] = []
    for name, value in element.items():
        member = shape.get(name)
        if isinstance(member, Part):
            rows = value if isinstance(value, list) else [value]
            found += [text for row in rows for text in overlong(row, member.shape)]
        elif member and member.limit and len(value) > member.limit:
            found.append(messages.TOO_LONG.format(name, member.limit))
    return found


def kind_at(shape: Shape, path: str) -> Kind | None:
    """Return the kind of the member that a dotted path names, None when there is none. Lists cannot be entered."""
    *parents, last = path.split(".")
    for name in parents:
        part = shape.get(name)
        if not isinstance(part, Part) or part.many:
            return None
        shape = part.shape
    member = shape.get(last)
    return member.kind if isinstance(member, Member) else None


def _read_boolean(sent: object, name: str) -> bool:
    if isinstance(sent, bool):
        return sent
    if isinstance(sent, str) and sent.lower() in {"true", "false"}:
        return sent.lower() == "true"
    raise MalformedError(f"The value of {name} cannot be read.")


def _read_number(text: str, name: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise MalformedError(f"The value of {name} cannot be read.") from None
    if not number.is_finite() or abs(number) > _NUMBER_LIMIT:
        raise MalformedError(f"The value of {name} cannot be read.")
    return number


def _epoch_ms(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _offset(zone: str | None) -> timedelta:
    if not zone:
        return timedelta()
    minutes = int(zone[1:3]) * 60 + int(zone[3:5])
    return timedelta(minutes=-minutes if zone.startswith("-") else minutes)

"""What Xero sends, as far as we read it: typed rows, and its two ways of writing a date.

Members that Xero leaves out have their defaults; what we do not read is ignored.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from closedwon.kernel.errors import Unavailable

Row = TypeVar("Row", bound=msgspec.Struct)

ZERO_ID = "00000000-0000-0000-0000-000000000000"
ZERO = Decimal(0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NET_DATE = re.compile(r"/Date\((-?\d{1,17})(?:([+-])(\d{2})(\d{2}))?\)/")


class ContactRef(msgspec.Struct, frozen=True):
    """The contact as an invoice names it."""

    id: str = msgspec.field(name="ContactID", default="")


class PhoneRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A phone number in its parts."""

    phone_type: str = ""
    phone_number: str = ""
    phone_area_code: str = ""
    phone_country_code: str = ""


class AddressRow(msgspec.Struct, frozen=True, rename="pascal"):
    """An address."""

    address_type: str = ""
    address_line1: str = ""
    address_line2: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""


class ContactRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A contact."""

    id: str = msgspec.field(name="ContactID", default="")
    name: str = ""
    contact_number: str = ""
    account_number: str = ""
    contact_status: str = ""
    first_name: str = ""
    last_name: str = ""
    email_address: str = ""
    default_currency: str = ""
    phones: list[PhoneRow] = []
    addresses: list[AddressRow] = []
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class InvoiceRow(msgspec.Struct, frozen=True, rename="pascal"):
    """An invoice without its lines."""

    id: str = msgspec.field(name="InvoiceID", default="")
    type: str = ""
    invoice_number: str = ""
    status: str = ""
    currency_code: str = ""
    contact: ContactRef = ContactRef()
    reference: str = ""
    url: str = ""
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    total: Decimal = ZERO
    amount_paid: Decimal = ZERO
    amount_credited: Decimal = ZERO
    amount_due: Decimal = ZERO
    fully_paid_on_date: str = ""
    due_date: str = ""
    updated: str = msgspec.field(name="UpdatedDateUTC", default="")


class OrganisationRow(msgspec.Struct, frozen=True, rename="pascal"):
    """The organisation."""

    id: str = msgspec.field(name="OrganisationID", default="")
    name: str = ""
    base_currency: str = ""
    country_code: str = ""
    short_code: str = ""
    timezone: str = ""
    version: str = ""
    period_lock_date: str = ""
    end_of_year_lock_date: str = ""
    is_demo_company: bool = False


class AccountRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A ledger account."""

    code: str = ""
    name: str = ""
    type: str = ""
    account_class: str = msgspec.field(name="Class", default="")
    tax_type: str = ""
    status: str = ""
    system_account: str = ""


class TaxRateRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A tax rate."""

    tax_type: str = ""
    name: str = ""
    effective_rate: Decimal = ZERO
    status: str = ""
    can_apply_to_assets: bool = False
    can_apply_to_equity: bool = False
    can_apply_to_expenses: bool = False
    can_apply_to_liabilities: bool = False
    can_apply_to_revenue: bool = False


class SalesDetails(msgspec.Struct, frozen=True, rename="pascal"):
    """What an item says about its sales."""

    account_code: str = ""
    tax_type: str = ""


class ItemRow(msgspec.Struct, frozen=True, rename="pascal"):
    """An item."""

    id: str = msgspec.field(name="ItemID", default="")
    code: str = ""
    name: str = ""
    is_sold: bool = True
    sales_details: SalesDetails = SalesDetails()


class CurrencyRow(msgspec.Struct, frozen=True, rename="pascal"):
    """A currency the organisation is subscribed to."""

    code: str = ""


class ConnectionRow(msgspec.Struct, frozen=True, rename="camel"):
    """One organisation that the token reaches."""

    tenant_id: str
    tenant_type: str = ""
    tenant_name: str = ""


def parse_rows(document: Any, name: str, row: type[Row]) -> list[Row]:
    """Read the list called `name` out of an answer. *Raises* Unavailable when the answer has another shape."""
    rows = document.get(name) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise Unavailable(f"Xero answered without a list of {name}.", hint="Try again; if it stays, report it.")
    return [parse_row(entry, name, row) for entry in rows]


def parse_row(entry: Any, name: str, row: type[Row]) -> Row:
    """Read one row. *Raises* Unavailable when it has another shape."""
    try:
        return msgspec.convert(_without_nulls(entry), row)
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unavailable(
            f"Xero answered with {name} of a shape we do not know: {error}",
            hint="Try again; if it stays, report it: the vendor may have changed something.",
        ) from None


def parse_moment(text: str) -> datetime | None:
    """Parse an instant as Xero writes it; "" is None. *Raises* Unavailable for anything else."""
    return _parse_date_text(text)[0] if text else None


def parse_date(text: str) -> date | None:
    """Parse a calendar date; where a zone offset is given, the day in that zone counts."""
    if not text:
        return None
    moment, offset = _parse_date_text(text)
    return (moment + offset).date()


def milliseconds(text: str) -> str:
    """Return an instant as digits that sort by time within our era: the version of a record."""
    moment = parse_moment(text)
    return "" if moment is None else str((moment - EPOCH) // timedelta(milliseconds=1))


def render_modified_since(moment: datetime) -> str:
    """Render the value of an If-Modified-Since header: UTC, whole seconds, cut off."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _parse_date_text(text: str) -> tuple[datetime, timedelta]:
    found = _NET_DATE.fullmatch(text)
    try:
        if found is None:
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC), timedelta(0)
        sign = -1 if found[2] == "-" else 1
        offset = sign * timedelta(hours=int(found[3] or 0), minutes=int(found[4] or 0))
        timezone(offset)  # refuses offsets of a day and more
        return EPOCH + timedelta(milliseconds=int(found[1])), offset
    except (ValueError, OverflowError):
        raise Unavailable(f"Xero answered with a date of an unknown form: {text[:40]!r}") from None


def _without_nulls(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {name: _without_nulls(value) for name, value in entry.items() if value is not None}
    if isinstance(entry, list):
        return [_without_nulls(value) for value in entry if value is not None]
    return entry

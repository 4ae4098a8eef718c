"""Values between JSON and storage: what a column takes, how it is rounded, how it is shown to people.

Stored as: Decimal with the scale of its SQL type for money and decimals, aware UTC datetime without fractions, date,
int, bool, str, lower-case str for guids, `Ref` for lookups. A null is an absent key.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.rows.schema import DEFAULT_DECIMAL_RANGE, DEFAULT_MONEY_RANGE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.rows.schema import Column, Table

MONEY_ROUNDING = ROUND_HALF_UP
"""How amounts lose digits. [inferred] The vendor does not say; banker's rounding is the other candidate."""

MONEY_SCALE = Decimal("0.0001")
DECIMAL_SCALE = Decimal("0.0000000001")
EARLIEST_YEAR = 1753
DEFAULT_PRECISION = 2
NOON = 12
_GUID = re.compile(r"\{?([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\}?")
_INT_RANGE = (Decimal(-2_147_483_648), Decimal(2_147_483_647))
_EDM = {
    "text": "Edm.String", "memo": "Edm.String", "money": "Edm.Decimal", "decimal": "Edm.Decimal",
    "double": "Edm.Double",
    "int": "Edm.Int32", "bigint": "Edm.Int64", "choice": "Edm.Int32", "state": "Edm.Int32", "status": "Edm.Int32",
    "bool": "Edm.Boolean", "date": "Edm.Date", "datetime": "Edm.DateTimeOffset", "localdate": "Edm.DateTimeOffset",
    "guid": "Edm.Guid", "lookup": "Edm.Guid", "managed": "Microsoft.Dynamics.CRM.BooleanManagedProperty",
}  # fmt: skip


def edm_type(column: Column) -> str:
    """Name the OData type of a column."""
    return _EDM[column.kind]


def new_id() -> str:
    """Make the id of a new row."""
    return str(uuid.uuid4())


def parse_guid(text: Any) -> str | None:
    """Return a guid in its stored spelling, None for anything else."""
    match = _GUID.fullmatch(text) if isinstance(text, str) else None
    return match[1].lower() if match else None


def money(amount: Decimal, precision: int = DEFAULT_PRECISION) -> Decimal:
    """Round an amount to its currency's precision and give it the scale in which money is stored."""
    return amount.quantize(Decimal(1).scaleb(-precision), MONEY_ROUNDING).quantize(MONEY_SCALE)


def decimal(amount: Decimal) -> Decimal:
    """Give a decimal number the scale in which it is stored."""
    return amount.quantize(DECIMAL_SCALE, MONEY_ROUNDING)


def read(table: Table, column: Column, value: Any, precision: int = DEFAULT_PRECISION) -> Any:
    """Turn a member of a body into the stored value. *Raises* DataverseError when the column does not take it."""
    if value is None:
        return None
    if column.kind in {"text", "memo"}:
        return _read_text(table, column, value)
    reader = _READERS[column.kind]
    result = reader(table, column, value)
    if result is None:
        text = f"Cannot convert the literal '{value}' to the expected type '{edm_type(column)}'."
        raise errors.bad_payload(table.set_name, f"An error occurred while validating input parameters: {text}")
    return money(result, precision) if column.kind == "money" else result


def _read_text(table: Table, column: Column, value: Any) -> str | None:
    if not isinstance(value, str):
        raise errors.bad_payload(
            table.set_name,
            f"An error occurred while validating input parameters: Cannot read the value '{value}' of property "
            f"'{column.name}' as a quoted JSON string value.",
        )
    if len(value) > column.length:
        raise errors.validation(
            "0x80044331",
            f"The length of the '{column.name}' attribute of the '{table.name}' entity exceeded the maximum allowed "
            f"length of '{column.length}'.",
        )
    return value or None


def _read_decimal(table: Table, column: Column, value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    low, high = (column.low, column.high) if column.low is not None else _range(column)
    if low is not None and high is not None and not low <= number <= high:
        raise errors.validation("0x80044330", _outside(table, column, number, low, high))
    return number if column.kind == "money" else decimal(number)


def _range(column: Column) -> tuple[Decimal | None, Decimal | None]:
    return DEFAULT_MONEY_RANGE if column.kind == "money" else DEFAULT_DECIMAL_RANGE


def _outside(table: Table, column: Column, number: Decimal | int, low: Decimal, high: Decimal) -> str:
    where = f"'{column.name}' on record of type '{table.name}'"
    return f"The value {number} of {where} is outside the valid range {low} to {high}."


def _read_double(table: Table, column: Column, value: Any) -> Decimal | None:
    _ = table, column
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _read_int(table: Table, column: Column, value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    low, high = column.low, column.high
    if low is None or high is None:
        low, high = _INT_RANGE if column.kind == "int" else (Decimal(-(2**63)), Decimal(2**63 - 1))
    if not low <= value <= high:
        raise errors.validation("0x8004432f", _outside(table, column, value, low, high))
    return value


def _read_choice(table: Table, column: Column, value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if column.options and value not in column.options:
        accepted = ",".join(str(option) for option in sorted(column.options))
        where = f"'{column.name}' on record of type '{table.name}'"
        text = f"The value '{value}' of {where} is outside the valid range. Accepted Values: {accepted}"
        raise errors.validation("0x8004431a", text)
    return value


def _read_bool(table: Table, column: Column, value: Any) -> bool | None:
    _ = table, column
    return value if isinstance(value, bool) else None


def _read_managed(table: Table, column: Column, value: Any) -> dict[str, Any] | None:
    _ = table, column
    return value if isinstance(value, dict) and isinstance(value.get("Value"), bool) else None


def _read_date(table: Table, column: Column, value: Any) -> date | None:
    _ = table
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == len("2026-01-01") else None
    except ValueError:
        return None
    if day is not None and day.year < EARLIEST_YEAR:
        raise _too_old(column)
    return day


def _read_datetime(table: Table, column: Column, value: Any) -> datetime | None:
    _ = table
    moment = parse_moment(value)
    if moment is not None and moment.year < EARLIEST_YEAR:
        raise _too_old(column)
    return moment


def _too_old(column: Column) -> errors.DataverseError:
    text = f"DateTime is less than minumum value supported by CrmDateTime. Attribute: {column.name}."
    return errors.DataverseError(400, "0x80040239", text)


def parse_moment(text: Any) -> datetime | None:
    """Return the UTC moment that an ISO text names, without fractions of a second; a bare date is its midnight."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=0)


def _read_guid(table: Table, column: Column, value: Any) -> str | None:
    _ = table, column
    return parse_guid(value)


_READERS: Mapping[str, Callable[[Table, Column, Any], Any]] = {
    "money": _read_decimal, "decimal": _read_decimal, "double": _read_double, "int": _read_int, "bigint": _read_int,
    "choice": _read_choice, "state": _read_choice, "status": _read_choice, "bool": _read_bool, "managed": _read_managed,
    "date": _read_date, "datetime": _read_datetime, "localdate": _read_datetime, "guid": _read_guid,
    "lookup": _read_guid,
}  # fmt: skip


def to_number(text: str) -> Decimal | None:
    """Parse the literal of a number in a query."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def formatted(column: Column, value: Any, symbol: str = "$") -> str | None:
    """Render a value for people, in the style of an English user; None where the vendor shows nothing extra."""
    if value is None or column.kind in {"text", "memo", "guid", "lookup", "managed"}:
        return None
    if column.kind in {"choice", "state", "status"}:
        return column.options.get(value)
    if column.kind == "bool":
        return "Yes" if value else "No"
    if column.kind == "money":
        return f"{'-' if value < 0 else ''}{symbol}{abs(value):,.2f}"
    return _formatted_other(column, value)


def _formatted_other(column: Column, value: Any) -> str:
    if column.kind in {"date", "localdate"}:
        return f"{value.month}/{value.day}/{value.year}"
    if column.kind == "datetime":
        half = "PM" if value.hour >= NOON else "AM"
        return f"{value.month}/{value.day}/{value.year} {value.hour % NOON or NOON}:{value.minute:02} {half}"
    if column.kind in {"decimal", "double"}:
        return f"{value:,.2f}"
    return f"{value:,}"

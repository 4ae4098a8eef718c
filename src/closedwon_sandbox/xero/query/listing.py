"""Lists: which records a GET means, in what order, and on which page.

*Source*: developer.xero.com "Requests and responses", its OpenAPI description 16.1.0, read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books.errors import BadQueryError, PreconditionError
from closedwon_sandbox.xero.books.organisation import fold
from closedwon_sandbox.xero.books.rendering import Form
from closedwon_sandbox.xero.query.where import parse_order, parse_where, reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from closedwon_sandbox.xero.books.organisation import Table
    from closedwon_sandbox.xero.books.shapes import Record, Shape

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE_SIZE: Final = 1000
SINCE_IS_INCLUSIVE: Final = True  # [not established]; a record changed in that very second is returned
MAX_UNOPTIMISED_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """How one resource is listed. `csv` maps a parameter to the path it compares, `search` names what is searched."""

    shape: Shape
    optimised: frozenset[str] = frozenset()
    csv: Mapping[str, str] | None = None
    search: tuple[str, ...] = ()
    pages: bool = False
    forced_by: frozenset[str] = frozenset()
    since: bool = True
    hidden: Callable[[Record], bool] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The records of an answer, the form they are shown in, and the paging block where the answer is paged."""

    records: list[Record]
    form: Form
    pagination: Record | None


def find_records(
    table: Table, listing: Listing, params: Mapping[str, str], headers: Mapping[str, str], app: str
) -> Found:
    """Answer a list. *Raises* BadQueryError or PreconditionError."""
    rows = _narrowed(table, listing, params)
    if listing.since and (since := modified_since(headers)):
        rows = _changed_since(table, since) if rows is None else [row for row in rows if row["UpdatedDateUTC"] >= since]
    tests = _tests(listing, params, app)
    kept = [row for row in (table if rows is None else rows) if all(test(row) for test in tests)]
    _sort(kept, listing, params, table if rows is not None else None)
    return _page(kept, listing, params)


def modified_since(headers: Mapping[str, str]) -> datetime | None:
    """Read If-Modified-Since to the second, UTC where no zone is said. *Raises* PreconditionError."""
    text = headers.get("if-modified-since")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            moment = datetime.strptime(text.strip(), "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007 - GMT is set below
        except ValueError:
            raise PreconditionError("The If-Modified-Since header is not a valid date") from None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.replace(microsecond=0)


def flag(params: Mapping[str, str], name: str) -> bool:
    """Say whether a boolean parameter is set; `True` and `true` both count."""
    return params.get(name, "").lower() == "true"


def _narrowed(table: Table, listing: Listing, params: Mapping[str, str]) -> list[Record] | None:
    """Use the narrowest index at hand; None stands for all records."""
    for name, path in (listing.csv or {}).items():
        values = _csv(params, name)
        if values and path == table.key:
            return [row for value in dict.fromkeys(values) if (row := table.find(value.lower()))]
        if values and table.indexed(path):
            return [row for value in dict.fromkeys(map(fold, values)) for row in table.having(path, value)]
    if params.get("where"):
        for path, value in parse_where(params["where"], listing.shape).equals:
            if path == table.key:
                return [row] if (row := table.find(value)) else []
            if table.indexed(path):
                return table.having(path, value)
    return None


def _changed_since(table: Table, since: datetime) -> list[Record]:
    """Walk back from the last change, so that an empty answer costs nothing."""
    found: list[Record] = []
    for row in table.newest_first():
        if row["UpdatedDateUTC"] < since:
            break
        found.append(row)
    found.reverse()
    return found


def _tests(listing: Listing, params: Mapping[str, str], app: str) -> list[Callable[[Record], bool]]:
    tests: list[Callable[[Record], bool]] = []
    for name, path in (listing.csv or {}).items():
        if values := _csv(params, name):
            tests.append(_among(path, values))
    if params.get("where"):
        tests.append(parse_where(params["where"], listing.shape).holds)
    if listing.search and params.get("searchTerm"):
        tests.append(_matching(listing.search, fold(params["searchTerm"])))
    if flag(params, "createdByMyApp"):
        tests.append(lambda row: row.get("_App") == app)
    if listing.hidden and not flag(params, "includeArchived"):
        hidden = listing.hidden
        tests.append(lambda row: not hidden(row))
    return tests


def _csv(params: Mapping[str, str], name: str) -> list[str]:
    return [value.strip().strip('"') for value in params.get(name, "").split(",") if value.strip()]


def _among(path: str, values: Iterable[str]) -> Callable[[Record], bool]:
    wanted = {fold(value) for value in values}
    return lambda row: fold(reach(row, path) or "") in wanted


def _matching(members: tuple[str, ...], term: str) -> Callable[[Record], bool]:
    return lambda row: any(term in fold(row.get(name) or "") for name in members)


def _sort(rows: list[Record], listing: Listing, params: Mapping[str, str], narrowed: Table | None) -> None:
    """Sort as asked; by default records come in the order of their last change, which is how tables keep them."""
    order = params.get("order", "")
    if order.strip():
        path = order.split()[0].lower()
        if len(rows) > MAX_UNOPTIMISED_ROWS and path not in listing.optimised:
            raise BadQueryError("The order is not optimised and touches too many records")
        for key, down in reversed(parse_order(order, listing.shape)):
            rows.sort(key=key, reverse=down)
    elif narrowed is not None and listing.since:
        rows.sort(key=lambda row: row["UpdatedDateUTC"])


def _page(rows: list[Record], listing: Listing, params: Mapping[str, str]) -> Found:
    summary = flag(params, "summaryOnly") and "summaryOnly" in listing.forced_by
    forced = summary or any(params.get(name) for name in listing.forced_by - {"summaryOnly"})
    if not listing.pages or not (params.get("page") or params.get("pageSize") or forced):
        return Found(rows, Form.LIST, None)
    size = min(max(_number(params, "pageSize", DEFAULT_PAGE_SIZE), 1), MAX_PAGE_SIZE)
    page = max(_number(params, "page", 1), 1)
    shown = rows[(page - 1) * size : page * size]
    pagination = {"page": page, "pageSize": size, "pageCount": -(-len(rows) // size), "itemCount": len(rows)}
    return Found(shown, Form.SUMMARY if summary else Form.PAGE, pagination)


def _number(params: Mapping[str, str], name: str, default: int) -> int:
    text = params.get(name, "").strip()
    try:
        return int(text) if text and len(text) < 10 else default  # noqa: PLR2004 - more digits than any page has
    except ValueError:
        raise BadQueryError(f"The {name} parameter is not a number") from None

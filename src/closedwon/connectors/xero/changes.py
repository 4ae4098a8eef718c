"""Reading lists to their end, and the feed of changed invoices.

Pages by number skip rows that change while one reads, because a changed row moves to the end. So each further page is
asked for from the last row's time on, and what comes twice is dropped.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from closedwon.connectors.port import Changes
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.mappings.documents import STATUSES, parse_change
from closedwon.connectors.xero.mappings.payloads import SALES_INVOICE
from closedwon.connectors.xero.mappings.wire import InvoiceRow, parse_moment, parse_rows
from closedwon.kernel.clock import parse_instant, render_instant
from closedwon.kernel.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from closedwon.connectors.xero.client import XeroClient

OLDEST = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=1)  # If-Modified-Since has no finer accuracy
BY_CHANGE = "UpdatedDateUTC ASC"
# Named one by one, because it is not said whether voided and deleted invoices are listed otherwise.
ALL_STATUSES = ",".join(STATUSES)
INVOICE_LIST = {"summaryOnly": "true", "Statuses": ALL_STATUSES}


def fetch_all(
    client: XeroClient, path: str, since: datetime | None, params: Mapping[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Fetch a list page by page, oldest change first, each row in its latest state at the time of its page.

    One call a page; a row that changes meanwhile comes again on a later page.
    """
    size = manifest().page_size
    page, seen = 1, set[tuple[Any, Any]]()
    identifier = f"{path.removesuffix('s')}ID"
    while True:
        asked = {"page": str(page), "pageSize": str(size), "order": BY_CHANGE, **params}
        answer = client.get(path, asked, modified_since=since)
        rows = _rows(answer.document, path)
        keys = [(row.get(identifier), row.get("UpdatedDateUTC")) for row in rows]
        fresh = [row for row, key in zip(rows, keys, strict=True) if key not in seen]
        if fresh:
            yield fresh
        if len(rows) < size:
            return
        since, page, moved = _onwards(rows, since, page)
        seen = set(keys) if moved else seen | set(keys)


def fetch_invoice_changes(client: XeroClient, watermark: str) -> Changes:
    """Fetch the sales invoices changed since a watermark, which is a time; "" starts now without a call.

    One call for up to 1,000 changes. Each feed reads some minutes back, so rows come again with the same version.
    """
    if not watermark:
        return Changes((), render_instant(client.now()))
    try:
        reached = parse_instant(watermark)
    except ValueError:
        raise Misconfigured(f"The watermark of the invoice feed is no time: {watermark!r}") from None
    since = reached - timedelta(seconds=manifest().feed_overlap_s)
    latest: dict[str, InvoiceRow] = {}
    for page in fetch_all(client, "Invoices", since, INVOICE_LIST | {"where": f'Type=="{SALES_INVOICE}"'}):
        for row in parse_rows({"Invoices": page}, "Invoices", InvoiceRow):
            latest[row.id] = row
            reached = max(reached, parse_moment(row.updated) or reached)
    return Changes(tuple(parse_change(row) for row in latest.values()), render_instant(reached))


def _rows(document: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """Return the list in an answer. One that is missing must not pass for empty: "not found" would create it again."""
    rows = document.get(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unavailable(f"Xero answered without a list of {path}.", hint="Try again; if it stays, report it.")
    return rows


def _onwards(rows: list[dict[str, Any]], since: datetime | None, page: int) -> tuple[datetime | None, int, bool]:
    """Decide where the next page begins: from the last row's time, or by number while too many rows share one."""
    moments = [parse_moment(str(row.get("UpdatedDateUTC") or "")) or OLDEST for row in rows]
    start = max(moments).replace(microsecond=0) - TICK
    repeated = sum(moment >= start for moment in moments)
    if (since is not None and start <= since) or repeated > len(rows) // 2:
        return since, page + 1, False
    return start, 1, True

"""The change feed of opportunities: Dataverse's change tracking, drained to its end.

The watermark is the delta link without its host, so that an environment may move; it is opaque beyond that.
*Source*: learn.microsoft.com, "Use change tracking to synchronize data", read 2026-11-22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.connectors.dynamics.client import MAX_PAGES, unreadable
from closedwon.connectors.dynamics.errors import EXPIRED_WATERMARK, HINT_TRACKING
from closedwon.connectors.dynamics.mappings.deal import parse_day
from closedwon.connectors.dynamics.mappings.rows import NEXT_LINK, Row, quote_query, select
from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.connectors.port import Change, Changes
from closedwon.kernel.errors import ClosedwonError, Misconfigured

if TYPE_CHECKING:
    from closedwon.connectors.dynamics.client import DataverseClient

DELTA_LINK = "@odata.deltaLink"
WHAT = "read the changes of opportunities"
TRACK = "odata.track-changes"
PAGE = f"odata.maxpagesize={MANIFEST.limits.page_rows}"


class ChangeRow(Row, frozen=True, kw_only=True):
    """opportunity, as far as the feed is asked for it."""

    opportunityid: str
    statecode: int | None = None
    statuscode: int | None = None
    actualclosedate: str | None = None
    versionnumber: int | None = None


class DeletedRow(msgspec.Struct, frozen=True):
    """What remains of a deleted row."""

    id: str


def fetch_changes(client: DataverseClient, watermark: str) -> Changes:
    """Fetch what changed since a watermark; "" reads all rows. One call for each page of 5,000 rows.

    A watermark the environment has forgotten costs one call more and starts again.
    """
    if watermark and not _is_path(watermark):
        raise Misconfigured(
            "The stored watermark of the Dynamics feed is no path on the environment.",
            hint="Delete it: the feed is then read from its beginning.",
            details={"watermark": watermark[:200]},
        )
    if not watermark:
        return _drain(client, client.path(f"opportunities?{quote_query(f'$select={select(ChangeRow)}')}"), TRACK)
    try:
        return _drain(client, watermark, "")
    except ClosedwonError as error:
        if error.details.get("vendor_code") != EXPIRED_WATERMARK:
            raise
    again = fetch_changes(client, "")
    return Changes(again.changes, again.watermark, restarted=True)


def _drain(client: DataverseClient, path: str, track: str) -> Changes:
    prefer = f"{track},{PAGE}" if track else PAGE
    changes: list[Change] = []
    for _ in range(MAX_PAGES):
        page = client.get_page(path, WHAT, prefer=prefer)
        changes += [parse_change(row) for row in page["value"]]
        if page.get(DELTA_LINK):
            return Changes(tuple(changes), client.own_path(str(page[DELTA_LINK])))
        if not page.get(NEXT_LINK):
            raise Misconfigured("Dynamics does not track changes of opportunities.", hint=HINT_TRACKING)
        path = client.own_path(str(page[NEXT_LINK]))
    raise unreadable(WHAT, "pages without end")


def parse_change(raw: Any) -> Change:
    """Map one row of the feed. *Raises* Unavailable when it is not what the vendor promises."""
    try:
        if "reason" in raw or str(raw.get("@odata.context", "")).endswith("/$deletedEntity"):
            return Change(msgspec.convert(raw, DeletedRow).id.lower(), "", deleted=True)
        row = msgspec.convert(raw, ChangeRow)
        version = row.version or ("" if row.versionnumber is None else str(row.versionnumber))
        state = MANIFEST.opportunity.states.get(row.statecode, "") if row.statecode is not None else ""
        return Change(row.opportunityid.lower(), version, state, parse_day(row.actualclosedate))
    except (ValueError, TypeError, AttributeError) as error:
        raise unreadable(WHAT, str(error)) from None


def _is_path(watermark: str) -> bool:
    return watermark.startswith("/") and not watermark.startswith("//")

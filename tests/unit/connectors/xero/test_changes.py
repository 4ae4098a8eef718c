"""Feeds are read to their end without losing a row that changes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx2
import pytest

from closedwon.connectors.port import Change, Changes
from closedwon.connectors.xero.changes import fetch_all
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from scripted_xero import Call, Vendor

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PAGE = 1000


def row(number: int, moment: datetime, status: str = "AUTHORISED") -> dict[str, Any]:
    """Make a row of the list."""
    stamp = (moment - EPOCH) // timedelta(milliseconds=1)
    return {
        "InvoiceID": f"00000000-0000-4000-8000-{number:012d}",
        "Type": "ACCREC",
        "Status": status,
        "AmountDue": 1,
        "UpdatedDateUTC": f"/Date({stamp}+0000)/",
    }


class Ledger:
    """A list of Xero's: ordered by last change, cut into pages, filtered by If-Modified-Since; grows while read."""

    def __init__(self, spacing: timedelta, count: int) -> None:
        self.rows = {number: START + number * spacing for number in range(count)}
        self.end = START + count * spacing
        self.calls = 0
        self.touch: dict[int, list[int]] = {}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one page, after the changes scripted to happen before it."""
        self.calls += 1
        for number in self.touch.get(self.calls, []):
            self.end += timedelta(seconds=1)
            self.rows[number] = self.end
        query = parse_qs(request.url.query.decode())
        since = request.headers.get("if-modified-since")
        start = datetime.fromisoformat(since).replace(tzinfo=UTC) if since else EPOCH
        found = sorted((moment, number) for number, moment in self.rows.items() if moment >= start)
        size, page = int(query["pageSize"][0]), int(query["page"][0])
        cut = found[(page - 1) * size : page * size]
        return httpx2.Response(200, json={"Invoices": [row(number, moment) for moment, number in cut]})


@pytest.mark.parametrize(
    ("spacing", "calls"),
    [(timedelta(seconds=1), 4), (timedelta(milliseconds=10), 4), (timedelta(milliseconds=1), 4), (timedelta(0), 4)],
    ids=["a second", "10 ms", "1 ms", "all at once"],
)
def test_lists_are_read_to_their_end(vendor: Vendor, spacing: timedelta, calls: int) -> None:
    """3,200 rows take four calls, whether they changed over an hour or all in the same second."""
    ledger = Ledger(spacing, 3_200)
    vendor.handler = ledger
    pages = list(fetch_all(vendor.client(), "Invoices", None, {}))
    ids = [entry["InvoiceID"] for page in pages for entry in page]
    assert len(ids) == len(set(ids)) == 3_200
    assert ledger.calls == calls


def test_rows_that_change_meanwhile_push_none_out(vendor: Vendor) -> None:
    """Rows of the first page that change before the second is read come again; the others are all there."""
    ledger = Ledger(timedelta(seconds=1), 2_500)
    ledger.touch = {2: [0, 1, 2], 3: [500]}
    vendor.handler = ledger
    pages = list(fetch_all(vendor.client(), "Invoices", None, {}))
    ids = [entry["InvoiceID"] for page in pages for entry in page]
    assert len(set(ids)) == 2_500
    assert len(ids) == 2_504


def test_a_new_feed_starts_at_the_present(vendor: Vendor) -> None:
    """Without a watermark nothing is read and nothing is called; the watermark is now."""
    assert vendor.books().fetch_changes("") == Changes((), "2026-11-22T09:00:00.000Z")
    assert vendor.calls == []


def test_the_present_is_the_vendors(vendor: Vendor, envelope: Any) -> None:
    """Where an answer has told Xero's time, the feed starts by that clock and not by ours."""
    vendor.clock.at += timedelta(hours=3)
    vendor.says(envelope(Organisations=[{"Name": "Demo"}]))
    books = vendor.books()
    books.identify()
    vendor.clock.at += timedelta(seconds=5)
    assert books.fetch_changes("").watermark == "2026-11-22T09:00:05.000Z"


def test_changes_move_the_watermark(vendor: Vendor, envelope: Any) -> None:
    """One call; the latest change is the new watermark, whatever the order; each invoice comes once, latest last."""
    early, late = START + timedelta(minutes=1), START + timedelta(minutes=2, milliseconds=160)
    vendor.says(envelope(Invoices=[row(1, early), row(2, late, "PAID"), row(1, late, "VOIDED")]))
    changes = vendor.books().fetch_changes("2026-11-22T08:00:00.000Z")
    version = str((late - EPOCH) // timedelta(milliseconds=1))
    assert changes.changes == (
        Change("00000000-0000-4000-8000-000000000001", version, "voided"),
        Change("00000000-0000-4000-8000-000000000002", version, "paid"),
    )
    assert changes.watermark == "2026-11-22T08:02:00.160Z"
    assert not changes.restarted
    call = only(vendor)
    assert call.query["where"] == 'Type=="ACCREC"'
    assert call.query["summaryOnly"] == "true"
    assert call.query["Statuses"] == "DRAFT,SUBMITTED,AUTHORISED,PAID,VOIDED,DELETED"
    assert call.headers["if-modified-since"] == "2026-11-22T07:55:00", "five minutes of overlap"


def test_no_changes_keep_the_watermark(vendor: Vendor, envelope: Any) -> None:
    """An empty answer, or the 304 that some servers would give, leaves the watermark; an older row does too."""
    vendor.says(envelope(Invoices=[]), httpx2.Response(304), envelope(Invoices=[row(1, START - timedelta(minutes=4))]))
    books = vendor.books()
    for expected in (0, 0, 1):
        changes = books.fetch_changes("2026-11-22T08:00:00.000Z")
        assert len(changes.changes) == expected
        assert changes.watermark == "2026-11-22T08:00:00.000Z"


@pytest.mark.parametrize("watermark", ["token-of-another-system", "2026-11-22T08:00:00"])
def test_a_watermark_that_is_no_time_is_told(vendor: Vendor, watermark: str) -> None:
    """A foreign watermark is refused before any call."""
    with pytest.raises(Misconfigured):
        vendor.books().fetch_changes(watermark)
    assert vendor.calls == []


def only(vendor: Vendor) -> Call:
    """Return the single call that was made."""
    (call,) = vendor.calls
    return call

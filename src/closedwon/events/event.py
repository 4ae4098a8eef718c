"""Events: a fact about one record, heard from a webhook, found in a feed, or caused by a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from closedwon.kernel.ids import fingerprint

if TYPE_CHECKING:
    from datetime import datetime

Source = Literal["webhook", "feed", "person"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a record. Two events with one `dedupe_key` are the same event, stored once.

    `echo` marks the trace of our own write: it is stored and starts nothing.
    """

    tenant: str
    connection: str
    source: Source
    record_type: str
    record_id: str
    name: str
    dedupe_key: str
    occurred_at: datetime | None = None
    echo: bool = False


def feed_key(connection: str, record_type: str, record_id: str, version: str) -> str:
    """Return the dedupe key of a record's version seen in a change feed."""
    return f"{connection}:{record_type}:{record_id}:{version}"


def webhook_key(connection: str, vendor_key: str) -> str:
    """Return the dedupe key of a webhook: equal for every delivery of one event, short whatever the vendor's key."""
    return f"{connection}:webhook:{fingerprint(vendor_key)}"

"""Xero's webhooks: is the call genuine, and which invoices does it speak of. Pure functions on bytes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from closedwon.connectors.port import Hint

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE_HEADER = "x-xero-signature"
MAX_BODY_BYTES = 1_048_576
MAX_EVENTS = 10_000
INVOICE = "INVOICE"
ORGANISATION = "ORGANISATION"


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a delivery; it holds no data, only what to fetch."""

    resource_id: str
    event_category: str
    event_type: str
    tenant_id: str = ""
    tenant_type: str = ORGANISATION
    event_date_utc: str = ""


class Delivery(msgspec.Struct, frozen=True):
    """The body of a call. A call that only tests our answer has no events."""

    events: list[Event]


class XeroWebhooks:
    """The receiving half of the connector."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        """Tell, in constant time, whether the signature is right.

        `secret` is the app's signing key as the portal shows it; while a key is changed, several separated by blanks.
        """
        given = headers.get(SIGNATURE_HEADER, "").strip().encode()
        keys = secret.split()
        matches = [hmac.compare_digest(given, sign(body, key).encode()) for key in keys]
        return bool(given) and any(matches)

    def parse(self, body: bytes) -> list[Hint]:
        """Read which invoices changed; events of other kinds are left out. *Raises* ValueError for anything else."""
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"a body of {len(body)} bytes is too large")
        try:
            events = _DECODER.decode(body).events
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"not a delivery of Xero's: {error or 'nested too deep'}") from None
        if len(events) > MAX_EVENTS:
            raise ValueError(f"{len(events)} events are too many")
        return [_hint(event) for event in events if event.event_category == INVOICE and _concerns_us(event)]


def sign(body: bytes, key: str) -> str:
    """Return the signature of a body; the key is used as the text it is."""
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


_DECODER = msgspec.json.Decoder(Delivery)


def _concerns_us(event: Event) -> bool:
    return event.tenant_type == ORGANISATION


def _hint(event: Event) -> Hint:
    record_id = str(uuid.UUID(event.resource_id))
    parts = (event.tenant_id, event.event_category, record_id, event.event_type, event.event_date_utc)
    return Hint(
        record_type="invoice",
        record_id=record_id,
        name=event.event_type,
        key=":".join(parts),
        occurred_at=_moment(event.event_date_utc),
    )


def _moment(text: str) -> datetime | None:
    """Parse a time of an event, which has no zone and means UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError(f"a time out of range: {text[:40]!r}") from error

"""Webhooks: is the call from our environment, and which deal does it speak of. Pure, no network.

Dataverse signs nothing; what proves a call is the header it was told to send (`setup.py`). The body is the context of
the operation as JSON; everything but the record's id is only a hint, and long bodies come without their parameters.
*Source*: learn.microsoft.com, "Use webhooks to create external handlers", read 2026-11-22.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.connectors.dynamics.mappings.rows import GUID
from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.connectors.port import Hint
from closedwon.kernel.ids import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DEPTH = 16  # the platform itself stops a chain of operations at 8
NO_ID = "00000000-0000-0000-0000-000000000000"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)


class Pair(msgspec.Struct, frozen=True):
    """A member of the vendor's dictionaries, which come as lists of these."""

    key: str
    value: Any = None


class Context(msgspec.Struct, frozen=True, rename="pascal"):
    """What we read of a RemoteExecutionContext; members we do not know are skipped."""

    message_name: str
    primary_entity_name: str = ""
    primary_entity_id: str | None = None
    operation_id: str | None = None
    operation_created_on: str | None = None
    correlation_id: str | None = None
    input_parameters: list[Pair] | None = None
    shared_variables: list[Pair] | None = None
    parent_context: Context | None = None


_DECODER = msgspec.json.Decoder(Context)


class DynamicsWebhooks:
    """The receiving half of the connector."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:  # noqa: ARG002 - nothing signs it
        """Tell, in constant time, whether the header holds the secret; an empty secret never does."""
        given = headers.get(MANIFEST.webhooks.header, "")
        same = hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())
        return same and bool(secret)

    def parse(self, body: bytes) -> list[Hint]:
        """Parse a verified body: a hint, or none when it speaks of no deal.

        *Raises* ValueError when it is not what the vendor sends.
        """
        try:
            context = _DECODER.decode(body)
        except RecursionError:
            raise ValueError("nested too deep") from None
        record_id = _opportunity_id(context)
        if record_id is None:
            return []
        return [
            Hint(
                record_type="opportunity",
                record_id=record_id,
                name=context.message_name,
                key=_key(context, record_id),
                occurred_at=_instant(context.operation_created_on),
                own=any(_is_ours(level) for level in _chain(context)),
            )
        ]


def _opportunity_id(context: Context) -> str | None:
    """Find which deal it is about; None for other tables and where a shortened body no longer tells."""
    if context.primary_entity_name == "opportunity":
        if context.primary_entity_id not in {None, "", NO_ID}:
            return _guid(context.primary_entity_id)
        reference = _parameter(context, "OpportunityClose")
    elif context.primary_entity_name == "opportunityclose":
        reference = _parameter(context, "Target")
    else:
        return None
    found = _attribute(reference, "opportunityid")
    return None if found is None else _guid(found.get("Id") if isinstance(found, dict) else found)


def _guid(value: Any) -> str:
    if not isinstance(value, str) or not GUID.fullmatch(value):
        raise ValueError("the record's id is no GUID")
    return value.lower()


def _parameter(context: Context, name: str) -> Any:
    return next((pair.value for pair in context.input_parameters or () if pair.key == name), None)


def _attribute(entity: Any, name: str) -> Any:
    """Return a column of an entity in the vendor's notation, a list of key and value."""
    attributes = entity.get("Attributes") if isinstance(entity, dict) else None
    for pair in attributes if isinstance(attributes, list) else ():
        if isinstance(pair, dict) and pair.get("key") == name:
            return pair.get("value")
    return None


def _key(context: Context, record_id: str) -> str:
    """Return what is equal for two deliveries of one event: the job that sends it, or else all that identifies it."""
    operation = context.operation_id
    if operation and operation != NO_ID:
        return operation.lower()
    return fingerprint(context.correlation_id, context.message_name, record_id, context.operation_created_on)


def _instant(text: str | None) -> datetime | None:
    match = _DATE.fullmatch(text or "")
    if match is None:
        return None
    try:
        return EPOCH + timedelta(milliseconds=int(match[1]))
    except OverflowError:
        return None


def _chain(context: Context) -> Iterator[Context]:
    level: Context | None = context
    for _ in range(MAX_DEPTH):
        if level is None:
            return
        yield level
        level = level.parent_context


def _is_ours(context: Context) -> bool:
    return any(pair.key == "tag" and pair.value == MANIFEST.write_tag for pair in context.shared_variables or ())

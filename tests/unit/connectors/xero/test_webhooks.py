"""Webhooks: only genuine calls count, and nothing in a body can hurt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.connectors.port import Hint
from closedwon.connectors.xero.webhooks import XeroWebhooks

KEY = "2KeUVPqBDzsSHtnHSxlYVnLCkd08Mq1hFL4oqk8g9oJ8VdHnHyJhUQ=="
INVOICE = "1f0c2a7e-5b0d-4c59-9a51-6a2a3f9d7c10"
TENANT = "9b6e5f1c-2d34-4a8b-8f77-0c1d2e3f4a5b"
WEBHOOKS = XeroWebhooks()


def event(**changes: Any) -> dict[str, Any]:
    """Make an event as Xero sends it."""
    return {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{INVOICE}",
        "resourceId": INVOICE,
        "tenantId": TENANT,
        "tenantType": "ORGANISATION",
        "eventCategory": "INVOICE",
        "eventType": "UPDATE",
        "eventDateUtc": "2026-11-22T01:15:39.902",
        **changes,
    }


def delivery(*events: dict[str, Any]) -> bytes:
    """Make the body of a call."""
    numbers = {"firstEventSequence": 41, "lastEventSequence": 42, "entropy": "QWERTYUIOPASDFGHJKLZ"}
    return json.dumps({"events": list(events), **numbers}).encode()


def signature(body: bytes, key: str = KEY) -> str:
    """Sign as the vendor's page says: the key is the text, not what it decodes to."""
    return base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()


def test_a_genuine_call_is_accepted() -> None:
    """The signature over the exact bytes opens the door; a changed byte, key or letter does not."""
    body = delivery(event())
    right = signature(body)
    assert WEBHOOKS.verify({"x-xero-signature": right}, body, KEY)
    assert not WEBHOOKS.verify({"x-xero-signature": right}, body + b" ", KEY)
    assert not WEBHOOKS.verify({"x-xero-signature": right}, body, KEY + "x")
    assert not WEBHOOKS.verify({"x-xero-signature": right.swapcase()}, body, KEY)


@pytest.mark.parametrize("headers", [{}, {"x-xero-signature": ""}, {"x-xero-signature": "ü☃"}, {"x-other": "x"}])
def test_a_call_without_a_usable_signature_is_refused(headers: dict[str, str]) -> None:
    """No signature, an empty one or one of strange characters is simply wrong."""
    assert not WEBHOOKS.verify(headers, b"{}", KEY)


@pytest.mark.parametrize("secret", ["", "  "])
def test_without_a_key_nothing_is_genuine(secret: str) -> None:
    """An empty key never verifies, not even what was signed with it."""
    assert not WEBHOOKS.verify({"x-xero-signature": signature(b"{}", "")}, b"{}", secret)


def test_two_keys_while_one_is_changed() -> None:
    """Several keys separated by blanks are all accepted."""
    body = delivery()
    for key in ("old-key", "new-key"):
        assert WEBHOOKS.verify({"x-xero-signature": signature(body, key)}, body, "old-key new-key")


def test_an_invoice_event_becomes_a_hint() -> None:
    """The hint says which invoice, what happened and when; the same event has the same key, another has another."""
    hints = WEBHOOKS.parse(delivery(event(), event(), event(eventDateUtc="2026-11-22T01:15:40.101")))
    first, again, later = hints
    assert first == Hint(
        record_type="invoice",
        record_id=INVOICE,
        name="UPDATE",
        key=f"{TENANT}:INVOICE:{INVOICE}:UPDATE:2026-11-22T01:15:39.902",
        occurred_at=datetime(2026, 11, 22, 1, 15, 39, 902_000, tzinfo=UTC),
    )
    assert first.key == again.key != later.key


def test_other_events_are_left_out() -> None:
    """Contacts, credit notes, subscriptions and events of the app itself are none of our business yet."""
    others = [event(eventCategory=name) for name in ("CONTACT", "CREDITNOTE", "SUBSCRIPTION", "NEWS")]
    assert WEBHOOKS.parse(delivery(*others, event(tenantType="APPLICATION"))) == []


def test_the_intent_to_receive_has_no_events() -> None:
    """The call with which Xero tests our answer parses to nothing."""
    body = b'{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}'
    assert WEBHOOKS.parse(body) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"<html>",
        b'{"events":',
        b'{"events":{}}',
        b'{"events":[1]}',
        b'{"events":[{}]}',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"events":[],"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"events":[],"x":' + b'{"a":' * 200_000,
        delivery(event(resourceId="../../etc")),
        delivery(event(resourceId=7)),
        delivery(event(eventDateUtc="yesterday")),
        delivery(event(eventDateUtc="0001-01-01T00:00:00+14:00")),
        delivery() + b" " * 1_048_576,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_anything_else_is_a_value_error(body: bytes) -> None:
    """Broken, hostile, huge or endlessly nested bodies end in ValueError and nothing worse."""
    with pytest.raises(ValueError, match=r"\w"):
        WEBHOOKS.parse(body)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode()))
def test_no_bytes_raise_anything_but_value_error(body: bytes) -> None:
    """Whatever comes in, parsing returns hints or raises ValueError."""
    try:
        hints = WEBHOOKS.parse(body)
    except ValueError:
        return
    assert all(isinstance(hint, Hint) for hint in hints)

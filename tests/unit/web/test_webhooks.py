"""Webhooks: verified on the raw body, durable before they are acknowledged, and nothing else is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.connectors.xero.webhooks import sign
from closedwon.db.schema import event
from closedwon.web import webhooks
from settings_text import BOOKS_KEY, CRM_SECRET

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.testing import TestClient

    from closedwon.db.connect import Database

    Door = TestClient[Litestar]

BOOKS, CRM = "/hooks/xero/acme.books", "/hooks/dynamics/acme.crm"
INVOICE = "0bb11111-1111-4111-8111-111111111111"
DEAL = "0bb22222-2222-4222-8222-222222222222"
WRONG_SIGNATURES = ["", "AAAA", "kein Schlüssel", sign(b"another body", BOOKS_KEY)]


def delivery(*invoices: str) -> bytes:
    """Return the body of a delivery of the books."""
    events = [
        {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{one}",
            "resourceId": one,
            "eventDateUtc": "2026-11-22T10:00:00.000",
            "eventType": "UPDATE",
            "eventCategory": "INVOICE",
            "tenantId": "t",
            "tenantType": "ORGANISATION",
        }
        for one in invoices
    ]
    return json.dumps({"events": events, "firstEventSequence": 1, "lastEventSequence": 1, "entropy": "X"}).encode()


def context(**members: Any) -> bytes:
    """Return the context of a won deal, as the CRM sends it."""
    told = {
        "MessageName": "Win",
        "PrimaryEntityName": "opportunity",
        "PrimaryEntityId": DEAL,
        "OperationId": "9e000000-2222-4222-8222-222222222222",
        "OperationCreatedOn": "/Date(1697398446012)/",
        "InputParameters": [],
        "SharedVariables": [],
    }
    return json.dumps(told | members).encode()


def call_books(door: Door, body: bytes, signature: str | None = None, **headers: str) -> int:
    """Call as the books do, rightly signed unless told otherwise; return the status."""
    signed = {"x-xero-signature": sign(body, BOOKS_KEY) if signature is None else signature}
    typed = {"content-type": "application/json"}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in {**typed, **signed, **headers}.items()]
    return door.post(BOOKS, content=body, headers=raw).status_code


def call_crm(door: Door, body: bytes, secret: str = CRM_SECRET) -> int:
    """Call as the CRM does; return the status."""
    headers = {MANIFEST.webhooks.header: secret, "content-type": "application/json; charset=utf-8"}
    return door.post(CRM, content=body, headers=headers).status_code


def stored(database: Database) -> list[tuple[str, str, str]]:
    """Return connection, record and name of every event in the store."""
    with database.read() as tx:
        return [(row.connection, row.record_id, row.name) for row in tx.execute(sa.select(event))]


def test_a_signed_delivery_is_stored_before_the_answer(door: Door, database: Database) -> None:
    """200 means durable."""
    assert call_books(door, delivery(INVOICE)) == 200
    assert stored(database) == [("books", INVOICE, "UPDATE")]


def test_a_call_with_the_crms_key_is_stored_before_the_answer(door: Door, database: Database) -> None:
    """The deal that was won, under the vendor's name of what happened."""
    assert call_crm(door, context()) == 200
    assert stored(database) == [("crm", DEAL, "Win")]


@pytest.mark.parametrize("signature", WRONG_SIGNATURES)
def test_a_wrong_signature_is_refused_and_nothing_stored(door: Door, database: Database, signature: str) -> None:
    """401, as the vendor wants it."""
    assert call_books(door, delivery(INVOICE), signature) == 401
    assert stored(database) == []


@pytest.mark.parametrize("secret", ["", "wrong", CRM_SECRET + "x", CRM_SECRET.upper()])
def test_a_wrong_key_is_refused_and_nothing_stored(door: Door, database: Database, secret: str) -> None:
    """The CRM's calls are proven by a header."""
    assert call_crm(door, context(), secret) == 401
    assert stored(database) == []


def test_a_changed_body_does_not_fit_its_signature(door: Door) -> None:
    """One byte is enough: the signature is of the raw body."""
    body = delivery(INVOICE)
    assert call_books(door, body + b" ", sign(body, BOOKS_KEY)) == 401


def test_the_intent_to_receive_is_answered(door: Door, database: Database) -> None:
    """Signed calls without events get 200, wrongly signed ones 401; neither leaves anything."""
    empty = b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4nd0mt3xt"}'
    assert call_books(door, empty) == 200
    assert call_books(door, empty, "AAAA") == 401
    assert stored(database) == []


def test_a_duplicate_delivery_is_stored_once(door: Door, database: Database) -> None:
    """And acknowledged every time."""
    assert [call_books(door, delivery(INVOICE)) for _ in range(3)] == [200] * 3
    assert [call_crm(door, context()) for _ in range(3)] == [200] * 3
    assert len(stored(database)) == 2


@pytest.mark.parametrize(
    "path", ["/hooks/xero/acme.other", "/hooks/xero/acme.crm", "/hooks/sap/acme.books", "/hooks/xero/books"]
)
def test_an_unknown_connection_is_not_found(door: Door, path: str) -> None:
    """Neither by a wrong name nor through the other connector."""
    body = delivery(INVOICE)
    headers = {"x-xero-signature": sign(body, BOOKS_KEY), "content-type": "application/json"}
    assert door.post(path, content=body, headers=headers).status_code == 404


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_another_content_type_is_refused(door: Door, database: Database, content_type: str) -> None:
    """Before the body is read."""
    assert call_books(door, delivery(INVOICE), **{"content-type": content_type}) == 415
    assert stored(database) == []


def test_a_body_over_a_megabyte_is_refused(door: Door, database: Database) -> None:
    """However rightly it is signed; just below it is only not understood."""
    assert call_books(door, b" " * 1_000_001) == 413
    assert call_books(door, b" " * 999_999) == 400
    assert stored(database) == []


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 10_000 + b"]" * 10_000,
        b'{"events":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"ParentContext":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"events": [], "more": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"MessageName": "Win", "InputParameters": [{"key": "k", "value": ' + b"[" * 10_000 + b"]" * 10_000 + b"}]}",
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        b'{"events": [{"resourceId": "no id", "eventCategory": "INVOICE", "eventType": "UPDATE"}]}',
    ],
)
def test_a_body_that_cannot_be_understood_is_refused(door: Door, database: Database, body: bytes) -> None:
    """Nested 10,000 deep, broken, or not what the vendor sends: 400, and the door stays open."""
    assert 400 in {call_books(door, body), call_crm(door, body)}
    assert stored(database) == []
    assert call_books(door, delivery(INVOICE)) == 200


def test_a_locked_store_has_the_call_sent_again(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 while nothing can be stored; once it can, the next delivery is, and the door has not suffered."""
    monkeypatch.setattr(webhooks, "STORE_TIMEOUT_S", 0.05)
    with database.begin():
        assert call_books(door, delivery(INVOICE)) == 503
        assert call_books(door, delivery(INVOICE)) == 503
    monkeypatch.setattr(webhooks, "STORE_TIMEOUT_S", 20)
    assert call_crm(door, context()) == 200
    assert ("crm", DEAL, "Win") in stored(database)


def test_a_store_that_fails_has_the_call_sent_again(
    door: Door, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong, an event that is not stored is not acknowledged."""
    with database.begin() as tx:
        tx.execute(sa.text("ALTER TABLE event RENAME TO away"))
    assert call_books(door, delivery(INVOICE)) == 503
    with database.begin() as tx:
        tx.execute(sa.text("ALTER TABLE away RENAME TO event"))
    assert call_books(door, delivery(INVOICE)) == 200

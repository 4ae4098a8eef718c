"""Whatever a client sends, it gets an answer of the vendor's kind: never a traceback, never a half-made record."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedwon_sandbox.exchange import Request
from closedwon_sandbox.xero.books import shapes
from closedwon_sandbox.xero.books.shapes import Kind, Part
from xero_desk import Desk, invoice, payment

RESOURCES = {
    "Invoices": shapes.INVOICE,
    "CreditNotes": shapes.CREDIT_NOTE,
    "Contacts": shapes.CONTACT,
    "Payments": shapes.PAYMENT,
    "Items": shapes.ITEM,
    "Accounts": shapes.ACCOUNT,
    "TrackingCategories": shapes.CATEGORY,
    "Currencies": shapes.CURRENCY,
}
TEMPLATES: dict[str, dict[str, Any]] = {
    "Invoices": invoice(),
    "CreditNotes": invoice() | {"Type": "ACCRECCREDIT"},
    "Contacts": {"Name": "Acme"},
    "Items": {"Code": "X"},
    "Accounts": {"Code": "299", "Name": "Other", "Type": "REVENUE"},
}
ANSWERS = {200, 400, 404, 412, 413, 415, 501}
DESK = Desk()
KNOWN = DESK.invoice()

WORDS = [
    *("2026-09-14", "AUTHORISED", "DRAFT", "SUBMITTED", "DELETED", "VOIDED", "PAID", "ARCHIVED", "ACTIVE", "ACCREC"),
    *("ACCPAY", "ACCRECCREDIT", "200", "205", "090", "881", "OUTPUT2", "INPUT2", "NONE", "NZD", "USD", "EUR", "NoTax"),
    *("Inclusive", "Exclusive", "STREET", "BANK", "REVENUE", "Acme", "INV-0001", "Region", "Auckland"),
]
IDS = [KNOWN["InvoiceID"], KNOWN["Contact"]["ContactID"], KNOWN["LineItems"][0]["LineItemID"]]

anything = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
numbers = st.integers(-(10**12), 10**12) | st.floats(-1e6, 1e6) | st.integers(-2, 3)
BY_KIND = {
    Kind.TEXT: st.sampled_from(WORDS) | st.text(max_size=12),
    Kind.NUMBER: numbers,
    Kind.BOOLEAN: st.booleans(),
    Kind.GUID: st.sampled_from(IDS) | st.uuids().map(str),
    Kind.DATE: st.dates().map(str) | st.just("2026-09-14"),
    Kind.INSTANT: st.just("2026-09-14T00:00:00"),
}


def _elements(shape: shapes.Shape) -> st.SearchStrategy[dict[str, Any]]:
    """Draw objects with known members of that shape: right kinds, wild values."""
    members: dict[str, st.SearchStrategy[Any]] = {}
    for name, member in shape.items():
        if isinstance(member, Part):
            nested = _elements(member.shape)
            members[name] = st.lists(nested, max_size=2) if member.many else nested
        else:
            members[name] = BY_KIND[member.kind]
    return st.fixed_dictionaries({}, optional=members)


def _spoilt(element: dict[str, Any], place: int, value: Any) -> dict[str, Any]:
    """Put a value of any kind into one member."""
    name = list(element)[place % len(element)] if element else "Name"
    return element | {name: value}


def _answered(method: str, address: str, body: Any = None) -> None:
    reply = DESK.send(method, address, body)
    assert reply.status in ANSWERS, (reply.status, reply.body)
    if reply.body and reply.headers.get("Content-Type", "").startswith("application/json"):
        json.loads(reply.body)


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_body_is_answered(resource: str) -> None:
    """Known members with values of any kind are taken or refused."""

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(_elements(RESOURCES[resource]), st.sampled_from(["PUT", "POST"]), st.integers(0, 9), anything)
    def check(element: dict[str, Any], method: str, place: int, value: Any) -> None:
        _answered(method, f"{resource}?summarizeErrors=false", {resource: [TEMPLATES.get(resource, {}) | element]})
        _answered("POST", f"{resource}/{IDS[place % 3]}", TEMPLATES.get(resource, {}) | element)
        _answered(method, resource, _spoilt(element, place, value))

    check()
    DESK.xero.state()
    for page in ("", "?page=1", "?summaryOnly=true&includeArchived=true"):
        assert DESK.send("GET", f"{resource}{page}").status == 200


HEADERS = ["authorization", "xero-tenant-id", "content-type", "accept", "if-modified-since", "idempotency-key"]
FILTER_WORDS = [
    *("Status", "==", '"PAID"', "AND", "OR", "(", ")", "!", "AmountDue", ">", "1", "null", ".", "Contact", "Name"),
    *("Contains", "DateTime", ",", "2026", "guid", "Date", '"', "\\", "é", "--", ";", "DROP"),
]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FILTER_WORDS), max_size=12))
def test_every_filter_is_answered(words: list[str]) -> None:
    """A filter is understood or refused."""
    _answered("GET", f"Invoices?where={quote(' '.join(words))}")
    _answered("GET", f"Invoices?order={quote(' '.join(words))}")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", ""]),
    st.text(max_size=30),
    st.text(max_size=30),
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=20)),
)
def test_every_request_is_answered(method: str, path: str, query: str, body: bytes, headers: dict[str, str]) -> None:
    """Any verb on any path with any headers has an answer, a name and a caller."""
    for prefix in ("/", "/api.xro/2.0/", "/connect/token", "/connections/", "/api.xro/2.0/Invoices/"):
        request = Request(method, prefix + quote(path), quote(query), headers, body)
        assert 200 <= DESK.xero.handle(request).status < 502
        assert DESK.xero.endpoint(request)
        assert DESK.xero.caller(request) in {"app", "tools", "anonymous"}
        DESK.xero.throttled(request, 1)


def test_a_refused_write_leaves_nothing_behind() -> None:
    """Neither a contact nor a number nor a payment remains of a refused document."""
    desk = Desk()
    before = desk.xero.state()
    desk.send("PUT", "Invoices", invoice() | {"CurrencyCode": "EUR"})
    desk.send("PUT", "Payments", payment("11111111-1111-4111-8111-111111111111", "1.00"))
    assert desk.xero.state() == before
    assert desk.invoice()["InvoiceNumber"] == "INV-0001"

"""Rate limits, their headers, and idempotency keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from closedwon_sandbox.exchange import Reply, Request
from xero_desk import invoice

if TYPE_CHECKING:
    from xero_desk import Desk

MINUTE_S = 60
DAY_S = 86_400
KEY_LIFE_S = 360


def _knock(desk: Desk, in_flight: int = 1, path: str = "/api.xro/2.0/Organisation") -> Reply | None:
    """Ask the limiter as the server does before every request."""
    headers = {"authorization": f"Bearer {desk.bearer}", "xero-tenant-id": desk.settings.organisation_id}
    return desk.xero.throttled(Request("GET", path, "", headers), in_flight)


def _next_window(desk: Desk) -> None:
    """Let time pass until a fresh minute has begun."""
    reply = desk.xero.limit_reply("minute", Request("GET", "/", "", {"authorization": f"Bearer {desk.bearer}"}))
    desk.clock.pass_time(int(reply.headers["Retry-After"]))


def test_the_61st_call_of_a_minute_is_refused_with_an_empty_body(desk: Desk) -> None:
    """The refusal names its kind and says how long to wait; after that, calls go through again."""
    desk.sign_in()
    assert [_knock(desk) for _ in range(60)] == [None] * 60
    refused = _knock(desk)
    assert refused is not None
    assert (refused.status, refused.body) == (429, b"")
    assert "Content-Type" not in refused.headers
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert refused.headers["X-MinLimit-Remaining"] == "0"
    assert refused.headers["X-DayLimit-Remaining"] == "4940"
    wait_s = int(refused.headers["Retry-After"])
    assert 1 <= wait_s <= MINUTE_S
    desk.clock.pass_time(wait_s)
    assert _knock(desk) is None


def test_windows_are_fixed_not_rolling(desk: Desk) -> None:
    """Sixty calls at the end of one window and sixty at the start of the next are fine."""
    desk.sign_in()
    _next_window(desk)
    desk.clock.pass_time(MINUTE_S - 1)
    assert [_knock(desk) for _ in range(60)] == [None] * 60
    assert _knock(desk) is not None
    desk.clock.pass_time(1)
    assert [_knock(desk) for _ in range(60)] == [None] * 60


def test_the_day_limit_waits_for_the_day_to_end(desk: Desk) -> None:
    """A day's refusal may ask for hours of patience."""
    desk.settings.day = 3
    desk.sign_in()
    assert [_knock(desk) for _ in range(3)] == [None] * 3
    refused = _knock(desk)
    assert refused is not None
    assert refused.headers["X-Rate-Limit-Problem"] == "day"
    assert MINUTE_S < int(refused.headers["Retry-After"]) <= DAY_S
    desk.clock.pass_time(int(refused.headers["Retry-After"]))
    desk.sign_in()
    assert _knock(desk) is None


def test_the_app_limit_counts_over_all_organisations(desk: Desk) -> None:
    """It has its own kind."""
    desk.settings.app_minute = 2
    desk.sign_in()
    assert [_knock(desk) for _ in range(2)] == [None, None]
    refused = _knock(desk)
    assert refused is not None
    assert refused.headers["X-Rate-Limit-Problem"] == "appminute"


def test_the_sixth_call_at_once_is_refused(desk: Desk) -> None:
    """Five in flight are fine; the refusal promises no waiting time."""
    desk.sign_in()
    assert _knock(desk, in_flight=5) is None
    refused = _knock(desk, in_flight=6)
    assert refused is not None
    assert refused.headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in refused.headers


def test_only_the_apps_calls_about_an_organisation_count(desk: Desk) -> None:
    """Tools, connections, unknown tokens and foreign organisations are not counted."""
    desk.settings.minute = 0
    assert _knock(desk) is None
    desk.sign_in()
    assert _knock(desk, path="/connections") is None
    assert _knock(desk) is not None
    desk.bearer = "made-up"
    assert _knock(desk) is None


def test_limits_can_be_switched_off_but_the_headers_stay(desk: Desk) -> None:
    """What is left never goes below zero."""
    desk.settings.enforce = False
    desk.settings.minute = 2
    desk.sign_in()
    assert [_knock(desk) for _ in range(5)] == [None] * 5
    headers = desk.send("GET", "Organisation").headers
    assert (headers["X-MinLimit-Remaining"], headers["X-AppMinLimit-Remaining"]) == ("0", "9995")
    assert "X-DayLimit-Remaining" in headers


@pytest.mark.parametrize("path", ["Organisation", "Invoices/nope", "Invoices?where=x"])
def test_every_answer_about_an_organisation_carries_the_headers(desk: Desk, path: str) -> None:
    """Good or bad."""
    headers = desk.send("GET", path).headers
    assert {"X-DayLimit-Remaining", "X-MinLimit-Remaining", "X-AppMinLimit-Remaining"} <= headers.keys()


def test_a_key_replays_the_first_answer(desk: Desk) -> None:
    """The same request with the same key makes one invoice and gives one answer."""
    first = desk.send("PUT", "Invoices", invoice(), idempotency_key="k-1")
    again = desk.send("PUT", "Invoices", invoice(), idempotency_key="k-1")
    assert (again.status, again.body) == (first.status, first.body)
    assert len(desk.get("Invoices")["Invoices"]) == 1


def test_refusals_are_replayed_too(desk: Desk) -> None:
    """A validation error comes back even when its cause is gone."""
    body = {"ContactID": desk.contact("Acme Ltd")["ContactID"], "Name": "Taken"}
    other = desk.contact("Taken")
    assert desk.send("POST", "Contacts", body, idempotency_key="k").status == 400
    desk.ask("POST", "Contacts", {"ContactID": other["ContactID"], "Name": "Free"})
    assert desk.send("POST", "Contacts", body, idempotency_key="k").status == 400
    assert desk.send("POST", "Contacts", body, idempotency_key="k2").status == 200


def test_a_key_belongs_to_one_request(desk: Desk) -> None:
    """Another body, address or verb with the same key is refused."""
    desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k")
    for method, address, body in (
        ("PUT", "Contacts", {"Name": "B"}),
        ("PUT", "Contacts?x=1", {"Name": "A"}),
        ("POST", "Contacts", {"Name": "A"}),
    ):
        answer = desk.ask(method, address, body, status=400, idempotency_key="k")
        assert answer["Message"] == "Idempotency Key: k is used with a different request."


def test_keys_live_six_minutes_from_their_first_use(desk: Desk) -> None:
    """A replay does not prolong the life."""
    desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k")
    desk.clock.pass_time(KEY_LIFE_S - 1)
    assert desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k").status == 200
    desk.clock.pass_time(1)
    assert desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k").status == 400


def test_keys_belong_to_an_app_and_reads_ignore_them(desk: Desk) -> None:
    """Two apps may use the same key; a GET is never replayed."""
    desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k")
    desk.sign_in()
    assert desk.send("PUT", "Contacts", {"Name": "B"}, idempotency_key="k").status == 200
    first = desk.send("GET", "Contacts?searchTerm=zz", idempotency_key="r")
    desk.contact("ZZ Top")
    assert json.loads(first.body)["Contacts"] == []
    assert len(json.loads(desk.send("GET", "Contacts?searchTerm=zz", idempotency_key="r").body)["Contacts"]) == 1


def test_an_overlong_key_is_refused(desk: Desk) -> None:
    """128 characters are the most."""
    assert desk.send("PUT", "Contacts", {"Name": "A"}, idempotency_key="k" * 128).status == 200
    assert desk.send("PUT", "Contacts", {"Name": "B"}, idempotency_key="k" * 129).status == 400

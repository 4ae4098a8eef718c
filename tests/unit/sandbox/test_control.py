"""The control plane: counters, state, clock, limits and webhook settings."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from closedwon_sandbox.exchange import Request
from closedwon_sandbox.server import Sandbox
from closedwon_sandbox.settings import limits
from sandbox_house import FakeSimulator

if TYPE_CHECKING:
    from sandbox_house import House


def test_stats_count_by_caller_and_endpoint(house: House) -> None:
    """Every request is counted under who sent it; the control plane's own are not."""
    house.client.get("/Invoices", headers={"Authorization": "app"})
    house.client.get("/Invoices", headers={"Authorization": "app"})
    house.client.put("/Invoices", headers={"Authorization": "tools"})
    house.client.get("/Invoices")
    stats = house.control.stats()["xero"]
    assert stats["app"] == {"total": 2, "endpoints": {"GET Invoices": 2}, "throttled": 0}
    assert stats["tools"] == {"total": 1, "endpoints": {"PUT Invoices": 1}, "throttled": 0}
    assert stats["anonymous"]["total"] == 1


def test_stats_can_begin_anew(house: House) -> None:
    """After a reset every known caller stands at zero."""
    house.client.get("/x")
    house.control.reset_stats()
    nothing = {"total": 0, "endpoints": {}, "throttled": 0}
    assert house.control.stats() == {"xero": {"app": nothing, "tools": nothing, "anonymous": nothing}}


def test_state_shows_what_a_simulator_holds(house: House) -> None:
    """All systems, or the one asked for."""
    house.client.put("/Invoices", content=b"one")
    assert house.control.state() == {"xero": {"rows": ["one"]}}
    assert house.control.state("xero") == {"rows": ["one"]}


def test_the_clock_moves_forward_and_fires_timers(house: House) -> None:
    """Advancing fires what falls due before the answer comes; a moment can be given too."""
    fired: list[str] = []
    house.sandbox.clock.call_later(3_600, lambda: fired.append("timer"))
    before = datetime.fromisoformat(house.control.clock())
    assert abs(before - datetime.now(UTC)) < timedelta(seconds=5)
    assert datetime.fromisoformat(house.control.clock(3_601)) - before >= timedelta(seconds=3_601)
    assert fired == ["timer"]
    answer = house.client.post("/_sandbox/clock", json={"now": "2100-01-01T00:00:00Z"})
    assert answer.json()["now"].startswith("2100-01-01T00:00:0")


def test_a_timer_with_a_bug_does_not_stop_the_clock(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """The traceback shows on stderr and later timers still fire."""
    fired: list[str] = []
    house.sandbox.clock.call_later(0.01, lambda: 1 / 0)  # type: ignore[arg-type]
    house.sandbox.clock.call_later(0.05, lambda: fired.append("later"))
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while not fired and datetime.now(UTC) < deadline:
        house.control.clock()
    assert fired == ["later"]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_limits_change_while_it_runs(house: House) -> None:
    """What is set is in force at once and shown."""
    house.control.limits("xero", concurrent=0, enforce=True)
    assert house.client.get("/x").status_code == 429
    assert house.client.get("/_sandbox/limits").json()["xero"]["concurrent"] == 0


def test_the_webhook_is_set_as_in_the_vendors_portal(house: House) -> None:
    """URL and key reach the simulator."""
    house.control.set_xero_webhook("http://127.0.0.1:9/hooks/xero/books", "secret")
    assert house.fake.webhook == ("http://127.0.0.1:9/hooks/xero/books", "secret")


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("POST", "clock", {}, "either"),
        ("POST", "clock", {"advance_s": 1, "now": "2100-01-01T00:00:00Z"}, "either"),
        ("POST", "clock", {"advance_s": -1}, "forward"),
        ("POST", "clock", {"now": "2001-01-01T00:00:00Z"}, "forward"),
        ("POST", "clock", {"now": "2100-01-01T00:00:00"}, "time zone"),
        ("POST", "clock", {"advance_s": "soon"}, "advance_s"),
        ("POST", "clock", {"tomorrow": True}, "tomorrow"),
        ("POST", "clock", {"advance_s": 1e30}, "clock"),
        ("POST", "limits", {"minute": 1}, "system"),
        ("POST", "limits", {"system": "xero", "minute": -1, "hour": 3}, "hour"),
        ("POST", "limits", {"system": "xero", "client_id": "x"}, "client_id"),
        ("POST", "limits", [], "object"),
        ("POST", "faults", {"system": "xero"}, "do"),
        ("POST", "webhooks/xero", {"url": "ftp://x", "key": "k"}, "http://"),
        ("POST", "webhooks/xero", {"url": "http://x"}, "key"),
        ("GET", "state?system=sap", None, "sap"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(method: str, path: str, body: object, complaint: str) -> None:
    """A 400 says what is wrong, and nothing has changed."""
    sandbox, fake = Sandbox(), FakeSimulator()
    sandbox.add("xero", fake, portal=fake.configure_webhook)
    raw_path, _, query = path.partition("?")
    before = limits(fake.settings)
    request = Request(method, f"/_sandbox/{raw_path}", query, body=json.dumps(body).encode())
    answer = sandbox.control.handle(request)
    assert answer.status == 400
    assert complaint in json.loads(answer.body)["error"]
    assert limits(fake.settings) == before
    assert sandbox.faults.list() == []
    assert fake.webhook is None


def test_a_body_that_is_no_json_is_refused(house: House) -> None:
    """A 400 says so."""
    answer = house.client.post("/_sandbox/faults", content=b"{")
    assert answer.status_code == 400
    assert "body" in answer.json()["error"]


def test_unknown_paths_and_methods_say_what_there_is(house: House) -> None:
    """A 404 lists the paths, a 405 the methods."""
    missing = house.client.get("/_sandbox/nothing")
    assert missing.status_code == 404
    assert "/_sandbox/stats" in missing.json()["paths"]
    wrong = house.client.put("/_sandbox/stats")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "DELETE, GET"

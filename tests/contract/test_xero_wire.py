"""The Xero simulator on the wire: sign-in, limits under real concurrency, lost answers, and webhooks to a receiver."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from sandbox_process import Simulators, simulators_on_a_thread
from xero_desk import invoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "signing key of the test"
PATIENCE_S = 10


@pytest.fixture
def sandbox() -> Iterator[Simulators]:
    """Run both simulators on a thread."""
    with simulators_on_a_thread() as simulators:
        yield simulators


@contextmanager
def _app(sandbox: Simulators) -> Iterator[httpx2.Client]:
    """Sign in as the custom connection."""
    with httpx2.Client(base_url=sandbox.xero_url, trust_env=False, timeout=PATIENCE_S) as client:
        answer = client.post(
            "/connect/token",
            data={"grant_type": "client_credentials", "scope": "accounting.invoices accounting.settings"},
            auth=(sandbox.xero.client_id, sandbox.xero.client_secret),
        )
        assert answer.status_code == 200, answer.text
        client.headers = httpx2.Headers(
            {"Authorization": f"Bearer {answer.json()['access_token']}", "Accept": "application/json"}
        )
        yield client


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)


def test_an_invoice_travels_over_http(sandbox: Simulators) -> None:
    """Token, write, read and counters: one of each."""
    with _app(sandbox) as client:
        made = client.put("/api.xro/2.0/Invoices", json=invoice())
        assert made.status_code == 200, made.text
        number = made.json()["Invoices"][0]["InvoiceNumber"]
        assert client.get(f"/api.xro/2.0/Invoices/{number}").json()["Invoices"][0]["Total"] == 115.0
    counted = sandbox.stats()["xero"]["app"]["endpoints"]
    assert counted == {"POST token": 1, "PUT Invoices": 1, "GET Invoices/{id}": 1}
    (organisation,) = sandbox.state("xero")["organisations"]
    assert [row["Total"] for row in organisation["invoices"]] == ["115.00"]


def test_a_spent_minute_is_429_over_http(sandbox: Simulators) -> None:
    """Good answers count down in their headers; the refusal has no body and says what to wait for."""
    with _app(sandbox) as client:
        good = client.get("/api.xro/2.0/Organisation")
        sandbox.limits("xero", minute=0)
        refused = client.get("/api.xro/2.0/Organisation")
    assert (good.status_code, good.headers["X-MinLimit-Remaining"]) == (200, "59")
    assert (refused.status_code, refused.content) == (429, b"")
    assert refused.headers["X-Rate-Limit-Problem"] == "minute"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert sandbox.stats()["xero"]["app"]["throttled"] == 1


def test_more_than_five_calls_at_once_are_refused(sandbox: Simulators) -> None:
    """With answers that take a while, ten callers meet the concurrency limit; the refused ones did nothing."""
    sandbox.limits("xero", latency_ms=300)
    with _app(sandbox) as client, ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: client.put("/api.xro/2.0/Invoices", json=invoice()), range(10)))
    kinds = [reply.headers.get("X-Rate-Limit-Problem") for reply in replies]
    assert kinds.count("concurrent") == 5
    assert len(sandbox.state("xero")["organisations"][0]["invoices"]) == 5


def test_a_lost_answer_is_found_again_by_its_key(sandbox: Simulators) -> None:
    """The connection is cut after the vendor committed; the same key gives the stored answer, not a second invoice."""
    sandbox.fault("xero", "cut_after", match="PUT Invoices", when={"nth": 1})
    with _app(sandbox) as client:
        with pytest.raises(httpx2.TransportError):
            client.put("/api.xro/2.0/Invoices", json=invoice(), headers={"Idempotency-Key": "k"})
        again = client.put("/api.xro/2.0/Invoices", json=invoice(), headers={"Idempotency-Key": "k"})
    assert again.status_code == 200
    assert len(sandbox.state("xero")["organisations"][0]["invoices"]) == 1


# Webhooks


@dataclass
class Receiver:
    """A receiver that checks signatures as it should, or as carelessly as `always` says."""

    url: str = ""
    always: int | None = None
    accepted: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def judge(self, body: bytes, signature: str) -> int:
        """Return the status for one call, keeping the events of a good one."""
        expected = base64.b64encode(hmac.new(KEY.encode(), body, hashlib.sha256).digest()).decode()
        status = self.always or (200 if hmac.compare_digest(expected, signature) else 401)
        if status == 200:
            self.accepted += json.loads(body)["events"]
        self.statuses.append(status)
        return status


@contextmanager
def _receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.judge(body, self.headers["x-xero-signature"]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def _status(sandbox: Simulators) -> str:
    return str(sandbox.state("xero")["webhook"]["status"])


def test_events_reach_a_receiver_that_checks_signatures(sandbox: Simulators) -> None:
    """After the intent-to-receive test a write rings, signed over the exact bytes."""
    with _receiver() as receiver, _app(sandbox) as client:
        sandbox.set_xero_webhook(receiver.url, KEY)
        _until(lambda: _status(sandbox) == "active")
        assert sorted(receiver.statuses) == [200, 401, 401, 401]
        made = client.put("/api.xro/2.0/Invoices", json=invoice()).json()["Invoices"][0]
        _until(lambda: len(receiver.accepted) == 2)
    assert {event["resourceId"] for event in receiver.accepted} == {made["InvoiceID"], made["Contact"]["ContactID"]}
    assert receiver.accepted[0]["resourceUrl"].startswith(sandbox.xero_url)


def test_a_careless_receiver_fails_the_intent_test(sandbox: Simulators) -> None:
    """Whoever answers 200 to a wrong signature gets no events."""
    with _receiver() as receiver:
        receiver.always = 200
        sandbox.set_xero_webhook(receiver.url, KEY)
        _until(lambda: _status(sandbox) == "failed")


def test_a_refused_event_comes_again(sandbox: Simulators) -> None:
    """A receiver that is down for a moment gets the event by the retry."""
    with _receiver() as receiver, _app(sandbox) as client:
        sandbox.set_xero_webhook(receiver.url, KEY)
        _until(lambda: _status(sandbox) == "active")
        receiver.always = 503
        client.put("/api.xro/2.0/Invoices", json=invoice())
        _until(lambda: sandbox.state("xero")["webhook"]["refused"] == 2)
        receiver.always = None
        sandbox.clock(advance_s=900)
        _until(lambda: len(receiver.accepted) == 2)


def test_head_has_the_headers_of_a_get(sandbox: Simulators) -> None:
    """HEAD is answered without a body."""
    with _app(sandbox) as client:
        reply = client.head("/api.xro/2.0/Organisation")
    assert (reply.status_code, reply.content) == (200, b"")
    assert "X-DayLimit-Remaining" in reply.headers

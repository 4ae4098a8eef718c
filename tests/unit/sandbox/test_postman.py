"""Webhooks on their way to a subscriber."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from closedwon_sandbox.exchange import Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox_house import House


class Subscriber:
    """Receives webhooks: keeps the bodies, answers with `status` once `gate` is open."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.under_way = 0
        self.most_under_way = 0
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with subscriber._lock:
                    subscriber.bodies.append(body)
                    subscriber.headers.append({name.lower(): value for name, value in self.headers.items()})
                    subscriber.under_way += 1
                    subscriber.most_under_way = max(subscriber.most_under_way, subscriber.under_way)
                subscriber.gate.wait(10)
                with subscriber._lock:
                    subscriber.under_way -= 1
                self.send_response(subscriber.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        return Handler


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    """Run a subscriber on a thread."""
    subscriber = Subscriber()
    thread = threading.Thread(target=subscriber.server.serve_forever, args=[0.01])
    thread.start()
    yield subscriber
    subscriber.gate.set()
    subscriber.server.shutdown()
    thread.join()
    subscriber.server.server_close()


def post(
    house: House, url: str, *bodies: bytes, timeout_s: float = 5, label: str = "INVOICE UPDATE"
) -> list[int | None]:
    """Post webhooks from inside the loop, as a simulator does; returns the list their answers will be added to."""
    answers: list[int | None] = []

    def on_loop() -> None:
        for body in bodies:
            headers = {"x-label": label}
            house.sandbox.postmen["xero"].post(Delivery(url, headers, body, timeout_s, answers.append, label))

    house.sandbox.clock.call_later(0, on_loop)
    return answers


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true, with a deadline."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_a_webhook_is_delivered_and_its_answer_reported(house: House, subscriber: Subscriber) -> None:
    """Body and headers arrive; the simulator hears the status."""
    answers = post(house, subscriber.url, b"one")
    until(lambda: answers == [200])
    assert subscriber.bodies == [b"one"]
    assert subscriber.headers[0]["x-label"] == "INVOICE UPDATE"
    assert house.control.webhooks()["xero"]["delivered"] == 1


def test_a_refusal_is_reported(house: House, subscriber: Subscriber) -> None:
    """Whatever the status, the simulator hears it and decides."""
    subscriber.status = 503
    answers = post(house, subscriber.url, b"one")
    until(lambda: answers == [503])
    assert house.control.webhooks()["xero"]["refused"] == 1


def test_nobody_there_is_reported_as_none(house: House, subscriber: Subscriber) -> None:
    """A refused connection, a silent subscriber and an address that is none all count as unanswered."""
    subscriber.gate.clear()
    answers = post(house, "http://127.0.0.1:1/", b"one")
    until(lambda: answers == [None])
    answers = post(house, subscriber.url, b"two", timeout_s=0.05)
    until(lambda: answers == [None])
    answers = post(house, "http://[", b"three")
    until(lambda: answers == [None])
    assert house.control.webhooks()["xero"]["unanswered"] == 3


def test_webhooks_start_in_order_and_ten_at_a_time(house: House, subscriber: Subscriber) -> None:
    """The eleventh waits until one of the ten is answered; nothing is lost."""
    subscriber.gate.clear()
    answers = post(house, subscriber.url, *(b"%d" % number for number in range(25)))
    until(lambda: len(subscriber.bodies) == 10)
    assert sorted(subscriber.bodies) == sorted(b"%d" % number for number in range(10))
    assert house.client.get("/x").status_code == 200, "deliveries do not keep the vendor from answering"
    subscriber.gate.set()
    until(lambda: len(answers) == 25)
    assert subscriber.most_under_way == 10


def test_a_lost_webhook_looks_delivered(house: House, subscriber: Subscriber) -> None:
    """The simulator hears 200 and nobody gets anything; the next one arrives."""
    house.control.fault("xero", "webhook_lose", match="INVOICE *")
    answers = post(house, subscriber.url, b"one", b"two")
    until(lambda: len(answers) == 2)
    assert answers == [200, 200]
    assert subscriber.bodies == [b"two"]
    assert house.control.webhooks()["xero"]["lost"] == 1


def test_a_doubled_webhook_arrives_twice_and_is_answered_once(house: House, subscriber: Subscriber) -> None:
    """Both copies are the same bytes."""
    house.control.fault("xero", "webhook_duplicate")
    answers = post(house, subscriber.url, b"one")
    until(lambda: subscriber.bodies == [b"one", b"one"] and house.control.webhooks()["xero"]["under_way"] == 0)
    assert answers == [200]


def test_a_delayed_webhook_waits_for_the_sandboxs_clock(house: House, subscriber: Subscriber) -> None:
    """It overtakes nothing until the clock has moved; then it arrives last."""
    house.control.fault("xero", "webhook_delay", seconds=3_600)
    post(house, subscriber.url, b"one", b"two")
    until(lambda: subscriber.bodies == [b"two"])
    house.control.clock(3_601)
    until(lambda: subscriber.bodies == [b"two", b"one"])


def test_webhook_faults_leave_requests_alone(house: House, subscriber: Subscriber) -> None:
    """A rule for webhooks matches labels, a rule for requests endpoints."""
    house.control.fault("xero", "webhook_lose", when={"always": True})
    house.control.fault("xero", "500", match="INVOICE *", when={"always": True})
    assert house.client.get("/x").status_code == 200
    answers = post(house, subscriber.url, b"one", label="CONTACT CREATE")
    until(lambda: answers == [200])
    assert subscriber.bodies == []
    assert [(rule["seen"], rule["hits"]) for rule in house.control.faults()] == [(1, 1), (0, 0)]

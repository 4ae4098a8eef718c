"""What goes over the wire between a client and a simulator."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from closedwon_sandbox import server

if TYPE_CHECKING:
    from sandbox_house import House


def test_a_request_reaches_the_simulator_as_it_was_sent(house: House) -> None:
    """Method, raw path, query, headers, body and the address the client used arrive unchanged."""
    house.client.post("/Inv%2Foices?where=a%3D%22b%22", content=b"body", headers={"X-One": "1"})
    (request,) = house.fake.requests
    assert (request.method, request.raw_path, request.query) == ("POST", "/Inv%2Foices", "where=a%3D%22b%22")
    assert request.headers["x-one"] == "1"
    assert request.body == b"body"
    assert request.base_url == house.url


def test_a_reply_reaches_the_client(house: House) -> None:
    """Status, headers and body come back, with a length."""
    answer = house.client.put("/Invoices", content=b"one")
    assert answer.status_code == 200
    assert answer.json() == {"rows": ["one"]}
    assert answer.headers["x-vendor"] == "fake"
    assert answer.headers["content-length"] == str(len(answer.content))


def test_the_date_of_an_answer_is_the_sandboxs(house: House) -> None:
    """Who takes the vendor's time from its answers gets the time its records have."""
    house.control.clock(86_400)
    date = parsedate_to_datetime(house.client.get("/x").headers["date"])
    assert abs(date - house.sandbox.clock.now()) < timedelta(seconds=5)


def test_one_connection_serves_many_requests(house: House) -> None:
    """Connections are kept alive, and an answer does not wait for the client's acknowledgement."""
    connection = http.client.HTTPConnection(urlsplit(house.url).netloc)
    connection.connect()
    sock = connection.sock
    started = time.monotonic()
    for _ in range(20):
        connection.request("GET", "/x")
        assert connection.getresponse().read()
    assert connection.sock is sock
    assert time.monotonic() - started < 0.4, "20 answers at 40 ms each would mean that TCP_NODELAY is off"
    connection.close()


def test_head_is_answered_without_a_body(house: House) -> None:
    """HEAD gives the headers of GET and no body."""
    answer = house.client.head("/x")
    assert (answer.status_code, answer.content) == (200, b"")
    assert house.fake.requests[0].method == "GET"


def test_a_bug_in_a_simulator_is_a_500_and_not_a_hang(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """The client gets a 500, stderr gets the traceback, and the next request is served."""
    answer = house.client.get("/bug")
    assert answer.status_code == 500
    assert "a bug in the simulator" in capfd.readouterr().err
    assert house.client.get("/x").status_code == 200


def test_a_body_beyond_all_reason_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the hard cap is a 413 and does not reach the simulator."""
    monkeypatch.setitem(server.MAX_BODY_BYTES, "xero", 1_000)
    assert house.client.post("/x", content=b"a" * 1_001).status_code == 413
    assert house.client.post("/x", content=b"a" * 1_000).status_code == 200
    assert len(house.fake.requests) == 1


def test_a_client_that_hangs_up_half_way_leaves_no_trace(house: House) -> None:
    """A request that never came whole is neither counted nor handled."""
    host, port = urlsplit(house.url).hostname, urlsplit(house.url).port
    with socket.create_connection((host, port)) as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert house.client.get("/y").status_code == 200
    assert house.control.stats()["xero"]["anonymous"]["endpoints"] == {"GET y": 1}


def test_requests_under_way_are_counted_per_caller(house: House) -> None:
    """With a latency, requests overlap: the sixth of one caller is refused, the tools' one is not."""
    house.control.limits("xero", latency_ms=300)
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(httpx2.get(f"{house.url}/x", headers={"Authorization": "app"}, trust_env=False).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while not statuses and time.monotonic() < deadline:
        time.sleep(0.01)
    assert statuses == [429]
    assert house.client.get("/x", headers={"Authorization": "tools"}).status_code == 200
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 5 + [429]
    assert house.control.stats()["xero"]["app"] == {"total": 6, "endpoints": {"GET x": 6}, "throttled": 1}


def test_a_port_that_is_taken_cannot_be_listened_on() -> None:
    """Two listeners on one port are an error, not a silent sharing."""
    with server.listen(0) as first, pytest.raises(OSError, match="in use"):
        server.listen(first.getsockname()[1])

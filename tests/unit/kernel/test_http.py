"""The HTTP client: what is an answer, what is an error, and what never shows."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx2
import pytest
import trustme

from closedwon.kernel.errors import Misconfigured, OutcomeUnknown, Unavailable
from closedwon.kernel.http import Answer, Exchange, HttpClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"total":1.10}'


@contextmanager
def server(
    *answers: bytes, hold: bool = False, tls: ssl.SSLContext | None = None, hung_up: threading.Event | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Listen on a free port and give each connection's request the next of `answers`, then hang up (or `hold`)."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []
    release = threading.Event()

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = listener.accept()
                with connection if tls is None else tls.wrap_socket(connection, server_side=True) as peer:
                    received.append(_read_request(peer))
                    peer.sendall(answer)
                    if hold:
                        release.wait(10)
                if hung_up is not None:
                    hung_up.set()
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    scheme = "http" if tls is None else "https"
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        release.set()
        listener.close()


def _read_request(peer: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += peer.recv(65536)
    head, _, rest = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(rest) < length:
        rest += peer.recv(65536)
    return head + b"\r\n\r\n" + rest


@pytest.fixture
def http() -> Iterator[HttpClient]:
    """Make a client that gives up after 0.4 s."""
    client = HttpClient(timeout_s=0.4)
    yield client
    client.close()


def closed_port() -> int:
    """Find a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_any_status_is_an_answer(http: HttpClient) -> None:
    """A 503 comes back as a value with lower-case headers and both request ids, the server's first."""
    with server(b"HTTP/1.1 503 Busy\r\nX-Request-Id: srv-1\r\nContent-Length: 4\r\n\r\nbusy") as (url, received):
        answer = http.send("GET", f"{url}/x", headers={"X-Request-Id": "mine"})
    assert (answer.status, answer.body) == (503, b"busy")
    assert answer.headers["x-request-id"] == "srv-1"
    assert answer.request_ids == ("srv-1", "mine")
    assert b"x-request-id: mine" in received[0]


def test_every_call_gets_its_own_request_id() -> None:
    """Two calls without an id of the caller's carry two different ones."""
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["x-request-id"])
        return httpx2.Response(200)

    http = HttpClient(transport=httpx2.MockTransport(handler))
    http.send("GET", "http://x.test/")
    http.send("GET", "http://x.test/")
    assert len(set(seen)) == 2


def test_json_keeps_cents_exact(http: HttpClient) -> None:
    """A number with a fraction arrives as the Decimal that was written, trailing zero included."""
    with server(GOOD) as (url, _):
        total = http.send("GET", url).json()["total"]
    assert isinstance(total, Decimal)
    assert str(total) == "1.10"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Sign in</body></html>", b'{"Invoices":[{"Inv', b"[" * 20_000, b"\xff\xfe", b'{"a":NaN}'],
    ids=["empty", "html", "truncated", "deep", "not utf-8", "nan"],
)
def test_anything_but_json_is_unavailable(body: bytes) -> None:
    """HTML, truncated, empty or endlessly nested bodies become one clear error that quotes at most 200 characters."""
    answer = Answer(status=200, headers={"content-type": "text/html"}, body=body, request_ids=("r-1",))
    with pytest.raises(Unavailable, match="did not answer with JSON") as caught:
        answer.json()
    assert len(caught.value.details["body"]) <= 200
    assert caught.value.details["content_type"] == "text/html"
    assert caught.value.request_ids == ("r-1",)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    """JSON behind a UTF-8 byte order mark parses."""
    assert Answer(status=200, headers={}, body=b'\xef\xbb\xbf{"a":1}').json() == {"a": 1}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_connection_means_nothing_was_sent(http: HttpClient, method: str) -> None:
    """Nobody listens: Unavailable for reads and writes alike, and the text names the host."""
    port = closed_port()
    with pytest.raises(Unavailable, match=rf"Cannot reach 127\.0\.0\.1:{port}") as caught:
        http.send(method, f"http://127.0.0.1:{port}/")
    assert "Nothing was sent" in caught.value.hint


def test_unknown_host_means_nothing_was_sent() -> None:
    """A name without an address: Unavailable."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Name or service not known", request=request)

    with pytest.raises(Unavailable, match="Name or service not known"):
        HttpClient(transport=httpx2.MockTransport(handler)).send("PUT", "http://no.such.host.test/")


LOST = {
    "cut before the answer": b"",
    "cut inside the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "cut inside the body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "cut inside a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "not HTTP": b"220 mail ready\r\n",
    "broken compression": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST.keys())
def test_a_lost_answer_to_a_write_leaves_the_outcome_unknown(http: HttpClient, answer: bytes) -> None:
    """Whatever of the answer is missing, a sent write may have happened."""
    with server(answer) as (url, received), pytest.raises(OutcomeUnknown, match="no whole answer"):
        http.send("PUT", url, body=b"{}")
    assert len(received) == 1, "it was sent exactly once"


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST.keys())
def test_a_lost_answer_to_a_read_is_only_unavailable(http: HttpClient, answer: bytes) -> None:
    """A read can simply be tried again, and so can a POST that the caller declares harmless."""
    with server(answer, answer) as (url, _):
        with pytest.raises(Unavailable):
            http.send("GET", url)
        with pytest.raises(Unavailable):
            http.send("POST", url, body=b"{}", writes=False)


def test_a_get_that_writes_can_be_declared(http: HttpClient) -> None:
    """`writes=True` makes a lost GET an unknown outcome."""
    with server(b"") as (url, _), pytest.raises(OutcomeUnknown):
        http.send("GET", url, writes=True)


def test_silence_times_out_as_unknown_for_writes(http: HttpClient) -> None:
    """A server that takes the request and says nothing: the outcome of the write is unknown after the time-out."""
    with server(b"", hold=True) as (url, _), pytest.raises(OutcomeUnknown, match=r"within 0\.2 s"):
        http.send("POST", url, body=b"x", timeout_s=0.2)


def test_a_dripping_answer_ends_at_the_time_out() -> None:
    """The time-out holds for the whole call, not for each piece of a body that never ends."""

    class Drip(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x"

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, stream=Drip()))
    with pytest.raises(Unavailable, match="too long"):
        HttpClient(transport=transport).send("GET", "http://x.test/", timeout_s=0.05)


def test_redirects_are_answers_and_cookies_are_forgotten() -> None:
    """A redirect is handed to the caller, and a cookie set by one call is not sent with the next."""
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(302, headers={"Location": "http://evil.test/", "Set-Cookie": "session=s3cret; Path=/"})

    http = HttpClient(transport=httpx2.MockTransport(handler))
    assert http.send("GET", "http://x.test/").status == 302
    http.send("GET", "http://x.test/")
    assert len(seen) == 2
    assert all("cookie" not in request.headers for request in seen)


def test_untrusted_certificate_names_ca_file(http: HttpClient, tmp_path: Path) -> None:
    """A certificate of an unknown authority fails with a hint at `ca_file`; naming the authority there helps."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with server(GOOD, tls=context) as (url, _), pytest.raises(Unavailable, match="not trusted") as caught:
        http.send("POST", url, body=b"x")
    assert "ca_file" in caught.value.hint

    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    trusting = HttpClient(ca_file=str(ca_file))
    with server(GOOD, tls=context) as (url, _):
        assert trusting.send("GET", url).status == 200
    trusting.close()


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_unusable_ca_file_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    """A missing or unreadable CA file is told when the client is made."""
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(Misconfigured, match=r"ca\.pem"):
        HttpClient(ca_file=str(ca_file))


@pytest.mark.parametrize("url", ["ftp://x.test/", "http://", "no address", "http://x.test:notaport/", "http://[::1/"])
def test_unsendable_addresses_are_configuration_errors(http: HttpClient, url: str) -> None:
    """An address no request can go to is a fault of the configuration, not of the network."""
    with pytest.raises(Misconfigured, match="cannot be sent"):
        http.send("GET", url)


def test_unsendable_header_is_a_configuration_error(http: HttpClient) -> None:
    """A header value with a line break is refused before anything is sent, without being shown."""
    with server(GOOD) as (url, received), pytest.raises(Misconfigured) as caught:
        http.send("GET", url, headers={"Authorization": "Bearer abc\r\nX: y"})
    assert received == []
    assert "abc" not in str(caught.value.as_dict())


def test_exchanges_are_reported_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """`on_exchange` hears of answers and of losses; tokens and codes are in neither, nor in any log line."""
    exchanges: list[Exchange] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/lost":
            raise httpx2.ReadError("connection reset", request=request)
        return httpx2.Response(200, content=b"abc", headers={"request-id": "r-9"})

    http = HttpClient(transport=httpx2.MockTransport(handler), on_exchange=exchanges.append)
    caplog.set_level(logging.DEBUG)
    secret = {"Authorization": "Bearer t0psecret", "Cookie": "s=t0psecret"}
    answer = http.send("POST", "http://x.test/in?code=t0psecret&page=2", headers=secret, body=b"12345")
    with pytest.raises(Unavailable) as caught:
        http.send("GET", "http://x.test/lost?access_token=t0psecret", headers=secret)
    done, lost = exchanges
    assert (done.status, done.sent_bytes, done.received_bytes) == (200, 5, 3)
    assert done.url == "http://x.test/in?code=***&page=2"
    assert done.request_ids[0] == "r-9"
    assert (lost.status, lost.error) == (None, "ReadError")
    assert lost.request_ids == caught.value.request_ids
    shown = f"{exchanges} {answer} {caught.value.as_dict()} {caplog.text}"
    assert "t0psecret" not in shown


def test_threads_share_one_client() -> None:
    """Calls from many threads at once all come back with their own answer."""
    http = HttpClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, content=request.content)))
    bodies = [str(number).encode() for number in range(40)]
    answers: dict[bytes, bytes] = {}

    def call(body: bytes) -> None:
        answers[body] = http.send("POST", "http://x.test/", body=body).body

    threads = [threading.Thread(target=call, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {body: body for body in bodies}


def test_a_connection_the_server_closed_is_not_used_again(http: HttpClient) -> None:
    """A server that hangs up between two calls costs a new connection, not a lost write."""
    hung_up = threading.Event()
    with server(GOOD, GOOD, hung_up=hung_up) as (url, received):
        assert http.send("PUT", url, body=b"1").status == 200
        assert hung_up.wait(10)
        assert http.send("PUT", url, body=b"2").status == 200
    assert len(received) == 2


def test_after_closing_nothing_is_sent() -> None:
    """A thread that still works while the process ends hears that nothing was sent."""
    http = HttpClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200)))
    http.close()
    with pytest.raises(Unavailable, match="about to end"):
        http.send("PUT", "http://x.test/")

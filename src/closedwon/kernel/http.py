"""Every outgoing HTTP call: one pooled client that tells "nothing was sent" from "sent, but no answer came".

The only module that imports an HTTP library. Any status is an `Answer`; only the network raises. Redirects are not
followed, cookies are not kept, and nothing secret gets into logs, errors or `repr`.
"""

from __future__ import annotations

import logging
import ssl
import uuid
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from closedwon.kernel.clock import SystemClock
from closedwon.kernel.errors import ClosedwonError, Misconfigured, OutcomeUnknown, Unavailable
from closedwon.kernel.exact_json import decode
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REQUEST_ID_HEADERS = (
    "x-request-id",
    "request-id",
    "xero-correlation-id",
    "x-correlation-id",
    "req_id",
    "x-ms-service-request-id",
    "x-ms-client-request-id",
)
MAX_BODY_BYTES = 128 * 1024 * 1024
MAX_CONNECTIONS = 100
KEEPALIVE_S = 4  # shorter than the 5 s after which many servers close an idle connection, so we rarely meet one closing
QUOTED_CHARS = 200
LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")

# Nothing left this machine when one of these is raised.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_UNSENDABLE = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, UnicodeError)

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer read to its end. Header names are lower case; `request_ids` are the server's and our own."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed_s: float = 0.0
    request_ids: tuple[str, ...] = ()

    def json(self) -> Any:
        """Parse the body as JSON, numbers with a fraction as Decimal.

        *Raises* Unavailable when the body is anything else; after a write the caller must read that as OutcomeUnknown.
        """
        try:
            return decode(self.body)
        except ValueError as error:
            raise Unavailable(
                f"The server did not answer with JSON (HTTP {self.status}, {len(self.body)} bytes).",
                hint="Usually a proxy, a sign-in page or an outage answered instead. Check the address; try again.",
                details={
                    "status": self.status,
                    "content_type": self.headers.get("content-type", ""),
                    "body": self.quote(),
                    "reason": str(error),
                },
                request_ids=self.request_ids,
            ) from None

    def quote(self) -> str:
        """Return the beginning of the body as text, without secrets, for errors."""
        return redact(self.body[: 4 * QUOTED_CHARS].decode("utf-8", "replace"))[:QUOTED_CHARS]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What happened in one call, for logs and call counts. `status` is None when no whole answer came."""

    method: str
    url: str
    status: int | None
    elapsed_s: float
    request_ids: tuple[str, ...]
    sent_bytes: int
    received_bytes: int
    error: str = ""


class HttpClient:
    """A keep-alive pool shared by all threads of a process.

    `ca_file` adds a certificate authority to those the system trusts; `on_exchange` hears of every call, lost ones too.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 30,
        connect_timeout_s: float = 5,
        ca_file: str | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        _silence_library_logs()
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._on_exchange = on_exchange
        self._client = httpx2.Client(
            verify=_trust(ca_file) if ca_file else True,
            transport=transport,
            mounts=None if transport else dict.fromkeys(LOOPBACK),  # never through a proxy
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
        writes: bool | None = None,
    ) -> Answer:
        """Send one request and read the whole answer, whatever its status.

        `writes` says whether the request changes something there; by default all methods but GET, HEAD and OPTIONS do.
        *Raises* Unavailable when nothing was sent or a read was lost, OutcomeUnknown when a write was sent and its
        answer lost, Misconfigured when address or headers cannot be sent at all.
        """
        call = _Call(
            method=method.upper(),
            url=url,
            headers={"x-request-id": str(uuid.uuid4()), **_lower(headers or {})},
            body=body,
            timeout_s=self._timeout_s if timeout_s is None else timeout_s,
            writes=method.upper() not in SAFE_METHODS if writes is None else writes,
        )
        if self._client.is_closed:
            raise Unavailable(
                "This process is about to end.", hint="The work goes on in the next one. Nothing was sent."
            )
        started = _CLOCK.monotonic()
        try:
            answer = self._exchange(call, started)
        except (httpx2.HTTPError, *_UNSENDABLE) as error:
            failure = call.explain(error)
            self._report(call, started, error=type(error).__name__)
            raise failure from None
        self._report(call, started, answer=answer)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _exchange(self, call: _Call, started: float) -> Answer:
        timeout = httpx2.Timeout(call.timeout_s, connect=min(self._connect_timeout_s, call.timeout_s))
        deadline = started + call.timeout_s
        with self._client.stream(
            call.method, call.url, headers=call.headers, content=call.body, timeout=timeout
        ) as response:
            body = _read(response, deadline)
            headers = {name.lower(): value for name, value in response.headers.items()}
            elapsed_s = _CLOCK.monotonic() - started
            return Answer(response.status_code, headers, body, elapsed_s, _request_ids(headers, call.request_id))

    def _report(self, call: _Call, started: float, *, answer: Answer | None = None, error: str = "") -> None:
        if self._on_exchange is None:
            return
        self._on_exchange(
            Exchange(
                method=call.method,
                url=redact(call.url),
                status=answer.status if answer else None,
                elapsed_s=_CLOCK.monotonic() - started,
                request_ids=answer.request_ids if answer else (call.request_id,),
                sent_bytes=len(call.body or b""),
                received_bytes=len(answer.body) if answer else 0,
                error=error,
            )
        )


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way, and how to tell people that it failed."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout_s: float
    writes: bool

    @property
    def request_id(self) -> str:
        return self.headers["x-request-id"]

    @property
    def host(self) -> str:
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2] or redact(self.url)
        except ValueError:
            return redact(self.url)

    def explain(self, error: Exception) -> ClosedwonError:
        """Turn the library's exception into ours: was anything sent, and what should a person do."""
        reason = redact(str(error) or type(error).__name__)
        rest: dict[str, Any] = {
            "details": {"method": self.method, "url": redact(self.url), "reason": reason},
            "request_ids": (self.request_id,),
        }
        if isinstance(error, httpx2.LocalProtocolError):
            reason = "a header holds characters that HTTP does not allow"  # the library's own text quotes its value
            rest["details"]["reason"] = reason
        if isinstance(error, _UNSENDABLE):
            hint = "Correct the address or the value named here in the configuration."
            return Misconfigured(f"A request to {self.host!r} cannot be sent: {reason}", hint=hint, **rest)
        if (distrust := _distrust(error)) is not None:
            hint = "If the server has a certificate of your own authority, name that authority's file as `ca_file`."
            return Unavailable(f"The certificate of {self.host} is not trusted: {distrust}", hint=hint, **rest)
        if isinstance(error, _NOT_SENT):
            hint = "Check the address, the network and whether the server runs. Nothing was sent."
            return Unavailable(f"Cannot reach {self.host}: {reason}", hint=hint, **rest)
        text = f"{self.host} gave no whole answer to {self.method} within {self.timeout_s:g} s or cut it off: {reason}"
        if self.writes:
            return OutcomeUnknown(text, hint="It may have happened. Look it up there before sending again.", **rest)
        return Unavailable(text, hint="It was only a read and is tried again.", **rest)


def _read(response: httpx2.Response, deadline: float) -> bytes:
    """Read the body within the time for the whole call, however slowly it drips."""
    chunks = []
    size = 0
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise httpx2.ReadError(f"the answer is larger than {MAX_BODY_BYTES} bytes", request=response.request)
        if _CLOCK.monotonic() > deadline:
            raise httpx2.ReadTimeout("the answer took too long", request=response.request)
    return b"".join(chunks)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _request_ids(headers: Mapping[str, str], own: str) -> tuple[str, ...]:
    found = [headers[name] for name in REQUEST_ID_HEADERS if headers.get(name)]
    return tuple(dict.fromkeys([*found, own]))


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:  # ssl.SSLError is one too
        raise Misconfigured(
            f"The CA file {ca_file} cannot be used: {error}",
            hint="`ca_file` names a readable file with certificates in PEM form.",
        ) from None
    return context


def _distrust(error: BaseException | None) -> str | None:
    """Find the certificate check among the causes of an error; None when it was something else."""
    for _ in range(10):
        if error is None:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or str(error)
        error = error.__cause__ or error.__context__
    return None


def _silence_library_logs() -> None:
    """Keep the library from logging addresses and headers; `on_exchange` tells what may be told."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)

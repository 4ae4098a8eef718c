"""What the HTTP server and a simulator say to each other: plain requests, plain replies, webhooks to hand out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.settings import DataverseSettings, XeroSettings


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came over the wire.

    `raw_path` is still percent-encoded, `query` is the raw query string without '?', header names are lower case,
    `base_url` is scheme and authority as the client addressed us, without a trailing slash.
    """

    method: str
    raw_path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = "http://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. `headers` keeps the vendor's spelling of names."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Build an answer whose body is `document` as compact UTF-8 JSON."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook to hand to a subscriber: POST `body` to `url`, give up after `timeout_s`.

    `answered` is called on the event loop with the status, or with None when nobody answered in time; the simulator
    decides there whether to try again. `label` names the event for faults and statistics, such as "INVOICE UPDATE".
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_s: float
    answered: Callable[[int | None], None]
    label: str


class Postman(Protocol):
    """Takes webhooks from a simulator and delivers them in the background, playing the delivery faults."""

    def post(self, delivery: Delivery) -> None:
        """Queue one delivery; returns at once."""


class Simulator(Protocol):
    """One vendor. Every method runs on the event loop, one call at a time, so a request is atomic."""

    name: str

    @property
    def settings(self) -> XeroSettings | DataverseSettings:
        """The limits in force; a plain attribute will do."""

    def handle(self, request: Request) -> Reply:
        """Answer one request; it never raises for anything a client can send."""

    def endpoint(self, request: Request) -> str:
        """Name a request for statistics and faults, for example "PUT Invoices" or "POST $batch"."""

    def caller(self, request: Request) -> str:
        """Say who calls: "app" for a client that signed in, "tools" for the never-expiring token, "anonymous"."""

    def throttled(self, request: Request, in_flight: int) -> Reply | None:
        """Return the vendor's 429 when this request is over a limit, None when it may go on. Counts the request.

        `in_flight` is how many requests of the same caller are under way, this one included.
        """

    def limit_reply(self, kind: str, request: Request) -> Reply:
        """Build the vendor's 429 of one kind ("minute", "day", "concurrent", ...) for a fault script."""

    def state(self) -> dict[str, Any]:
        """Return everything the simulator holds, as plain JSON values, for tests and tools."""

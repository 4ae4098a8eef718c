"""A scripted Xero: answers what a test tells it and remembers every request."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from closedwon.connectors.limits import CallBudget, MemoryBudgetStore
from closedwon.connectors.oauth import MemoryTokenStore
from closedwon.connectors.registry import Equipment
from closedwon.connectors.xero.connector import XeroBooks
from closedwon.connectors.xero.settings import CustomConnection, XeroSettings
from closedwon.kernel.http import HttpClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.connectors.xero.client import XeroClient

ORGANISATION = "84ea839c-54d1-46d5-8711-0e4ebce7ee1a"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TOKEN = {"access_token": "at-1", "expires_in": 1800, "token_type": "Bearer"}


class FixedClock:
    """A clock set by the test; sleeping moves it."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        """Return the set time."""
        return self.at

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return (self.at - NOW).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Call:
    """One request as Xero saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: httpx2.Headers
    body: bytes

    def json(self) -> Any:
        """Return the body, numbers with a fraction as Decimals."""
        return json.loads(self.body, parse_float=Decimal)


@dataclass
class Vendor:
    """Xero and its sign-in server. `answers` are given in order to API calls, `tokens` to sign-ins."""

    answers: deque[Any] = field(default_factory=deque)
    tokens: deque[tuple[int, Any]] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    sign_ins: list[Call] = field(default_factory=list)
    clock: FixedClock = field(default_factory=FixedClock)
    handler: Callable[[httpx2.Request], httpx2.Response] | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        parts = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        call = Call(request.method, parts.path, query, request.headers, request.content)
        if parts.path == "/connect/token":
            self.sign_ins.append(call)
            number = len(self.sign_ins)
            status, document = self.tokens.popleft() if self.tokens else (200, TOKEN | {"access_token": f"at-{number}"})
            return httpx2.Response(status, json=document)
        self.calls.append(call)
        if self.handler is not None:
            return self.handler(request)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    def says(self, *answers: Any) -> None:
        """Queue answers: a document for a 200, a response, or an exception of the network."""
        self.answers.extend(answers)

    def books(self, **settings: Any) -> XeroBooks:
        """Return a connection to this Xero."""
        defaults: dict[str, Any] = {
            "auth": CustomConnection(client_id="app-1", client_secret="s3cret"),
            "organisation": ORGANISATION,
            "api_url": "https://api.xero.test",
            "identity_url": "https://identity.xero.test/",
        }
        made = XeroSettings(**(defaults | settings))
        budget = CallBudget(made.call_limits(), MemoryBudgetStore(), self.clock)
        http = HttpClient(transport=httpx2.MockTransport(self))
        return XeroBooks(made, Equipment(http, self.clock, MemoryTokenStore(), budget))

    def client(self, **settings: Any) -> XeroClient:
        """Return the client below such a connection."""
        return self.books(**settings)._client

"""A Dataverse that says what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx2

from closedwon.kernel.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "https://acme.crm.dynamics.com"
SECRET = "s3cr3t-of-the-app"


class StillClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Return always the same moment."""
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Do not wait."""


class CountingBudget:
    """Counts what is taken and what is given back."""

    def __init__(self) -> None:
        self.taken = 0
        self.learnt: list[int] = []

    def acquire(self) -> None:
        """Count a call."""
        self.taken += 1

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Keep the status."""
        self.learnt.append(status if headers or not status else -1)


@dataclass
class Vendor:
    """Gives the answers in line, one a request; tokens come by themselves."""

    asked: list[httpx2.Request] = field(default_factory=list)
    tokens: int = 0
    line: deque[httpx2.Response | Exception] = field(default_factory=deque)
    budget: CountingBudget = field(default_factory=CountingBudget)

    def says(self, document: Any = None, status: int = 200, **headers: str) -> None:
        """Put a JSON answer in line."""
        content = b"" if document is None else encode(document)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.line.append(
            httpx2.Response(status, content=content, headers={"content-type": "application/json", **named})
        )

    def sends(self, content: bytes, content_type: str = "text/html", status: int = 200) -> None:
        """Put any other answer in line."""
        self.line.append(httpx2.Response(status, content=content, headers={"content-type": content_type}))

    def answers_batch(self, *parts: tuple[int, Any] | list[tuple[int, Any]]) -> None:
        """Put a batch answer in line: (status, JSON) for a request, a list of these for a change set."""
        self.sends(multipart(*parts), 'multipart/mixed; boundary="batchresponse_1"')

    def breaks(self, error: Exception) -> None:
        """Put a network failure in line."""
        self.line.append(error)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        if "/oauth2/v2.0/token" in str(request.url):
            self.tokens += 1
            return httpx2.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 3600})
        self.asked.append(request)
        answer = self.line.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def last(self) -> str:
        """Return the body of the last request."""
        return self.asked[-1].content.decode()


def multipart(*parts: tuple[int, Any] | list[tuple[int, Any]]) -> bytes:
    """Render a batch answer as Dataverse does."""
    blocks = []
    for number, item in enumerate(parts):
        if isinstance(item, list):
            inner = f"changesetresponse_{number}"
            head = f"--batchresponse_1\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"
            members = b"".join(_part(inner, *answer) for answer in item)
            blocks.append(head.encode() + members + f"--{inner}--\r\n".encode())
        else:
            blocks.append(_part("batchresponse_1", *item))
    return b"".join(blocks) + b"--batchresponse_1--\r\n"


def _part(boundary: str, status: int, document: Any) -> bytes:
    content = b"" if document is None else encode(document)
    head = f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    line = f"HTTP/1.1 {status} Something\r\nOData-Version: 4.0\r\nContent-Type: application/json\r\n\r\n"
    return (head + line).encode() + content + b"\r\n"


def fault(code: str, message: str = "No.") -> dict[str, Any]:
    """Return the vendor's error envelope."""
    return {"error": {"code": code, "message": message}}

"""A sandbox with a simulator of nothing in particular: it remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.exchange import Reply
from closedwon_sandbox.settings import XeroSettings, xero_settings

if TYPE_CHECKING:
    import httpx2

    from closedwon_sandbox.exchange import Request
    from closedwon_sandbox.server import Sandbox
    from sandbox_process import Control


class FakeSimulator:
    """Commits every write to `rows`; `concurrent` of its settings is the only limit it keeps."""

    name = "xero"

    def __init__(self) -> None:
        self.settings: XeroSettings = xero_settings(1)
        self.rows: list[str] = []
        self.requests: list[Request] = []
        self.webhook: tuple[str, str] | None = None

    def handle(self, request: Request) -> Reply:
        """Take a body in, give `rows` out; the path /bug finds a bug."""
        self.requests.append(request)
        if request.raw_path == "/bug":
            raise RuntimeError("a bug in the simulator")
        if request.body:
            self.rows.append(request.body.decode())
        return Reply.json(200, {"rows": self.rows}, {"X-Vendor": "fake"})

    def endpoint(self, request: Request) -> str:
        """Name a request by method and path."""
        return f"{request.method} {request.raw_path.strip('/')}"

    def caller(self, request: Request) -> str:
        """Believe what the Authorization header says."""
        return request.headers.get("authorization", "anonymous")

    def throttled(self, request: Request, in_flight: int) -> Reply | None:
        """Refuse whoever has too many requests under way."""
        return self.limit_reply("concurrent", request) if in_flight > self.settings.concurrent else None

    def limit_reply(self, kind: str, _request: Request) -> Reply:
        """Answer 429 with the kind of limit."""
        return Reply(429, b"", {"X-Rate-Limit-Problem": kind, "Retry-After": "26"})

    def state(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": self.rows}

    def configure_webhook(self, url: str, key: str) -> None:
        """Remember the webhook's target."""
        self.webhook = (url, key)


@dataclass
class House:
    """The served sandbox: the fake inside, its control plane, and a client for its port."""

    url: str
    sandbox: Sandbox
    fake: FakeSimulator
    control: Control
    client: httpx2.Client

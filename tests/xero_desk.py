"""A Xero simulator to talk to without a network: frozen clock, webhooks caught, JSON in and out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from closedwon_sandbox.clock import Clock
from closedwon_sandbox.exchange import Reply, Request
from closedwon_sandbox.settings import XeroSettings, xero_settings
from closedwon_sandbox.world import World, generate
from closedwon_sandbox.xero import XeroSimulator

if TYPE_CHECKING:
    from closedwon_sandbox.exchange import Delivery

FORM = "application/x-www-form-urlencoded"
START_S = 1_790_000_000.0  # 2026-09-21T14:13:20Z, so the 22nd in Auckland


class StillClock(Clock):
    """A clock that only moves when it is told to."""

    def timestamp(self) -> float:
        """Return the moment it was moved to."""
        return START_S + self._offset_s

    def pass_time(self, seconds: float) -> None:
        """Move on and fire what falls due."""
        self.advance(seconds)
        self.tick()


@dataclass
class Pigeonhole:
    """Keeps webhooks instead of delivering them."""

    deliveries: list[Delivery] = field(default_factory=list)

    def post(self, delivery: Delivery) -> None:
        """Keep one."""
        self.deliveries.append(delivery)

    def take(self) -> list[Delivery]:
        """Hand over what has come in since."""
        taken, self.deliveries = self.deliveries, []
        return taken


@dataclass
class Desk:
    """One simulator and the ways a test talks to it."""

    world: World = field(default_factory=lambda: generate(1, "small"))
    settings: XeroSettings = field(default_factory=lambda: xero_settings(1))
    clock: StillClock = field(default_factory=StillClock)
    post_box: Pigeonhole = field(default_factory=Pigeonhole)
    bearer: str = ""
    xero: XeroSimulator = field(init=False)

    def __post_init__(self) -> None:
        self.xero = XeroSimulator(self.clock, self.post_box, self.world, self.settings)
        self.bearer = self.settings.token

    def send(self, method: str, address: str, body: Any = None, **headers: str) -> Reply:
        """Send one request below /api.xro/2.0 and return the raw reply. `_` in header names stands for `-`."""
        path, _, query = address.partition("?")
        usual = {"authorization": f"Bearer {self.bearer}", "accept": "application/json"}
        if body is not None:
            usual["content-type"] = "application/json"
        sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
        content = (
            body if isinstance(body, bytes) else json.dumps(body, default=float).encode() if body is not None else b""
        )
        path = path if path.startswith("/") else f"/api.xro/2.0/{path}"
        return self.xero.handle(Request(method, path, query, sent, content))

    def ask(self, method: str, address: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        """Send one request, insist on the status, return the parsed answer with exact decimals."""
        reply = self.send(method, address, body, **headers)
        assert reply.status == status, (reply.status, reply.body)
        return json.loads(reply.body, parse_float=Decimal) if reply.body else None

    def get(self, address: str, **params: str) -> Any:
        """Read with parameters, properly encoded."""
        return self.ask("GET", f"{address}?{urlencode(params)}")

    def complaints(self, method: str, address: str, body: Any) -> list[str]:
        """Send a write that must be refused with a 400 envelope; return the messages of its first element."""
        answer = self.ask(method, address, body, status=400)
        assert answer["ErrorNumber"] == 10, answer
        return [row["Message"] for row in answer["Elements"][0]["ValidationErrors"]]

    def token(self, client_id: str = "", client_secret: str = "", **form: str) -> Reply:
        """Ask the token endpoint, client credentials of the custom connection unless told otherwise."""
        wanted = {"grant_type": "client_credentials", **form}
        wanted["client_id"] = client_id or self.settings.client_id
        wanted["client_secret"] = client_secret or self.settings.client_secret
        body = urlencode(wanted).encode()
        return self.xero.handle(Request("POST", "/connect/token", "", {"content-type": FORM}, body))

    def sign_in(self, scope: str = "") -> str:
        """Sign in as the custom connection and use its token from now on."""
        self.bearer = str(json.loads(self.token(scope=scope).body)["access_token"])
        return self.bearer

    def sign_in_web(self, refresh_token: str = "") -> Any:
        """Sign in as the web app with a refresh token and use its token from now on."""
        reply = self.refresh(refresh_token or self.settings.web_refresh_token)
        assert reply.status == 200, reply.body
        answer = json.loads(reply.body)
        self.bearer = answer["access_token"]
        return answer

    def refresh(self, refresh_token: str) -> Reply:
        """Redeem a refresh token of the web app."""
        return self.token(
            self.settings.web_client_id,
            self.settings.web_client_secret,
            grant_type="refresh_token",
            refresh_token=refresh_token,
        )

    # Records that tests need

    def contact(self, name: str = "Acme Ltd", **members: Any) -> Any:
        """Create a contact."""
        return self.ask("PUT", "Contacts", {"Name": name, **members})["Contacts"][0]

    def invoice(self, *lines: dict[str, Any], **members: Any) -> Any:
        """Create an authorised invoice for Acme Ltd, one line of 100.00 and GST unless told otherwise."""
        return self.ask("PUT", "Invoices", invoice(*lines, **members))["Invoices"][0]

    def pay(self, document: Any, amount: str, **members: Any) -> Any:
        """Pay an invoice into the bank account."""
        body = payment(InvoiceID=document["InvoiceID"], amount=amount) | members
        return self.ask("PUT", "Payments", body)["Payments"][0]


def line(**members: Any) -> dict[str, Any]:
    """Describe a line of 100.00 on the sales account."""
    return {"Description": "Work", "Quantity": 1, "UnitAmount": 100, "AccountCode": "200", **members}


def invoice(*lines: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Describe an authorised sales invoice for Acme Ltd."""
    return {
        "Type": "ACCREC",
        "Contact": {"Name": "Acme Ltd"},
        "Date": "2026-09-14",
        "DueDate": "2026-10-14",
        "Status": "AUTHORISED",
        "LineItems": list(lines) or [line()],
        **members,
    }


def payment(InvoiceID: str, amount: str) -> dict[str, Any]:  # noqa: N803 - the vendor's member
    """Describe a payment into the bank account."""
    return {
        "Invoice": {"InvoiceID": InvoiceID},
        "Account": {"Code": "090"},
        "Date": "2026-09-20",
        "Amount": float(amount),
    }

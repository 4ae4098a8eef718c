"""The Xero simulator: lets a request through the same doors as the vendor, in the same order, and answers it.

Doors: address, token, organisation, limits (asked by the server beforehand), scope, idempotency key, then the books.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from closedwon_sandbox.exchange import Reply
from closedwon_sandbox.xero.books.errors import ApiError
from closedwon_sandbox.xero.books.seed import seed_books
from closedwon_sandbox.xero.idempotency import Memory
from closedwon_sandbox.xero.identity import TOOLS, Grant, Identity
from closedwon_sandbox.xero.limits import APP_WIDE, Limits
from closedwon_sandbox.xero.operations import Call
from closedwon_sandbox.xero.routes import ROOT, resolve
from closedwon_sandbox.xero.snapshot import snapshot
from closedwon_sandbox.xero.webhooks import Webhooks
from closedwon_sandbox.xero.wire import (
    answer,
    envelope,
    forbidden,
    not_found,
    refusal,
    unauthorized,
)

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Postman, Request
    from closedwon_sandbox.settings import XeroSettings
    from closedwon_sandbox.world import World
    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.operations import Answer
    from closedwon_sandbox.xero.routes import Route

REQUEST_LIMIT_BYTES: Final = 10 * 1024 * 1024  # older pages of the vendor say 3.5 MB
_TOKEN: Final = "/connect/token"  # noqa: S105 - an address
_REVOKE: Final = "/connect/revocation"
_CONNECTIONS: Final = "/connections"
_READING: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """Who has been let into which books."""

    grant: Grant
    books: Books


class XeroSimulator:
    """One Xero: an identity service, organisations by tenant id, and the webhook subscription of the app."""

    name = "xero"

    def __init__(self, clock: Clock, postman: Postman, world: World, settings: XeroSettings) -> None:
        self._clock = clock
        self.settings = settings
        books = seed_books(world, settings.organisation_id, clock)
        books.take_changes()
        self.organisations: dict[str, Books] = {books.organisation_id: books}
        names = {key: str(entry.profile["Name"]) for key, entry in self.organisations.items()}
        self.identity = Identity(clock, settings, names)
        self.limits = Limits(clock, settings)
        self.webhooks = Webhooks(clock, postman)
        self._memory = Memory(clock)

    # What the server asks

    def handle(self, request: Request) -> Reply:
        """Answer one request."""
        path = request.raw_path.lower().rstrip("/")
        if path in {_TOKEN, _REVOKE}:
            return self._identity(request, path)
        grant = self._grant(request)
        if path.startswith(_CONNECTIONS):
            return self._connections(request, path, grant)
        if not path.startswith(ROOT):
            return not_found()
        if isinstance(grant, Reply):
            return grant
        entry = self._entry(request, grant)
        if isinstance(entry, Reply):
            return entry
        self.webhooks.api_url = request.base_url
        reply = self._api(request, entry)
        self.webhooks.publish(entry.books.take_changes())
        headers = self.limits.headers(entry.grant.client_id, entry.books.organisation_id)
        return Reply(reply.status, reply.body, {**reply.headers, **headers})

    def endpoint(self, request: Request) -> str:
        """Name a request, such as "PUT Invoices" or "GET Invoices/{id}"."""
        path = request.raw_path.lower().rstrip("/")
        if path in {_TOKEN, _REVOKE}:
            return f"{request.method} {path.removeprefix('/connect/')}"
        if path.startswith(_CONNECTIONS):
            return f"{request.method} connections" + ("" if path == _CONNECTIONS else "/{id}")
        target = resolve(request.raw_path) if path.startswith(ROOT) else None
        return f"{request.method} {target.address}" if target else f"{request.method} unknown"

    def caller(self, request: Request) -> str:
        """Say who calls: "app", "tools" or "anonymous"."""
        if request.raw_path.lower().rstrip("/") in {_TOKEN, _REVOKE}:
            return "app" if self.identity.signed_in(request) else "anonymous"
        grant = self.identity.grant(_bearer(request))
        if grant is None:
            return "anonymous"
        return TOOLS if grant.client_id == TOOLS else "app"

    def throttled(self, request: Request, in_flight: int) -> Reply | None:
        """Count a call about an organisation; return the 429 when it is one too many. `in_flight` includes it."""
        if not request.raw_path.lower().startswith(ROOT):
            return None
        grant = self._grant(request)
        if isinstance(grant, Reply) or grant.client_id == TOOLS:
            return None
        entry = self._entry(request, grant)
        if isinstance(entry, Reply):
            return None
        return self.limits.admit(grant.client_id, entry.books.organisation_id, in_flight)

    def limit_reply(self, kind: str, request: Request) -> Reply:
        """Build the 429 of a kind for a fault script."""
        grant = self.identity.grant(_bearer(request))
        organisation_id = request.headers.get("xero-tenant-id") or next(iter(self.organisations))
        return self.limits.refusal(kind, grant.client_id if grant else APP_WIDE, organisation_id)

    def configure_webhook(self, url: str, key: str) -> None:
        """Set the webhook target as the portal would, and test the receiver's intent."""
        self.webhooks.configure(url, key)

    def state(self) -> dict[str, Any]:
        """Return everything as plain JSON values, money as texts with two decimals."""
        return {
            "organisations": [snapshot(books) for books in self.organisations.values()],
            "webhook": self.webhooks.state(),
            "throttled": dict(self.limits.refused),
        }

    # Doors

    def _identity(self, request: Request, path: str) -> Reply:
        if request.method != "POST":
            return Reply(405, b"", {"Allow": "POST"})
        return self.identity.token(request) if path == _TOKEN else self.identity.revoke(request)

    def _grant(self, request: Request) -> Grant | Reply:
        grant = self.identity.grant(_bearer(request))
        if grant is None:
            return unauthorized("AuthenticationUnsuccessful")
        if self.identity.expired(grant):
            return unauthorized(f"TokenExpired: token expired at {_us_time(grant.expires_at)}")
        return grant

    def _connections(self, request: Request, path: str, grant: Grant | Reply) -> Reply:
        if isinstance(grant, Reply):
            return grant
        if path == _CONNECTIONS and request.method in _READING:
            wanted = {name.lower(): value for name, value in parse_qsl(request.query)}
            return self.identity.list_connections(grant, wanted.get("autheventid"))
        if request.method == "DELETE" and path.startswith(f"{_CONNECTIONS}/"):
            removed = self.identity.disconnect(grant, path.removeprefix(f"{_CONNECTIONS}/"))
            return Reply(204) if removed else not_found()
        return not_found()

    def _entry(self, request: Request, grant: Grant) -> _Entry | Reply:
        """Find the books a call is about; a custom connection need not name its organisation."""
        wanted = request.headers.get("xero-tenant-id", "").strip().lower() or grant.organisation_id
        if wanted is None and grant.client_id == TOOLS:
            wanted = next(iter(self.organisations))
        books = self.organisations.get(wanted or "")
        if books is None or not self.identity.connected(grant, books.organisation_id):
            return forbidden()
        return _Entry(grant, books)

    def _api(self, request: Request, entry: _Entry) -> Reply:
        target = resolve(request.raw_path)
        if target is None:
            return not_found()
        try:
            route = target.route(request.method)
            if not _allowed(route, request.method, entry.grant):
                return unauthorized(
                    "AuthorizationUnsuccessful", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
                )
            if len(request.body) > REQUEST_LIMIT_BYTES:
                return Reply(413)
            kept = self._memory.recall(entry.grant.client_id, request)
        except ApiError as error:
            return refusal(request, error)
        if kept is not None:
            return kept
        reply = self._operate(request, entry, route, target.ids)
        self._memory.keep(entry.grant.client_id, request, reply)
        return reply

    def _operate(self, request: Request, entry: _Entry, route: Route, ids: tuple[str, ...]) -> Reply:
        params = dict(parse_qsl(request.query, keep_blank_values=True))
        call = Call(entry.books, entry.grant.client_id, request.method, ids, params, request.headers, request.body)
        try:
            done = route.operation(call)
        except ApiError as error:
            return refusal(request, error)
        return self._reply(request, done)

    def _reply(self, request: Request, done: Answer) -> Reply:
        if done.status == 204:  # noqa: PLR2004 - the number is the name
            return Reply(204)
        if done.bare is not None:
            return answer(request, done.status, done.bare)
        return answer(
            request, done.status, envelope(self._clock.now(), done.collection, done.elements, done.pagination)
        )


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _allowed(route: Route, method: str, grant: Grant) -> bool:
    wanted = set(route.scopes)
    if method in _READING:
        wanted |= {f"{scope}.read" for scope in route.scopes}
    return bool(wanted & grant.scopes)


def _us_time(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%m/%d/%Y %H:%M:%S}"

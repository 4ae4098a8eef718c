"""Who calls: apps, their tokens, and the organisations connected to them.

*Source*: developer.xero.com "OAuth 2.0", "Custom connections" and the FAQ on granular scopes, read 2026-11-22.
Tokens are JWTs as the vendor's are, but they are looked up, not verified.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote_plus

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from closedwon_sandbox.xero.wire import json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Reply, Request
    from closedwon_sandbox.settings import XeroSettings

ACCESS_LIFE_S: Final = 1800
REFRESH_LIFE_S: Final = 60 * 86_400
GRACE_S: Final = 1800
TOOLS: Final = "tools"
_AREAS: Final = ("invoices", "payments", "settings", "contacts", "attachments")
_PERSONAL: Final = frozenset({"openid", "profile", "email", "offline_access"})
_DATA: Final = frozenset(f"accounting.{area}{ending}" for area in _AREAS for ending in ("", ".read"))
SCOPES: Final = _DATA | _PERSONAL
"""What our apps may ask for: the granular scopes, as apps created since March 2026 get no broad ones."""
_APP_SCOPES: Final = frozenset({"app.connections", "marketplace.billing"})


class OAuthError(Exception):
    """The token endpoint refuses; the text is the error code of the bare body."""


@dataclass(frozen=True, slots=True)
class App:
    """A registered app. A custom one signs in by itself and is bound to one organisation."""

    client_id: str
    client_secret: str
    custom: bool


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token stands for. `organisation_id` is set where the token is bound to one."""

    client_id: str
    scopes: frozenset[str]
    expires_at: float
    organisation_id: str | None = None


@dataclass(slots=True)
class RefreshToken:
    """A refresh token; `retired_at` is when it was first used, after which it still works for the grace."""

    client_id: str
    scopes: frozenset[str]
    expires_at: float
    retired_at: float | None = None


@dataclass(slots=True)
class Connection:
    """An organisation that an app was let into."""

    connection_id: str
    organisation_id: str
    name: str
    event_id: str
    created: str


@dataclass(slots=True)
class _Held:
    access: dict[str, Grant] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)
    connections: dict[str, list[Connection]] = field(default_factory=dict)


class Identity:
    """The identity service with its two apps: a custom connection, and a web app that holds a refresh token."""

    def __init__(self, clock: Clock, settings: XeroSettings, organisations: Mapping[str, str]) -> None:
        self._clock = clock
        self._settings = settings
        self._apps = {
            settings.client_id: App(settings.client_id, settings.client_secret, custom=True),
            settings.web_client_id: App(settings.web_client_id, settings.web_client_secret, custom=False),
        }
        self._held = _Held()
        self._held.refresh[settings.web_refresh_token] = RefreshToken(
            settings.web_client_id, SCOPES, clock.timestamp() + REFRESH_LIFE_S
        )
        for app in self._apps.values():
            self._held.connections[app.client_id] = [self._connect(app, *row) for row in organisations.items()]

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def _connect(self, app: App, organisation_id: str, name: str) -> Connection:
        def make(kind: str) -> str:
            return str(uuid.uuid5(uuid.UUID(organisation_id), f"{kind} {app.client_id}"))

        created = f"{self._clock.now():%Y-%m-%dT%H:%M:%S.%f}0"
        return Connection(make("connection"), organisation_id, name, make("consent"), created)

    # Who is it?

    def grant(self, token: str) -> Grant | None:
        """Find what a bearer token stands for, expired or not; None for one nobody issued."""
        if secrets.compare_digest(token.encode(), self._settings.token.encode()):
            return Grant(TOOLS, SCOPES, float("inf"))
        return self._held.access.get(token)

    def expired(self, grant: Grant) -> bool:
        """Say whether a grant's life is over."""
        return self._clock.timestamp() >= grant.expires_at

    def connected(self, grant: Grant, organisation_id: str) -> bool:
        """Say whether the caller may enter an organisation."""
        if grant.client_id == TOOLS:
            return True
        held = self._held.connections.get(grant.client_id, ())
        return any(row.organisation_id == organisation_id for row in held)

    def signed_in(self, request: Request) -> bool:
        """Say whether a call of the token endpoint carries a known client's credentials."""
        try:
            self._client(request, _form(request))
        except OAuthError:
            return False
        return True

    # Token endpoint

    def token(self, request: Request) -> Reply:
        """Answer POST /connect/token."""
        try:
            form = _form(request)
            app = self._client(request, form)
            grants = {"client_credentials": self._client_credentials, "refresh_token": self._refresh}
            handler = grants.get(form.get("grant_type", ""), _unsupported)
            return json_reply(200, handler(app, form), {"Cache-Control": "no-store"})
        except OAuthError as problem:
            return json_reply(400, {"error": str(problem)})

    def revoke(self, request: Request) -> Reply:
        """Answer POST /connect/revocation: the refresh token goes, and with it all connections of the app."""
        try:
            form = _form(request)
            app = self._client(request, form)
        except OAuthError as problem:
            return json_reply(400, {"error": str(problem)})
        known = self._held.refresh.get(form.get("token", ""))
        if known and known.client_id == app.client_id:
            self._held.refresh = {key: row for key, row in self._held.refresh.items() if row.client_id != app.client_id}
            self._held.connections[app.client_id] = []
        return json_reply(200, {})

    def _client(self, request: Request, form: Mapping[str, str]) -> App:
        client_id, client_secret = _credentials(request, form)
        if not client_id:
            raise OAuthError("invalid_request")
        app = self._apps.get(client_id)
        if app is None or not secrets.compare_digest(client_secret.encode(), app.client_secret.encode()):
            raise OAuthError("invalid_client")
        return app

    def _client_credentials(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        asked = frozenset(form.get("scope", "").split())
        if not app.custom:
            if not asked or not asked <= _APP_SCOPES:
                raise OAuthError("unauthorized_client")
            return self._issue(app, asked, None)
        if not asked <= _DATA:
            raise OAuthError("invalid_scope")
        bound = self._held.connections[app.client_id]
        organisation_id = bound[0].organisation_id if bound else None
        return self._issue(app, asked or _DATA, organisation_id)

    def _refresh(self, app: App, form: Mapping[str, str]) -> dict[str, Any]:
        now = self._clock.timestamp()
        held = self._held.refresh.get(form.get("refresh_token", ""))
        if held is None or held.client_id != app.client_id or now >= held.expires_at:
            raise OAuthError("invalid_grant")
        if held.retired_at is not None and now >= held.retired_at + GRACE_S:
            raise OAuthError("invalid_grant")
        if held.retired_at is None:
            held.retired_at = now
        successor = secrets.token_urlsafe(32)
        self._held.refresh[successor] = RefreshToken(app.client_id, held.scopes, now + REFRESH_LIFE_S)
        return {**self._issue(app, held.scopes, None), "refresh_token": successor}

    def _issue(self, app: App, scopes: frozenset[str], organisation_id: str | None) -> dict[str, Any]:
        now = self._clock.timestamp()
        self._held.access = {key: row for key, row in self._held.access.items() if row.expires_at > now - ACCESS_LIFE_S}
        claims = {
            "nbf": int(now),
            "exp": int(now) + ACCESS_LIFE_S,
            "iss": "https://identity.xero.com",
            "aud": "https://identity.xero.com/resources",
            "client_id": app.client_id,
            "jti": uuid.uuid4().hex,
            "scope": sorted(scopes),
        }
        if not app.custom:
            person = str(uuid.uuid5(uuid.NAMESPACE_OID, app.client_id))
            claims |= {"sub": uuid.UUID(person).hex, "auth_time": int(now), "xero_userid": person}
            claims |= {"global_session_id": uuid.uuid4().hex, "authentication_event_id": self._consent(app)}
        token = self._sign(claims)
        self._held.access[token] = Grant(app.client_id, scopes, now + ACCESS_LIFE_S, organisation_id)
        scope = " ".join(sorted(scopes))
        return {"access_token": token, "expires_in": ACCESS_LIFE_S, "token_type": "Bearer", "scope": scope}

    def _consent(self, app: App) -> str | None:
        held = self._held.connections[app.client_id]
        return held[0].event_id if held else None

    def _sign(self, claims: Mapping[str, Any]) -> str:
        header = {"alg": "RS256", "kid": "sandbox", "typ": "JWT"}
        signed = b".".join(_base64(msgspec.json.encode(part)) for part in (header, claims))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return b".".join((signed, _base64(signature))).decode()

    # Connections

    def list_connections(self, grant: Grant, event_id: str | None) -> Reply:
        """Answer GET /connections: a bare array, optionally of one consent."""
        held = self._rows(grant)
        return json_reply(200, [_row(connection) for connection in held if event_id in {None, connection.event_id}])

    def disconnect(self, grant: Grant, connection_id: str) -> bool:
        """Remove one organisation from the caller; False when there is no such connection."""
        held = self._held.connections.get(grant.client_id, [])
        kept = [connection for connection in held if connection.connection_id != connection_id]
        self._held.connections[grant.client_id] = kept
        return len(kept) < len(held)

    def _rows(self, grant: Grant) -> list[Connection]:
        if grant.client_id != TOOLS:
            return self._held.connections.get(grant.client_id, [])
        return self._held.connections[self._settings.client_id]


def _unsupported(_app: App, _form: Mapping[str, str]) -> dict[str, Any]:
    raise OAuthError("unsupported_grant_type")


def _row(connection: Connection) -> dict[str, str]:
    return {
        "id": connection.connection_id,
        "authEventId": connection.event_id,
        "tenantId": connection.organisation_id,
        "tenantType": "ORGANISATION",
        "tenantName": connection.name,
        "createdDateUtc": connection.created,
        "updatedDateUtc": connection.created,
    }


def _form(request: Request) -> dict[str, str]:
    if not request.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        raise OAuthError("invalid_request")
    try:
        pairs = parse_qs(request.body.decode(), keep_blank_values=True, max_num_fields=50)
    except (UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request") from None
    return {name: values[0] for name, values in pairs.items()}


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client") from None
    return unquote_plus(client_id), unquote_plus(client_secret)


def _base64(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")

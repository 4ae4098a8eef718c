"""Access tokens: fetched when needed, renewed in time and only once, whatever the number of processes.

Authlib builds the requests (RFC 6749); they travel through `kernel/http.py` like every other call.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from closedwon.connectors.limits import TOO_MANY_REQUESTS, retry_after_s
from closedwon.connectors.port import Token
from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    ConsentRevoked,
    Misconfigured,
    PermissionMissing,
    Throttled,
    Unavailable,
)
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon.connectors.port import TokenStore
    from closedwon.kernel.clock import Clock
    from closedwon.kernel.http import Answer, HttpClient

RENEW_EARLY = timedelta(seconds=60)
DEFAULT_LIFE_S = 300  # when the server does not say how long a token lives

ClientAuthMethod = Literal["client_secret_basic", "client_secret_post"]


class TokenSource:
    """Gives out a valid access token, from the store while it lasts, renewed shortly before it ends."""

    def __init__(self, store: TokenStore, clock: Clock, fetch: Callable[[Token | None], Token]) -> None:
        self._store = store
        self._clock = clock
        self._fetch = fetch
        self._known: Token | None = None
        self._rejected = ""

    def bearer(self) -> str:
        """Return an access token that will last for the call at hand.

        *Raises* AuthExpired, ConsentRevoked, PermissionMissing, Throttled or Unavailable when none is to be had.
        """
        if not self._usable(self._known):
            self._known = self._store.find()
        if self._known is None or not self._usable(self._known):
            self._known = self._store.renew(self._known, self._fetch)
        return self._known.access

    def reject(self, token: str) -> None:
        """Note that the vendor refused a token although its time was not over; the next call gets another."""
        self._rejected = token

    def _usable(self, token: Token | None) -> bool:
        if token is None or token.access == self._rejected:
            return False
        return self._clock.now() < token.expires_at - RENEW_EARLY


class MemoryTokenStore:
    """Keeps a token in this process only, for tests and one-off checks."""

    def __init__(self, token: Token | None = None) -> None:
        self._lock = threading.Lock()
        self._token = token

    def find(self) -> Token | None:
        """Return the token."""
        return self._token

    def renew(self, stale: Token | None, fetch: Callable[[Token | None], Token]) -> Token:
        """Replace `stale` under a lock; whoever waited meanwhile gets what the first one fetched."""
        with self._lock:
            if self._token is None or self._token == stale:
                self._token = fetch(self._token)
            return self._token


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """A vendor's token endpoint and our credentials there. `keys` names their place in the configuration, for hints."""

    http: HttpClient
    clock: Clock
    url: str
    client_id: str
    client_secret: str = field(repr=False)
    method: ClientAuthMethod = "client_secret_basic"
    keys: str = "auth.client_id and auth.client_secret"

    def client_credentials(self, *, scope: str = "", **extra: str) -> Token:
        """Fetch a token for the app itself. One call."""
        return self._request("client_credentials", scope=scope, **extra)

    def refresh(self, refresh_token: str, *, scope: str = "") -> Token:
        """Exchange a refresh token, which may be used up by it; the result holds the one for next time. One call.

        A lost answer is Unavailable, not OutcomeUnknown: vendors that rotate accept the old one for a while longer.
        """
        token = self._request("refresh_token", scope=scope, refresh_token=refresh_token)
        return token if token.refresh else Token(token.access, token.expires_at, refresh_token)

    def refresh_from(self, stale: Token | None, seed: str) -> Token:
        """Refresh the stored token; where that is dead, try the configured one, which a person may have renewed."""
        refresh_token = stale.refresh if stale is not None and stale.refresh else seed
        try:
            return self.refresh(refresh_token)
        except ConsentRevoked:
            if not seed or seed == refresh_token:
                raise
            return self.refresh(seed)

    def _request(self, grant: str, **params: str) -> Token:
        asked_at = self.clock.now()
        headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        body = prepare_token_request(grant, **params)
        try:
            url, headers, body = ClientAuth(self.client_id, self.client_secret, self.method).prepare(
                "POST", self.url, headers, body
            )
        except UnicodeError:
            raise Misconfigured(f"{self.keys} hold characters that cannot be sent.") from None
        answer = self.http.send("POST", url, headers=headers, body=body.encode(), writes=False)
        document = self._parse(answer, grant)
        life = timedelta(seconds=_seconds(document.get("expires_in")))
        return Token(document["access_token"], asked_at + life, document.get("refresh_token") or "")

    def _parse(self, answer: Answer, grant: str) -> dict[str, Any]:
        if answer.status == TOO_MANY_REQUESTS:
            raise Throttled(
                f"{self.url} asks us to wait.",
                details={"window": "minute"},
                retry_after_s=retry_after_s(answer.headers),
                request_ids=answer.request_ids,
            )
        document = answer.json()
        if isinstance(document, dict) and isinstance(document.get("error"), str):
            raise self._refusal(answer, document, grant)
        if not isinstance(document, dict) or not isinstance(document.get("access_token"), str):
            raise Unavailable(
                f"{self.url} answered HTTP {answer.status} without a token.",
                details={"status": answer.status, "body": answer.quote()},
                request_ids=answer.request_ids,
            )
        return document

    def _refusal(self, answer: Answer, document: Mapping[str, Any], grant: str) -> ClosedwonError:
        code = document["error"]
        rule = _REFUSALS.get((grant, code)) or _REFUSALS.get(("", code))
        error_class, text, hint = rule or (Unavailable, "The sign-in server failed", "Try again later.")
        description = redact(str(document.get("error_description") or ""))[:500]
        return error_class(
            f"{text} ({code} from {self.url})." + (f" It says: {description}" if description else ""),
            hint=hint.format(keys=self.keys),
            details={"error": code, "description": description, "status": answer.status},
            request_ids=answer.request_ids,
        )


def _seconds(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return DEFAULT_LIFE_S


_CHECK_KEYS = "Check {keys} in closedwon.yaml; the secret may have been renewed or expired."
_APP_KIND = "The app is of a kind that may not sign in this way: compare its kind with auth.kind in closedwon.yaml."
_REFUSALS: Mapping[tuple[str, str], tuple[type[ClosedwonError], str, str]] = {
    ("", "invalid_client"): (AuthExpired, "The client id or secret is not accepted", _CHECK_KEYS),
    ("", "invalid_grant"): (AuthExpired, "The credentials are not accepted", _CHECK_KEYS),
    ("refresh_token", "invalid_grant"): (
        ConsentRevoked,
        "The stored consent has ended: it expired, was withdrawn, or was used by another program",
        "Connect again with `closedwon connect`, or put a fresh refresh token into auth.refresh_token.",
    ),
    ("", "unauthorized_client"): (AuthExpired, "The app may not sign in this way", _APP_KIND),
    ("", "unsupported_grant_type"): (Misconfigured, "The sign-in server does not know this way", _APP_KIND),
    ("", "invalid_request"): (AuthExpired, "The sign-in server does not understand the credentials", _CHECK_KEYS),
    ("", "invalid_scope"): (
        PermissionMissing,
        "The app was not given the scopes we ask for",
        "Give the app these scopes at the vendor, or name fewer in auth.scopes.",
    ),
    ("", "access_denied"): (ConsentRevoked, "Access was denied", "Ask an administrator there to allow the app."),
}

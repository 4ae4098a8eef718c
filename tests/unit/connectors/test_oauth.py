"""Tokens: fetched once, renewed in time, and every refusal names the next step."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from closedwon.connectors.oauth import MemoryTokenStore, TokenEndpoint, TokenSource
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
from closedwon.kernel.http import HttpClient

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class FixedClock:
    """A clock set by the test."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        """Return the set time."""
        return self.at

    def monotonic(self) -> float:
        """Return no time."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Refuse to wait."""
        raise AssertionError(seconds)


class Server:
    """A token endpoint that gives the answers it was told and remembers the requests."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        self.requests.append(request)
        status, document = self.answers.pop(0)
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return httpx2.Response(status, content=content, headers={"Retry-After": "7"})

    def form(self, number: int = 0) -> dict[str, str]:
        """Return the parameters of one request."""
        return {name: values[0] for name, values in parse_qs(self.requests[number].content.decode()).items()}

    def endpoint(self, **rest: Any) -> TokenEndpoint:
        """Return our side of it."""
        http = HttpClient(transport=httpx2.MockTransport(self))
        return TokenEndpoint(http, FixedClock(), "https://id.test/connect/token", "me", "s3cr3t:ü", **rest)


GOOD = {"access_token": "at-1", "expires_in": 1800, "token_type": "Bearer", "scope": "a b"}


def test_client_credentials_with_basic() -> None:
    """The app signs in with a Basic header; scope and grant are in the form, the secret is not."""
    server = Server((200, GOOD))
    token = server.endpoint().client_credentials(scope="accounting.invoices accounting.contacts")
    assert token == Token("at-1", NOW + timedelta(seconds=1800), "")
    assert server.form() == {"grant_type": "client_credentials", "scope": "accounting.invoices accounting.contacts"}
    kind, _, credentials = server.requests[0].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(credentials).decode("latin1")) == ("Basic", "me:s3cr3t:ü")


def test_client_credentials_with_a_form() -> None:
    """The other method puts id and secret into the form, where any character can be sent."""
    server = Server((200, GOOD | {"expires_in": "60"}))
    token = server.endpoint(method="client_secret_post").client_credentials()
    assert token.expires_at == NOW + timedelta(seconds=60)
    assert server.form() == {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s3cr3t:ü"}
    assert "authorization" not in server.requests[0].headers


def test_refresh_rotates() -> None:
    """A refresh returns the new refresh token, or keeps the old one where the vendor does not rotate."""
    server = Server((200, GOOD | {"refresh_token": "rt-2"}), (200, GOOD))
    assert server.endpoint().refresh("rt-1").refresh == "rt-2"
    assert server.endpoint().refresh("rt-2").refresh == "rt-2"
    assert server.form(0) == {"grant_type": "refresh_token", "refresh_token": "rt-1"}


def test_the_stored_refresh_token_goes_before_the_configured_one() -> None:
    """The configured token is only the seed; it is tried again when the stored one is dead, and only if it differs."""
    dead = (400, {"error": "invalid_grant"})
    stored = Token("old", NOW, "rt-9")
    server = Server((200, GOOD), (200, GOOD), dead, (200, GOOD), dead)
    server.endpoint().refresh_from(None, "seed")
    server.endpoint().refresh_from(stored, "seed")
    server.endpoint().refresh_from(stored, "new-seed")
    with pytest.raises(ConsentRevoked):
        server.endpoint().refresh_from(stored, "rt-9")
    assert [server.form(number)["refresh_token"] for number in range(5)] == ["seed", "rt-9", "rt-9", "new-seed", "rt-9"]


@pytest.mark.parametrize(
    ("status", "document", "grant", "error_class", "hint"),
    [
        (400, {"error": "invalid_client"}, "client_credentials", AuthExpired, "auth.client_secret"),
        (401, {"error": "invalid_client"}, "client_credentials", AuthExpired, "auth.client_secret"),
        (400, {"error": "invalid_grant"}, "client_credentials", AuthExpired, "auth.client_secret"),
        (400, {"error": "invalid_grant"}, "refresh", ConsentRevoked, "closedwon connect"),
        (400, {"error": "invalid_scope"}, "client_credentials", PermissionMissing, "auth.scopes"),
        (400, {"error": "unauthorized_client"}, "client_credentials", AuthExpired, "auth.kind"),
        (400, {"error": "unsupported_grant_type"}, "client_credentials", Misconfigured, "auth.kind"),
        (429, b"", "client_credentials", Throttled, ""),
        (503, {"error": "temporarily_unavailable"}, "client_credentials", Unavailable, ""),
        (500, b"<html>oops</html>", "client_credentials", Unavailable, ""),
        (200, b"", "client_credentials", Unavailable, ""),
        (200, ["access_token"], "client_credentials", Unavailable, ""),
        (200, {"access_token": None}, "client_credentials", Unavailable, ""),
    ],
)
def test_refusals_say_what_to_do(
    status: int, document: Any, grant: str, error_class: type[ClosedwonError], hint: str
) -> None:
    """Each answer becomes the class that says what happens next, with a hint that names the key to change."""
    endpoint = Server((status, document)).endpoint()
    with pytest.raises(error_class) as caught:
        endpoint.client_credentials() if grant == "client_credentials" else endpoint.refresh("rt-1")
    assert type(caught.value) is error_class
    assert hint in caught.value.hint
    assert "s3cr3t" not in str(caught.value.as_dict())


def test_a_throttled_sign_in_waits_as_told() -> None:
    """Retry-After of the token endpoint is passed on."""
    with pytest.raises(Throttled) as caught:
        Server((429, b"")).endpoint().client_credentials()
    assert caught.value.retry_after_s == 7


def test_a_lost_refresh_is_tried_again() -> None:
    """A lost answer of the token endpoint is Unavailable: the old refresh token still works for a while."""

    def lose(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError("reset", request=request)

    endpoint = TokenEndpoint(
        HttpClient(transport=httpx2.MockTransport(lose)), FixedClock(), "https://id.test/t", "me", "x"
    )
    with pytest.raises(Unavailable):
        endpoint.refresh("rt-1")


def test_credentials_show_in_no_repr() -> None:
    """Neither a token nor an endpoint prints its secret."""
    assert "s3cr3t" not in repr(Server().endpoint())
    assert "at-1" not in repr(Token("at-1", NOW, "rt-1"))


class Fetches:
    """Counts the tokens fetched; each lives for half an hour."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.stale: list[Token | None] = []

    def __call__(self, stale: Token | None) -> Token:
        """Make the next token."""
        self.stale.append(stale)
        return Token(f"at-{len(self.stale)}", self.clock.at + timedelta(minutes=30), "rt")


def test_a_token_is_used_until_a_minute_before_its_end() -> None:
    """One fetch serves 29 minutes of calls; the renewal gets the old token."""
    clock = FixedClock()
    fetches = Fetches(clock)
    source = TokenSource(MemoryTokenStore(), clock, fetches)
    assert source.bearer() == source.bearer() == "at-1"
    clock.at += timedelta(minutes=28, seconds=59)
    assert source.bearer() == "at-1"
    clock.at += timedelta(seconds=2)
    assert source.bearer() == "at-2"
    assert [stale.access if stale else None for stale in fetches.stale] == [None, "at-1"]


def test_another_process_renewing_is_enough() -> None:
    """A token that somebody else put into the store is taken; nothing is fetched."""
    clock = FixedClock()
    fetches = Fetches(clock)
    store = MemoryTokenStore()
    ours, theirs = TokenSource(store, clock, fetches), TokenSource(store, clock, fetches)
    assert ours.bearer() == theirs.bearer() == "at-1"
    clock.at += timedelta(minutes=30)
    assert theirs.bearer() == "at-2"
    assert ours.bearer() == "at-2"
    assert len(fetches.stale) == 2


def test_a_rejected_token_is_renewed_once() -> None:
    """After a 401 the next call fetches one token; a second source that was rejected meanwhile takes that one."""
    clock = FixedClock()
    fetches = Fetches(clock)
    store = MemoryTokenStore()
    ours, theirs = TokenSource(store, clock, fetches), TokenSource(store, clock, fetches)
    rejected = ours.bearer()
    theirs.bearer()
    ours.reject(rejected)
    theirs.reject(rejected)
    assert ours.bearer() == theirs.bearer() == "at-2"
    assert len(fetches.stale) == 2


def test_many_threads_fetch_one_token() -> None:
    """Twenty threads that find no token at the same time cause one fetch."""
    clock = FixedClock()
    fetches = Fetches(clock)
    source = TokenSource(MemoryTokenStore(), clock, fetches)
    start = threading.Barrier(20)
    tokens: list[str] = []

    def ask() -> None:
        start.wait(10)
        tokens.append(source.bearer())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert tokens == ["at-1"] * 20
    assert len(fetches.stale) == 1


def test_a_failed_renewal_leaves_the_store_as_it_was() -> None:
    """When the endpoint refuses, the old token (and its refresh token) stays stored."""
    clock = FixedClock()
    old = Token("old", NOW, "rt-1")
    store = MemoryTokenStore(old)

    def refuse(_: Token | None) -> Token:
        raise ConsentRevoked("no")

    with pytest.raises(ConsentRevoked):
        TokenSource(store, clock, refuse).bearer()
    assert store.find() == old

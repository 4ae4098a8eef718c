"""Looks at everything the flows need from Xero and says in words what is missing."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

from closedwon.connectors.port import Finding
from closedwon.connectors.xero.mappings.wire import OrganisationRow, parse_rows
from closedwon.kernel.errors import ClosedwonError
from closedwon.kernel.exact_json import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from closedwon.connectors.oauth import TokenSource
    from closedwon.connectors.xero.client import XeroClient
    from closedwon.connectors.xero.settings import XeroSettings

MAX_SKEW = timedelta(minutes=2)
# A scope on the left is covered by any on the right.
NEEDED_SCOPES = {
    "accounting.invoices": ("accounting.invoices", "accounting.transactions"),
    "accounting.contacts": ("accounting.contacts",),
    "accounting.settings.read": ("accounting.settings.read", "accounting.settings"),
}
ONE_ROW = {"page": "1", "pageSize": "1", "summaryOnly": "true"}
JWT_PARTS = 3


def check_connection(client: XeroClient, tokens: TokenSource, settings: XeroSettings) -> Iterator[Finding]:
    """Look at the connection, organisation, rights, clock and webhooks. Three calls."""
    try:
        token = tokens.bearer()
    except ClosedwonError as error:
        yield _failure("sign-in", error)
        return
    yield Finding("sign-in", ok=True, text="the credentials are accepted")
    yield from check_scopes(token)
    try:
        row = parse_rows(client.get("Organisation").document, "Organisations", OrganisationRow)[0]
    except ClosedwonError as error:
        yield _failure("organisation", error)
        return
    except IndexError:
        yield Finding("organisation", ok=False, text="Xero shows no organisation", hint="Connect the app again.")
        return
    demo = ", a demo company" if row.is_demo_company else ""
    yield Finding("organisation", ok=True, text=f"{row.name} ({row.country_code}, {row.base_currency}{demo})")
    for path, subject in (("Contacts", "reading contacts"), ("Invoices", "reading invoices")):
        try:
            client.get(path, ONE_ROW)
        except ClosedwonError as error:
            yield _failure(subject, error)
        else:
            yield Finding(subject, ok=True, text="allowed")
    yield _check_clock(client.skew)
    yield _check_webhooks(settings)


def check_scopes(token: str) -> Iterator[Finding]:
    """Look for the scopes we need in the access token. No call; nothing is said when it cannot be read."""
    granted = token_scopes(token)
    if not granted:
        return
    missing = [scope for scope, covers in NEEDED_SCOPES.items() if not granted & set(covers)]
    if missing:
        hint = "Give the app these scopes in Xero's developer portal, name them in auth.scopes, and connect again."
        yield Finding("scopes", ok=False, text=f"missing: {', '.join(missing)}", hint=hint)
    else:
        yield Finding("scopes", ok=True, text="invoices and contacts may be written, settings read")


def token_scopes(token: str) -> frozenset[str]:
    """Read the scopes out of an access token, without checking it: it is our own; empty where it has none."""
    parts = token.split(".")
    if len(parts) != JWT_PARTS:
        return frozenset()
    try:
        claims = decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return frozenset()
    scopes = claims.get("scope") if isinstance(claims, dict) else None
    if isinstance(scopes, str):
        scopes = scopes.split()
    return frozenset(scope for scope in scopes if isinstance(scope, str)) if isinstance(scopes, list) else frozenset()


def _check_clock(skew: timedelta) -> Finding:
    seconds = abs(skew.total_seconds())
    if abs(skew) <= MAX_SKEW:
        return Finding("clock", ok=True, text=f"{seconds:.0f} s apart")
    hint = "Set this machine's clock, best by network time; tokens and feeds depend on it."
    return Finding("clock", ok=False, text=f"this machine and Xero are {seconds:.0f} s apart", hint=hint)


def _check_webhooks(settings: XeroSettings) -> Finding:
    if settings.webhook_key:
        text = "a signing key is configured; whether Xero sends webhooks shows only in its developer portal"
        return Finding("webhooks", ok=True, text=text)
    hint = "For payments to show within seconds, create a webhook in the portal and set `webhook_key`."
    return Finding("webhooks", ok=True, text="not set up: changes are found by the feed, minutes later", hint=hint)


def _failure(subject: str, error: ClosedwonError) -> Finding:
    return Finding(subject, ok=False, text=error.text, hint=error.hint)

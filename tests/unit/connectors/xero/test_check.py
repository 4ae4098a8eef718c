"""The connection check: every finding says what is wrong and what to do."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from closedwon.connectors.xero.check import token_scopes

if TYPE_CHECKING:
    from closedwon.connectors.port import Finding
    from scripted_xero import Vendor

ORGANISATION = {"Name": "Demo", "CountryCode": "NZ", "BaseCurrency": "NZD", "IsDemoCompany": True}


def jwt(claims: Any) -> str:
    """Make a token with these claims and no real signature."""
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{part}.c2ln"


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    """Index findings."""
    return {finding.subject: finding for finding in findings}


def test_a_sound_connection(vendor: Vendor, envelope: Any) -> None:
    """Everything is fine in three calls, and the texts say what was found."""
    scopes = ["accounting.transactions", "accounting.contacts", "accounting.settings"]
    vendor.tokens.append((200, {"access_token": jwt({"scope": scopes}), "expires_in": 1800}))
    vendor.says(envelope(Organisations=[ORGANISATION]), envelope(Contacts=[]), envelope(Invoices=[]))
    findings = by_subject(vendor.books(webhook_key="k").check())
    assert [finding.subject for finding in findings.values() if not finding.ok] == []
    assert findings["organisation"].text == "Demo (NZ, NZD, a demo company)"
    assert list(findings) == [
        "sign-in",
        "scopes",
        "organisation",
        "reading contacts",
        "reading invoices",
        "clock",
        "webhooks",
    ]
    assert len(vendor.calls) == 3


def test_wrong_credentials_end_the_check(vendor: Vendor) -> None:
    """Without a token nothing else can be looked at; the finding names the keys."""
    vendor.tokens.append((400, {"error": "invalid_client"}))
    (finding,) = vendor.books().check()
    assert (finding.subject, finding.ok) == ("sign-in", False)
    assert "auth.client_secret" in finding.hint


def test_a_closed_door_ends_the_check(vendor: Vendor) -> None:
    """An organisation that was disconnected is told with the next step."""
    vendor.says(httpx2.Response(403, json={"detail": "AuthenticationUnsuccessful"}))
    findings = by_subject(vendor.books().check())
    assert not findings["organisation"].ok
    assert "organisation" in findings["organisation"].hint


def test_everything_missing_is_told_at_once(vendor: Vendor, envelope: Any) -> None:
    """Missing scopes, a refused read, a wrong clock and missing webhooks are all in one report."""
    vendor.tokens.append((200, {"access_token": jwt({"scope": "accounting.invoices openid"}), "expires_in": 1800}))
    vendor.clock.at += timedelta(minutes=10)
    vendor.says(
        envelope(Organisations=[ORGANISATION]),
        httpx2.Response(401, json={"Detail": "AuthorizationUnsuccessful"}),
        envelope(Invoices=[]),
    )
    findings = by_subject(vendor.books().check())
    assert findings["scopes"].text == "missing: accounting.contacts, accounting.settings.read"
    assert [subject for subject, finding in findings.items() if not finding.ok] == [
        "scopes",
        "reading contacts",
        "clock",
    ]
    assert "600 s" in findings["clock"].text
    assert "webhook_key" in findings["webhooks"].hint
    assert all(finding.hint for finding in findings.values() if not finding.ok)


def test_no_organisation_is_told(vendor: Vendor, envelope: Any) -> None:
    """An empty list of organisations is not a crash."""
    vendor.says(envelope(Organisations=[]))
    assert not vendor.books().check()[-1].ok


@pytest.mark.parametrize(
    "token", ["", "opaque", "a.b", "a.b.c", "a.!!!.c", jwt([]), jwt({"scope": 7}), jwt({}), jwt({"scope": [7]})]
)
def test_tokens_without_readable_scopes_are_passed_over(token: str) -> None:
    """A token that cannot be read says nothing about scopes, and nothing breaks."""
    assert token_scopes(token) == frozenset()

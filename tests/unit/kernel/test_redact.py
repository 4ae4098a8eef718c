"""Redaction: secrets go, everything a person needs to understand a failure stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.kernel.redact import SECRET_NAMES, redact

SECRET = "s3cr3t-Value_~9"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {SECRET}",
        f"GET /x\r\nauthorization: Basic {SECRET}\r\nAccept: */*",
        f"Set-Cookie: sid={SECRET}; Path=/",
        f"grant_type=refresh_token&refresh_token={SECRET}&scope=a",
        f"client_id=me&client_secret={SECRET}",
        f"https://app.test/callback?code={SECRET}&state=1",
        f"code={SECRET}",
        f"client_assertion_type=x&client_assertion={SECRET}",
        f'{{"access_token":"{SECRET}","expires_in":1800}}',
        f'{{"access_token": "{SECRET}',
        f"{{'refresh_token': '{SECRET}'}}",
        f"the header was 'Bearer {SECRET}'",
        "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyM3QifQ.s3cr3t-Value_~9"[:-1],
        f"http://user:{SECRET}@host.test/",
        f"X-Closedwon-Key: {SECRET}",
    ],
)
def test_secrets_leave_texts(text: str) -> None:
    """No form in which a secret travels survives in a text."""
    shown = redact(text)
    assert "s3cr3t" not in shown
    assert "eyJzdWI" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "Account code '200' is not a valid code for this document.",
        '{"Code":"200","TaxType":"OUTPUT2"}',
        "AccountCode=200&code_page=1",
        "TokenExpired: token expired at 01/23/2020 18:21:16",
        'WWW-Authenticate: Bearer error="insufficient_scope"',
        "AADSTS7000215: Invalid client secret provided.",
        "https://api.test/api.xro/2.0/Invoices?page=1&where=Type%3D%3D%22ACCREC%22",
    ],
)
def test_ordinary_texts_stay(text: str) -> None:
    """Account codes, addresses and vendors' messages are left as they are."""
    assert redact(text) == text


def test_mappings_are_cleaned_at_every_depth() -> None:
    """Names decide in mappings, in any spelling; other values stay as they are."""
    value = {
        "Authorization": "x",
        "Client-Secret": "y",
        "Accept": "json",
        "auth": {"client_id": "me", "client_secret": "z"},
        "list": [{"token": "t"}, "Bearer abcdefghijkl", 3],
    }
    assert redact(value) == {
        "Authorization": "***",
        "Client-Secret": "***",
        "Accept": "json",
        "auth": {"client_id": "me", "client_secret": "***"},
        "list": [{"token": "***"}, "Bearer ***", 3],
    }


@given(st.sampled_from(sorted(SECRET_NAMES)), st.text(min_size=1))
def test_any_secret_in_json_goes(name: str, secret: str) -> None:
    """Whatever characters a secret has, its JSON form leaves nothing of it."""
    for text in (json.dumps({name: secret, "after": 1}), json.dumps({name: secret}, ensure_ascii=False)):
        quoted = json.dumps(secret, ensure_ascii=text.isascii())
        assert redact(text).find(f": {quoted}") == -1 or secret == "***"


@given(st.text())
def test_redaction_is_stable(text: str) -> None:
    """Redacting twice changes nothing more, and no text makes it fail."""
    assert redact(redact(text)) == redact(text)

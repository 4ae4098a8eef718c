"""What may be set, and the vendor facts that come with the package."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from closedwon.connectors.dynamics.settings import MANIFEST, Columns, DynamicsSettings
from dynamics_vendor import HOST, SECRET

AUTH = {"kind": "client_credentials", "directory": "acme.example", "client_id": "app", "client_secret": SECRET}


def settings(**members: Any) -> DynamicsSettings:
    """Read settings as the configuration does."""
    return msgspec.convert({"url": HOST, "auth": AUTH, **members}, DynamicsSettings)


def test_an_address_and_credentials_are_enough() -> None:
    """Everything else has a default."""
    plain = settings()
    assert plain.write_back == "invoice"
    assert plain.api_path == "/api/data/v9.2"
    assert plain.token_url == "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token"
    assert len(plain.columns.names()) == 7


def test_an_address_may_hold_a_path_and_a_slash() -> None:
    """On-premises, the organisation's name is part of the path."""
    there = settings(url="https://crm.example:8443/acme/")
    assert (there.origin, there.api_path) == ("https://crm.example:8443", "/acme/api/data/v9.2")


@pytest.mark.parametrize(
    "members",
    [
        {"url": "acme.crm.dynamics.com"},
        {"url": "ftp://acme"},
        {"url": "https://"},
        {"write_back": "quote"},
        {"api_version": "9.2"},
        {"columns": {"books_id": "New Id"}},
        {"columns": {"unknown": "x"}},
        {"colour": "red"},
        {"auth": {**AUTH, "kind": "password"}},
        {"auth": {**AUTH, "authority_url": "login"}},
        {"auth": {"kind": "client_credentials"}},
    ],
)
def test_wrong_settings_are_refused(members: dict[str, Any]) -> None:
    """A wrong or unknown member is found when the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        settings(**members)


def test_secrets_do_not_show() -> None:
    """Neither secret appears when settings are printed."""
    assert SECRET not in repr(settings())
    assert "hush" not in repr(settings(webhook_secret="hush"))


def test_a_column_with_an_empty_name_is_left_out() -> None:
    """Who has no column for a fact names it empty."""
    assert "new_xeropaidon" not in Columns(paid_on="").names()


def test_the_manifest_covers_every_kind_of_record() -> None:
    """The facts are complete: each kind has a table, a key and states; the statuses are pairs."""
    assert set(MANIFEST.documents) == {"invoice", "order", "opportunity"}
    assert all(set(pair) == {"statecode", "statuscode"} for pair in MANIFEST.invoice_states.values())
    assert set(MANIFEST.opportunity.states.values()) == {"open", "won", "lost"}

"""Credentials and limits of the simulators."""

from __future__ import annotations

import pytest

from closedwon_sandbox.settings import (
    InvalidSettingError,
    change_limits,
    dataverse_settings,
    limits,
    xero_settings,
)


def test_credentials_belong_to_the_seed() -> None:
    """A restart with the same seed keeps every configuration working; another seed has other secrets."""
    assert xero_settings(1) == xero_settings(1)
    assert dataverse_settings(1) == dataverse_settings(1)
    assert xero_settings(2).client_secret != xero_settings(1).client_secret
    assert dataverse_settings(2).client_secret != dataverse_settings(1).client_secret


def test_limits_begin_as_the_vendors_have_them() -> None:
    """5 at once, 60 a minute, 5,000 a day, 10,000 a minute per app; 6,000 requests, 20 minutes and 52 at once."""
    xero, dataverse = xero_settings(1), dataverse_settings(1)
    assert (xero.concurrent, xero.minute, xero.day, xero.app_minute) == (5, 60, 5_000, 10_000)
    assert (dataverse.requests, dataverse.window_s) == (6_000, 300)
    assert (dataverse.execution_ms, dataverse.concurrent) == (1_200_000, 52)
    assert xero.enforce
    assert dataverse.enforce


def test_limits_can_be_changed() -> None:
    """Numbers, the switch and the privileges that are missing."""
    settings = dataverse_settings(1)
    change_limits(settings, {"requests": 10, "enforce": False, "deny": ["prvCreateInvoice"]})
    assert (settings.requests, settings.enforce, settings.deny) == (10, False, frozenset({"prvCreateInvoice"}))
    assert limits(settings)["deny"] == ["prvCreateInvoice"]


@pytest.mark.parametrize("wanted", [{"minute": True}, {"minute": "1"}, {"enforce": 1}, {"deny": []}, {"token": "x"}])
def test_a_limit_that_cannot_be_is_refused(wanted: dict[str, object]) -> None:
    """Neither wrong types nor credentials nor the other system's limits; what came with it is refused too."""
    settings = xero_settings(1)
    with pytest.raises(InvalidSettingError, match=next(iter(wanted))):
        change_limits(settings, {"day": 7, **wanted})
    assert settings == xero_settings(1)

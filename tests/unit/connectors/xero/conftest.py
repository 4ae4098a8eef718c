"""What every test of the Xero connector uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripted_xero import Vendor

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def vendor() -> Vendor:
    """Return a fresh scripted Xero."""
    return Vendor()


@pytest.fixture
def envelope() -> Callable[..., dict[str, Any]]:
    """Return a maker of the envelope around every list of Xero's."""

    def make(**members: Any) -> dict[str, Any]:
        return {
            "Id": "0f4d5f0c-7a4e-4f0a-9a6e-5f6f8b6d2a11",
            "Status": "OK",
            "ProviderName": "Closedwon",
            "DateTimeUTC": "/Date(1795338000000)/",  # NOW
            **members,
        }

    return make

"""Fixtures of the Dynamics connector's tests: a scripted Dataverse and a connector on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from closedwon.connectors.dynamics.connector import DataverseCrm
from closedwon.connectors.dynamics.settings import DynamicsSettings
from closedwon.connectors.oauth import MemoryTokenStore
from closedwon.connectors.registry import Equipment
from closedwon.kernel.http import HttpClient
from dynamics_vendor import HOST, SECRET, StillClock, Vendor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def vendor() -> Vendor:
    """Return a Dataverse without answers."""
    return Vendor()


@pytest.fixture
def build(vendor: Vendor) -> Iterator[Callable[..., DataverseCrm]]:
    """Return what builds a connector on the vendor, with settings as in a configuration file."""
    http = HttpClient(transport=httpx2.MockTransport(vendor.handle))

    def build(**settings: Any) -> DataverseCrm:
        auth = {"kind": "client_credentials", "directory": "acme", "client_id": "app", "client_secret": SECRET}
        typed = msgspec.convert({"url": HOST, "auth": auth, **settings}, DynamicsSettings)
        return DataverseCrm(typed, Equipment(http, StillClock(), MemoryTokenStore(), vendor.budget))

    yield build
    http.close()


@pytest.fixture
def crm(build: Callable[..., DataverseCrm]) -> DataverseCrm:
    """Return a connector with the settings most people have."""
    return build()

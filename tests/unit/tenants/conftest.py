"""Tenants' stores on both kinds of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.tenants.secrets import Vault
from closedwon.tenants.store import TenantStore
from stores import any_database, clock, database, postgres_url

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock

__all__ = ["any_database", "clock", "database", "postgres_url"]


@pytest.fixture
def tenants(any_database: Database, clock: SetClock) -> TenantStore:
    """Return a store with a vault."""
    return TenantStore(any_database, clock, Vault(b"k" * 32))

"""What the engine's tests work with: stores, a clock that is set, an engine store, and a vendor that does as told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine.store import EngineStore
from closedwon.events.store import EventStore
from engine_parts import Bench, Vendor, Wakings
from stores import any_database, clock, database, postgres_url

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock

__all__ = ["any_database", "clock", "database", "postgres_url"]


@pytest.fixture
def store(database: Database, clock: SetClock) -> EngineStore:
    """Return an engine store on SQLite."""
    return EngineStore(database, clock)


@pytest.fixture
def any_store(any_database: Database, clock: SetClock) -> EngineStore:
    """Return an engine store on each kind of database."""
    return EngineStore(any_database, clock)


@pytest.fixture
def any_events(any_database: Database, clock: SetClock) -> EventStore:
    """Return an event store beside it."""
    return EventStore(any_database, clock)


@pytest.fixture
def wakings() -> Wakings:
    """Return what remembers which lanes were woken."""
    return Wakings()


@pytest.fixture
def vendor(database: Database) -> Vendor:
    """Return a vendor that creates what it is sent."""
    return Vendor(database)


@pytest.fixture
def bench(store: EngineStore, clock: SetClock) -> Bench:
    """Return a batch loop with a flow to be told what to do."""
    return Bench(store, clock)

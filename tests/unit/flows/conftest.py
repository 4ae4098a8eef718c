"""Flows on a store of their own, beside systems that say what a test tells them to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine.store import EngineStore
from closedwon.events.store import EventStore
from closedwon.links.store import LinkStore
from flow_parts import Systems
from stores import clock, database

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock

__all__ = ["clock", "database"]


@pytest.fixture
def links(database: Database, clock: SetClock) -> LinkStore:
    """Return a link store."""
    return LinkStore(database, clock)


@pytest.fixture
def events(database: Database, clock: SetClock) -> EventStore:
    """Return an event store."""
    return EventStore(database, clock)


@pytest.fixture
def engine(database: Database, clock: SetClock) -> EngineStore:
    """Return an engine store."""
    return EngineStore(database, clock)


@pytest.fixture
def systems(clock: SetClock) -> Systems:
    """Return both systems, empty."""
    return Systems(clock)

"""The webhook door on a store of its own, with both kinds of connections configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from closedwon.app.settings import load_settings
from closedwon.engine.intake import Intake
from closedwon.engine.store import EngineStore
from closedwon.events.store import EventStore
from closedwon.web.webhooks import build_hooks
from engine_parts import Wakings
from settings_text import GOOD
from stores import clock, database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from closedwon.db.connect import Database
    from stores import SetClock

__all__ = ["clock", "database"]


@pytest.fixture
def intake(database: Database, clock: SetClock) -> Iterator[Intake]:
    """Return a running intake."""
    taking = Intake(EngineStore(database, clock), EventStore(database, clock), Wakings(), lambda *_: [])
    taking.start()
    yield taking
    taking.stop()


@pytest.fixture
def door(tmp_path: Path, intake: Intake) -> Iterator[TestClient[Litestar]]:
    """Return a client of the door."""
    path = tmp_path / "closedwon.yaml"
    path.write_text(GOOD, "utf-8")
    with TestClient(Litestar(build_hooks(load_settings(path), intake))) as client:  # type: ignore[arg-type]
        yield client

"""A stage for each scenario; waits between attempts are cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine import resolver, retry
from product import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry soon: how long waits are is tested elsewhere, what is done after them is tested here."""
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.1)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(resolver, "SETTLE_S", 0.1)


@pytest.fixture(name="stage")
def fresh_stage(tmp_path: Path) -> Iterator[Stage]:
    """Set up a sandbox of this scenario's own."""
    with stage(tmp_path) as running:
        yield running

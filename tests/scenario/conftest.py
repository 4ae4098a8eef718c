"""A stage for each scenario; waits between attempts are cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine import resolver, retry, schedule
from product import Stage, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True, scope="module")
def _short_waits() -> Iterator[None]:
    """Retry soon: how long waits are is tested elsewhere, what is done after them is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "FIRST_WAIT_S", 0.1)
        patch.setattr(retry, "LONGEST_WAIT_S", 0.2)
        patch.setattr(retry, "SETTLE_S", 0.1)
        patch.setattr(resolver, "SETTLE_S", 0.1)
        patch.setattr(schedule, "BEAT_S", 0.1)
        yield


@pytest.fixture(name="stage")
def fresh_stage(tmp_path: Path) -> Iterator[Stage]:
    """Set up a sandbox of this scenario's own."""
    with stage(tmp_path) as running:
        yield running

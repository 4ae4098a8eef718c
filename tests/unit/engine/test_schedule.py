"""Housekeeping: lanes that overslept are woken, the dead are taken over, and nothing stops the beat."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from closedwon.engine import schedule
from closedwon.engine.intake import Intake
from closedwon.engine.schedule import Housekeeper
from engine_parts import LANE, TENANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.engine.store import EngineStore
    from engine_parts import Bench, Wakings
    from stores import SetClock

PATIENCE_S = 20


class Executors:
    """Stands in for the durable runner: who is busy, and whom we were told to take over."""

    executor_id = "me"

    def __init__(self) -> None:
        self.busy: set[str] = set()
        self.taken_over: list[str] = []
        self.asked = threading.Semaphore(0)
        self.fault: Exception | None = None

    def busy_executors(self) -> set[str]:
        """Say who has started work that is not finished."""
        self.asked.release()
        fault, self.fault = self.fault, None
        if fault is not None:
            raise fault
        return self.busy

    def take_over(self, dead: Sequence[str]) -> int:
        """Remember whose work goes on here."""
        self.taken_over += dead
        return len(dead)


@pytest.fixture
def executors() -> Executors:
    """Return the stand-in."""
    return Executors()


@pytest.fixture
def idle() -> set[str]:
    """Return the integrations that are paused."""
    return set()


@pytest.fixture
def keeper(store: EngineStore, wakings: Wakings, executors: Executors, idle: set[str]) -> Housekeeper:
    """Return a housekeeper."""
    intake = Intake(store, cast("Any", None), wakings, lambda *_: [])
    return Housekeeper(store, cast("Any", executors), intake, lambda _tenant, name: name in idle)


def test_a_sweep_wakes_lanes_with_work_due(keeper: Housekeeper, bench: Bench, wakings: Wakings) -> None:
    """Once: the second sweep sees that the lane is awake."""
    bench.queue("a")
    keeper.sweep()
    keeper.sweep()
    assert wakings.lanes == [(TENANT, LANE, 0)]


def test_a_wake_up_that_got_lost_is_repeated_with_a_new_number(
    keeper: Housekeeper, bench: Bench, wakings: Wakings, clock: SetClock
) -> None:
    """A lane that never started makes way for the next generation, since the old one may be known as queued."""
    bench.queue("a")
    keeper.sweep()
    clock.advance(schedule.OVERSLEPT_S + 1)
    keeper.sweep()
    assert [generation for _, _, generation in wakings.lanes] == [0, 1]


def test_lanes_of_paused_integrations_are_left_asleep(
    keeper: Housekeeper, bench: Bench, wakings: Wakings, idle: set[str]
) -> None:
    """Waking them would only cost a batch a second that takes nothing."""
    idle.add("sales")
    bench.queue("a")
    keeper.sweep()
    assert wakings.lanes == []


def test_starting_alone_takes_over_everything(keeper: Housekeeper, store: EngineStore, executors: Executors) -> None:
    """On a store of our own whoever was busy is dead, however lately it beat."""
    store.beat("before")
    executors.busy = {"before", "me"}
    keeper.start(alone=True)
    keeper.stop()
    assert executors.taken_over == ["before"]


def test_the_living_are_not_taken_over(keeper: Housekeeper, store: EngineStore, executors: Executors) -> None:
    """Only who has not beaten for a while is dead."""
    store.beat("neighbour")
    executors.busy = {"neighbour", "gone"}
    keeper.start(alone=False)
    keeper.stop()
    assert executors.taken_over == ["gone"]


def test_an_unexpected_fault_does_not_stop_the_beat(
    keeper: Housekeeper, executors: Executors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner's own tables may be locked for a moment; the next beat comes all the same."""
    monkeypatch.setattr(schedule, "BEAT_S", 0.001)
    keeper.start(alone=True)
    executors.fault = RuntimeError("database is locked")
    beats = [executors.asked.acquire(timeout=PATIENCE_S) for _ in range(5)]
    keeper.stop()
    assert all(beats)

"""The sandbox's settable clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from closedwon_sandbox.clock import Clock


def test_it_begins_at_wall_time() -> None:
    """Nobody has moved it yet."""
    assert abs(Clock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_it_moves_to_a_moment() -> None:
    """A moment ahead becomes now."""
    clock = Clock()
    clock.set(datetime(2100, 1, 1, tzinfo=UTC))
    assert abs(clock.now() - datetime(2100, 1, 1, tzinfo=UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e30])
def test_it_never_goes_back_or_out_of_the_calendar(seconds: float) -> None:
    """A refused move changes nothing."""
    clock = Clock()
    with pytest.raises(ValueError, match="clock"):
        clock.advance(seconds)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_timers_fire_once_when_due_and_in_order() -> None:
    """Only what is due fires, earliest first, and what was asked for first where the time is the same."""
    clock = Clock()
    fired: list[str] = []
    for delay_s, name in ((20, "b"), (10, "a"), (20, "c"), (3_600, "d")):
        clock.call_later(delay_s, lambda name=name: fired.append(name))  # type: ignore[misc]
    assert clock.tick() == 0
    clock.advance(60)
    assert clock.tick() == 3
    assert clock.tick() == 0
    assert fired == ["a", "b", "c"]

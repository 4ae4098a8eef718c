"""Instants as we store them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.kernel.clock import SystemClock, parse_instant, render_instant

moments = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - zone follows


def test_an_instant_is_rendered_in_utc_with_milliseconds() -> None:
    """Whatever zone it came in."""
    auckland = timezone(timedelta(hours=13))
    assert render_instant(datetime(2026, 11, 23, 1, 0, 0, 123_456, auckland)) == "2026-11-22T12:00:00.123Z"


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00Z", "2026-11-23T01:00:00+13:00", "2026-11-22T12:00:00.000Z"])
def test_an_instant_is_parsed_to_utc(text: str) -> None:
    """From Z or an offset."""
    assert parse_instant(text) == datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00", "2026-11-22", "soon", ""])
def test_a_time_without_zone_is_refused(text: str) -> None:
    """It could be any moment of a day."""
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        parse_instant(text)


@given(moments, moments)
def test_rendered_instants_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    """That is why they may be compared as text."""
    assert (render_instant(one) < render_instant(other)) <= (one < other)
    assert parse_instant(render_instant(one)) == one.replace(microsecond=one.microsecond // 1000 * 1000)


def test_the_systems_clock_is_aware_and_never_goes_back() -> None:
    """In UTC; waiting no time returns at once."""
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before

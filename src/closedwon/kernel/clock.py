"""The only place that reads the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits. Tests hand in one they control."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for measuring."""

    def sleep(self, seconds: float) -> None:
        """Wait, in seconds."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, in seconds."""
        time.sleep(seconds)


def render_instant(moment: datetime) -> str:
    """Render an aware time as ISO 8601 in UTC with milliseconds and Z, the form we store (it sorts as text)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Parse ISO 8601 with an offset or Z into an aware UTC time. *Raises* ValueError when the text has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone: {text!r}")
    return moment.astimezone(UTC)

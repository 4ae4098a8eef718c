"""The sandbox's settable clock, shared by both simulators."""

from __future__ import annotations

import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


LAST_MOMENT = datetime(9000, 1, 1, tzinfo=UTC)


class Clock:
    """Wall time plus an offset that tests and people move; timers fire on this clock, not on the wall's.

    Not thread-safe on purpose: everything in a simulator runs on one event loop.
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def timestamp(self) -> float:
        """Return seconds since the epoch on the sandbox's clock."""
        return time.time() + self._offset_s

    def now(self) -> datetime:
        """Return the sandbox's time, aware and in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock forward; timers that fall due fire at the next `tick`.

        *Raises* ValueError when asked to go back (versions and tokens would lose their order) or out of the calendar.
        """
        if not seconds >= 0:
            raise ValueError("the sandbox's clock only moves forward")
        if self.timestamp() + seconds > LAST_MOMENT.timestamp():
            raise ValueError(f"the sandbox's clock ends in {LAST_MOMENT.year}")
        self._offset_s += seconds

    def set(self, moment: datetime) -> None:
        """Move the clock forward to an aware moment."""
        self.advance((moment - self.now()) / timedelta(seconds=1))

    def call_later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run `action` once, `delay_s` seconds of sandbox time from now."""
        heapq.heappush(self._timers, (self.timestamp() + delay_s, next(self._order), action))

    def tick(self) -> int:
        """Fire every timer that is due; return how many fired. The server calls this many times a second."""
        fired = 0
        while self._timers and self._timers[0][0] <= self.timestamp():
            _, _, action = heapq.heappop(self._timers)
            action()
            fired += 1
        return fired

"""How many calls an app may make: at once, in a minute, in a day, and in a minute over all organisations.

Windows are fixed: each starts at a moment that belongs to the organisation (or the app), not at midnight.
*Source*: developer.xero.com "API limits" and recorded refusals, read 2026-11-22.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.settings import XeroSettings

MINUTE_S: Final = 60
DAY_S: Final = 86_400
APP_WIDE: Final = ""
REFUSED_CALLS_COUNT: Final = False  # unknown at the vendor: whether a 429 uses up quota
RETRY_AFTER_CONCURRENT: Final = False  # the vendor promises the header for minute and day only


class Window:
    """Counts calls in fixed windows of one length for one owner."""

    def __init__(self, length_s: int, owner: str) -> None:
        self._length_s = length_s
        self._phase_s = zlib.crc32(owner.encode()) % length_s
        self._number = -1
        self._used = 0

    def used(self, now_s: float) -> int:
        """Return the calls counted in the window that `now_s` falls into."""
        number = int((now_s + self._phase_s) // self._length_s)
        if number != self._number:
            self._number, self._used = number, 0
        return self._used

    def count(self, now_s: float) -> None:
        """Count one call."""
        self.used(now_s)
        self._used += 1

    def seconds_left(self, now_s: float) -> int:
        """Return the whole seconds until the next window, at least 1."""
        return max(1, math.ceil(self._length_s - (now_s + self._phase_s) % self._length_s))


class Limits:
    """The windows of every app with every organisation."""

    def __init__(self, clock: Clock, settings: XeroSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._minutes: dict[tuple[str, str], Window] = {}
        self._days: dict[tuple[str, str], Window] = {}
        self._app_minutes: dict[str, Window] = {}
        self.refused: dict[str, int] = defaultdict(int)

    def admit(self, app: str, organisation_id: str, in_flight: int) -> Reply | None:
        """Count a call; return the 429 when it is one too many. `in_flight` includes this call."""
        now_s = self._clock.timestamp()
        kind = self._exceeded(app, organisation_id, in_flight, now_s)
        if kind and self._settings.enforce:
            self.refused[kind] += 1
            if REFUSED_CALLS_COUNT:
                self._count(app, organisation_id, now_s)
            return self.refusal(kind, app, organisation_id)
        self._count(app, organisation_id, now_s)
        return None

    def headers(self, app: str, organisation_id: str) -> dict[str, str]:
        """Return what is left, as every answer about an organisation says it."""
        now_s = self._clock.timestamp()
        left = (
            ("X-DayLimit-Remaining", self._settings.day, self._day(app, organisation_id)),
            ("X-MinLimit-Remaining", self._settings.minute, self._minute(app, organisation_id)),
            ("X-AppMinLimit-Remaining", self._settings.app_minute, self._app_minute(app)),
        )
        return {name: str(max(0, most - window.used(now_s))) for name, most, window in left}

    def refusal(self, kind: str, app: str, organisation_id: str) -> Reply:
        """Build the 429 of a kind: no body, no content type."""
        headers = self.headers(app, organisation_id)
        spent = {
            "minute": "X-MinLimit-Remaining",
            "day": "X-DayLimit-Remaining",
            "appminute": "X-AppMinLimit-Remaining",
        }
        if kind in spent:
            headers[spent[kind]] = "0"
        window = {"day": self._day(app, organisation_id), "appminute": self._app_minute(app)}.get(kind)
        window = window or self._minute(app, organisation_id)
        if kind != "concurrent" or RETRY_AFTER_CONCURRENT:
            headers["Retry-After"] = str(window.seconds_left(self._clock.timestamp()))
        return Reply(429, b"", {**headers, "X-Rate-Limit-Problem": kind})

    def _exceeded(self, app: str, organisation_id: str, in_flight: int, now_s: float) -> str | None:
        checks = (
            ("concurrent", in_flight > self._settings.concurrent),
            ("day", self._day(app, organisation_id).used(now_s) >= self._settings.day),
            ("minute", self._minute(app, organisation_id).used(now_s) >= self._settings.minute),
            ("appminute", self._app_minute(app).used(now_s) >= self._settings.app_minute),
        )
        return next((kind for kind, over in checks if over), None)

    def _count(self, app: str, organisation_id: str, now_s: float) -> None:
        for window in (self._day(app, organisation_id), self._minute(app, organisation_id), self._app_minute(app)):
            window.count(now_s)

    def _minute(self, app: str, organisation_id: str) -> Window:
        return self._minutes.setdefault((app, organisation_id), Window(MINUTE_S, organisation_id))

    def _day(self, app: str, organisation_id: str) -> Window:
        return self._days.setdefault((app, organisation_id), Window(DAY_S, organisation_id))

    def _app_minute(self, app: str) -> Window:
        return self._app_minutes.setdefault(app, Window(MINUTE_S, app))

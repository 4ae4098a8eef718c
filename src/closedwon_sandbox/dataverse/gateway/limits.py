"""Service protection: requests, time and concurrency of one user over a sliding window. Source: reference 12.1."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse.api.wire import json_reply
from closedwon_sandbox.dataverse.errors import DataverseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Reply
    from closedwon_sandbox.settings import DataverseSettings

CONCURRENCY_RETRY_S = 2
"""What a concurrency refusal asks to wait: such violations clear quickly. [inferred]"""

DOP_HINT = "8"
_ALIASES = {"minute": "requests", "burst": "requests", "day": "time", "app": "requests"}


class ServiceProtection:
    """Counts what one user does and refuses what is too much. *Units*: seconds on the sandbox's clock."""

    def __init__(self, clock: Clock, settings: DataverseSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._requests: deque[float] = deque()
        self._spent: deque[tuple[float, float]] = deque()
        self._spent_ms = 0.0
        self._pushes = 0

    def count(self, in_flight: int) -> str | None:
        """Count a request; return the limit it breaks ("requests", "time", "concurrent"), None when it may go on."""
        self._forget()
        self._requests.append(self._clock.timestamp())
        if not self._settings.enforce:
            return None
        broken = self._broken(in_flight)
        if broken is None:
            self._pushes = 0
        else:
            self._requests.pop()
            self._pushes += 1
        return broken

    def spend(self, milliseconds: float) -> None:
        """Add the time that a request took to work out."""
        self._spent.append((self._clock.timestamp(), milliseconds))
        self._spent_ms += milliseconds

    def headers(self) -> Mapping[str, str]:
        """Return what is left, as the vendor's debugging headers say it."""
        self._forget()
        return {
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(max(0, self._settings.requests - len(self._requests))),
            "x-ms-ratelimit-time-remaining-xrm-requests": str(
                max(0, int(self._settings.execution_ms - self._spent_ms))
            ),
            "x-ms-dop-hint": DOP_HINT,
        }

    def refusal(self, kind: str) -> Reply:
        """Build the 429 of one kind."""
        error = self._errors()[
            _ALIASES.get(kind, kind) if _ALIASES.get(kind, kind) in {"requests", "time", "concurrent"} else "requests"
        ]
        return json_reply(
            error.status, error.envelope(), {"Retry-After": str(self._retry_after(kind)), **self.headers()}
        )

    def _broken(self, in_flight: int) -> str | None:
        if in_flight > self._settings.concurrent:
            return "concurrent"
        if len(self._requests) > self._settings.requests:
            return "requests"
        return "time" if self._spent_ms > self._settings.execution_ms else None

    def _retry_after(self, kind: str) -> int:
        """Say how long to wait; whoever keeps pushing waits longer."""
        if kind == "concurrent":
            return CONCURRENCY_RETRY_S + self._pushes // 10
        oldest = (
            self._spent[0][0]
            if kind == "time" and self._spent
            else self._requests[0]
            if self._requests
            else self._clock.timestamp()
        )
        left = oldest + self._settings.window_s - self._clock.timestamp()
        return min(self._settings.window_s, max(1, math.ceil(left)) + self._pushes // 10)

    def _forget(self) -> None:
        edge = self._clock.timestamp() - self._settings.window_s
        while self._requests and self._requests[0] <= edge:
            self._requests.popleft()
        while self._spent and self._spent[0][0] <= edge:
            self._spent_ms -= self._spent.popleft()[1]

    def _errors(self) -> Mapping[str, DataverseError]:
        window = self._settings.window_s
        requests = (
            f"Number of requests exceeded the limit of {self._settings.requests} over time window of {window} seconds."
        )
        spent = (
            f"Combined execution time of incoming requests exceeded limit of {self._settings.execution_ms:,} "
            f"milliseconds over time window of {window} seconds. "
            "Decrease number of concurrent requests or reduce the duration of "
            "requests and try again later."
        )
        concurrent = f"Number of concurrent requests exceeded the limit of {self._settings.concurrent}."
        return {
            "requests": DataverseError(429, "0x80072322", requests),
            "time": DataverseError(429, "0x80072321", spent),
            "concurrent": DataverseError(429, "0x80072326", concurrent),
        }

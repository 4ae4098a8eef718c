"""Counts what each caller asked of each simulator."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Tally:
    """What one caller asked of one simulator; `throttled` counts the 429s it was given."""

    endpoints: Counter[str] = field(default_factory=Counter)
    throttled: int = 0


class Stats:
    """Calls per system, caller and endpoint since the start or the last reset."""

    def __init__(self) -> None:
        self._tallies: defaultdict[str, defaultdict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))

    def count(self, system: str, caller: str, endpoint: str) -> None:
        """Count one request that came in."""
        self._tallies[system][caller].endpoints[endpoint] += 1

    def count_throttled(self, system: str, caller: str) -> None:
        """Count one answer that told the caller to slow down."""
        self._tallies[system][caller].throttled += 1

    def reset(self) -> None:
        """Begin to count from zero."""
        self._tallies.clear()

    def of(self, system: str) -> dict[str, Any]:
        """Return one system's counts by caller as plain JSON values; the three usual callers are always there."""
        known: Mapping[str, Tally] = self._tallies.get(system, {})
        callers = ["app", "tools", "anonymous", *sorted(known.keys() - {"app", "tools", "anonymous"})]
        return {caller: _as_json(known.get(caller) or Tally()) for caller in callers}


def _as_json(tally: Tally) -> dict[str, Any]:
    return {
        "total": tally.endpoints.total(),
        "endpoints": dict(sorted(tally.endpoints.items())),
        "throttled": tally.throttled,
    }

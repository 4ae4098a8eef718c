"""The call budget: no call leaves that the vendor would refuse for being one too many.

Vendors count in windows that begin when they like. So a call counts here from the moment it may leave until a whole
window after its answer came: whatever the network does, no window of the vendor's then holds more calls than allowed.
The state is one small JSON value in a store shared by all processes; the rules below are pure functions on it.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, get_args

import msgspec

from closedwon.connectors.port import Window
from closedwon.kernel.errors import Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon.kernel.clock import Clock

Result = TypeVar("Result")

TOO_MANY_REQUESTS = 429
DAY_S = 86_400
BUCKETS = 60  # how finely a window is remembered
SLOT_POLL_S = 0.05  # how often somebody who waits for a concurrent slot looks again
CRASHED_LEASE_S = 5  # how long a call of a process that died may still run at the vendor
APP_SPARE = 20  # calls left for the whole app below which this connection stands back
RESET_JUMP = 20  # the vendor's day counter only rises by more than this when its day began anew
LEARNT_JITTER_S = 1  # vendors round Retry-After down
PAUSE_S: Mapping[Window, float] = {
    "concurrent": 1,
    "minute": 60,
    "day": 3600,
    "app": 60,
}  # when no Retry-After is given
PROBLEM_NAMES: Mapping[str, Window] = {
    "concurrent": "concurrent",
    "minute": "minute",
    "day": "day",
    "daily": "day",
    "appminute": "app",
    "app": "app",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a vendor allows one connection. *Units*: calls in flight, calls per `window_s` seconds, calls per day.

    `spare` calls of each window are left unused; `day` None means there is no daily limit. Who waits longer than
    `max_wait_s` is told so instead. `lease_s` bounds how long a call may hold its slot without giving it back.
    """

    concurrent: int
    minute: int
    day: int | None = None
    window_s: float = 60
    spare: int = 2
    max_wait_s: float = 65
    lease_s: float = 90

    @property
    def usable(self) -> int:
        """Return the calls per window we allow ourselves."""
        return max(1, self.minute - self.spare)


class BudgetStore(Protocol):
    """Keeps the budget of one connection where all processes see it."""

    def update(self, change: Callable[[dict[str, Any]], tuple[dict[str, Any], Result]]) -> Result:
        """Replace the state by what the pure function `change` makes of it, atomically; return its second value.

        The state is {} at first, and plain JSON values always.
        """


class MemoryBudgetStore:
    """Keeps a budget in this process only, for tests and one-off checks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {}

    def update(self, change: Callable[[dict[str, Any]], tuple[dict[str, Any], Result]]) -> Result:
        """Replace the state under a lock."""
        with self._lock:
            self._state, result = change(self._state)
        return result


# --- the rules: pure functions on the state --------------------------------------------------------------------------


class Lease(msgspec.Struct):
    """A call on its way: whose it is and when it began."""

    owner: str
    started: float


class BudgetState(msgspec.Struct):
    """Everything known of one connection's budget. Times are Unix seconds.

    `recent` holds [time, calls] pairs of finished calls; `paused_until` comes from a 429.
    """

    recent: list[tuple[float, int]] = msgspec.field(default_factory=list)
    leases: dict[str, Lease] = msgspec.field(default_factory=dict)
    paused_until: float = 0
    paused_by: Window = "minute"
    day_left: int | None = None
    day_since: float = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a call may not leave yet, and after how many seconds it is worth asking again."""

    seconds: float
    window: Window


def tidy(state: BudgetState, now: float, limits: Limits, alive: Callable[[str], bool]) -> None:
    """Forget what no longer counts, and take slots back from calls whose process died or that took too long."""
    for lease_id, lease in list(state.leases.items()):
        ends = min(lease.started, now) + (limits.lease_s if alive(lease.owner) else CRASHED_LEASE_S)
        if ends <= now:
            release(state, lease_id, ends, limits)
    # A clock set back must not keep calls of the "future" for ever.
    kept = [(min(moment, now + limits.window_s), count) for moment, count in state.recent]
    state.recent = [(moment, count) for moment, count in kept if moment + limits.window_s > now]
    if state.day_left is not None and (now >= state.day_since + DAY_S or now < state.day_since):
        state.day_left = None


def take(state: BudgetState, lease_id: str, owner: str, now: float, limits: Limits) -> Wait | None:
    """Take one call out of a tidied budget, or say what it must wait for."""
    wait = _first_wait(state, now, limits)
    if wait is None:
        state.leases[lease_id] = Lease(owner, now)
        if limits.day is not None:
            if state.day_left is None:
                state.day_left, state.day_since = limits.day, now
            state.day_left -= 1
    return wait


def release(state: BudgetState, lease_id: str, now: float, limits: Limits) -> None:
    """Give the concurrent slot of a call back; the call goes on counting in its window."""
    if state.leases.pop(lease_id, None) is None:
        return
    step = limits.window_s / BUCKETS
    moment = math.ceil(now / step) * step
    _count(state, moment, 1)


def learn(state: BudgetState, status: int, headers: Mapping[str, str], now: float, limits: Limits) -> None:
    """Correct the state by what the vendor says, where the vendor says less than we thought."""
    left = _number(headers, "x-minlimit-remaining")
    if left is not None:
        missing = _minute_left(state, limits) - max(0, int(left) - limits.spare - len(state.leases))
        if missing > 0:
            _count(state, now, missing)
    _learn_day(state, _number(headers, "x-daylimit-remaining"), now, limits)
    app_left = _number(headers, "x-appminlimit-remaining")
    if app_left is not None and app_left < APP_SPARE:
        _pause(state, now + PAUSE_S["app"], "app")
    if status == TOO_MANY_REQUESTS:
        window = problem_window(headers)
        _pause(state, now + (retry_after_s(headers) or PAUSE_S[window]) + LEARNT_JITTER_S, window)


def problem_window(headers: Mapping[str, str]) -> Window:
    """Tell which window a 429 is about; unknown names count as minute."""
    return PROBLEM_NAMES.get(headers.get("x-rate-limit-problem", "").strip().lower(), "minute")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After in seconds; None when it is missing, a date, or nonsense."""
    return _number(headers, "retry-after")


def breather_s(state: BudgetState, limits: Limits, calls: int) -> float:
    """Return how many seconds to gather work before the next few calls, so that a minute's budget lasts a minute.

    Nothing while half of the window is free; from there on it rises to twice the steady pace. Steady work thus settles
    at three quarters of the budget, and the rest stays free for what comes in between.
    """
    free = _minute_left(state, limits) / limits.usable
    steady_s = calls * limits.window_s / limits.usable
    return max(0.0, min(1.0, 1 - free * 2)) * 2 * steady_s


def _first_wait(state: BudgetState, now: float, limits: Limits) -> Wait | None:
    if state.paused_until > now:
        return Wait(state.paused_until - now, state.paused_by)
    if limits.day is not None and state.day_left is not None and state.day_left <= limits.spare:
        return Wait(state.day_since + DAY_S - now, "day")
    if len(state.leases) >= limits.concurrent:
        return Wait(SLOT_POLL_S, "concurrent")
    if _minute_left(state, limits) <= 0:
        oldest = min((moment for moment, _ in state.recent), default=now)
        return Wait(max(SLOT_POLL_S, oldest + limits.window_s - now), "minute")
    return None


def _minute_left(state: BudgetState, limits: Limits) -> int:
    return limits.usable - sum(count for _, count in state.recent) - len(state.leases)


def _learn_day(state: BudgetState, left: float | None, now: float, limits: Limits) -> None:
    if left is None or limits.day is None:
        return
    told = int(left) - len(state.leases)
    if state.day_left is None or told > state.day_left + RESET_JUMP:
        state.day_left, state.day_since = min(told, limits.day), now
    else:
        state.day_left = min(told, state.day_left)


def _count(state: BudgetState, moment: float, calls: int) -> None:
    counts = dict(state.recent)
    counts[moment] = counts.get(moment, 0) + calls
    state.recent = sorted(counts.items())


def _pause(state: BudgetState, until: float, window: Window) -> None:
    if until > state.paused_until:
        state.paused_until, state.paused_by = until, window


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 10 * DAY_S else None


# --- the budget ------------------------------------------------------------------------------------------------------


class CallBudget:
    """The `Budget` of one connection.

    `on_wait` hears of every wait before it begins, so that people see a budget at work and not a hang.
    """

    def __init__(
        self, limits: Limits, store: BudgetStore, clock: Clock, on_wait: Callable[[Wait], None] | None = None
    ) -> None:
        self._limits = limits
        self._store = store
        self._clock = clock
        self._on_wait = on_wait
        self._held = threading.local()

    def acquire(self) -> None:
        """Take one call, waiting while a window is full. *Raises* Throttled when the wait would be too long."""
        lease_id = uuid.uuid4().hex[:12]
        deadline = self._clock.monotonic() + self._limits.max_wait_s
        while (wait := self._change(lambda state, now: self._take(state, lease_id, now))) is not None:
            if self._clock.monotonic() + wait.seconds > deadline:
                raise _throttled(wait)
            if self._on_wait is not None and wait.window != "concurrent":
                self._on_wait(wait)
            self._clock.sleep(wait.seconds)
        self._held.lease_id = lease_id

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Read an answer's limits and give this thread's slot back. Status 0 means that no answer came."""
        lease_id = getattr(self._held, "lease_id", "")
        self._held.lease_id = ""

        def change(state: BudgetState, now: float) -> None:
            release(state, lease_id, now, self._limits)
            learn(state, status, headers, now, self._limits)

        self._change(change)

    def left(self) -> dict[Window, int]:
        """Return how many calls may leave at once now, by window, for people to see."""

        def look(state: BudgetState, _now: float) -> dict[Window, int]:
            left: dict[Window, int] = {
                "concurrent": self._limits.concurrent - len(state.leases),
                "minute": _minute_left(state, self._limits),
            }
            if self._limits.day is not None:
                left["day"] = self._limits.day if state.day_left is None else state.day_left
            return {window: max(0, count) for window, count in left.items()}

        return self._change(look)

    def breather_s(self, calls: int) -> float:
        """Return how long to gather work before the next few calls; see the rule of the same name."""
        return self._change(lambda state, _now: breather_s(state, self._limits, calls))

    def _take(self, state: BudgetState, lease_id: str, now: float) -> Wait | None:
        return take(state, lease_id, own_name(), now, self._limits)

    def _change(self, rule: Callable[[BudgetState, float], Result]) -> Result:
        now = self._clock.now().timestamp()

        def change(stored: dict[str, Any]) -> tuple[dict[str, Any], Result]:
            state = _parse(stored)
            tidy(state, now, self._limits, is_alive)
            result = rule(state, now)
            return cast("dict[str, Any]", msgspec.to_builtins(state)), result

        return self._store.update(change)


def _parse(stored: dict[str, Any]) -> BudgetState:
    try:
        return msgspec.convert(stored, BudgetState)
    except msgspec.ValidationError:  # written by another version; the next answer's headers tell again
        return BudgetState()


def _throttled(wait: Wait) -> Throttled:
    names = {"concurrent": "calls at once", "minute": "calls a minute", "day": "calls a day", "app": "calls of the app"}
    assert set(names) == set(get_args(Window))
    return Throttled(
        f"All {names[wait.window]} the vendor allows are in use; the next is free in about {wait.seconds:.0f} s.",
        hint="Nothing to do: the work goes on by itself.",
        details={"window": wait.window},
        retry_after_s=max(1.0, wait.seconds),
    )


# --- which process a call belongs to ---------------------------------------------------------------------------------

_INCARNATION = uuid.uuid4().hex[:8]  # tells this process from a dead one that had the same id


def own_name() -> str:
    """Return the name of this process, as leases carry it."""
    return f"{socket.gethostname()}:{os.getpid()}:{_INCARNATION}"


def is_alive(owner: str) -> bool:
    """Tell whether the process of a lease may still live; where that cannot be found out, it may."""
    host, pid, incarnation = [*owner.rsplit(":", 2), "", ""][:3]
    if host != socket.gethostname() or not pid.isdigit():
        return True
    if int(pid) == os.getpid():
        return incarnation == _INCARNATION
    return os.name != "posix" or _exists(int(pid))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it exists and is not ours
        return True
    return True

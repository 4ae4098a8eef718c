"""The call budget: never one call too many, never a wait without need."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closedwon.connectors.limits import CallBudget, Limits, MemoryBudgetStore, Wait, is_alive, own_name
from closedwon.kernel.errors import Throttled

XERO = Limits(concurrent=5, minute=60, day=5_000)
START = datetime(2026, 11, 22, 9, 0, 0, 400_000, tzinfo=UTC)


class FakeClock:
    """A clock that only moves when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.at = START
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Return the set time."""
        return self.at

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return (self.at - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.pass_s(seconds)

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


def budget(clock: FakeClock, store: MemoryBudgetStore | None = None, limits: Limits = XERO) -> CallBudget:
    """Make a budget on a store of its own, or on the given one, as another process would."""
    return CallBudget(limits, store or MemoryBudgetStore(), clock)


def call(subject: CallBudget, status: int = 200, **headers: str) -> None:
    """Make one call that is answered at once."""
    subject.acquire()
    subject.learn(status, {name.replace("_", "-"): value for name, value in headers.items()})


def test_calls_leave_at_once_while_there_is_room() -> None:
    """58 of 60 calls leave without a wait; the 59th waits until the first no longer counts."""
    clock = FakeClock()
    subject = budget(clock)
    for _ in range(58):
        call(subject)
    assert clock.slept == []
    call(subject)
    assert 60 <= sum(clock.slept) <= 61.1


@pytest.mark.parametrize("seed", range(8))
def test_no_fixed_window_of_the_vendor_ever_overflows(seed: int) -> None:
    """Whenever the vendor's minute begins and however slow the network is, it never counts more than 60 calls."""
    rng = random.Random(seed)
    clock, store = FakeClock(), MemoryBudgetStore()
    arrivals: list[float] = []
    for _ in range(400):
        subject = budget(clock, store)  # a new process for every call: the state is in the store
        subject.acquire()
        clock.pass_s(rng.choice([0, 0.01, 0.2, 3]))
        arrivals.append(clock.monotonic())
        clock.pass_s(rng.choice([0, 0.05, 1]))
        subject.learn(200, {})
    for offset in range(0, 60, 3):
        windows = [int((moment + offset) // 60) for moment in arrivals]
        assert max(windows.count(window) for window in windows) <= 60


def test_at_most_five_calls_are_in_flight() -> None:
    """The sixth call waits for a slot and gets it when one is given back."""
    clock, store = FakeClock(), MemoryBudgetStore()
    running = deque(budget(clock, store) for _ in range(5))
    for subject in running:
        subject.acquire()
    sixth = CallBudget(Limits(concurrent=5, minute=60, max_wait_s=1), store, clock)
    with pytest.raises(Throttled) as caught:
        sixth.acquire()
    assert caught.value.details == {"window": "concurrent"}
    running.popleft().learn(200, {})
    sixth.acquire()


def test_a_call_without_answer_gives_its_slot_back() -> None:
    """Status 0 ends a call that was lost; it still counts in the minute."""
    clock = FakeClock()
    subject = budget(clock)
    for _ in range(20):
        subject.acquire()
        subject.learn(0, {})
    assert subject.left() == {"concurrent": 5, "minute": 38, "day": 4_980}


def test_a_slot_of_a_crashed_process_comes_back_in_seconds() -> None:
    """A call whose process died blocks its slot for 5 s, one of a living process for the whole lease."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        dead = process.pid
    host = own_name().rsplit(":", 2)[0]
    clock, store = FakeClock(), MemoryBudgetStore()
    lease = {"owner": f"{host}:{dead}:abc", "started": clock.now().timestamp()}
    store.update(lambda _: ({"leases": {"x": lease}}, None))
    subject = budget(clock, store)
    assert subject.left()["concurrent"] == 4
    clock.pass_s(5)
    assert subject.left() == {"concurrent": 5, "minute": 57, "day": 5_000}
    subject.acquire()
    clock.pass_s(89)
    assert subject.left()["concurrent"] == 4
    clock.pass_s(1)
    assert subject.left()["concurrent"] == 5


def test_processes_are_told_apart() -> None:
    """We live; a predecessor with our process id does not; of other machines nothing is known."""
    host, pid, _ = own_name().rsplit(":", 2)
    assert is_alive(own_name())
    assert not is_alive(f"{host}:{pid}:older")
    assert is_alive(f"elsewhere.test:{pid}:older")
    assert is_alive(f"{host}:1:init")
    assert is_alive("nonsense")


def test_the_vendor_knowing_of_fewer_calls_is_believed() -> None:
    """Other users of the connection show in the headers; their calls are kept free from then on."""
    subject = budget(clock := FakeClock())
    call(subject, x_minlimit_remaining="12", x_daylimit_remaining="900")
    assert subject.left() == {"concurrent": 5, "minute": 10, "day": 900}
    for _ in range(10):
        call(subject)
    assert clock.slept == []
    call(subject)
    assert sum(clock.slept) > 58


def test_the_vendor_knowing_of_more_calls_changes_nothing() -> None:
    """The vendor's minute may have begun anew; ours is only ever lowered."""
    subject = budget(FakeClock())
    for _ in range(30):
        call(subject, x_minlimit_remaining="59")
    assert subject.left() == {"concurrent": 5, "minute": 28, "day": 4_970}


def test_a_new_day_of_the_vendor_is_noticed() -> None:
    """The day counter jumping up means that the vendor's day began anew."""
    subject = budget(FakeClock())
    call(subject, x_daylimit_remaining="40")
    assert subject.left()["day"] == 40
    call(subject, x_daylimit_remaining="4999")
    assert subject.left()["day"] == 4_999


def test_a_used_up_day_is_told_at_once() -> None:
    """Nobody waits for hours: Throttled names the day and says when to come back, at the latest a day later."""
    clock = FakeClock()
    subject = budget(clock)
    call(subject, x_daylimit_remaining="2")
    with pytest.raises(Throttled) as caught:
        subject.acquire()
    assert caught.value.details["window"] == "day"
    assert caught.value.retry_after_s == pytest.approx(86_400)
    assert clock.slept == []
    clock.pass_s(86_400)
    call(subject)


@pytest.mark.parametrize(
    ("problem", "window"),
    [("minute", "minute"), ("Daily", "day"), ("appminute", "app"), ("concurrent", "concurrent"), ("news", "minute")],
)
def test_a_429_holds_everything_back(problem: str, window: str) -> None:
    """After a 429 nothing leaves before its Retry-After is over, in no process."""
    clock, store = FakeClock(), MemoryBudgetStore()
    call(budget(clock, store), 429, retry_after="26", x_rate_limit_problem=problem)
    impatient = CallBudget(Limits(concurrent=5, minute=60, max_wait_s=1), store, clock)
    with pytest.raises(Throttled) as caught:
        impatient.acquire()
    assert caught.value.details["window"] == window
    assert caught.value.retry_after_s == pytest.approx(27)
    call(budget(clock, store))
    assert sum(clock.slept) == pytest.approx(27)


@pytest.mark.parametrize("headers", [{}, {"retry_after": "soon"}, {"retry_after": "-3"}, {"retry_after": "nan"}])
def test_a_429_without_a_time_still_holds_back(headers: dict[str, str]) -> None:
    """Without a readable Retry-After the whole minute is waited for."""
    clock = FakeClock()
    subject = budget(clock)
    call(subject, 429, **headers)
    call(subject)
    assert sum(clock.slept) == pytest.approx(61)


def test_a_nearly_used_up_app_limit_stands_back() -> None:
    """When all connections of the app together come near its limit, this one pauses for a minute."""
    clock = FakeClock()
    subject = budget(clock)
    call(subject, x_appminlimit_remaining="19")
    call(subject)
    assert sum(clock.slept) == pytest.approx(60)


def test_waits_are_announced() -> None:
    """Whoever shows the budget hears of a wait before it begins."""
    waits: list[Wait] = []
    clock = FakeClock()
    subject = CallBudget(XERO, MemoryBudgetStore(), clock, on_wait=waits.append)
    for _ in range(59):
        call(subject)
    assert [wait.window for wait in waits] == ["minute"]


def test_a_clock_set_back_frees_the_budget_within_two_windows() -> None:
    """Calls noted in a future that did not come stop counting."""
    clock = FakeClock()
    subject = budget(clock)
    for _ in range(58):
        call(subject)
    clock.pass_s(-7_200)
    subject.left()
    clock.pass_s(121)
    assert subject.left()["minute"] == 58


@pytest.mark.parametrize("stored", [{"recent": "?"}, {"leases": 3, "more": True}])
def test_a_state_of_another_version_is_replaced(stored: dict[str, Any]) -> None:
    """A state we cannot read starts anew instead of stopping all work."""
    store = MemoryBudgetStore()
    store.update(lambda _: (stored, None))
    call(budget(FakeClock(), store))


def test_wide_windows_stay_small() -> None:
    """6,000 calls in 300 s are remembered in at most 61 entries."""
    clock, store = FakeClock(), MemoryBudgetStore()
    subject = budget(clock, store, Limits(concurrent=52, minute=6_000, window_s=300))
    for _ in range(3_000):
        call(subject)
        clock.pass_s(0.1)
    size = store.update(lambda state: (state, len(state["recent"])))
    assert 55 <= size <= 61
    assert subject.left()["minute"] == 5_998 - 3_000

"""One table: what the engine does about each class of error."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from closedwon.kernel.errors import (
    ClosedwonError,
    Exhausted,
    Misconfigured,
    NeedsReview,
    NotConnected,
    OutcomeUnknown,
    Retryable,
    Throttled,
)

MAX_ATTEMPTS = 10
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 600.0
SETTLE_S = 2.0  # how long a write whose answer was lost may still be on its way; look it up after that

Action = Literal["wait", "resolve", "park", "pause_connection", "pause_integration", "fail"]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What happens to a run after an error. `wait_s` is in seconds; `error` is what people will see."""

    action: Action
    error: ClosedwonError
    wait_s: float = 0.0
    counts: bool = False


def treat(error: ClosedwonError, attempt: int, rng: random.Random | None = None) -> Treatment:
    """Choose the treatment for the attempt-th failure (from 0) of one run."""
    if isinstance(error, Throttled):
        return Treatment("wait", error, wait_s=error.retry_after_s or FIRST_WAIT_S)
    if isinstance(error, Retryable | OutcomeUnknown) and attempt + 1 >= MAX_ATTEMPTS:
        return Treatment("park", _exhausted(error, attempt + 1))
    if isinstance(error, Retryable):
        return Treatment("wait", error, wait_s=max(error.retry_after_s or 0.0, backoff_s(attempt, rng)), counts=True)
    if isinstance(error, OutcomeUnknown):
        return Treatment("resolve", error, wait_s=SETTLE_S, counts=True)
    if isinstance(error, NeedsReview):
        return Treatment("park", error)
    if isinstance(error, NotConnected):
        return Treatment("pause_connection", error)
    if isinstance(error, Misconfigured):
        return Treatment("pause_integration", error)
    return Treatment("fail", error)


def backoff_s(attempt: int, rng: random.Random | None = None) -> float:
    """Return a wait in seconds: exponential with full jitter, never below half the first wait."""
    ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt)
    return max(FIRST_WAIT_S / 2, (rng or random).uniform(0, ceiling))


def _exhausted(error: ClosedwonError, attempts: int) -> Exhausted:
    return Exhausted(
        f"tried {attempts} times without success; the last answer was: {error.text}",
        hint=error.hint or "look at the cause, then `closedwon retry`",
        details={**error.details, "last": error.as_dict()},
        request_ids=error.request_ids,
    )

"""The retry table: one row per class of error."""

from __future__ import annotations

import random

import pytest

from closedwon.engine.retry import FIRST_WAIT_S, LONGEST_WAIT_S, MAX_ATTEMPTS, SETTLE_S, backoff_s, treat
from closedwon.kernel import errors


@pytest.mark.parametrize(
    ("kind", "action", "counts"),
    [
        (errors.Throttled, "wait", False),
        (errors.Unavailable, "wait", True),
        (errors.VersionConflict, "wait", True),
        (errors.OutcomeUnknown, "resolve", True),
        (errors.MappingFailed, "park", False),
        (errors.NoMatch, "park", False),
        (errors.AmbiguousMatch, "park", False),
        (errors.Rejected, "park", False),
        (errors.Drift, "park", False),
        (errors.Exhausted, "park", False),
        (errors.AuthExpired, "pause_connection", False),
        (errors.ConsentRevoked, "pause_connection", False),
        (errors.PermissionMissing, "pause_connection", False),
        (errors.NotSubscribed, "pause_connection", False),
        (errors.Misconfigured, "pause_integration", False),
        (errors.ClosedwonError, "fail", False),
    ],
)
def test_each_class_has_its_treatment(kind: type[errors.ClosedwonError], action: str, *, counts: bool) -> None:
    """The class of an error says what happens next, and whether the attempt counts."""
    treatment = treat(kind("something went wrong"), 0)
    assert (treatment.action, treatment.counts) == (action, counts)


def test_throttling_waits_as_long_as_the_vendor_says() -> None:
    """`Retry-After` is the wait."""
    assert treat(errors.Throttled("wait", retry_after_s=37), 0).wait_s == 37


def test_throttling_never_uses_attempts_up() -> None:
    """However often it happened, a throttled run waits and is not given up."""
    assert treat(errors.Throttled("wait"), 1000).action == "wait"


def test_the_vendors_wait_beats_a_shorter_backoff() -> None:
    """A fault that names a time is not retried before."""
    assert treat(errors.Unavailable("down", retry_after_s=5000), 0).wait_s == 5000


def test_a_lost_answer_waits_until_it_can_be_looked_up() -> None:
    """The wait is the time a write may still be on its way."""
    assert treat(errors.OutcomeUnknown("lost"), 0).wait_s == SETTLE_S


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.OutcomeUnknown])
def test_the_last_attempt_parks_the_run_as_exhausted(kind: type[errors.ClosedwonError]) -> None:
    """After ten failures a person sees the last answer, its hint and the vendor's request ids."""
    error = kind("the server is down", hint="ask them", request_ids=["r1"])
    assert treat(error, MAX_ATTEMPTS - 2).action != "park"
    treatment = treat(error, MAX_ATTEMPTS - 1)
    assert (treatment.action, treatment.error.code) == ("park", "exhausted")
    assert "the server is down" in treatment.error.text
    assert (treatment.error.hint, treatment.error.request_ids) == ("ask them", ("r1",))


def test_backoff_doubles_its_ceiling_with_full_jitter() -> None:
    """Waits lie between half the first wait and a ceiling that doubles, up to the longest."""
    rng = random.Random(1)
    for attempt in range(12):
        waits = [backoff_s(attempt, rng) for _ in range(200)]
        ceiling = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt)
        assert all(FIRST_WAIT_S / 2 <= wait <= max(ceiling, FIRST_WAIT_S / 2) for wait in waits)
        assert max(waits) > ceiling * 0.9

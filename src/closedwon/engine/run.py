"""Runs: one execution of a flow for one record, and how it can end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


QUEUED = (State.PENDING, State.WAITING, State.PARKED)  # a record has at most one such run in a lane


class Outcome(StrEnum):
    """What a succeeded run did. Nothing to do is an outcome, not a failure."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a flow for one record.

    `decision` holds what people decided about it in review; `attempt` counts the tries that failed.
    """

    tenant: str
    id: str
    lane: str
    record_id: str
    attempt: int = 0
    decision: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = ""

    @property
    def subject(self) -> str:
        """Name the run where review items refer to it."""
        return f"run:{self.id}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run leaves a batch; `not_before` is set for waiting runs, as stored text."""

    run: Run
    state: State
    outcome: str = ""
    reason: str = ""
    error: Mapping[str, Any] | None = None
    not_before: str | None = None
    count_attempt: bool = False


@dataclass(frozen=True, slots=True)
class StepLog:
    """What one step did for one run."""

    run_id: str
    step: str
    started_at: str
    took_ms: int
    outcome: str
    detail: Any = None


def lane_name(integration: str, flow: str) -> str:
    """Name the lane of a flow in an integration."""
    return f"{integration}/{flow}"


def split_lane(lane: str) -> tuple[str, str]:
    """Return integration and flow of a lane."""
    integration, _, flow = lane.partition("/")
    return integration, flow

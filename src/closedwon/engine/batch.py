"""The batch loop: takes runs of one lane, has their flow execute them together, and ends each one visibly.

This is the only place that catches every exception: what is not one of our errors is a bug, the run fails and is never
retried. When a bug hits many runs at once they are executed one by one, so that only the culprit fails.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from closedwon.engine.ledger import Ledger
from closedwon.engine.resolver import resolve
from closedwon.engine.retry import treat
from closedwon.engine.run import Ending, Outcome, State, StepLog, split_lane
from closedwon.kernel.clock import render_instant
from closedwon.kernel.errors import ClosedwonError, Misconfigured, NotConnected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from closedwon.engine.flow import Flow, Integration
    from closedwon.engine.run import Run
    from closedwon.engine.store import EngineStore

BATCH_LIMIT = 200  # runs executed together; each vendor's own limit splits the calls, see docs/adr/0007

GATHER_POLL_S = 0.25
COMMIT_TRIES = 120
COMMIT_WAIT_S = 5.0

log = structlog.get_logger(__name__)


class Reviewer(Protocol):
    """Opens and closes review items; the batch loop tells it what stopped and what went on."""

    def park(self, tx: Any, run: Run, error: ClosedwonError, record_name: str) -> None:
        """Open or refresh the item of a parked run."""

    def settle(self, tx: Any, runs: Sequence[Run]) -> None:
        """Close the items of runs that went through after all."""

    def pause(self, tx: Any, tenant: str, subject: str, error: ClosedwonError) -> None:
        """Open the one item of a paused connection or integration."""


@dataclass(slots=True)
class Batch:
    """Runs of one lane on their way through a flow. A run leaves it once, through `finish` or `fail`."""

    integration: Integration
    flow: Flow
    store: EngineStore
    reviewer: Reviewer
    ledger: Ledger
    runs: list[Run]
    names: dict[str, str] = field(default_factory=dict)  # record id → what people call it
    _endings: list[tuple[Ending, ClosedwonError | None]] = field(default_factory=list)
    _logs: list[StepLog] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Execute one step for all runs still here; what is put in the dict, by run id, becomes the story's detail."""
        clock = self.integration.clock
        before = {run.id for run in self.runs}
        started_at, started = render_instant(clock.now()), clock.monotonic()
        details: dict[str, Any] = {}
        try:
            yield details
        finally:
            took_ms = round((clock.monotonic() - started) * 1000)
            gone = before - {run.id for run in self.runs}
            self._logs += [
                StepLog(run_id, name, started_at, took_ms, "ended" if run_id in gone else "done", details.get(run_id))
                for run_id in before
            ]

    def finish(self, run: Run, outcome: Outcome, reason: str = "") -> None:
        """End a run well."""
        self._leave(Ending(run, State.SUCCEEDED, outcome, reason), None)

    def fail(self, run: Run, error: ClosedwonError) -> None:
        """End a run's part in this batch as its error says: wait, park, pause or fail."""
        treatment = treat(error, run.attempt)
        if treatment.action in {"pause_connection", "pause_integration"}:
            raise treatment.error
        if treatment.action == "park":
            ending = Ending(run, State.PARKED, reason=treatment.error.text, error=treatment.error.as_dict())
            self._leave(ending, treatment.error)
        elif treatment.action == "fail":
            self._leave(Ending(run, State.FAILED, reason=error.text, error=error.as_dict()), error)
        else:
            later = render_instant(self.integration.clock.now() + timedelta(seconds=treatment.wait_s))
            ending = Ending(
                run,
                State.WAITING,
                reason=error.text,
                error=error.as_dict(),
                not_before=later,
                count_attempt=treatment.counts,
            )
            self._leave(ending, None)

    def _leave(self, ending: Ending, error: ClosedwonError | None) -> None:
        self.runs.remove(ending.run)
        self._endings.append((ending, error))

    def commit(self) -> None:
        """Save steps, endings and review items of the runs that have left, in one transaction."""
        with self.store.transaction() as tx:
            self.store.log_steps(tx, self.integration.tenant, self._logs)
            overtaken = self.store.end(tx, [ending for ending, _ in self._endings])
            done = [one.run for one, _ in self._endings if one.state is State.SUCCEEDED or one.run.id in overtaken]
            self.reviewer.settle(tx, done)
            for ending, error in self._endings:
                if (
                    ending.run.id not in overtaken
                    and ending.state in {State.PARKED, State.FAILED}
                    and error is not None
                ):
                    self.reviewer.park(tx, ending.run, error, self.names.get(ending.run.record_id, ""))
        self._endings, self._logs = [], []


@dataclass(slots=True)
class BatchLoop:
    """Executes batches for the durable runner. Every method may be repeated after a crash."""

    store: EngineStore
    reviewer: Reviewer
    integrations: Mapping[tuple[str, str], Integration]
    flows: Mapping[str, Flow]
    paused: Callable[[str, str], bool]  # (tenant, connection) → is it paused
    pause: Callable[[Any, str, str, ClosedwonError], None]  # (tx, tenant, connection or integration:NAME, error)
    breather_s: Callable[[Integration], float] = lambda _integration: (
        0.0
    )  # how long to gather runs when calls get scarce

    def take(self, tenant: str, lane: str, batch_id: str) -> int:
        """Claim the lane's due runs, up to a batch; none while one of its connections is paused."""
        integration = self.integrations.get((tenant, split_lane(lane)[0]))
        if integration is None or self._is_paused(integration):
            return len(self.store.take(tenant, lane, batch_id, 0))
        self._gather(integration, lane)
        return len(self.store.take(tenant, lane, batch_id, BATCH_LIMIT))

    def _gather(self, integration: Integration, lane: str) -> None:
        """Let runs come together while calls are scarce; a full batch need not wait for more."""
        rest_s = self.breather_s(integration)
        while rest_s > 0 and 0 < self.store.count_due(integration.tenant, lane, BATCH_LIMIT) < BATCH_LIMIT:
            integration.clock.sleep(min(rest_s, GATHER_POLL_S))
            rest_s -= GATHER_POLL_S

    def work(self, tenant: str, lane: str, batch_id: str) -> None:
        """Execute the runs claimed under a batch id."""
        runs = self.store.list_batch(tenant, batch_id)
        integration = self.integrations.get((tenant, split_lane(lane)[0]))
        if not runs or integration is None:
            return
        self._execute(integration, lane, runs)

    def _execute(self, integration: Integration, lane: str, runs: Sequence[Run]) -> None:
        flow = self.flows[split_lane(lane)[1]]
        ledger = Ledger(self.store, integration.tenant, lane)
        batch = Batch(integration, flow, self.store, self.reviewer, ledger, list(runs))
        try:
            self._resolve_uncertain(batch, lane)
            flow.execute(batch)
        except (NotConnected, Misconfigured) as error:
            self._stop(batch, error)
        except ClosedwonError as error:
            for run in list(batch.runs):
                batch.fail(run, error)
        except Exception as error:  # noqa: BLE001 - a bug must end visibly, not take the worker down
            self._survive(batch, lane, error)
        else:
            for run in list(batch.runs):
                batch.fail(run, ClosedwonError(f"the flow {flow.name} left this run unfinished"))
        self._commit(batch)

    def _commit(self, batch: Batch) -> None:
        """Commit, however long the store is locked or its disk full: what became of the runs is known only here."""
        for _ in range(COMMIT_TRIES):
            try:
                batch.commit()
            except Unavailable as error:
                log.warning("endings could not be stored, trying again", error=error.text)
                batch.integration.clock.sleep(COMMIT_WAIT_S)
            else:
                return
        batch.commit()

    def _resolve_uncertain(self, batch: Batch, lane: str) -> None:
        open_intents = self.store.list_open_intents(batch.integration.tenant, lane)
        if not open_intents:
            return
        with batch.step("resolve") as details:
            told = resolve(
                batch.ledger, open_intents, batch.flow.operations(batch.integration), batch.integration.clock
            )
            details.update({run.id: told[run.record_id] for run in batch.runs if run.record_id in told})

    def _stop(self, batch: Batch, error: NotConnected | Misconfigured) -> None:
        """Pause the connection (or the integration) once; its runs wait and cost no attempt."""
        integration = batch.integration
        subject = error.details.get("connection") if isinstance(error, NotConnected) else None
        paused = subject or f"integration:{integration.name}"
        with self.store.transaction() as tx:
            self.pause(tx, integration.tenant, paused, error)
        for run in list(batch.runs):
            batch._leave(  # noqa: SLF001 - the loop and its batch are one thing in two classes
                Ending(run, State.PENDING, reason=error.text, error=error.as_dict()),
                None,
            )

    def _survive(self, batch: Batch, lane: str, error: Exception) -> None:
        log.error("flow failed", lane=lane, runs=len(batch.runs), exc_info=error)
        if len(batch.runs) == 1:
            run = batch.runs[0]
            text = f"a bug stopped this run: {type(error).__name__}: {error}"
            hint = "report it with `closedwon records show --json`; `closedwon retry` tries again"
            batch.fail(run, ClosedwonError(text, hint=hint))
            return
        left = list(batch.runs)
        batch.runs.clear()
        for run in left:
            self._execute(batch.integration, lane, [run])

    def _is_paused(self, integration: Integration) -> bool:
        names = (integration.crm_connection, integration.books_connection, f"integration:{integration.name}")
        return any(self.paused(integration.tenant, name) for name in names)

"""The engine's SQL: lanes, runs, steps, intents and executors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from closedwon.db.connect import insert
from closedwon.db.schema import event, executor, intent, lane, run, step_log
from closedwon.engine.ledger import Intent
from closedwon.engine.run import QUEUED, Run, State
from closedwon.kernel.clock import Clock, render_instant
from closedwon.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from closedwon.db.connect import Database
    from closedwon.engine.run import Ending, StepLog

CHUNK = 400  # values in one IN (…)
NOBODY = Run("", "", "", "")
OVERTAKEN = "a newer run of the same record goes on"


class EngineStore:
    """Reads and writes what the engine knows. Methods that take `tx` join the caller's transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Begin a write transaction to hand to several stores."""
        return self._database.begin()

    def now(self) -> str:
        """Return the time as we store it."""
        return render_instant(self._clock.now())

    # --- lanes --------------------------------------------------------------------------------------------------

    def rouse(self, tx: sa.Connection, tenant: str, name: str) -> int | None:
        """Mark a lane awake; return the generation to queue, None when it is queued already."""
        row = tx.execute(sa.select(lane).where(lane.c.tenant == tenant, lane.c.name == name).with_for_update()).first()
        if row is None:
            statement = insert(tx, lane).values(tenant=tenant, name=name, awake=1, woken_at=self.now())
            made = tx.execute(statement.on_conflict_do_nothing().returning(lane.c.name)).first()
            return 0 if made is not None else self.rouse(tx, tenant, name)  # another process was first
        if row.awake:
            return None
        self._set_lane(tx, tenant, name, awake=1, woken_at=self.now())
        return int(row.generation)

    def list_sleepers(self, overslept_s: float) -> list[tuple[str, str]]:
        """List lanes with work due that nobody has woken, or that were woken long ago and never started."""
        late = render_instant(self._clock.now() - timedelta(seconds=overslept_s))
        due = sa.or_(
            run.c.state == State.PENDING,
            sa.and_(run.c.state == State.WAITING, run.c.not_before <= self.now()),
        )
        query = (
            sa.select(run.c.tenant, run.c.lane)
            .distinct()
            .select_from(
                run.outerjoin(lane, sa.and_(lane.c.tenant == run.c.tenant, lane.c.name == run.c.lane)),
            )
            .where(due, sa.or_(lane.c.name.is_(None), lane.c.awake == 0, lane.c.woken_at < late))
        )
        with self._database.read() as tx:
            return [(row.tenant, row.lane) for row in tx.execute(query)]

    def rouse_again(self, tx: sa.Connection, tenant: str, name: str, overslept_s: float) -> bool:
        """Prepare a lane to be woken by the sweep; a wake-up that never started makes way for the next generation."""
        late = render_instant(self._clock.now() - timedelta(seconds=overslept_s))
        row = tx.execute(sa.select(lane).where(lane.c.tenant == tenant, lane.c.name == name)).first()
        if row is None or not row.awake:
            return True
        if row.woken_at >= late:
            return False
        self._set_lane(tx, tenant, name, awake=0, generation=row.generation + 1)
        return True

    def _set_lane(self, tx: sa.Connection, tenant: str, name: str, **values: Any) -> None:
        tx.execute(sa.update(lane).where(lane.c.tenant == tenant, lane.c.name == name).values(**values))

    # --- runs ---------------------------------------------------------------------------------------------------

    def enqueue(self, tx: sa.Connection, tenant: str, name: str, events: Mapping[str, str]) -> None:
        """Queue one run per record (record id → event id); a record that is queued already stays queued once.

        A parked run whose record changed is tried again: the change may be the cure.
        """
        now = self.now()
        records = list(events)
        for chunk in _chunks(records):
            tx.execute(
                sa.update(run)
                .where(run.c.tenant == tenant, run.c.lane == name, run.c.record_id.in_(chunk))
                .where(run.c.state == State.PARKED)
                .values(state=State.PENDING, attempt=0),
            )
        fresh = [
            {"tenant": tenant, "id": new_id(), "lane": name, "record_id": record, "event_id": event_id}
            | {"state": State.PENDING, "created_at": now}
            for record, event_id in events.items()
        ]
        if fresh:
            queued = sa.text("state IN ('pending', 'waiting', 'parked')")
            statement = insert(tx, run).on_conflict_do_nothing(
                index_elements=["tenant", "lane", "record_id"],
                index_where=queued,
            )
            tx.execute(statement, fresh)

    def take(self, tenant: str, name: str, batch_id: str, limit: int) -> list[Run]:
        """Claim runs that are due, oldest first; the same batch id gets the same runs again after a crash."""
        now = self.now()
        with self._database.begin() as tx:
            self._sleep_lane(tx, tenant, name, batch_id)
            again = self._list_batch(tx, tenant, batch_id)
            if again:
                return again
            ids = tx.execute(self._due(tenant, name).order_by(run.c.id).limit(limit))
            claim = sa.update(run).where(run.c.tenant == tenant, run.c.id.in_([row.id for row in ids]))
            tx.execute(claim.values(state=State.RUNNING, batch_id=batch_id, started_at=now, not_before=None))
            return self._list_batch(tx, tenant, batch_id)

    def count_due(self, tenant: str, name: str, at_most: int) -> int:
        """Count the runs of a lane that could go on now, up to a number."""
        due = self._due(tenant, name).limit(at_most).subquery()
        with self._database.read() as tx:
            return int(tx.execute(sa.select(sa.func.count()).select_from(due)).scalar_one())

    def _due(self, tenant: str, name: str) -> sa.Select[tuple[str]]:
        due = sa.or_(
            run.c.state == State.PENDING, sa.and_(run.c.state == State.WAITING, run.c.not_before <= self.now())
        )
        return sa.select(run.c.id).where(run.c.tenant == tenant, run.c.lane == name, due)

    def _sleep_lane(self, tx: sa.Connection, tenant: str, name: str, batch_id: str) -> None:
        """From here on a wake-up belongs to the next generation; done once, by the first round."""
        generation, _, round_number = batch_id.rpartition(":")[2].partition("/")
        if round_number == "0":
            tx.execute(
                sa.update(lane)
                .where(lane.c.tenant == tenant, lane.c.name == name, lane.c.generation == int(generation))
                .values(awake=0, generation=lane.c.generation + 1),
            )

    def list_batch(self, tenant: str, batch_id: str) -> list[Run]:
        """List the runs of a batch that are still running, oldest first."""
        with self._database.read() as tx:
            return self._list_batch(tx, tenant, batch_id)

    def _list_batch(self, tx: sa.Connection, tenant: str, batch_id: str) -> list[Run]:
        rows = tx.execute(
            sa.select(run)
            .where(run.c.tenant == tenant, run.c.batch_id == batch_id, run.c.state == State.RUNNING)
            .order_by(run.c.id),
        )
        return [as_run(row) for row in rows]

    def end(self, tx: sa.Connection, endings: Sequence[Ending]) -> set[str]:
        """Record how runs left their batch; return the ids of those cancelled because a newer run overtook them."""
        overtaken = self._list_overtaken(tx, endings)
        alike: dict[str, tuple[Ending, list[str]]] = {}
        for left in endings:
            ending = _cancelled(left) if left.run.id in overtaken else left
            alike.setdefault(repr(replace(ending, run=NOBODY)), (ending, []))[1].append(ending.run.id)
        for ending, ids in alike.values():
            for chunk in _chunks(ids):
                self._end_alike(tx, ending, chunk)
        return overtaken

    def _end_alike(self, tx: sa.Connection, ending: Ending, ids: Sequence[str]) -> None:
        """Record one way of ending for all the runs that ended so: a batch of hundreds takes a few statements."""
        tx.execute(
            sa.update(run)
            .where(run.c.tenant == ending.run.tenant, run.c.id.in_(ids))
            .values(
                state=ending.state,
                outcome=ending.outcome,
                reason=ending.reason,
                error=ending.error,
                not_before=ending.not_before,
                attempt=run.c.attempt + (1 if ending.count_attempt else 0),
                finished_at=None if ending.state in QUEUED else self.now(),
            ),
        )

    def _list_overtaken(self, tx: sa.Connection, endings: Sequence[Ending]) -> set[str]:
        staying = [ending.run for ending in endings if ending.state in QUEUED]
        if not staying:
            return set()
        queued: dict[tuple[str, str, str], str] = {}
        for chunk in _chunks([one.record_id for one in staying]):
            rows = tx.execute(
                sa.select(run.c.id, run.c.tenant, run.c.lane, run.c.record_id).where(
                    run.c.tenant == staying[0].tenant, run.c.record_id.in_(chunk), run.c.state.in_(QUEUED)
                ),
            )
            queued |= {(row.tenant, row.lane, row.record_id): row.id for row in rows}
        keys = {one.id: (one.tenant, one.lane, one.record_id) for one in staying}
        return {run_id for run_id, key in keys.items() if queued.get(key, run_id) != run_id}

    def requeue(self, tx: sa.Connection, tenant: str, run_id: str, decision: Mapping[str, Any] | None = None) -> bool:
        """Put a parked, waiting or failed run back, with what a person decided; return whether it was there."""
        row = tx.execute(sa.select(run).where(run.c.tenant == tenant, run.c.id == run_id)).first()
        if row is None or row.state not in {State.PARKED, State.WAITING, State.FAILED}:
            return False
        if row.state == State.FAILED and self._is_queued(tx, row):
            return False  # a newer run of the record does the work
        values: dict[str, Any] = {"state": State.PENDING, "not_before": None, "attempt": 0, "finished_at": None}
        if decision:
            values["decision"] = {**(row.decision or {}), **decision}
        tx.execute(sa.update(run).where(run.c.tenant == tenant, run.c.id == run_id).values(**values))
        return True

    def _is_queued(self, tx: sa.Connection, row: Any) -> bool:
        query = sa.select(run.c.id).where(
            run.c.tenant == row.tenant, run.c.lane == row.lane, run.c.record_id == row.record_id
        )
        return tx.execute(query.where(run.c.state.in_(QUEUED))).first() is not None

    def cancel(self, tx: sa.Connection, tenant: str, run_id: str, reason: str) -> bool:
        """End a queued or failed run without doing anything; False when it is being executed or has ended."""
        ended = {"state": State.CANCELLED, "reason": reason, "finished_at": self.now()}
        where = (run.c.tenant == tenant, run.c.id == run_id, run.c.state.in_([*QUEUED, State.FAILED]))
        return tx.execute(sa.update(run).where(*where).values(**ended)).rowcount == 1

    def reopen_skipped(self, tx: sa.Connection, tenant: str, name: str, record_ids: Sequence[str], reason: str) -> int:
        """Queue records again whose runs were skipped for a reason that has ceased to hold; return how many."""
        again: dict[str, str] = {}
        for chunk in _chunks(list(record_ids)):
            rows = tx.execute(
                sa.select(run.c.record_id, run.c.event_id)
                .where(run.c.tenant == tenant, run.c.lane == name, run.c.record_id.in_(chunk))
                .where(run.c.state == State.SUCCEEDED, run.c.reason == reason),
            )
            again |= {row.record_id: row.event_id for row in rows}
        if again:
            self.enqueue(tx, tenant, name, again)
        return len(again)

    def free_lost(self, older_than_s: float) -> int:
        """Put runs back that a batch claimed and nobody works on any more; return how many."""
        since = render_instant(self._clock.now() - timedelta(seconds=older_than_s))
        lost = (run.c.state == State.RUNNING, run.c.started_at < since)
        newer = run.alias("newer")
        same = [newer.c[name] == run.c[name] for name in ("tenant", "lane", "record_id")]
        overtaken = sa.exists().where(*same, newer.c.state.in_(QUEUED))
        with self._database.begin() as tx:
            ended = {"state": State.CANCELLED, "reason": OVERTAKEN, "finished_at": self.now()}
            tx.execute(sa.update(run).where(*lost, overtaken).values(**ended))
            freed = {"state": State.WAITING, "not_before": self.now()}
            return tx.execute(sa.update(run).where(*lost).values(**freed)).rowcount

    # --- steps --------------------------------------------------------------------------------------------------

    def log_steps(self, tx: sa.Connection, tenant: str, steps: Iterable[StepLog]) -> None:
        """Keep what steps did, for the record's story."""
        rows = [
            {"tenant": tenant, "run_id": one.run_id, "id": new_id(), "step": one.step, "started_at": one.started_at}
            | {"took_ms": one.took_ms, "outcome": one.outcome, "detail": one.detail}
            for one in steps
        ]
        if rows:
            tx.execute(insert(tx, step_log), rows)

    # --- intents ------------------------------------------------------------------------------------------------

    def open_intents(self, intents: Sequence[Intent]) -> None:
        """Commit what is about to be written to another system."""
        rows = [
            {
                "tenant": one.tenant, "id": one.id, "lane": one.lane, "connection": one.connection,
                "run_id": one.run_id, "operation": one.operation, "record_id": one.record_id,
                "call_id": one.call_id, "position": one.position, "request_hash": one.request_hash,
                "idempotency_key": one.idempotency_key, "epoch": one.epoch, "created_at": self.now(),
            }
            for one in intents
        ]  # fmt: skip
        with self._database.begin() as tx:
            tx.execute(insert(tx, intent), rows)

    def settle_intent(
        self, tx: sa.Connection, one: Intent, state: str, remote_id: str = "", version: str = "", error: Any = None
    ) -> None:
        """Commit what came of a write: confirmed, rejected or void (it did not happen)."""
        tx.execute(
            sa.update(intent)
            .where(intent.c.tenant == one.tenant, intent.c.id == one.id)
            .values(state=state, remote_id=remote_id, version=version, error=error, settled_at=self.now()),
        )

    def mark_answered(self, tx: sa.Connection, intents: Sequence[Intent], error: Any) -> None:
        """Note on open intents what the vendor said; its idempotency memory now holds that failure."""
        for one in intents:
            tx.execute(
                sa.update(intent)
                .where(intent.c.tenant == one.tenant, intent.c.id == one.id)
                .values(error=error, epoch=intent.c.epoch + 1),
            )

    def list_open_intents(self, tenant: str, name: str) -> list[Intent]:
        """List a lane's intents without a receipt, in the order they were sent."""
        query = (
            sa.select(intent)
            .where(intent.c.tenant == tenant, intent.c.lane == name, intent.c.state == "open")
            .order_by(intent.c.created_at, intent.c.call_id, intent.c.position)
        )
        with self._database.read() as tx:
            return [_as_intent(row) for row in tx.execute(query)]

    def list_last_intents(self, tenant: str, operation: str, record_ids: Sequence[str]) -> dict[str, Intent]:
        """Return each record's latest intent of an operation, of those that are settled."""
        found: dict[str, Intent] = {}
        with self._database.read() as tx:
            for chunk in _chunks(list(record_ids)):
                rows = tx.execute(
                    sa.select(intent)
                    .where(intent.c.tenant == tenant, intent.c.record_id.in_(chunk))
                    .where(intent.c.operation == operation, intent.c.state != "open")
                    .order_by(intent.c.created_at, intent.c.id),
                )
                found |= {row.record_id: _as_intent(row) for row in rows}
        return found

    # --- executors ----------------------------------------------------------------------------------------------

    def beat(self, executor_id: str) -> None:
        """Say that this process is alive."""
        with self._database.begin() as tx:
            statement = insert(tx, executor).values(id=executor_id, beat_at=self.now())
            tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"beat_at": self.now()}))

    def list_alive(self, within_s: float) -> set[str]:
        """List the executors that said so lately."""
        since = render_instant(self._clock.now() - timedelta(seconds=within_s))
        with self._database.read() as tx:
            return {row.id for row in tx.execute(sa.select(executor.c.id).where(executor.c.beat_at >= since))}

    def forget_executors(self, keep: set[str]) -> None:
        """Remove the rows of executors whose work has been taken over."""
        with self._database.begin() as tx:
            tx.execute(sa.delete(executor).where(executor.c.id.not_in(keep)))

    # --- reading for people -------------------------------------------------------------------------------------

    def count_runs(self, tenant: str) -> dict[str, dict[str, int]]:
        """Count runs by lane and state."""
        query = sa.select(run.c.lane, run.c.state, sa.func.count()).where(run.c.tenant == tenant)
        counts: dict[str, dict[str, int]] = {}
        with self._database.read() as tx:
            for name, state, number in tx.execute(query.group_by(run.c.lane, run.c.state)):
                counts.setdefault(name, {})[state] = number
        return counts

    def find_run(self, tenant: str, run_id: str) -> dict[str, Any] | None:
        """Return a run as a plain row."""
        query = sa.select(run).where(run.c.tenant == tenant, run.c.id == run_id)
        with self._database.read() as tx:
            row = tx.execute(query).mappings().first()
        return dict(row) if row is not None else None

    def list_runs(
        self, tenant: str, *, record_id: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """List runs, newest first, as plain rows."""
        query = sa.select(run).where(run.c.tenant == tenant).order_by(run.c.id.desc()).limit(limit)
        if record_id is not None:
            query = query.where(run.c.record_id == record_id)
        if state is not None:
            query = query.where(run.c.state == state)
        with self._database.read() as tx:
            return [dict(row) for row in tx.execute(query).mappings()]

    def story(self, tenant: str, record_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Return everything we know of some records: events, runs, steps and intents, oldest first."""
        with self._database.read() as tx:
            runs = _rows(tx, run, run.c.tenant == tenant, run.c.record_id.in_(record_ids))
            run_ids = [row["id"] for row in runs]
            return {
                "events": _rows(tx, event, event.c.tenant == tenant, event.c.record_id.in_(record_ids)),
                "runs": runs,
                "steps": _rows(tx, step_log, step_log.c.tenant == tenant, step_log.c.run_id.in_(run_ids)),
                "intents": _rows(tx, intent, intent.c.tenant == tenant, intent.c.run_id.in_(run_ids)),
            }

    def oldest_queued(self, tenant: str) -> str | None:
        """Return when the oldest run that could go on was created."""
        query = sa.select(sa.func.min(run.c.created_at)).where(run.c.tenant == tenant)
        with self._database.read() as tx:
            return tx.execute(query.where(run.c.state.in_([State.PENDING, State.RUNNING]))).scalar()


def as_run(row: Any) -> Run:
    """Read a run from its row."""
    return Run(
        tenant=row.tenant,
        id=row.id,
        lane=row.lane,
        record_id=row.record_id,
        attempt=row.attempt,
        decision=row.decision or {},
        event_id=row.event_id,
    )


def _as_intent(row: Any) -> Intent:
    names = [name for name in Intent.__slots__ if hasattr(row, name)]
    return Intent(**{name: getattr(row, name) for name in names})


def _rows(tx: sa.Connection, table: sa.Table, *where: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in tx.execute(sa.select(table).where(*where).order_by(table.c.id)).mappings()]


def _cancelled(ending: Ending) -> Ending:
    """Return how a run ends that a newer one has overtaken: it makes way if it would have to stay."""
    return replace(ending, state=State.CANCELLED, reason=OVERTAKEN) if ending.state in QUEUED else ending


def _chunks(values: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(values), CHUNK):
        yield list(values[start : start + CHUNK])

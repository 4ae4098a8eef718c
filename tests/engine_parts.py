"""Parts for tests of the engine: a scripted vendor, a flow that does as told, a reviewer that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from closedwon.connectors.port import Written
from closedwon.db.schema import intent
from closedwon.engine.batch import BatchLoop
from closedwon.engine.flow import Integration
from closedwon.engine.ledger import Element, Operation
from closedwon.engine.run import Outcome, lane_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from closedwon.db.connect import Database
    from closedwon.engine.batch import Batch
    from closedwon.engine.ledger import Intent
    from closedwon.engine.run import Run
    from closedwon.engine.store import EngineStore
    from closedwon.kernel.errors import ClosedwonError
    from stores import SetClock

TENANT, FLOW = "acme", "opportunity_won"
LANE = lane_name("sales", FLOW)


@dataclass
class Wakings:
    """Remembers which lanes were woken, in place of the durable runner."""

    lanes: list[tuple[str, str, int]] = field(default_factory=list)

    def wake(self, _tx: Any, tenant: str, lane: str, generation: int) -> None:
        """Remember one."""
        self.lanes.append((tenant, lane, generation))


@dataclass
class Vendor:
    """Creates what it is sent, unless `script` has an exception or an answer in line. Keeps calls and their keys."""

    database: Database
    calls: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    open_at_call: list[int] = field(default_factory=list)
    script: list[Any] = field(default_factory=list)
    has: dict[str, str] = field(default_factory=dict)
    saved: list[str] = field(default_factory=list)
    looked_up: list[list[str]] = field(default_factory=list)
    fail_saving: bool = False

    def operation(self, limit: int = 50, name: str = "create", *, findable: bool = True) -> Operation[str, str]:
        """Return the operation that writes to this vendor."""
        find = self.find if findable else None
        return Operation(name, "books", limit, self.send, find, self.save, lambda one: (one, "v1"))

    def send(self, payloads: Sequence[str], key: str) -> list[Written[str]]:
        """Create, or do what the script says."""
        self.calls.append((tuple(payloads), key))
        self.open_at_call.append(len([row for row in self.intents() if row.state == "open"]))
        told = self.script.pop(0) if self.script else None
        if isinstance(told, Exception):
            raise told
        if told is not None:
            return list(told)
        return [Written(f"remote-{one}") for one in payloads]

    def find(self, intents: Sequence[Intent]) -> Mapping[str, str]:
        """Say which records there are."""
        self.looked_up.append([one.record_id for one in intents])
        return self.has

    def save(self, tx: sa.Connection, record_id: str, _record: str) -> None:
        """Keep the link, in the receipt's transaction."""
        if self.fail_saving:
            raise RuntimeError("the link cannot be saved")
        assert tx.in_transaction()
        self.saved.append(record_id)

    def intents(self) -> list[Any]:
        """Return every intent as committed."""
        with self.database.read() as tx:
            return list(tx.execute(sa.select(intent).order_by(intent.c.id)))


def elements(*record_ids: str) -> list[Element[str]]:
    """Return one element per record; the payload is the record's id."""
    return [Element(f"run-{one}", one, one, {"id": one}) for one in record_ids]


@dataclass
class ScriptedFlow:
    """A flow that does what a test says; unless told, it finishes every run."""

    name: str = FLOW
    record_type: str = "opportunity"
    side: str = "crm"
    steps: Sequence[str] = ()
    batches: list[list[str]] = field(default_factory=list)
    operation: Operation[str, str] | None = None
    action: Callable[[Batch], None] | None = None

    def operations(self, _integration: Integration) -> Mapping[str, Operation[Any, Any]]:
        """Return the operation, where the test gave one."""
        return {self.operation.name: self.operation} if self.operation else {}

    def execute(self, batch: Batch) -> None:
        """Do as told."""
        self.batches.append(sorted(run.record_id for run in batch.runs))
        (self.action or finish_all)(batch)


def finish_all(batch: Batch) -> None:
    """End every run well."""
    for run in list(batch.runs):
        batch.finish(run, Outcome.CREATED)


@dataclass
class RememberingReviewer:
    """Remembers what it was told: (what, subject, text)."""

    told: list[tuple[str, str, str]] = field(default_factory=list)

    def park(self, _tx: Any, run: Run, error: ClosedwonError, _record_name: str) -> None:
        """Remember a parked or failed run."""
        self.told.append(("park", run.record_id, error.text))

    def settle(self, _tx: Any, runs: Sequence[Run]) -> None:
        """Remember runs that need no item any more."""
        self.told += [("settle", run.record_id, "") for run in runs]

    def pause(self, _tx: Any, _tenant: str, subject: str, error: ClosedwonError) -> None:
        """Remember a pause."""
        self.told.append(("pause", subject, error.text))


class Bench:
    """A batch loop on a store, with one integration and one scripted flow."""

    def __init__(self, store: EngineStore, clock: SetClock) -> None:
        self.store = store
        self.flow = ScriptedFlow()
        self.reviewer = RememberingReviewer()
        self.paused: set[str] = set()
        nothing = cast("Any", None)
        self.integration = Integration(TENANT, "sales", nothing, nothing, "crm", "books", {}, lambda: nothing, clock)
        self.loop = BatchLoop(
            store,
            self.reviewer,
            {(TENANT, "sales"): self.integration},
            {FLOW: self.flow},
            lambda _tenant, name: name in self.paused,
            self._pause,
        )
        self._batches = 0

    def _pause(self, tx: Any, tenant: str, name: str, error: ClosedwonError) -> None:
        self.paused.add(name)
        self.reviewer.pause(tx, tenant, name, error)

    def queue(self, *record_ids: str) -> None:
        """Queue a run for each record."""
        with self.store.transaction() as tx:
            self.store.enqueue(tx, TENANT, LANE, dict.fromkeys(record_ids, "event"))

    def turn(self) -> int:
        """Take and execute one batch; return how many runs were taken."""
        batch_id = f"{TENANT}/{LANE}:0/{self._batches}"
        self._batches += 1
        taken = self.loop.take(TENANT, LANE, batch_id)
        self.loop.work(TENANT, LANE, batch_id)
        return taken

    def row(self, record_id: str) -> dict[str, Any]:
        """Return a record's newest run."""
        return self.store.list_runs(TENANT, record_id=record_id)[0]

    def states(self) -> dict[str, str]:
        """Return the state of every record's newest run."""
        return {row["record_id"]: row["state"] for row in reversed(self.store.list_runs(TENANT))}

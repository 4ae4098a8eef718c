"""Runs again: after a decision (resume), because a person asks (retry), or from the stored event (replay)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon.events.event import Event
from closedwon.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.engine.intake import Intake
    from closedwon.engine.store import EngineStore


class Replayer:
    """Puts runs back into their lanes."""

    def __init__(self, store: EngineStore, intake: Intake) -> None:
        self._store = store
        self._intake = intake

    def resume(self, tx: Any, tenant: str, run_id: str, lane: str, decision: Mapping[str, Any]) -> bool:
        """Put a parked run back with what a person decided, inside the caller's transaction."""
        put_back = self._store.requeue(tx, tenant, run_id, decision)
        if put_back:
            self._intake.wake(tx, tenant, lane)
        return put_back

    def retry(self, tenant: str, states: Sequence[str], record_id: str | None = None) -> int:
        """Put back every run in the given states, of one record or of all; return how many."""
        number = 0
        with self._store.transaction() as tx:
            for state in states:
                for row in self._store.list_runs(tenant, record_id=record_id, state=state, limit=10_000):
                    number += self.resume(tx, tenant, row["id"], row["lane"], {})
        return number

    def replay(self, tenant: str, connection: str, record_type: str, record_id: str) -> int:
        """Run a record anew, as if its event came again; a run that finds nothing to do changes nothing."""
        event = Event(tenant, connection, "person", record_type, record_id, "replay", f"replay:{new_id()}")
        return self._intake.accept([event])

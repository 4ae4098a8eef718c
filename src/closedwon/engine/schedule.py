"""Housekeeping in every process that works: heartbeat, taking over from the dead, waking what overslept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from closedwon.engine.run import split_lane
from closedwon.kernel.errors import ClosedwonError

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.engine.intake import Intake
    from closedwon.engine.runner import Runner
    from closedwon.engine.store import EngineStore

BEAT_S = 1.0
DEAD_AFTER_S = 8.0  # with the beat, a killed worker's batch goes on elsewhere within 10 s
OVERSLEPT_S = 30.0
LOST_AFTER_S = 1800.0  # longer than any batch may take

log = structlog.get_logger(__name__)


class Housekeeper:
    """Beats, reaps and sweeps once a second. `idle(tenant, integration)` says that an integration is paused."""

    def __init__(self, store: EngineStore, runner: Runner, intake: Intake, idle: Callable[[str, str], bool]) -> None:
        self._store = store
        self._runner = runner
        self._intake = intake
        self._idle = idle
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, *, alone: bool) -> None:
        """Start; `alone` says that no other process can be working on this store, so all started work is ours now."""
        self._store.beat(self._runner.executor_id)
        self._take_over(alive={self._runner.executor_id} if alone else self._store.list_alive(DEAD_AFTER_S))
        self._thread = threading.Thread(target=self._keep, name="housekeeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop beating."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        rounds = 0
        while not self._stopping.wait(BEAT_S):
            rounds += 1
            try:
                self._store.beat(self._runner.executor_id)
                self._take_over(self._store.list_alive(DEAD_AFTER_S))
                self.sweep()
                if rounds % 60 == 0:
                    self._store.free_lost(LOST_AFTER_S)
            except ClosedwonError as error:  # the store is away for a moment; the next beat tries again
                log.warning("housekeeping skipped", error=error.text)
            except Exception:  # without this thread others would take us for dead, and nothing would be woken
                log.exception("housekeeping failed")

    def _take_over(self, alive: set[str]) -> None:
        dead = self._runner.busy_executors() - alive
        if dead:
            log.info("taking over", executors=sorted(dead), lanes=self._runner.take_over(sorted(dead)))
            self._store.forget_executors(alive)

    def sweep(self) -> None:
        """Wake every lane that has work due and sleeps: retries whose time has come, wake-ups that got lost."""
        for tenant, lane in self._store.list_sleepers(OVERSLEPT_S):
            if self._idle(tenant, split_lane(lane)[0]):
                continue
            with self._store.transaction() as tx:
                if self._store.rouse_again(tx, tenant, lane, OVERSLEPT_S):
                    self._intake.wake(tx, tenant, lane)

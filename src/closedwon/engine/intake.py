"""Intake: stores events once, queues their runs and wakes their lanes, all in one transaction.

Webhooks arrive in bursts and each must be durable before it is acknowledged, so a writer thread commits whatever is
waiting together: one transaction for one event when it is quiet, one for hundreds in a burst.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from closedwon.engine.store import EngineStore
    from closedwon.events.event import Event
    from closedwon.events.store import EventStore

MOST_PER_COMMIT = 500

log = structlog.get_logger(__name__)


class Waker(Protocol):
    """Starts lanes durably; the runner does."""

    def wake(self, tx: Any, tenant: str, lane: str, generation: int) -> None:
        """Queue a lane inside the transaction."""


class Intake:
    """Takes events in. `routes` names the lanes that want a tenant's events of a connection and record type."""

    def __init__(
        self,
        store: EngineStore,
        events: EventStore,
        waker: Waker,
        routes: Callable[[str, str, str], Sequence[str]],
    ) -> None:
        self._store = store
        self._events = events
        self._waker = waker
        self._routes = routes
        self._waiting: queue.SimpleQueue[tuple[Sequence[Event], Future[int]] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None

    def accept(self, events: Sequence[Event]) -> int:
        """Store events and queue runs for the new ones, in a transaction of their own; return how many were new."""
        with self._store.transaction() as tx:
            return self.accept_in(tx, events)

    def accept_in(self, tx: Any, events: Sequence[Event]) -> int:
        """Do the same inside the caller's transaction."""
        new = self._events.add(tx, events)
        by_lane: dict[tuple[str, str], dict[str, str]] = {}
        for position, event_id in sorted(new.items()):
            event = events[position]
            if event.echo:
                continue
            for lane in self._routes(event.tenant, event.connection, event.record_type):
                by_lane.setdefault((event.tenant, lane), {})[event.record_id] = event_id
        for (tenant, lane), records in by_lane.items():
            self._store.enqueue(tx, tenant, lane, records)
            self.wake(tx, tenant, lane)
        return len(new)

    def wake(self, tx: Any, tenant: str, lane: str) -> None:
        """Wake a lane unless it is awake."""
        generation = self._store.rouse(tx, tenant, lane)
        if generation is not None:
            self._waker.wake(tx, tenant, lane, generation)

    # --- group commit -------------------------------------------------------------------------------------------

    def submit(self, events: Sequence[Event]) -> Future[int]:
        """Hand events to the writer thread; the future is done when they are durable, or holds the error."""
        future: Future[int] = Future()
        self._waiting.put((events, future))
        return future

    def start(self) -> None:
        """Start the writer thread."""
        self._writer = threading.Thread(target=self._write, name="intake", daemon=True)
        self._writer.start()

    def stop(self) -> None:
        """Commit what is waiting and end the writer thread."""
        if self._writer is not None:
            self._waiting.put(None)
            self._writer.join()
            self._writer = None

    def _write(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group, ended = [first], False
            while len(group) < MOST_PER_COMMIT and not self._waiting.empty():
                more = self._waiting.get()
                if more is None:
                    ended = True
                    break
                group.append(more)
            self._commit(group)
            if ended:
                return

    def _commit(self, group: Sequence[tuple[Sequence[Event], Future[int]]]) -> None:
        # Who has given up waiting was told so, and the event is sent again; from here on nobody can give up any more.
        group = [(events, future) for events, future in group if future.set_running_or_notify_cancel()]
        try:
            self.accept([event for events, _ in group for event in events])
        except Exception as error:  # the sender is told, and sends again
            log.exception("events could not be stored", events=len(group))
            for _, future in group:
                future.set_exception(error)
        else:
            for events, future in group:
                future.set_result(len(events))

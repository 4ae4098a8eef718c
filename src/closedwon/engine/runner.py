"""The durable runner: the only module that knows DBOS, the library that survives crashes for us.

One DBOS workflow works on one lane until the lane is empty; what it learns it writes to our tables, so its own rows may
be deleted at any time. What DBOS lacks is added here: a serializer that stays JSON, one version for all processes, and
taking over the work of a process that died. The reasons stand in docs/adr/0002-durable-engine.md.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from dbos import DBOS, DBOSClient
from dbos._serialization import Serializer
from dbos.cli.migration import run_dbos_database_migrations

from closedwon.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

APPLICATION = "closedwon"
RUNNER_VERSION = "1"  # raised only when workflows change their steps; otherwise an upgrade would strand queued work
LANES = "lanes"
POLL_S = 0.1  # how long a wake-up may wait; each queue costs about 4 % of a core at this pace
MAX_ROUNDS = 50  # rounds of one workflow before it starts over, so that its record stays small
RUNNER_SCHEMA = "dbos"
WAITS_FOR = "database is locked"  # the words of a SQLite error that the library waits out


class PlainJson(Serializer):
    """Keeps what steps exchange as JSON. The library's default would pickle."""

    def serialize(self, data: Any) -> str:
        """Encode; exceptions become their text."""
        return msgspec.json.encode(data, enc_hook=str).decode()

    def deserialize(self, serialized_data: str) -> Any:
        """Decode plain values; an exception comes back as text."""
        return msgspec.json.decode(serialized_data)

    def name(self) -> str:
        """Name the format in the library's rows."""
        return "closedwon_json"


@dataclass(frozen=True, slots=True)
class Tick:
    """Scheduled work: fires once per tick of `cron` (seconds first) across all processes."""

    name: str
    cron: str
    action: Callable[[], object]


class Runner:
    """Runs lanes durably on one store. One per process."""

    def __init__(self, engine: sa.Engine) -> None:
        self.executor_id = f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"
        self._engine = engine
        self._client: DBOSClient | None = None
        self._ticks: dict[str, Callable[[], object]] = {}
        wait_out_a_full_disk(engine)
        logging.getLogger("dbos").setLevel(logging.WARNING)

    def prepare(self, url: str) -> None:
        """Create or upgrade the library's own tables, then connect, so that lanes can be woken."""
        driver = "postgresql+psycopg" if url.startswith("postgresql") else "sqlite"
        address = sa.make_url(url).set(drivername=driver).render_as_string(hide_password=False)
        run_dbos_database_migrations(system_database_url=address, schema=RUNNER_SCHEMA)
        self._client = DBOSClient(
            system_database_engine=self._engine,
            serializer=PlainJson(),
            application_name=APPLICATION,
        )

    def launch(
        self,
        take: Callable[[str, str, str], int],
        work: Callable[[str, str, str], None],
        ticks: Sequence[Tick],
        workers: int | None = None,
    ) -> None:
        """Start working, on at most `workers` lanes at once.

        `take(tenant, lane, batch_id)` claims runs and says how many, `work` executes them.
        """
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_engine": self._engine,
                "run_migrations": False,
                "application_version": RUNNER_VERSION,
                "executor_id": self.executor_id,
                "serializer": PlainJson(),
                "enable_otlp": False,
                "use_listen_notify": False,
                "scheduler_polling_interval_sec": 1.0,
                "log_level": "WARNING",
            },
        )
        _define_lane_workflow(take, work)
        tick_workflow = _define_tick_workflow(self._ticks)
        DBOS.launch()
        DBOS.register_queue(
            LANES,
            partition_concurrency=1,
            worker_concurrency=workers,
            polling_interval_sec=POLL_S,
            on_conflict="always_update",
        )
        self._ticks.update({tick.name: tick.action for tick in ticks})
        DBOS.apply_schedules(
            [
                {"schedule_name": tick.name, "workflow_fn": tick_workflow, "schedule": tick.cron, "context": tick.name}
                for tick in ticks
            ],
        )

    def wake(self, tx: sa.Connection, tenant: str, lane: str, generation: int) -> None:
        """Queue a lane inside the caller's transaction; the same generation twice is queued once."""
        self._connected().enqueue_in_transaction(
            tx,
            {
                "workflow_name": "run_lane",
                "queue_name": LANES,
                "workflow_id": f"{tenant}/{lane}:{generation}",
                "queue_partition_key": f"{tenant}/{lane}",
                "app_version": RUNNER_VERSION,
            },
            tenant,
            lane,
            generation,
        )

    def take_over(self, dead: Sequence[str]) -> int:
        """Continue here what dead executors were doing; return how many lanes that were."""
        return len(DBOS._recover_pending_workflows(list(dead))) if dead else 0  # noqa: SLF001 - see ADR 2

    def busy_executors(self) -> set[str]:
        """Return the executors that have started work which is not finished."""
        rows = self._connected().list_workflows(status="PENDING", load_input=False, load_output=False)
        return {row.executor_id for row in rows if row.executor_id}

    def forget(self, before: datetime, at_once: int = 500) -> int:
        """Delete the library's rows of work that began earlier and is finished; ours are the truth. Return how many."""
        forgotten = 0
        while rows := self._connected().list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            end_time=before.isoformat(),
            limit=at_once,
            load_input=False,
            load_output=False,
        ):
            self._connected().delete_workflows([row.workflow_id for row in rows])
            forgotten += len(rows)
        return forgotten

    def stop(self, patience_s: int = 10) -> None:
        """Stop taking work, let what runs come to its end, then leave."""
        DBOS.destroy(workflow_completion_timeout_sec=patience_s, destroy_registry=True)
        if self._client is not None:
            self._client.destroy()

    def _connected(self) -> DBOSClient:
        if self._client is None:
            raise RuntimeError("the runner is not prepared")
        return self._client


def wait_out_a_full_disk(engine: sa.Engine) -> None:
    """Make the library wait for disk space as it waits for a lock; else it would leave its work unfinished for good."""

    @sa.event.listens_for(engine, "handle_error")
    def _explain(context: sa.engine.ExceptionContext) -> None:
        if "disk is full" in str(context.original_exception):
            cause = RuntimeError(f"{WAITS_FOR}: {context.original_exception}")
            raise sa.exc.OperationalError(context.statement, None, cause) from context.original_exception


def _define_lane_workflow(
    take: Callable[[str, str, str], int],
    work: Callable[[str, str, str], None],
) -> None:
    @DBOS.workflow(name="run_lane")
    def run_lane(tenant: str, lane: str, generation: int) -> int:
        """Take and work in rounds until nothing is left; every round is two steps, repeatable after a crash."""
        done = 0
        for round_number in range(MAX_ROUNDS):
            batch_id = f"{tenant}/{lane}:{generation}/{round_number}"
            taken = DBOS.run_step({"name": "take"}, take, tenant, lane, batch_id)
            if not taken:
                break
            DBOS.run_step({"name": "work"}, work, tenant, lane, batch_id)
            done += taken
        return done


def _define_tick_workflow(actions: Mapping[str, Callable[[], object]]) -> Any:
    @DBOS.workflow(name="tick")
    def tick(_scheduled_at: Any, name: str) -> None:
        """Run one scheduled action."""
        action = actions.get(name)
        if action is not None:
            DBOS.run_step({"name": name}, lambda: _silent(action))

    return tick


def _silent(action: Callable[[], object]) -> None:
    """Run an action for its effect; what it returns is not worth a row."""
    action()

"""The SQL of events and watermarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from closedwon.db.connect import insert
from closedwon.db.schema import event, watermark
from closedwon.kernel.clock import Clock, render_instant
from closedwon.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.db.connect import Database
    from closedwon.events.event import Event


CHUNK = 400  # values in one IN (…)


class EventStore:
    """Keeps every event once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, tx: sa.Connection, events: Sequence[Event]) -> dict[int, str]:
        """Store the events that are new; return their ids by position in `events`."""
        now = render_instant(self._clock.now())
        ids = {new_id(): position for position, _ in enumerate(events)}
        rows = [
            {
                "tenant": one.tenant,
                "id": event_id,
                "connection": one.connection,
                "source": one.source,
                "record_type": one.record_type,
                "record_id": one.record_id,
                "name": one.name,
                "dedupe_key": one.dedupe_key,
                "occurred_at": render_instant(one.occurred_at) if one.occurred_at else None,
                "received_at": now,
            }
            for event_id, one in zip(ids, events, strict=True)
        ]
        if not rows:
            return {}
        statement = insert(tx, event).on_conflict_do_nothing().returning(event.c.id)
        stored = tx.execute(statement, rows).scalars().all()
        return {ids[event_id]: event_id for event_id in stored}

    def names(self, tenant: str, record_ids: Sequence[str]) -> dict[str, set[str]]:
        """Return, by record, the names of every event we have of it."""
        found: dict[str, set[str]] = {}
        query = sa.select(event.c.record_id, event.c.name).where(event.c.tenant == tenant)
        with self._database.read() as tx:
            for start in range(0, len(record_ids), CHUNK):
                for row in tx.execute(query.where(event.c.record_id.in_(record_ids[start : start + CHUNK]))):
                    found.setdefault(row.record_id, set()).add(row.name)
        return found

    def get_watermark(self, tenant: str, connection: str, feed: str) -> str:
        """Return our place in a change feed, "" before the first reading."""
        query = sa.select(watermark.c.value).where(
            watermark.c.tenant == tenant, watermark.c.connection == connection, watermark.c.feed == feed
        )
        with self._database.read() as tx:
            return tx.execute(query).scalar() or ""

    def save_watermark(self, tx: sa.Connection, tenant: str, connection: str, feed: str, value: str) -> None:
        """Move our place in a change feed."""
        now = render_instant(self._clock.now())
        statement = insert(tx, watermark).values(
            tenant=tenant, connection=connection, feed=feed, value=value, saved_at=now
        )
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant", "connection", "feed"], set_={"value": value, "saved_at": now}
            )
        )

    def last_fed(self, tenant: str) -> dict[str, str]:
        """Return when each feed was last read to its end, by connection/feed."""
        query = sa.select(watermark).where(watermark.c.tenant == tenant)
        with self._database.read() as tx:
            return {f"{row.connection}/{row.feed}": row.saved_at for row in tx.execute(query)}

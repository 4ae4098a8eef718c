"""Events are stored once; feeds remember where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from closedwon.db.schema import event
from closedwon.events.event import Event, feed_key, webhook_key
from closedwon.events.store import EventStore

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock


@pytest.fixture
def events(any_database: Database, clock: SetClock) -> EventStore:
    """Return an event store."""
    return EventStore(any_database, clock)


def won(record_id: str, tenant: str = "acme", name: str = "Win", key: str = "") -> Event:
    """Return an event."""
    return Event(tenant, "crm", "webhook", "opportunity", record_id, name, key or f"key-{record_id}-{name}")


def test_only_new_events_get_an_id(events: EventStore, any_database: Database) -> None:
    """By their position in what was given, duplicates within it included."""
    with any_database.begin() as tx:
        assert set(events.add(tx, [won("a"), won("a"), won("b")])) in ({0, 2}, {1, 2})
        assert set(events.add(tx, [won("b"), won("c")])) == {1}
        assert events.add(tx, []) == {}


def test_a_thousand_events_are_stored_with_their_own_ids(events: EventStore, any_database: Database) -> None:
    """However the statement is split, each id belongs to its event."""
    with any_database.begin() as tx:
        new = events.add(tx, [won(str(number)) for number in range(1200)])
        rows = {row.id: row.record_id for row in tx.execute(sa.select(event.c.id, event.c.record_id))}
    assert {number: rows[event_id] for number, event_id in new.items()} == {n: str(n) for n in range(1200)}


def test_the_same_key_of_another_tenant_is_another_event(events: EventStore, any_database: Database) -> None:
    """Tenants do not know each other."""
    with any_database.begin() as tx:
        assert len(events.add(tx, [won("a"), won("a", tenant="globex")])) == 2


def test_all_names_heard_of_a_record_are_known(events: EventStore, any_database: Database) -> None:
    """For as many records as there are."""
    with any_database.begin() as tx:
        events.add(tx, [won("a"), won("a", name="Update"), won("b"), won("a", tenant="globex", name="Lose")])
    assert events.names("acme", ["a", "b", *map(str, range(900))]) == {"a": {"Win", "Update"}, "b": {"Win"}}


def test_a_watermark_moves(events: EventStore, any_database: Database, clock: SetClock) -> None:
    """Empty before the first reading, then the latest; each feed has its own."""
    assert events.get_watermark("acme", "crm", "opportunity") == ""
    for value in ("one", "two"):
        clock.advance(60)
        with any_database.begin() as tx:
            events.save_watermark(tx, "acme", "crm", "opportunity", value)
    assert events.get_watermark("acme", "crm", "opportunity") == "two"
    assert events.get_watermark("acme", "crm", "contact") == ""
    assert events.last_fed("acme") == {"crm/opportunity": "2026-11-22T12:02:00.000Z"}


def test_keys_tell_versions_and_deliveries_apart() -> None:
    """A feed's by version, a webhook's by what the vendor calls it, never longer than the column."""
    assert feed_key("crm", "opportunity", "a", "1") != feed_key("crm", "opportunity", "a", "2")
    assert webhook_key("books", "x" * 5000) == webhook_key("books", "x" * 5000)
    assert len(webhook_key("books", "x" * 5000)) < 300

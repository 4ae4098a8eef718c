"""Feeds heal what no webhook told: the same event once, and nothing that needs no run."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from closedwon.connectors.port import Change
from closedwon.engine.intake import Intake
from closedwon.flows.ingest import Feeds
from closedwon.flows.invoicing import WonSettings
from closedwon.links.link import Link
from engine_parts import Wakings
from flow_parts import TENANT

if TYPE_CHECKING:
    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from closedwon.links.store import LinkStore
    from flow_parts import Systems

STARTED = "2026-11-22T12:00:00.000Z"


@pytest.fixture
def feeds(links: LinkStore, events: EventStore, engine: EngineStore) -> Feeds:
    """Return the feeds, every record routed into one lane."""
    intake = Intake(engine, events, Wakings(), lambda _tenant, _connection, kind: [f"sales/{kind}"])
    return Feeds(intake, events, links, lambda *_: STARTED)


def queued(engine: EngineStore) -> set[str]:
    """Return the records with a run."""
    return {row["record_id"] for row in engine.list_runs(TENANT)}


def test_only_won_deals_that_have_no_invoice_are_news(
    feeds: Feeds, systems: Systems, links: LinkStore, engine: EngineStore
) -> None:
    """Open, lost, deleted and linked ones start nothing."""
    with links.transaction() as tx:
        links.save(tx, TENANT, "sales", Link("invoice", "done", "inv"))
    systems.changes = [
        Change("won", "1", "won", date(2026, 11, 22)),
        Change("open", "1", "open"),
        Change("lost", "1", "lost"),
        Change("gone", "1", "won", deleted=True),
        Change("done", "1", "won", date(2026, 11, 22)),
    ]
    assert feeds.read_crm(systems.integration()) == 1
    assert queued(engine) == {"won"}


def test_deals_closed_before_we_started_are_left_alone(feeds: Feeds, systems: Systems, engine: EngineStore) -> None:
    """A day of grace, since a closing date is a day somewhere on earth."""
    systems.changes = [
        Change("old", "1", "won", date(2026, 11, 20)),
        Change("eve", "1", "won", date(2026, 11, 21)),
        Change("undated", "1", "won"),
    ]
    feeds.read_crm(systems.integration())
    assert queued(engine) == {"eve", "undated"}


def test_the_first_day_that_counts_may_be_set(feeds: Feeds, systems: Systems, engine: EngineStore) -> None:
    """Earlier or later than the start."""
    systems.changes = [Change("old", "1", "won", date(2026, 1, 31)), Change("older", "1", "won", date(2026, 1, 30))]
    feeds.read_crm(systems.integration(WonSettings(since=date(2026, 1, 31))))
    assert queued(engine) == {"old"}


def test_the_same_version_is_one_event(feeds: Feeds, systems: Systems) -> None:
    """A feed that tells things twice, or is read from the start again, makes no new events."""
    systems.changes = [Change("a", "1", "won"), Change("a", "1", "won")]
    assert [feeds.read_crm(systems.integration()) for _ in range(2)] == [1, 0]
    systems.changes = [Change("a", "2", "won")]
    assert feeds.read_crm(systems.integration()) == 1


def test_the_place_in_the_feed_moves_with_the_events(feeds: Feeds, systems: Systems, events: EventStore) -> None:
    """Each reading goes on where the last one ended, and both feeds have a place of their own."""
    for _ in range(2):
        feeds.read_crm(systems.integration())
    feeds.read_books(systems.integration())
    assert systems.marks == ["", "mark-1", ""]
    assert events.get_watermark(TENANT, "crm", "opportunity@sales") == "mark-2"


def test_when_the_events_cannot_be_stored_the_place_stays(
    feeds: Feeds, systems: Systems, events: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One transaction: otherwise a crash would lose what was read."""

    def fail(*_arguments: object) -> None:
        raise OSError("the store is gone")

    systems.changes = [Change("a", "1", "won")]
    monkeypatch.setattr(events, "save_watermark", fail)
    with pytest.raises(OSError, match="gone"):
        feeds.read_crm(systems.integration())
    monkeypatch.undo()
    assert feeds.read_crm(systems.integration()) == 1
    assert systems.marks == ["", ""]


def test_only_changes_of_our_invoices_are_news(
    feeds: Feeds, systems: Systems, links: LinkStore, engine: EngineStore
) -> None:
    """Invoices of no deal, and versions we have dealt with, start nothing."""
    with links.transaction() as tx:
        links.save(tx, TENANT, "sales", Link("invoice", "d1", "ours", books_version="1"))
        links.save(tx, TENANT, "sales", Link("invoice", "d2", "seen", books_version="2"))
    systems.changes = [Change("ours", "2", "paid"), Change("seen", "2", "paid"), Change("theirs", "2", "paid")]
    assert feeds.read_books(systems.integration()) == 1
    assert queued(engine) == {"ours"}

"""Intake: events are stored once, queue their runs, and are durable before anybody is told."""

from __future__ import annotations

from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from closedwon.db.schema import event
from closedwon.engine.intake import Intake
from closedwon.engine.replay import Replayer
from closedwon.engine.run import Ending, Outcome, State
from closedwon.events.event import Event
from engine_parts import LANE, TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from engine_parts import Wakings

PATIENCE_S = 20


@pytest.fixture
def intake(any_store: EngineStore, any_events: EventStore, wakings: Wakings) -> Intake:
    """Return an intake that sends every deal of the CRM into one lane."""

    def routes(_tenant: str, connection: str, _record_type: str) -> list[str]:
        return [LANE] if connection == "crm" else []

    return Intake(any_store, any_events, wakings, routes)


@pytest.fixture
def running(intake: Intake) -> Iterator[Intake]:
    """Return it with its writer thread at work."""
    intake.start()
    yield intake
    intake.stop()


def won(record_id: str, key: str = "", **rest: Any) -> Event:
    """Return the event of a won deal."""
    return Event(TENANT, "crm", "webhook", "opportunity", record_id, "Win", key or f"key-{record_id}", **rest)


def count_events(store: EngineStore) -> int:
    """Count what is stored."""
    with store.transaction() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(event)).scalar_one())


def test_a_new_event_queues_a_run_and_wakes_its_lane(intake: Intake, any_store: EngineStore, wakings: Wakings) -> None:
    """Stored, queued and woken in one go."""
    assert intake.accept([won("a")]) == 1
    assert [row["state"] for row in any_store.list_runs(TENANT)] == ["pending"]
    assert wakings.lanes == [(TENANT, LANE, 0)]


def test_duplicates_are_stored_once(intake: Intake, any_store: EngineStore) -> None:
    """In one delivery or in two, the same event is one event."""
    assert intake.accept([won("a"), won("a")]) == 1
    assert intake.accept([won("a")]) == 0
    assert count_events(any_store) == 1
    assert len(any_store.list_runs(TENANT)) == 1


def test_a_known_event_wakes_nobody(intake: Intake, wakings: Wakings) -> None:
    """A webhook delivered again costs no batch."""
    intake.accept([won("a")])
    wakings.lanes.clear()
    intake.accept([won("a")])
    assert wakings.lanes == []


def test_an_echo_is_stored_and_starts_nothing(intake: Intake, any_store: EngineStore, wakings: Wakings) -> None:
    """The trace of our own write is a fact, not work."""
    assert intake.accept([won("a", echo=True)]) == 1
    assert count_events(any_store) == 1
    assert any_store.list_runs(TENANT) == []
    assert wakings.lanes == []


def test_an_event_that_no_flow_wants_is_only_stored(intake: Intake, any_store: EngineStore) -> None:
    """Nothing is lost, nothing is done."""
    other = Event(TENANT, "books", "webhook", "invoice", "i", "UPDATE", "key-i")
    assert intake.accept([other]) == 1
    assert any_store.list_runs(TENANT) == []


def test_when_the_wake_up_fails_nothing_is_stored(
    intake: Intake, any_store: EngineStore, wakings: Wakings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event, run and wake-up are one transaction."""

    def fail(*_arguments: object) -> None:
        raise RuntimeError("the runner is away")

    monkeypatch.setattr(wakings, "wake", fail)
    with pytest.raises(RuntimeError):
        intake.accept([won("a")])
    assert count_events(any_store) == 0


# --- group commit ---------------------------------------------------------------------------------------------------


def test_a_submitted_event_is_durable_when_its_future_is_done(running: Intake, any_store: EngineStore) -> None:
    """The sender may be told."""
    running.submit([won("a")]).result(PATIENCE_S)
    assert count_events(any_store) == 1


def test_many_waiting_events_are_one_transaction(
    intake: Intake, any_store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst that came in before the writer looked is committed together."""
    transactions: list[int] = []
    original = any_store.transaction

    def counted() -> Any:
        transactions.append(1)
        return original()

    monkeypatch.setattr(any_store, "transaction", counted)
    futures = [intake.submit([won(f"r{number}")]) for number in range(100)]
    intake.start()
    done = wait(futures, PATIENCE_S).done
    intake.stop()
    assert len(done) == 100
    assert len(transactions) == 1
    monkeypatch.undo()
    assert count_events(any_store) == 100


def test_an_error_reaches_everybody_who_waits(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that an event is stored when it is not; each sender sends again."""

    def fail(_events: object) -> int:
        raise OSError("the store is gone")

    monkeypatch.setattr(intake, "accept", fail)
    futures = [intake.submit([won("a")]), intake.submit([won("b")])]
    intake.start()
    errors = [future.exception(PATIENCE_S) for future in futures]
    intake.stop()
    assert all(isinstance(error, OSError) for error in errors)


def test_a_sender_that_gave_up_does_not_stop_the_writer(intake: Intake, any_store: EngineStore) -> None:
    """A cancelled call is dropped, since it is sent again, and the next one is stored."""
    assert intake.submit([won("a")]).cancel()
    kept = intake.submit([won("b")])
    intake.start()
    kept.result(PATIENCE_S)
    later = intake.submit([won("c")])
    later.result(PATIENCE_S)
    intake.stop()
    assert sorted(row["record_id"] for row in any_store.list_runs(TENANT)) == ["b", "c"]


def test_a_sender_cannot_give_up_once_its_event_is_being_stored(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time-out at that moment does not stop the writer either."""
    original = intake.accept
    tried = []

    def accept(events: Any) -> int:
        tried.append(future.cancel())
        return original(events)

    monkeypatch.setattr(intake, "accept", accept)
    future = intake.submit([won("a")])
    intake.start()
    assert future.result(PATIENCE_S) == 1
    intake.stop()
    assert tried == [False]


def test_stopping_commits_what_waits(intake: Intake, any_store: EngineStore) -> None:
    """What was taken in before the stop is stored."""
    intake.submit([won("a")])
    intake.start()
    intake.stop()
    assert count_events(any_store) == 1


# --- replay -----------------------------------------------------------------------------------------------------------


def stop_run(store: EngineStore, record_id: str, state: State, generation: int) -> None:
    """Take a record's run and end it in a state."""
    (run,) = store.take(TENANT, LANE, f"{TENANT}/{LANE}:{generation}/0", 10)
    assert run.record_id == record_id
    with store.transaction() as tx:
        store.end(tx, [Ending(run, state, Outcome.SKIPPED if state is State.SUCCEEDED else "")])


def test_retry_puts_parked_and_failed_runs_back(intake: Intake, any_store: EngineStore, wakings: Wakings) -> None:
    """And wakes their lane."""
    intake.accept([won("a")])
    stop_run(any_store, "a", State.FAILED, 0)
    intake.accept([won("b")])
    stop_run(any_store, "b", State.PARKED, 1)
    wakings.lanes.clear()
    assert Replayer(any_store, intake).retry(TENANT, [State.PARKED, State.FAILED]) == 2
    assert {row["state"] for row in any_store.list_runs(TENANT)} == {"pending"}
    assert len(wakings.lanes) == 1


def test_retry_of_one_record_leaves_the_others(intake: Intake, any_store: EngineStore) -> None:
    """Only what was asked for goes on."""
    for generation, name in enumerate("ab"):
        intake.accept([won(name)])
        stop_run(any_store, name, State.FAILED, generation)
    assert Replayer(any_store, intake).retry(TENANT, [State.FAILED], "a") == 1
    assert {row["record_id"]: row["state"] for row in any_store.list_runs(TENANT)} == {"a": "pending", "b": "failed"}


def test_a_record_that_failed_twice_is_retried_once(intake: Intake, any_store: EngineStore) -> None:
    """One run is enough to converge; the older failure does not stand in its way."""
    for generation in range(2):
        intake.accept([won("a", key=f"key-{generation}")])
        stop_run(any_store, "a", State.FAILED, generation)
    assert Replayer(any_store, intake).retry(TENANT, [State.FAILED]) == 1
    assert sorted(row["state"] for row in any_store.list_runs(TENANT)) == ["failed", "pending"]


def test_a_replay_is_a_new_event_every_time(intake: Intake, any_store: EngineStore) -> None:
    """A record that has ended well runs anew as often as a person wants."""
    intake.accept([won("a")])
    for generation in range(2):
        stop_run(any_store, "a", State.SUCCEEDED, generation)
        assert Replayer(any_store, intake).replay(TENANT, "crm", "opportunity", "a") == 1
    assert len(any_store.list_runs(TENANT)) == 3

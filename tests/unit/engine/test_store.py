"""The engine's store, on SQLite and PostgreSQL: queueing, claiming, ending, waking."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from closedwon.engine.run import Ending, Outcome, State
from closedwon.kernel.clock import render_instant
from engine_parts import LANE, TENANT

if TYPE_CHECKING:
    from closedwon.engine.run import Run
    from closedwon.engine.store import EngineStore
    from stores import SetClock

BATCH = f"{TENANT}/{LANE}:0/0"


def queue(store: EngineStore, *record_ids: str) -> None:
    """Queue a run for each record."""
    with store.transaction() as tx:
        store.enqueue(tx, TENANT, LANE, {one: f"event-{one}" for one in record_ids})


def end(store: EngineStore, run: Run, state: State, **rest: Any) -> set[str]:
    """End one run."""
    with store.transaction() as tx:
        return store.end(tx, [Ending(run, state, **rest)])


def take(store: EngineStore, batch_id: str = BATCH, limit: int = 10) -> list[Run]:
    """Claim what is due."""
    return store.take(TENANT, LANE, batch_id, limit)


def states(store: EngineStore) -> list[tuple[str, str]]:
    """Return record and state of every run, oldest first."""
    return [(row["record_id"], row["state"]) for row in reversed(store.list_runs(TENANT))]


def test_a_burst_on_one_record_is_one_run(any_store: EngineStore) -> None:
    """A record that is queued already stays queued once."""
    for _ in range(3):
        queue(any_store, "a")
    assert states(any_store) == [("a", "pending")]


def test_a_record_at_work_is_queued_anew(any_store: EngineStore) -> None:
    """An event during a run may tell something newer, so another run follows."""
    queue(any_store, "a")
    take(any_store)
    queue(any_store, "a")
    assert sorted(states(any_store)) == [("a", "pending"), ("a", "running")]


def test_a_parked_run_is_revived_by_a_new_event(any_store: EngineStore) -> None:
    """The change may be the cure: the same run is tried again, from its first attempt."""
    queue(any_store, "a")
    (run,) = take(any_store)
    end(any_store, run, State.PARKED, count_attempt=True)
    queue(any_store, "a")
    (row,) = any_store.list_runs(TENANT)
    assert (row["id"], row["state"], row["attempt"]) == (run.id, "pending", 0)


def test_a_batch_takes_no_more_than_its_limit(any_store: EngineStore) -> None:
    """The rest stays for the next round."""
    queue(any_store, "a", "b", "c")
    assert len(take(any_store, limit=2)) == 2
    assert len(take(any_store, f"{TENANT}/{LANE}:0/1")) == 1


def test_the_same_batch_id_takes_the_same_runs(any_store: EngineStore) -> None:
    """After a crash the batch goes on with its own runs, and with no others."""
    queue(any_store, "a", "b")
    first = take(any_store, limit=1)
    assert take(any_store, limit=10) == first


def test_a_repeated_take_returns_only_what_is_still_running(any_store: EngineStore) -> None:
    """Runs that ended before the crash are not worked on again."""
    queue(any_store, "a", "b")
    first, second = take(any_store)
    end(any_store, first, State.SUCCEEDED, outcome=Outcome.CREATED)
    assert take(any_store) == [second]


def test_a_waiting_run_is_taken_when_its_time_has_come(any_store: EngineStore, clock: SetClock) -> None:
    """Not a moment before."""
    queue(any_store, "a")
    (run,) = take(any_store)
    clock.advance(10)
    end(any_store, run, State.WAITING, not_before=render_instant(clock.now()), count_attempt=True)
    clock.advance(-1)
    assert take(any_store, f"{TENANT}/{LANE}:1/0") == []
    clock.advance(1)
    (again,) = take(any_store, f"{TENANT}/{LANE}:2/0")
    assert (again.id, again.attempt) == (run.id, 1)


def test_an_overtaken_run_is_cancelled(any_store: EngineStore) -> None:
    """When it must stop and a newer run of its record is queued, only the newer one goes on."""
    queue(any_store, "a")
    (run,) = take(any_store)
    queue(any_store, "a")
    assert end(any_store, run, State.PARKED) == {run.id}
    assert sorted(states(any_store)) == [("a", "cancelled"), ("a", "pending")]


def test_a_run_does_not_overtake_itself(any_store: EngineStore, clock: SetClock) -> None:
    """A batch that was taken for lost ends its run after all; the run waits as it says and is not cancelled."""
    queue(any_store, "a")
    (run,) = take(any_store)
    clock.advance(61)
    any_store.free_lost(60)
    assert end(any_store, run, State.PARKED) == set()
    assert states(any_store) == [("a", "parked")]


def test_an_overtaken_run_may_still_succeed(any_store: EngineStore) -> None:
    """What it did is done; the newer run will find nothing left."""
    queue(any_store, "a")
    (run,) = take(any_store)
    queue(any_store, "a")
    assert end(any_store, run, State.SUCCEEDED, outcome=Outcome.CREATED) == set()
    assert sorted(states(any_store)) == [("a", "pending"), ("a", "succeeded")]


def test_a_decision_is_kept_with_earlier_ones(any_store: EngineStore) -> None:
    """A run put back knows everything people decided about it."""
    queue(any_store, "a")
    (run,) = take(any_store)
    for number, decision in enumerate(({"account_code": "200"}, {"tax_type": "NONE"}), 1):
        end(any_store, run, State.PARKED)
        with any_store.transaction() as tx:
            assert any_store.requeue(tx, TENANT, run.id, decision)
        (run,) = take(any_store, f"{TENANT}/{LANE}:{number}/0")
    assert run.decision == {"account_code": "200", "tax_type": "NONE"}


@pytest.mark.parametrize("state", [State.PENDING, State.SUCCEEDED, State.CANCELLED])
def test_only_stopped_runs_are_put_back(any_store: EngineStore, state: State) -> None:
    """What is queued or has ended well is left alone."""
    queue(any_store, "a")
    (run,) = take(any_store)
    end(any_store, run, state)
    with any_store.transaction() as tx:
        assert not any_store.requeue(tx, TENANT, run.id)


def test_a_failed_run_is_not_put_back_beside_a_newer_one(any_store: EngineStore) -> None:
    """The newer run does the work; the failed one stays as it is."""
    queue(any_store, "a")
    (run,) = take(any_store)
    end(any_store, run, State.FAILED)
    queue(any_store, "a")
    with any_store.transaction() as tx:
        assert not any_store.requeue(tx, TENANT, run.id)
    assert sorted(states(any_store)) == [("a", "failed"), ("a", "pending")]


def test_lost_runs_are_freed(any_store: EngineStore, clock: SetClock) -> None:
    """A run that a batch claimed long ago and nobody works on becomes due again."""
    queue(any_store, "a")
    take(any_store)
    assert any_store.free_lost(60) == 0
    clock.advance(61)
    assert any_store.free_lost(60) == 1
    assert len(take(any_store, f"{TENANT}/{LANE}:1/0")) == 1


def test_a_lost_run_that_was_overtaken_is_cancelled(any_store: EngineStore, clock: SetClock) -> None:
    """Beside a queued run of its record it makes way, and the other lost ones are freed all the same."""
    queue(any_store, "a", "b")
    take(any_store)
    queue(any_store, "a")
    clock.advance(61)
    assert any_store.free_lost(60) == 1
    assert sorted(states(any_store)) == [("a", "cancelled"), ("a", "pending"), ("b", "waiting")]


def test_skipped_records_are_queued_again_for_their_reason(any_store: EngineStore) -> None:
    """Only those that were skipped for the reason that has ceased to hold."""
    queue(any_store, "a", "b")
    first, second = take(any_store)
    end(any_store, first, State.SUCCEEDED, outcome=Outcome.SKIPPED, reason="not linked")
    end(any_store, second, State.SUCCEEDED, outcome=Outcome.SKIPPED, reason="not won")
    with any_store.transaction() as tx:
        again = any_store.reopen_skipped(tx, TENANT, LANE, ["a", "b"], "not linked")
    assert again == 1
    assert (first.record_id, "pending") in states(any_store)


# --- waking -------------------------------------------------------------------------------------------------------


def rouse(store: EngineStore) -> int | None:
    """Rouse the lane."""
    with store.transaction() as tx:
        return store.rouse(tx, TENANT, LANE)


def test_many_wake_ups_are_one(any_store: EngineStore) -> None:
    """The first wake-up queues the lane; while it is queued the others need not."""
    assert [rouse(any_store) for _ in range(3)] == [0, None, None]


def test_a_wake_up_during_a_batch_is_the_next_one(any_store: EngineStore) -> None:
    """Once a batch has begun to take, what comes in belongs to the next generation."""
    rouse(any_store)
    take(any_store)
    assert rouse(any_store) == 1


def test_a_repeated_take_does_not_skip_a_generation(any_store: EngineStore) -> None:
    """After a crash the lane is put to sleep once only, so that a wake-up in between is not lost."""
    rouse(any_store)
    take(any_store)
    rouse(any_store)
    take(any_store)
    assert rouse(any_store) is None


def test_later_rounds_leave_the_wake_up_alone(any_store: EngineStore) -> None:
    """Only the first round of a generation puts the lane to sleep."""
    rouse(any_store)
    take(any_store)
    rouse(any_store)
    take(any_store, f"{TENANT}/{LANE}:0/1")
    assert rouse(any_store) is None


def test_processes_that_rouse_a_new_lane_at_once_all_succeed(any_store: EngineStore) -> None:
    """Only one of them queues it, none fails."""
    ready, answers = threading.Barrier(4), []

    def run() -> None:
        ready.wait()
        answers.append(rouse(any_store))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [0, None, None, None]


def test_the_sweep_finds_work_that_nobody_woke(any_store: EngineStore) -> None:
    """Runs without a wake-up, and lanes that never were."""
    queue(any_store, "a")
    assert any_store.list_sleepers(30) == [(TENANT, LANE)]


def test_the_sweep_leaves_fresh_wake_ups_alone(any_store: EngineStore, clock: SetClock) -> None:
    """A lane woken a moment ago is not woken again; one that overslept is."""
    queue(any_store, "a")
    rouse(any_store)
    assert any_store.list_sleepers(30) == []
    clock.advance(31)
    assert any_store.list_sleepers(30) == [(TENANT, LANE)]
    with any_store.transaction() as tx:
        assert any_store.rouse_again(tx, TENANT, LANE, 30)
        assert any_store.rouse(tx, TENANT, LANE) == 1


def test_the_sweep_finds_retries_whose_time_has_come(any_store: EngineStore, clock: SetClock) -> None:
    """A waiting run wakes nobody by itself."""
    queue(any_store, "a")
    (run,) = take(any_store)
    end(any_store, run, State.WAITING, not_before=render_instant(clock.now()))
    assert any_store.list_sleepers(30) == [(TENANT, LANE)]


def test_parked_runs_wake_nobody(any_store: EngineStore) -> None:
    """They wait for a person."""
    queue(any_store, "a")
    (run,) = take(any_store)
    end(any_store, run, State.PARKED)
    assert any_store.list_sleepers(30) == []


def test_an_executor_is_alive_while_it_beats(any_store: EngineStore, clock: SetClock) -> None:
    """Its last beat is what counts, however often it beat."""
    any_store.beat("one")
    any_store.beat("two")
    clock.advance(9)
    any_store.beat("two")
    assert any_store.list_alive(8) == {"two"}
    any_store.forget_executors({"two"})
    assert any_store.list_alive(100) == {"two"}


def test_tenants_do_not_see_each_other(any_store: EngineStore) -> None:
    """The same lane and record of another tenant are others."""
    queue(any_store, "a")
    assert any_store.take("globex", LANE, f"globex/{LANE}:0/0", 10) == []
    assert any_store.list_runs("globex") == []

"""The batch loop: every run ends visibly, and only by its own fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine.run import Outcome
from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    MappingFailed,
    Misconfigured,
    OutcomeUnknown,
    Throttled,
    Unavailable,
)
from engine_parts import LANE, TENANT, Bench, elements, finish_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.engine.batch import Batch
    from engine_parts import Vendor
    from stores import SetClock


def raising(record_id: str, error: Exception) -> Callable[[Batch], None]:
    """Return an action that meets an error at one record and finishes the others."""

    def execute(batch: Batch) -> None:
        for run in list(batch.runs):
            if run.record_id != record_id:
                batch.finish(run, Outcome.CREATED)
            elif isinstance(error, ClosedwonError):
                batch.fail(run, error)
            else:
                raise error

    return execute


def test_runs_of_a_lane_are_executed_together(bench: Bench) -> None:
    """Three deals, one batch."""
    bench.queue("a", "b", "c")
    assert bench.turn() == 3
    assert bench.flow.batches == [["a", "b", "c"]]
    assert set(bench.states().values()) == {"succeeded"}


def test_one_of_our_errors_ends_only_its_run(bench: Bench) -> None:
    """The others go on."""
    bench.flow.action = raising("b", MappingFailed("it lacks a customer"))
    bench.queue("a", "b", "c")
    bench.turn()
    assert bench.states() == {"a": "succeeded", "b": "parked", "c": "succeeded"}
    assert ("park", "b", "it lacks a customer") in bench.reviewer.told


def test_a_bug_fails_only_the_culprit(bench: Bench) -> None:
    """The runs of a batch with a bug in it are executed one by one."""
    bench.flow.action = raising("b", ZeroDivisionError("oops"))
    bench.queue("a", "b", "c")
    bench.turn()
    assert bench.states() == {"a": "succeeded", "b": "failed", "c": "succeeded"}
    assert "a bug stopped this run: ZeroDivisionError: oops" in bench.row("b")["reason"]
    assert [subject for what, subject, _ in bench.reviewer.told if what == "park"] == ["b"]


def test_a_bug_is_never_retried_by_itself(bench: Bench) -> None:
    """A failed run is not taken again."""
    bench.flow.action = raising("a", ZeroDivisionError())
    bench.queue("a")
    bench.turn()
    assert bench.turn() == 0


def test_a_run_that_the_flow_forgot_is_visible(bench: Bench) -> None:
    """A flow that neither finishes nor fails a run has a bug, and the run says so."""
    bench.flow.action = lambda _batch: None
    bench.queue("a")
    bench.turn()
    assert bench.row("a")["state"] == "failed"
    assert "left this run unfinished" in bench.row("a")["reason"]


def test_throttling_of_the_whole_batch_costs_no_attempt(bench: Bench) -> None:
    """Every run waits as long as the vendor says."""
    bench.flow.action = lambda _batch: (_ for _ in ()).throw(Throttled("wait", retry_after_s=30))
    bench.queue("a", "b")
    bench.turn()
    rows = [bench.row(one) for one in ("a", "b")]
    assert [(row["state"], row["attempt"], row["not_before"]) for row in rows] == [
        ("waiting", 0, "2026-11-22T12:00:30.000Z")
    ] * 2


def test_a_fault_counts_an_attempt(bench: Bench) -> None:
    """The next try comes later, and not for ever."""
    bench.flow.action = raising("a", Unavailable("down"))
    bench.queue("a")
    bench.turn()
    assert (bench.row("a")["state"], bench.row("a")["attempt"]) == ("waiting", 1)


@pytest.mark.parametrize(
    ("error", "subject"),
    [
        (AuthExpired("signed out", details={"connection": "books"}), "books"),
        (AuthExpired("signed out"), "integration:sales"),
        (Misconfigured("no such flow"), "integration:sales"),
    ],
)
def test_a_pause_puts_runs_back_and_opens_one_item(bench: Bench, error: Exception, subject: str) -> None:
    """However many runs met it, people are told once, and the runs are pending as if nothing had been tried."""
    bench.flow.action = raising("b", error)
    bench.queue("b", "c")
    bench.turn()
    assert [told[:2] for told in bench.reviewer.told if told[0] == "pause"] == [("pause", subject)]
    assert (bench.row("b")["state"], bench.row("b")["attempt"]) == ("pending", 0)


@pytest.mark.parametrize("name", ["crm", "books", "integration:sales"])
def test_nothing_is_taken_while_paused(bench: Bench, name: str) -> None:
    """Either connection or the integration itself stops the lane; its work stays queued."""
    bench.paused.add(name)
    bench.queue("a")
    assert bench.turn() == 0
    bench.paused.clear()
    assert bench.turn() == 1


def test_an_unknown_integration_takes_nothing(bench: Bench) -> None:
    """Work of an integration that was taken out of the configuration waits for its return."""
    bench.queue("a")
    assert bench.loop.take(TENANT, "gone/opportunity_won", f"{TENANT}/gone/opportunity_won:0/0") == 0
    assert bench.row("a")["state"] == "pending"


def test_work_repeated_after_a_crash_does_nothing_twice(bench: Bench) -> None:
    """A batch whose runs have ended is not executed again."""
    bench.queue("a")
    bench.turn()
    bench.loop.work(TENANT, LANE, f"{TENANT}/{LANE}:0/0")
    assert len(bench.flow.batches) == 1


def test_uncertain_writes_are_resolved_before_the_flow_goes_on(bench: Bench, vendor: Vendor) -> None:
    """A write that had happened is receipted first, and the run's story says so."""
    bench.flow.operation = vendor.operation()

    def write(batch: Batch) -> None:
        (result,) = batch.ledger.write(vendor.operation(), elements("a"))
        batch.fail(batch.runs[0], result.error) if result.error else finish_all(batch)

    vendor.script = [OutcomeUnknown("no answer came")]
    bench.flow.action = write
    bench.queue("a")
    bench.turn()
    vendor.has = {"a": "remote-a"}
    bench.flow.action = finish_all
    bench.integration.clock.sleep(5)
    bench.turn()
    assert vendor.saved == ["a"]
    assert [row.state for row in vendor.intents()] == ["confirmed"]
    steps = bench.store.story(TENANT, ["a"])["steps"]
    assert {"resolve": "create: it had happened"}.items() <= {row["step"]: row["detail"] for row in steps}.items()


def test_a_succeeded_run_closes_its_item(bench: Bench) -> None:
    """Whatever was open about it is settled."""
    bench.queue("a")
    bench.turn()
    assert bench.reviewer.told == [("settle", "a", "")]


def test_an_overtaken_run_opens_no_item(bench: Bench) -> None:
    """A run that is cancelled because a newer one is queued asks nobody anything."""

    def park(batch: Batch) -> None:
        bench.queue("a")
        batch.fail(batch.runs[0], MappingFailed("no customer"))

    bench.flow.action = park
    bench.queue("a")
    bench.turn()
    assert [told for told in bench.reviewer.told if told[0] == "park"] == []


def test_steps_are_told_in_the_story(bench: Bench) -> None:
    """Each step leaves what it did for each run, and whether the run ended in it."""

    def execute(batch: Batch) -> None:
        with batch.step("fetch") as details:
            details[batch.runs[0].id] = {"found": 1}
        with batch.step("write"):
            finish_all(batch)

    bench.flow.action = execute
    bench.queue("a")
    bench.turn()
    steps = bench.store.story(TENANT, ["a"])["steps"]
    assert {row["step"]: (row["outcome"], row["detail"]) for row in steps} == {
        "fetch": ("done", {"found": 1}),
        "write": ("ended", None),
    }


def test_endings_outlive_a_store_that_is_away(bench: Bench, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk is full the loop holds on to what it knows, and stores it when it can."""
    original, refusals = bench.store.end, [Unavailable("the disk is full")] * 3

    def end(*arguments: object) -> object:
        if refusals:
            raise refusals.pop()
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.store, "end", end)
    bench.queue("a")
    bench.turn()
    assert bench.row("a")["state"] == "succeeded"
    assert len(clock.slept_s) == 3

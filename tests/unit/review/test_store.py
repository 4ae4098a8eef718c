"""Review items: one open question per subject, and who decided what."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from closedwon.kernel.errors import AmbiguousMatch, ClosedwonError, MappingFailed
from closedwon.review.store import ReviewStore

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock

ERROR = MappingFailed("no account", hint="choose one", details={"problems": [1]}, request_ids=["r1"])


@pytest.fixture
def reviews(any_database: Database, clock: SetClock) -> ReviewStore:
    """Return a review store."""
    return ReviewStore(any_database, clock)


def open_item(
    reviews: ReviewStore, database: Database, subject: str, error: ClosedwonError = ERROR, tenant: str = "acme"
) -> None:
    """Open an item."""
    with database.begin() as tx:
        reviews.open(tx, tenant, subject, error, "deal", "A deal")


def test_an_item_says_what_stopped_and_what_may_be_done(reviews: ReviewStore, any_database: Database) -> None:
    """Code, text, hint, evidence with the vendor's ids, proposals."""
    open_item(reviews, any_database, "run:1")
    (item,) = reviews.list_items("acme")
    assert (item.number, item.code, item.text, item.hint) == (1, "mapping_failed", "no account", "choose one")
    assert item.details == {"problems": [1], "request_ids": ["r1"]}
    assert [dict(one.decision) for one in item.proposals] == [{"retry": True}]
    assert (item.record_id, item.record_name, item.opened_at) == ("deal", "A deal", "2026-11-22T12:00:00.000Z")


def test_a_subject_has_one_open_item(reviews: ReviewStore, any_database: Database) -> None:
    """What stopped it last is what people see, under the same number."""
    open_item(reviews, any_database, "run:1")
    open_item(reviews, any_database, "run:1", AmbiguousMatch("which contact?"))
    assert [(one.number, one.text) for one in reviews.list_items("acme")] == [(1, "which contact?")]


def test_numbers_count_per_tenant(reviews: ReviewStore, any_database: Database) -> None:
    """From one."""
    for tenant, subject in (("acme", "run:1"), ("acme", "run:2"), ("globex", "run:1")):
        open_item(reviews, any_database, subject, tenant=tenant)
    assert [one.number for one in reviews.list_items("acme")] == [1, 2]
    assert [one.number for one in reviews.list_items("globex")] == [1]


def test_items_opened_at_once_get_numbers_of_their_own(reviews: ReviewStore, any_database: Database) -> None:
    """No batch fails because another one parks a run at the same moment."""
    ready, faults = threading.Barrier(4), []

    def run(name: int) -> None:
        ready.wait()
        try:
            open_item(reviews, any_database, f"run:{name}")
        except Exception as error:  # noqa: BLE001 - told below
            faults.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(one.number for one in reviews.list_items("acme")) == [1, 2, 3, 4]


def test_a_decision_closes_the_item_and_is_kept(reviews: ReviewStore, any_database: Database) -> None:
    """With who decided it, and when."""
    open_item(reviews, any_database, "run:1")
    (item,) = reviews.list_items("acme")
    with any_database.begin() as tx:
        assert reviews.decide(tx, item, "resolved", {"account_code": "200"}, "ann")
    assert reviews.list_items("acme") == []
    closed = reviews.find("acme", 1)
    assert closed is not None
    assert (closed.state, closed.closed_at) == ("resolved", "2026-11-22T12:00:00.000Z")
    (kept,) = reviews.list_resolutions("acme", item.id)
    assert (kept["decision"], kept["decided_by"]) == ({"account_code": "200"}, "ann")


def test_only_the_first_decision_counts(reviews: ReviewStore, any_database: Database) -> None:
    """The second one is told that it came too late."""
    open_item(reviews, any_database, "run:1")
    (item,) = reviews.list_items("acme")
    with any_database.begin() as tx:
        assert reviews.decide(tx, item, "resolved", {}, "ann")
        assert not reviews.decide(tx, item, "dismissed", {}, "bob")
    assert len(reviews.list_resolutions("acme", item.id)) == 1


def test_what_went_through_after_all_needs_no_decision(reviews: ReviewStore, any_database: Database) -> None:
    """The item closes by itself; others stay."""
    open_item(reviews, any_database, "run:1")
    open_item(reviews, any_database, "run:2")
    with any_database.begin() as tx:
        reviews.close_subjects(tx, "acme", ["run:1", *(f"run:x{number}" for number in range(900))])
    assert [one.subject for one in reviews.list_items("acme")] == ["run:2"]
    open_item(reviews, any_database, "run:1")
    assert [one.number for one in reviews.list_items("acme")] == [2, 3]


def test_a_record_that_went_through_closes_the_items_of_all_its_runs(
    reviews: ReviewStore, any_database: Database
) -> None:
    """Also that of an older run that failed; other records and paused connections stay."""
    cause = ClosedwonError("no")
    with any_database.begin() as tx:
        for subject, record in (("run:1", "deal-1"), ("run:2", "deal-1"), ("run:3", "deal-2"), ("connection:crm", "")):
            reviews.open(tx, "acme", subject, cause, record)
        reviews.close_records(tx, "acme", ["deal-1", *(f"deal-x{number}" for number in range(900))])
    assert [one.subject for one in reviews.list_items("acme")] == ["run:3", "connection:crm"]

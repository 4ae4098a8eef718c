"""A decision that arrives while its run is tried again."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from closedwon.app.desk import BUSY_S, Desk
from closedwon.kernel.errors import ClosedwonError, NoMatch
from closedwon.review.item import ReviewItem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from closedwon.app.compose import App

ITEM = ReviewItem("acme", "i1", 7, "run:r1", "open", "mapping_failed", "no such account")


@dataclass
class Office:
    """As much of the product as a decision needs: the run can be put back after `busy` looks."""

    busy: int
    item: ReviewItem = ITEM
    resumed: list[dict[str, Any]] = field(default_factory=list)
    time_s: float = 0.0
    closes_meanwhile: bool = False
    settings: Any = None

    def __post_init__(self) -> None:
        self.database = self.reviews = self.replayer = self.engine = self.clock = self
        self.settings = type("Settings", (), {"integrations": {}})

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Begin a transaction."""
        yield

    def find(self, _tenant: str, _number: int) -> ReviewItem:
        """Find the one item."""
        return self.item

    def find_run(self, _tenant: str, _run_id: str) -> dict[str, str]:
        """Find the one run."""
        return {"lane": "sales/opportunity_won"}

    def list_resolutions(self, _tenant: str, _item_id: str) -> list[Any]:
        """List none."""
        return []

    def resume(self, _tx: Any, _tenant: str, _run_id: str, _lane: str, decision: dict[str, Any]) -> bool:
        """Put the run back once it is free."""
        self.busy -= 1
        if self.busy >= 0:
            return False
        self.resumed.append(decision)
        return True

    def decide(self, *_arguments: Any) -> bool:
        """Close the item."""
        self.item = replace(self.item, state="resolved")
        return True

    def monotonic(self) -> float:
        """Tell the time."""
        return self.time_s

    def sleep(self, seconds: float) -> None:
        """Let time pass; whoever waits may find the item closed."""
        self.time_s += seconds
        if self.closes_meanwhile:
            self.item = replace(self.item, state="resolved")


def test_a_decision_waits_for_a_run_that_is_tried_again() -> None:
    """A change feed may wake a parked run at the moment at which a person decides; the decision is not lost."""
    office = Office(busy=3)
    decided = Desk(cast("App", office)).resolve("acme", 7, {"account_code": "206"}, "ann")
    assert decided["state"] == "resolved"
    assert office.resumed == [{"account_code": "206"}]


def test_a_run_that_stays_busy_is_said_so() -> None:
    """The item stays open, and the text does not claim otherwise."""
    office = Office(busy=10_000)
    with pytest.raises(ClosedwonError, match="being tried again"):
        Desk(cast("App", office)).resolve("acme", 7, {"account_code": "206"}, "ann")
    assert office.time_s >= BUSY_S
    assert (office.item.state, office.resumed) == ("open", [])


def test_an_item_that_closes_meanwhile_is_closed() -> None:
    """The run went through after all: there is nothing left to decide."""
    office = Office(busy=10_000, closes_meanwhile=True)
    with pytest.raises(NoMatch, match="is closed"):
        Desk(cast("App", office)).resolve("acme", 7, {"account_code": "206"}, "ann")
    assert office.resumed == []

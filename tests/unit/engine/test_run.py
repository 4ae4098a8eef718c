"""Names of lanes and runs."""

from __future__ import annotations

from closedwon.engine.run import Run, lane_name, split_lane


def test_a_lane_is_named_by_integration_and_flow() -> None:
    """And can be taken apart again."""
    assert split_lane(lane_name("sales", "opportunity_won")) == ("sales", "opportunity_won")


def test_a_run_is_named_where_items_refer_to_it() -> None:
    """The subject of its review item."""
    assert Run("acme", "r1", "sales/opportunity_won", "a").subject == "run:r1"

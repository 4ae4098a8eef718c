"""What people may decide, and what they are offered."""

from __future__ import annotations

from typing import Any

import pytest

from closedwon.kernel.errors import AmbiguousMatch, Misconfigured
from closedwon.review.resolution import DECISIONS, check_decision
from closedwon.review.triage import MAX_PROPOSALS, evidence, propose


@pytest.mark.parametrize("name", sorted(set(DECISIONS) - {"date"}))
def test_every_known_decision_is_taken(name: str) -> None:
    """As it is."""
    assert check_decision({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("decision", [{}, {"acount_code": "200"}, {"retry": True, "pay": 1}])
def test_another_decision_is_refused(decision: dict[str, Any]) -> None:
    """With the ones there are and what they mean."""
    with pytest.raises(Misconfigured) as caught:
        check_decision(decision)
    assert all(name in caught.value.hint for name in DECISIONS)


def test_a_date_must_be_one() -> None:
    """Found when it is decided, not when the invoice is made."""
    assert check_decision({"date": "2026-10-01"}) == {"date": "2026-10-01"}
    for text in ("tomorrow", "2026-02-30", "", "01/10/2026"):
        with pytest.raises(Misconfigured, match="is not a date"):
            check_decision({"date": text})


def test_the_finders_proposals_come_first_and_trying_again_last() -> None:
    """Not more than people can read."""
    many = [{"label": f"link {number}", "decision": {"contact_id": str(number)}} for number in range(50)]
    offered = propose(AmbiguousMatch("which?", details={"proposals": many, "candidates": [1]}))
    assert len(offered) == MAX_PROPOSALS + 1
    assert (offered[0].decision, offered[-1].decision) == ({"contact_id": "0"}, {"retry": True})


def test_evidence_leaves_the_proposals_out() -> None:
    """They are shown by themselves."""
    error = AmbiguousMatch("which?", details={"proposals": [], "candidates": [1]}, request_ids=["r"])
    assert evidence(error) == {"candidates": [1], "request_ids": ["r"]}

"""Turns an error into a question: which proposals a person gets. Pure rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon.review.item import Proposal

if TYPE_CHECKING:
    from closedwon.kernel.errors import ClosedwonError

AGAIN = Proposal("try again: the cause has been mended in Dynamics or Xero", {"retry": True})
MAX_PROPOSALS = 10


def propose(error: ClosedwonError) -> tuple[Proposal, ...]:
    """Return the ways out of an error, best first: what its finder proposes, then trying again."""
    found: list[dict[str, Any]] = list(error.details.get("proposals", ()))
    own = tuple(Proposal(one["label"], one["decision"]) for one in found[:MAX_PROPOSALS])
    return (*own, AGAIN)


def evidence(error: ClosedwonError) -> dict[str, Any]:
    """Return what people should see besides the text: the details without the proposals, and the vendor's ids."""
    details = {name: value for name, value in error.details.items() if name != "proposals"}
    if error.request_ids:
        details["request_ids"] = list(error.request_ids)
    return details

"""A question put to a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

ItemState = Literal["open", "resolved", "dismissed"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One way out, ready to be taken: what it means in words, and the decision it stands for."""

    label: str
    decision: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """What stopped, why, and what may be done.

    `number` is what people type; `subject` is run:ID, connection:NAME or integration:NAME; `record_id` and
    `record_name` say which record it is about, empty for connections.
    """

    tenant: str
    id: str
    number: int
    subject: str
    state: ItemState
    code: str
    text: str
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    proposals: tuple[Proposal, ...] = ()
    record_id: str = ""
    record_name: str = ""
    opened_at: str = ""
    closed_at: str | None = None

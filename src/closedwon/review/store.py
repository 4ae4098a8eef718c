"""The SQL of review items and resolutions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from closedwon.db.connect import insert
from closedwon.db.schema import resolution, review_item
from closedwon.kernel.clock import Clock, render_instant
from closedwon.kernel.ids import new_id
from closedwon.review.item import Proposal, ReviewItem
from closedwon.review.triage import evidence, propose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.db.connect import Database
    from closedwon.kernel.errors import ClosedwonError
    from closedwon.review.item import ItemState


CHUNK = 400  # values in one IN (…)

SAME_TROUBLE = timedelta(minutes=10)  # a connection is tried every few seconds; that is one question, not hundreds


class ReviewStore:
    """Keeps items; one open item per subject at most."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def open(
        self,
        tx: sa.Connection,
        tenant: str,
        subject: str,
        error: ClosedwonError,
        record_id: str = "",
        record_name: str = "",
    ) -> None:
        """Open the item of a subject, or bring the open one up to date."""
        content = {
            "code": error.code,
            "text": error.text,
            "hint": error.hint,
            "details": evidence(error),
            "proposals": [{"label": one.label, "decision": dict(one.decision)} for one in propose(error)],
            "record_id": record_id,
            "record_name": record_name,
        }
        where = (review_item.c.tenant == tenant, review_item.c.subject == subject, review_item.c.state == "open")
        if tx.execute(sa.update(review_item).where(*where).values(**content)).rowcount:
            return
        if not subject.startswith("run:") and self._reopen(tx, tenant, subject, content):
            return
        if tx.dialect.name == "postgresql":  # there two processes could take one number; SQLite has one writer anyway
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"review:{tenant}"))))
        number = tx.execute(sa.select(sa.func.max(review_item.c.number)).where(review_item.c.tenant == tenant)).scalar()
        values = {"id": new_id(), "number": (number or 0) + 1, "subject": subject, "state": "open"}
        tx.execute(
            insert(tx, review_item).values(
                tenant=tenant, opened_at=render_instant(self._clock.now()), **values, **content
            )
        )

    def _reopen(self, tx: sa.Connection, tenant: str, subject: str, content: Mapping[str, Any]) -> bool:
        """Open the last item of a subject again where the same trouble is back: it was not over, only tried anew."""
        since = render_instant(self._clock.now() - SAME_TROUBLE)
        query = sa.select(review_item.c.id, review_item.c.code, review_item.c.state, review_item.c.closed_at)
        query = query.where(review_item.c.tenant == tenant, review_item.c.subject == subject)
        last = tx.execute(query.order_by(review_item.c.number.desc()).limit(1)).first()
        if last is None or last.code != content["code"] or last.state != "resolved" or last.closed_at < since:
            return False
        where = (review_item.c.tenant == tenant, review_item.c.id == last.id)
        tx.execute(sa.update(review_item).where(*where).values(state="open", closed_at=None, **content))
        return True

    def close_subjects(self, tx: sa.Connection, tenant: str, subjects: Sequence[str]) -> None:
        """Close the open items of subjects that went through after all."""
        closed = {"state": "resolved", "closed_at": render_instant(self._clock.now())}
        for start in range(0, len(subjects), CHUNK):
            some = review_item.c.subject.in_(subjects[start : start + CHUNK])
            where = (review_item.c.tenant == tenant, some, review_item.c.state == "open")
            tx.execute(sa.update(review_item).where(*where).values(**closed))

    def close_records(self, tx: sa.Connection, tenant: str, record_ids: Sequence[str]) -> None:
        """Close the open items of every run of records that went through after all."""
        closed = {"state": "resolved", "closed_at": render_instant(self._clock.now())}
        for start in range(0, len(record_ids), CHUNK):
            some = review_item.c.record_id.in_(record_ids[start : start + CHUNK])
            runs = review_item.c.subject.startswith("run:")
            where = (review_item.c.tenant == tenant, some, runs, review_item.c.state == "open")
            tx.execute(sa.update(review_item).where(*where).values(**closed))

    def decide(
        self, tx: sa.Connection, item: ReviewItem, state: ItemState, decision: Mapping[str, Any], decided_by: str
    ) -> bool:
        """Record a decision and close the item; False when somebody else closed it first."""
        now = render_instant(self._clock.now())
        where = (review_item.c.tenant == item.tenant, review_item.c.id == item.id, review_item.c.state == "open")
        if not tx.execute(sa.update(review_item).where(*where).values(state=state, closed_at=now)).rowcount:
            return False
        tx.execute(
            insert(tx, resolution).values(
                tenant=item.tenant,
                id=new_id(),
                item_id=item.id,
                decision=dict(decision),
                decided_by=decided_by,
                decided_at=now,
            )
        )
        return True

    def find(self, tenant: str, number: int) -> ReviewItem | None:
        """Return an item by its number."""
        query = sa.select(review_item).where(review_item.c.tenant == tenant, review_item.c.number == number)
        with self._database.read() as tx:
            row = tx.execute(query).first()
        return None if row is None else _as_item(row)

    def list_items(self, tenant: str, state: ItemState | None = "open", record_id: str = "") -> list[ReviewItem]:
        """List items, oldest first."""
        query = sa.select(review_item).where(review_item.c.tenant == tenant).order_by(review_item.c.number)
        if state is not None:
            query = query.where(review_item.c.state == state)
        if record_id:
            query = query.where(review_item.c.record_id == record_id)
        with self._database.read() as tx:
            return [_as_item(row) for row in tx.execute(query)]

    def list_resolutions(self, tenant: str, item_id: str) -> list[dict[str, Any]]:
        """List what was decided about an item."""
        query = sa.select(resolution).where(resolution.c.tenant == tenant, resolution.c.item_id == item_id)
        with self._database.read() as tx:
            return [dict(row) for row in tx.execute(query.order_by(resolution.c.id)).mappings()]


def _as_item(row: Any) -> ReviewItem:
    return ReviewItem(
        tenant=row.tenant,
        id=row.id,
        number=row.number,
        subject=row.subject,
        state=row.state,
        code=row.code,
        text=row.text,
        hint=row.hint,
        details=row.details or {},
        proposals=tuple(Proposal(one["label"], one["decision"]) for one in row.proposals or ()),
        record_id=row.record_id,
        record_name=row.record_name,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )

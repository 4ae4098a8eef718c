"""The SQL of links, and of the contacts that matching looks through."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from closedwon.db.connect import insert
from closedwon.db.schema import candidate, link
from closedwon.kernel.clock import Clock, render_instant
from closedwon.links.link import Link
from closedwon.links.normalise import email_key, name_key
from closedwon.model.customer import Customer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from closedwon.db.connect import Database
    from closedwon.links.link import RecordType

CHUNK = 400


class LinkStore:
    """Links of one store; methods that take `tx` join the caller's transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def transaction(self) -> AbstractContextManager[sa.Connection]:
        """Begin a write transaction."""
        return self._database.begin()

    # --- links --------------------------------------------------------------------------------------------------

    def find_by_crm(
        self, tenant: str, integration: str, record_type: RecordType, crm_ids: Sequence[str]
    ) -> dict[str, Link]:
        """Return the links of CRM records, by CRM id."""
        return {one.crm_id: one for one in self._find(tenant, integration, record_type, link.c.crm_id, crm_ids)}

    def find_by_books(
        self, tenant: str, integration: str, record_type: RecordType, books_ids: Sequence[str]
    ) -> dict[str, Link]:
        """Return the links of books records, by books id."""
        return {one.books_id: one for one in self._find(tenant, integration, record_type, link.c.books_id, books_ids)}

    def _find(
        self, tenant: str, integration: str, record_type: str, column: sa.Column[Any], ids: Sequence[str]
    ) -> list[Link]:
        found: list[Link] = []
        with self._database.read() as tx:
            for start in range(0, len(ids), CHUNK):
                rows = tx.execute(
                    sa.select(link).where(
                        link.c.tenant == tenant,
                        link.c.integration == integration,
                        link.c.record_type == record_type,
                        column.in_(ids[start : start + CHUNK]),
                    )
                )
                found += [_as_link(row) for row in rows]
        return found

    def count(self, tenant: str, integration: str, record_type: RecordType) -> int:
        """Count the links of a kind."""
        query = sa.select(sa.func.count()).select_from(link)
        where = (link.c.tenant == tenant, link.c.integration == integration, link.c.record_type == record_type)
        with self._database.read() as tx:
            return int(tx.execute(query.where(*where)).scalar_one())

    def list_naming(self, tenant: str, integration: str, record: str) -> list[dict[str, Any]]:
        """List the links in which a record appears by id or number, as plain rows."""
        named = sa.or_(link.c.crm_id == record, link.c.books_id == record, link.c.books_number == record)
        query = sa.select(link).where(link.c.tenant == tenant, link.c.integration == integration, named)
        with self._database.read() as tx:
            return [dict(row) for row in tx.execute(query).mappings()]

    def save(self, tx: sa.Connection, tenant: str, integration: str, one: Link) -> None:
        """Save a link, or what has changed about it."""
        now = render_instant(self._clock.now())
        values = asdict(one) | {"agreed_at": now}
        keys = {"tenant": tenant, "integration": integration, "linked_at": now}
        statement = insert(tx, link).values(**values, **keys)
        changing = {name: value for name, value in values.items() if name not in {"record_type", "crm_id"}}
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant", "integration", "record_type", "crm_id"], set_=changing
            )
        )

    # --- candidates ---------------------------------------------------------------------------------------------

    def save_contacts(self, tx: sa.Connection, tenant: str, connection: str, contacts: Iterable[Customer]) -> None:
        """Keep contacts of the books, so that matching needs no call for each customer."""
        rows = [
            {
                "tenant": tenant,
                "connection": connection,
                "record_id": one.id,
                "number_key": one.external_id,
                "name_key": name_key(one.name)[:300],
                "email_key": email_key(one.email)[:300],
                "document": one,
            }
            for one in contacts
        ]
        if not rows:
            return
        statement = insert(tx, candidate)
        names = ("number_key", "name_key", "email_key", "document")
        tx.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant", "connection", "record_id"],
                set_={name: statement.excluded[name] for name in names},
            ),
            rows,
        )

    def find_contacts(self, tenant: str, connection: str, customers: Sequence[Customer]) -> dict[str, list[Customer]]:
        """Return, by customer id, the contacts that share its number, its name or its e-mail."""
        found: dict[str, list[Customer]] = {}
        with self._database.read() as tx:
            for one in customers:
                keys = [candidate.c.number_key == one.id, candidate.c.name_key == name_key(one.name)[:300]]
                if email_key(one.email):
                    keys.append(candidate.c.email_key == email_key(one.email)[:300])
                rows = tx.execute(
                    sa.select(candidate.c.document).where(
                        candidate.c.tenant == tenant, candidate.c.connection == connection, sa.or_(*keys)
                    )
                )
                found[one.id] = [msgspec.convert(row.document, Customer) for row in rows]
        return found


def _as_link(row: Any) -> Link:
    return Link(
        record_type=row.record_type,
        crm_id=row.crm_id,
        books_id=row.books_id,
        books_number=row.books_number,
        crm_document=row.crm_document,
        snapshot=row.snapshot,
        books_version=row.books_version,
    )

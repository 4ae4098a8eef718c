"""The SQL of connections, integrations, their secrets, budgets and cached reference data."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from closedwon.db.connect import insert
from closedwon.db.schema import connection, integration, reference, secret
from closedwon.kernel.clock import Clock, render_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon.db.connect import Database
    from closedwon.tenants.secrets import Vault

Result = TypeVar("Result")
LEASE_S = 60.0  # longest a token renewal may take before another process may try
LEASE_POLL_S = 0.05
INTEGRATION = "integration:"  # marks the name of an integration where a connection's could stand


class TenantStore:
    """Keeps the state of connections and integrations."""

    def __init__(self, database: Database, clock: Clock, vault: Vault) -> None:
        self._database = database
        self._clock = clock
        self._vault = vault

    def _now(self) -> str:
        return render_instant(self._clock.now())

    # --- state --------------------------------------------------------------------------------------------------

    def pause(self, tx: sa.Connection, tenant: str, name: str, error: Mapping[str, Any]) -> None:
        """Pause a connection, or an integration given as integration:NAME."""
        self._set_state(tx, tenant, name, "paused", dict(error))

    def resume(self, tx: sa.Connection, tenant: str, name: str) -> None:
        """Let a paused connection or integration work again."""
        good = "running" if name.startswith(INTEGRATION) else "connected"
        self._set_state(tx, tenant, name, good, None)

    def _set_state(self, tx: sa.Connection, tenant: str, name: str, state: str, error: dict[str, Any] | None) -> None:
        if name.startswith(INTEGRATION):
            table, name, values = integration, name.removeprefix(INTEGRATION), {"started_at": self._now()}
        else:
            table, values = connection, {"changed_at": self._now()}
        statement = insert(tx, table).values(tenant=tenant, name=name, state=state, error=error, **values)
        tx.execute(
            statement.on_conflict_do_update(index_elements=["tenant", "name"], set_={"state": state, "error": error})
        )

    def list_paused(self, tenant: str) -> dict[str, dict[str, Any]]:
        """Return the paused connections and integrations (as integration:NAME) with the error that paused them."""
        with self._database.read() as tx:
            paused: dict[str, dict[str, Any]] = {}
            for table, prefix in ((connection, ""), (integration, INTEGRATION)):
                query = sa.select(table.c.name, table.c.error).where(table.c.tenant == tenant)
                for row in tx.execute(query.where(table.c.state == "paused")):
                    paused[prefix + row.name] = row.error or {}
            return paused

    def started_on(self, tenant: str, name: str) -> str:
        """Return when an integration first started, as stored text; the first call is that moment."""
        with self._database.begin() as tx:
            statement = insert(tx, integration).values(tenant=tenant, name=name, started_at=self._now())
            tx.execute(statement.on_conflict_do_nothing())
            query = sa.select(integration.c.started_at)
            return str(tx.execute(query.where(integration.c.tenant == tenant, integration.c.name == name)).scalar_one())

    # --- secrets ------------------------------------------------------------------------------------------------

    def find_secret(self, tenant: str, name: str, kind: str) -> str | None:
        """Return a connection's secret of a kind."""
        with self._database.read() as tx:
            return self._open_secret(tx, tenant, name, kind)

    def renew_secret(
        self, tenant: str, name: str, kind: str, stale: str | None, fetch: Callable[[str | None], str]
    ) -> str:
        """Replace a secret that is stale, one process at a time, without holding the store while `fetch` works.

        Who finds that another process has replaced it already gets that one, and `fetch` is not called.
        """
        while (lease := self._take_lease(tenant, name)) is None:
            self._clock.sleep(LEASE_POLL_S)
        try:
            current = self.find_secret(tenant, name, kind)
            if current is not None and current != stale:
                return current
            new = fetch(current)
            self._save_secret(tenant, name, kind, new)
            return new
        finally:
            self._give_lease_back(tenant, name, lease)

    def _take_lease(self, tenant: str, name: str) -> str | None:
        """Take the connection's lease; return until when it is ours, None while another process has it."""
        until = render_instant(self._clock.now() + timedelta(seconds=LEASE_S))
        with self._database.begin() as tx:
            tx.execute(insert(tx, connection).values(tenant=tenant, name=name).on_conflict_do_nothing())
            free = sa.or_(connection.c.lease_until.is_(None), connection.c.lease_until < self._now())
            statement = sa.update(connection).where(connection.c.tenant == tenant, connection.c.name == name, free)
            return until if tx.execute(statement.values(lease_until=until)).rowcount == 1 else None

    def _give_lease_back(self, tenant: str, name: str, lease: str) -> None:
        """Give the lease back, unless it ran out and another process has it by now."""
        ours = (connection.c.tenant == tenant, connection.c.name == name, connection.c.lease_until == lease)
        with self._database.begin() as tx:
            tx.execute(sa.update(connection).where(*ours).values(lease_until=None))

    def _save_secret(self, tenant: str, name: str, kind: str, value: str) -> None:
        values = {"sealed": self._vault.seal(value, f"{tenant}/{name}/{kind}"), "saved_at": self._now()}
        with self._database.begin() as tx:
            statement = insert(tx, secret).values(tenant=tenant, connection=name, kind=kind, **values)
            tx.execute(statement.on_conflict_do_update(index_elements=["tenant", "connection", "kind"], set_=values))

    def _open_secret(self, tx: sa.Connection, tenant: str, name: str, kind: str) -> str | None:
        query = sa.select(secret.c.sealed).where(
            secret.c.tenant == tenant, secret.c.connection == name, secret.c.kind == kind
        )
        sealed = tx.execute(query).scalar()
        return None if sealed is None else self._vault.open(sealed, f"{tenant}/{name}/{kind}")

    # --- budget and reference data ------------------------------------------------------------------------------

    def change_budget(
        self, tenant: str, name: str, change: Callable[[dict[str, Any]], tuple[dict[str, Any], Result]]
    ) -> Result:
        """Change a connection's call budget atomically across processes; return what `change` returns second."""
        with self._database.begin() as tx:
            where = (connection.c.tenant == tenant, connection.c.name == name)
            query = sa.select(connection.c.budget).where(*where).with_for_update()
            row = tx.execute(query).first()
            if row is None:  # make the row, perhaps at once with another process, and only then look what is in it
                tx.execute(insert(tx, connection).values(tenant=tenant, name=name).on_conflict_do_nothing())
                row = tx.execute(query).one()
            state, result = change(row.budget or {})
            tx.execute(sa.update(connection).where(*where).values(budget=state))
            return result

    def find_reference(self, tenant: str, name: str) -> dict[str, Any] | None:
        """Return the cached reference data of a connection; None when there is none or it is stale."""
        query = (
            sa.select(reference.c.document, connection.c.reference_stale)
            .select_from(
                reference.outerjoin(
                    connection,
                    sa.and_(connection.c.tenant == reference.c.tenant, connection.c.name == reference.c.connection),
                )
            )
            .where(reference.c.tenant == tenant, reference.c.connection == name)
        )
        with self._database.read() as tx:
            row = tx.execute(query).first()
        return None if row is None or row.reference_stale else row.document

    def save_reference(self, tenant: str, name: str, document: Any) -> None:
        """Cache reference data."""
        with self._database.begin() as tx:
            values = {"document": document, "fetched_at": self._now()}
            statement = insert(tx, reference).values(tenant=tenant, connection=name, **values)
            tx.execute(statement.on_conflict_do_update(index_elements=["tenant", "connection"], set_=values))
            self._mark(tx, tenant, name, stale=0)

    def mark_stale(self, tx: sa.Connection, tenant: str, name: str) -> None:
        """Have the reference data read again before it is next used: a person says something was mended there."""
        self._mark(tx, tenant, name, stale=1)

    def _mark(self, tx: sa.Connection, tenant: str, name: str, *, stale: int) -> None:
        statement = insert(tx, connection).values(tenant=tenant, name=name, reference_stale=stale)
        tx.execute(statement.on_conflict_do_update(index_elements=["tenant", "name"], set_={"reference_stale": stale}))

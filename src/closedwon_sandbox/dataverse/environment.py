"""One Dataverse environment: tables, rows, users, settings, and operations that commit or roll back as one."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse.odata.scopes import TableScope
from closedwon_sandbox.dataverse.rows.schema import load_schema, stable_id
from closedwon_sandbox.dataverse.rows.store import Ref, Row, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.dataverse.rows.schema import Schema, Table
    from closedwon_sandbox.settings import DataverseSettings

VERSION = "9.2.26102.00168"
API_PATH = "/api/data/v9.2"
HUMAN_ID = stable_id("systemuser", "human")
BUSINESS_UNIT_ID = stable_id("businessunit")


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and how they addressed us. `tag` is what the client marks its own writes with."""

    user_id: str
    base_url: str
    tag: str | None = None
    user_agent: str = ""
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def root(self) -> str:
        """The service root as the client knows it."""
        return self.base_url + API_PATH


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a row, as webhooks tell it. `target` has the message's columns, not the whole row."""

    message: str
    table: str
    row_id: str
    call: Call
    target: Mapping[str, Any]
    before: Row | None
    after: Row | None
    happened: datetime
    parent: Event | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """1 for what a client asked for, one more for each thing that it made happen."""
        return 1 if self.parent is None else self.parent.depth + 1


class Environment:
    """Everything the simulator holds. `on_commit` gets each committed operation's events; `on_settle` runs before."""

    def __init__(self, clock: Clock, settings: DataverseSettings) -> None:
        self.clock = clock
        self.settings = settings
        self.schema: Schema = load_schema()
        self.store = Store(self.schema)
        self.base_currency_id = ""
        self.on_commit: Callable[[list[Event]], None] = lambda _: None
        self.on_settle: Callable[[], None] = lambda: None
        self.unpriced: dict[tuple[str, str], Event | None] = {}
        self._events: list[Event] = []
        self._depth = 0

    @property
    def organization(self) -> Row:
        """The organization's settings."""
        return self.store.get("organization", self.settings.organization_id)

    def now(self) -> datetime:
        """Return the sandbox's time in whole seconds."""
        return self.clock.now().astimezone(UTC).replace(microsecond=0)

    def scope(self, table: Table, user_id: str) -> TableScope:
        """Return what names mean in a query on a table."""
        return TableScope(self.schema, self.store, table, self.now, user_id)

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Make the block one transaction; one inside another commits with it. Events go out after the commit."""
        self._depth += 1
        try:
            with self.store.transaction():
                yield
                self.on_settle()
        except BaseException:
            self._events.clear()
            self.unpriced.clear()
            raise
        finally:
            self._depth -= 1
        if self._depth == 0 and self._events:
            events, self._events = self._events, []
            self.on_commit(events)

    def insert(self, call: Call, table: Table, row: Row, parent: Event | None = None) -> Event:
        """Store a complete new row and tell of it."""
        now = self.now()
        user = Ref("systemuser", call.user_id)
        row.setdefault("createdon", now)
        row.update(modifiedon=now, createdby=user, modifiedby=user)
        self.store.put(table.name, row)
        return self.tell(Event("Create", table.name, row[table.key], call, row, None, row, now, parent))

    def change(
        self, call: Call, table: Table, before: Row, sent: Mapping[str, Any], parent: Event | None = None
    ) -> Event:
        """Store a row with the columns of `sent` changed and tell of it. A None clears a column."""
        now = self.now()
        after = {**before, **sent, "modifiedon": now, "modifiedby": Ref("systemuser", call.user_id)}
        after = {name: value for name, value in after.items() if value is not None}
        self.store.put(table.name, after)
        target = {**sent, table.key: after[table.key], "modifiedon": now, "modifiedby": after["modifiedby"]}
        return self.tell(Event("Update", table.name, after[table.key], call, target, before, after, now, parent))

    def remove(self, call: Call, table: Table, row_id: str, parent: Event | None = None) -> Event:
        """Delete a row and tell of it."""
        before = self.store.delete(table.name, row_id)
        return self.tell(Event("Delete", table.name, row_id, call, {}, before, None, self.now(), parent))

    def tell(self, event: Event) -> Event:
        """Keep an event until the operation commits."""
        self._events.append(event)
        return event

    def currency_of(self, row: Row | None) -> Row:
        """Return the currency of a record, the base currency where it has none."""
        found = self.store.follow((row or {}).get("transactioncurrencyid"))
        return found or self.store.get("transactioncurrency", self.base_currency_id)

    def precision_of(self, row: Row | None) -> int:
        """Return the decimals that a record's amounts have."""
        precision: int = self.currency_of(row).get("currencyprecision", 2)
        return precision

    def rate_of(self, row: Row) -> Decimal:
        """Return today's rate of a record's currency: units of it per 1 of the base."""
        rate: Decimal = self.currency_of(row)["exchangerate"]
        return rate

"""What names mean where a filter or an order stands: a path becomes a way to read a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from closedwon_sandbox.dataverse import errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from closedwon_sandbox.dataverse.rows.schema import Column, Schema, Table
    from closedwon_sandbox.dataverse.rows.store import Row, Store

    Getter = Callable[[Row], Any]


class Scope(Protocol):
    """What names mean where a filter stands."""

    def getter(self, names: tuple[str, ...]) -> tuple[Getter, Column | None]:
        """Return how to read a path from a row, and its column where it has one."""

    def collection(self, names: tuple[str, ...]) -> tuple[Callable[[Row], list[Row]], Scope]:
        """Return how to list a collection of a row, and the scope of its members."""

    def now(self) -> datetime:
        """Return the time that `Today` and the like go by."""

    def user_id(self) -> str:
        """Return the caller, for `EqualUserId` and the like."""


class TableScope:
    """The scope of a table's rows."""

    def __init__(self, schema: Schema, store: Store, table: Table, now: Callable[[], datetime], user_id: str) -> None:
        self.schema = schema
        self.store = store
        self.table = table
        self._now = now
        self._user_id = user_id

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return self._now()

    def user_id(self) -> str:
        """Return the id of the calling user."""
        return self._user_id

    def getter(self, names: tuple[str, ...]) -> tuple[Getter, Column | None]:
        """Resolve a path. *Raises* DataverseError (400) for a name the table has not."""
        head, *rest = names
        if rest and head in self.table.navigations:
            return self._through(head, tuple(rest))
        column = self.table.wires.get(head)
        if column is None:
            raise errors.unknown_property(head, self.table.name)
        if column.kind == "managed" and rest == ["Value"]:
            name = column.name
            return (lambda row: (row.get(name) or {}).get("Value")), None
        if rest:
            raise errors.unknown_property(rest[0], self.table.name)
        return read_column(column), column

    def _through(self, head: str, rest: tuple[str, ...]) -> tuple[Getter, Column | None]:
        navigation = self.table.navigations[head]
        name, target = navigation.column, navigation.target or "systemuser"
        if target not in self.schema.tables:
            raise errors.not_simulated(f"The table '{target}'")
        inner, column = self.at(target).getter(rest)
        follow = self.store.follow

        def read(row: Row) -> Any:
            ref = row.get(name)
            found = follow(ref) if ref is not None and ref.table == target else None
            return None if found is None else inner(found)

        return read, column

    def collection(self, names: tuple[str, ...]) -> tuple[Callable[[Row], list[Row]], Scope]:
        """Resolve a collection. *Raises* DataverseError (400) for a name the table has not."""
        relationship = self.table.collections.get(names[0])
        if relationship is None or len(names) > 1:
            raise errors.unknown_property("/".join(names), self.table.name)
        key, store = self.table.key, self.store
        members = self.at(relationship.table)
        return (lambda row: store.pointing_at(relationship.table, relationship.column, row[key])), members

    def at(self, table: str) -> TableScope:
        """Return the scope of another table."""
        return TableScope(self.schema, self.store, self.schema.get(table), self._now, self._user_id)


def read_column(column: Column) -> Getter:
    """Return how to read a column from a row, lookups as ids and computed columns computed."""
    name = column.name
    if name == "owninguser":
        return owning_user
    if column.kind == "lookup":
        return lambda row: ref.id if (ref := row.get(name)) is not None else None
    if column.base_of is not None:
        source = column.base_of
        return lambda row: base_amount(row, source)
    return lambda row: row.get(name)


def owning_user(row: Row) -> str | None:
    """Return the user who owns a row, None where a team does."""
    owner = row.get("ownerid")
    return owner.id if owner is not None and owner.table == "systemuser" else None


def base_amount(row: Row, name: str) -> Any:
    """Convert an amount of a row to the base currency at the row's own rate."""
    amount, rate = row.get(name), row.get("exchangerate")
    return None if amount is None or not rate else (amount / rate).quantize(amount)

"""Rows in memory: primary and lookup indexes, row versions, a change log per table, transactions that roll back."""

from __future__ import annotations

import bisect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from closedwon_sandbox.dataverse import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from closedwon_sandbox.dataverse.rows.schema import AlternateKey, Schema, Table

Row = dict[str, Any]
"""Column name to value; a column that is not there is null. A stored row is never changed, only replaced."""


UNINDEXED = frozenset({
    "createdby", "modifiedby", "createdonbehalfby", "modifiedonbehalfby", "owninguser", "owningbusinessunit",
    "organizationid",
})  # fmt: skip
"""Lookups that every row of the environment has alike: an index would cost memory and find everything."""


class Ref(NamedTuple):
    """The value of a lookup: which row of which table."""

    table: str
    id: str


class TableRows:
    """One table's rows, sorted ids, indexes and changes. Only `Store` writes here."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: dict[str, Row] = {}
        self.order: list[str] = []
        self.lookups = [
            name for name, column in table.columns.items() if column.kind == "lookup" and name not in UNINDEXED
        ]
        self.pointing: dict[str, dict[str, dict[str, None]]] = {name: {} for name in self.lookups}
        self.unique: dict[str, dict[tuple[Any, ...], str]] = {}
        self.changes: list[tuple[int, str]] = []
        self.deletions: list[tuple[int, str]] = []

    def link(self, row_id: str, row: Row) -> None:
        """Enter a row into the indexes."""
        for name in self.lookups:
            ref = row.get(name)
            if ref is not None:
                self.pointing[name].setdefault(ref.id, {})[row_id] = None
        for name, index in self.unique.items():
            values = key_values(self.table.keys[name], row)
            if values is not None:
                index[values] = row_id

    def unlink(self, row_id: str, row: Row) -> None:
        """Take a row out of the indexes."""
        for name in self.lookups:
            ref = row.get(name)
            if ref is not None:
                self.pointing[name][ref.id].pop(row_id, None)
        for name, index in self.unique.items():
            values = key_values(self.table.keys[name], row)
            if values is not None and index.get(values) == row_id:
                del index[values]


class Store:
    """All rows of the environment. Versions grow over the whole environment, as SQL row versions do."""

    def __init__(self, schema: Schema) -> None:
        self.tables = {table.name: TableRows(table) for table in schema}
        self.version = 1_000_000
        self._undo: list[tuple[TableRows, str, Row | None, bool]] | None = None

    def find(self, table: str, row_id: str) -> Row | None:
        """Return a row, or None."""
        return self.tables[table].rows.get(row_id)

    def get(self, table: str, row_id: str) -> Row:
        """Return a row. *Raises* DataverseError (404) when there is none."""
        row = self.tables[table].rows.get(row_id)
        if row is None:
            raise errors.missing_row(table, row_id)
        return row

    def follow(self, ref: Ref | None) -> Row | None:
        """Return the row a lookup points to, or None."""
        return None if ref is None or ref.table not in self.tables else self.tables[ref.table].rows.get(ref.id)

    def pointing_at(self, table: str, column: str, target_id: str) -> list[Row]:
        """List the rows of `table` whose lookup `column` points to `target_id`, in the order they were linked."""
        rows = self.tables[table]
        return [rows.rows[row_id] for row_id in rows.pointing[column].get(target_id, ())]

    def all(self, table: str) -> list[Row]:
        """List all rows of a table by id."""
        rows = self.tables[table]
        return [rows.rows[row_id] for row_id in rows.order]

    def put(self, table: str, row: Row) -> Row:
        """Insert or replace a row under a new version. *Raises* DataverseError (412) when an alternate key is taken."""
        rows = self.tables[table]
        row_id: str = row[rows.table.key]
        self._refuse_taken_keys(rows, row_id, row)
        self.version += 1
        row["versionnumber"] = self.version
        before = rows.rows.get(row_id)
        if before is None:
            bisect.insort(rows.order, row_id)
        else:
            rows.unlink(row_id, before)
        rows.rows[row_id] = row
        rows.link(row_id, row)
        rows.changes.append((self.version, row_id))
        if self._undo is not None:
            self._undo.append((rows, row_id, before, False))
        return row

    def delete(self, table: str, row_id: str) -> Row:
        """Take a row out and leave a tombstone. *Raises* DataverseError (404) when there is none."""
        before = self.get(table, row_id)
        rows = self.tables[table]
        self.version += 1
        self._drop(rows, row_id, before)
        rows.deletions.append((self.version, row_id))
        if self._undo is not None:
            self._undo.append((rows, row_id, before, True))
        return before

    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Fill a table at the start, faster than `put` and without a transaction."""
        held = self.tables[table]
        for row in rows:
            self.version += 1
            row["versionnumber"] = self.version
            row_id: str = row[held.table.key]
            held.rows[row_id] = row
            held.link(row_id, row)
            held.changes.append((self.version, row_id))
        held.order = sorted(held.rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo every write of the block if it raises; a block inside a block joins the outer one."""
        if self._undo is not None:
            yield
            return
        self._undo = []
        try:
            yield
        except BaseException:
            for step in reversed(self._undo):
                self._restore(*step)
            raise
        finally:
            self._undo = None

    def find_by_key(self, table: str, key: AlternateKey, values: tuple[Any, ...]) -> str | None:
        """Return the id of the row with these values of an active alternate key, or None."""
        return self.tables[table].unique[key.name].get(normal_key(values))

    def build_key(self, table: str, key: AlternateKey) -> bool:
        """Build the index of an alternate key; False when rows share values."""
        rows = self.tables[table]
        index: dict[tuple[Any, ...], str] = {}
        for row_id, row in rows.rows.items():
            values = key_values(key, row)
            if values is not None and index.setdefault(values, row_id) != row_id:
                return False
        rows.unique[key.name] = index
        return True

    def drop_key(self, table: str, name: str) -> None:
        """Forget the index of an alternate key."""
        self.tables[table].unique.pop(name, None)

    @staticmethod
    def _refuse_taken_keys(rows: TableRows, row_id: str, row: Row) -> None:
        for name, index in rows.unique.items():
            key = rows.table.keys[name]
            values = key_values(key, row)
            if values is not None and index.get(values, row_id) != row_id:
                raise errors.duplicate_key(key.label or key.name, ", ".join(key.columns))

    @staticmethod
    def _drop(rows: TableRows, row_id: str, row: Row) -> None:
        rows.unlink(row_id, row)
        del rows.rows[row_id]
        del rows.order[bisect.bisect_left(rows.order, row_id)]

    def _restore(self, rows: TableRows, row_id: str, before: Row | None, was_deletion: bool) -> None:  # noqa: FBT001 - one undo step as recorded
        (rows.deletions if was_deletion else rows.changes).pop()
        current = rows.rows.get(row_id)
        if current is not None:
            self._drop(rows, row_id, current)
        if before is not None:
            bisect.insort(rows.order, row_id)
            rows.rows[row_id] = before
            rows.link(row_id, before)


def key_values(key: AlternateKey, row: Row) -> tuple[Any, ...] | None:
    """Return a row's values of an alternate key as they compare, None when any of them is null."""
    values = tuple(row.get(name) for name in key.columns)
    return None if any(value is None for value in values) else normal_key(values)


def normal_key(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Fold what SQL's collation takes as equal."""
    ids = (value.id if isinstance(value, Ref) else value for value in values)
    return tuple(value.casefold() if isinstance(value, str) else value for value in ids)

"""Rows as the Web API shows them: properties, lookups as `_name_value`, annotations on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse.odata.scopes import base_amount, owning_user
from closedwon_sandbox.dataverse.rows.values import formatted

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon_sandbox.dataverse.odata.options import Prefer
    from closedwon_sandbox.dataverse.rows.schema import Column, Schema, Table
    from closedwon_sandbox.dataverse.rows.store import Ref, Row, Store

FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE = "Microsoft.Dynamics.CRM.lookuplogicalname"
LOOKUP_NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_HIDDEN = frozenset({"authvalue"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How to render the rows of one table under one `$select`: worked out once for a whole page."""

    key: str
    plain: tuple[str, ...]
    lookups: tuple[Column, ...]
    computed: tuple[tuple[str, Callable[[Row], Any]], ...]
    shown: tuple[Column, ...]


class Renderer:
    """Renders rows for one request; plans and names of records are worked out once."""

    def __init__(self, schema: Schema, store: Store, prefer: Prefer) -> None:
        self._schema = schema
        self._store = store
        self._formatted = prefer.annotates(FORMATTED)
        self._table = prefer.annotates(LOOKUP_TABLE)
        self._navigation = prefer.annotates(LOOKUP_NAVIGATION)
        self._annotates = self._formatted or self._table or self._navigation

    def plan(self, table: Table, select: tuple[str, ...] | None) -> Plan:
        """Work out what to show of a table's rows; the primary key is always there."""
        columns = list(table.columns.values()) if select is None else [table.wires[name] for name in select]
        if select is not None and table.key not in select:
            columns.insert(0, table.columns[table.key])
        columns = [column for column in columns if column.name not in _HIDDEN]
        lookups = tuple(
            column for column in columns if column.kind == "lookup" and column.name not in _COMPUTED_LOOKUPS
        )
        computed = [(column.wire, compute) for column in columns if (compute := computed_column(column)) is not None]
        names = {wire for wire, _ in computed}
        plain = tuple(column.name for column in columns if column.kind != "lookup" and column.name not in names)
        shown = tuple(column for column in columns if column.kind not in {"text", "memo", "guid", "lookup", "managed"})
        return Plan(table.key, plain, lookups, tuple(computed), shown if self._formatted else ())

    def render(self, table: Table, row: Row, plan: Plan) -> dict[str, Any]:
        """Render one row."""
        get = row.get
        out: dict[str, Any] = {"@odata.etag": etag(row)}
        for name in plan.plain:
            out[name] = get(name)
        for column in plan.lookups:
            ref: Ref | None = get(column.name)
            out[column.wire] = None if ref is None else ref.id
            if self._annotates and ref is not None:
                self._annotate(out, table, column, ref)
        for wire, compute in plan.computed:
            out[wire] = compute(row)
        if plan.shown:
            self._format(out, row, plan)
        return out

    def _annotate(self, out: dict[str, Any], table: Table, column: Column, ref: Ref) -> None:
        if self._formatted and (name := self._title(ref)) is not None:
            out[f"{column.wire}@{FORMATTED}"] = name
        if self._navigation:
            out[f"{column.wire}@{LOOKUP_NAVIGATION}"] = table.navigation_to(column.name, ref.table)
        if self._table:
            out[f"{column.wire}@{LOOKUP_TABLE}"] = ref.table

    def _title(self, ref: Ref) -> str | None:
        row = self._store.follow(ref)
        return None if row is None else row.get(self._schema.get(ref.table).title)

    def _format(self, out: dict[str, Any], row: Row, plan: Plan) -> None:
        currency = self._store.follow(row.get("transactioncurrencyid"))
        symbol = (currency or {}).get("currencysymbol") or "$"
        for column in plan.shown:
            text = formatted(column, out.get(column.name), symbol)
            if text is not None:
                out[f"{column.name}@{FORMATTED}"] = text


def etag(row: Row) -> str:
    """Return a row's version as an entity tag."""
    return f'W/"{row["versionnumber"]}"'


_COMPUTED_LOOKUPS: dict[str, Callable[[Row], Any]] = {"owninguser": owning_user}


def computed_column(column: Column) -> Callable[[Row], Any] | None:
    """Return how to compute a column that no row stores, None for a stored one."""
    if column.name in _COMPUTED_LOOKUPS:
        return _COMPUTED_LOOKUPS[column.name]
    if column.base_of is not None:
        source = column.base_of
        return lambda row: base_amount(row, source)
    if column.name.endswith("_composite"):
        prefix = column.name.removesuffix("_composite")
        return lambda row: _composite(row, prefix)
    if column.name == "isauthvalueset":
        return lambda row: bool(row.get("authvalue"))
    return None


def _composite(row: Row, prefix: str) -> str | None:
    lines = [row.get(f"{prefix}_{part}") for part in ("line1", "line2", "line3")]
    place = " ".join(
        text for part in ("city", "stateorprovince", "postalcode") if (text := row.get(f"{prefix}_{part}"))
    )
    return "\r\n".join(text for text in (*lines, place, row.get(f"{prefix}_country")) if text) or None

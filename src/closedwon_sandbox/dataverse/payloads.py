"""Bodies of creates and updates: members become values, binds become references, nested records stay to be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.odata.paths import find_row, parse_path, strip_root
from closedwon_sandbox.dataverse.rows import values
from closedwon_sandbox.dataverse.rows.store import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.environment import Environment
    from closedwon_sandbox.dataverse.rows.schema import Navigation, Relationship, Table
    from closedwon_sandbox.dataverse.rows.store import Row

BIND = "@odata.bind"


@dataclass(slots=True)
class Draft:
    """A checked body. `nested` are records to create first and point to, `members` records to have pointing here."""

    values: dict[str, Any] = field(default_factory=dict)
    nested: list[tuple[Navigation, Mapping[str, Any]]] = field(default_factory=list)
    members: list[tuple[Relationship, list[Mapping[str, Any]]]] = field(default_factory=list)


def parse(env: Environment, table: Table, body: Mapping[str, Any], row: Row | None = None) -> Draft:
    """Check a body against its table. *Raises* DataverseError for the first member that the vendor would refuse.

    Read-only columns are ignored, as the platform does with most of them. [inferred]
    """
    draft = Draft()
    precision = _precision(env, table, body, row)
    for name, value in body.items():
        if name.endswith(BIND):
            _bind(env, table, draft, name.removesuffix(BIND), value, row or {})
        elif "@" in name:
            continue
        elif name in table.columns and table.columns[name].kind != "lookup":
            column = table.columns[name]
            if not column.readonly:
                draft.values[name] = values.read(table, column, value, precision)
        else:
            _nested(table, draft, name, value)
    return draft


def _precision(env: Environment, table: Table, body: Mapping[str, Any], row: Row | None) -> int:
    if not table.money or not env.base_currency_id:
        return values.DEFAULT_PRECISION
    bound = body.get(f"transactioncurrencyid{BIND}")
    if isinstance(bound, str):
        return env.precision_of({"transactioncurrencyid": resolve(env, bound)})
    return env.precision_of(row)


def _bind(env: Environment, table: Table, draft: Draft, name: str, value: Any, row: Row) -> None:
    navigation = table.navigations.get(name)
    if navigation is None:
        raise errors.undeclared_property(table.set_name, name)
    if table.columns[navigation.column].readonly:
        return
    if value is None:
        held = row.get(navigation.column)
        if held is None or navigation.target in {None, held.table}:
            draft.values.setdefault(navigation.column, None)
        return
    if not isinstance(value, str):
        raise errors.bad_payload(table.set_name, f"The value of '{name}{BIND}' must be the address of one record.")
    ref = resolve(env, value)
    if navigation.target not in {None, ref.table} or ref.table not in table.columns[navigation.column].targets:
        raise errors.bad_payload(table.set_name, f"A record of '{ref.table}' cannot be bound to '{name}'.")
    draft.values[navigation.column] = ref


def resolve(env: Environment, address: str) -> Ref:
    """Find the record that an address names. *Raises* DataverseError when it is no address or no such record exists."""
    segments = parse_path(strip_root(address))
    if len(segments) != 1 or segments[0].key is None:
        raise errors.invalid_argument(f"'{address}' is not the address of a record.")
    table = env.schema.sets.get(segments[0].name)
    if table is None:
        raise errors.unknown_segment(segments[0].name)
    found = find_row(env.store, table, segments[0].key)
    if found.row_id is None:
        raise errors.missing_key(table.name)
    env.store.get(table.name, found.row_id)
    return Ref(table.name, found.row_id)


def _nested(table: Table, draft: Draft, name: str, value: Any) -> None:
    if name in table.navigations and (isinstance(value, dict) or value is None):
        if value is None:
            draft.values.setdefault(table.navigations[name].column, None)
        else:
            draft.nested.append((table.navigations[name], value))
    elif name in table.collections and isinstance(value, list):
        draft.members.append((table.collections[name], value))
    elif name in table.wires:
        bind = f"{name.strip('_').removesuffix('_value')}{BIND}"
        text = f"The property '{name}' is read-only; use '{bind}' to set the lookup."
        raise errors.bad_payload(table.set_name, text)
    else:
        raise errors.unknown_member(table.set_name, table.name, name)

"""Resource paths: `accounts(…)/primarycontactid/$ref` as segments with keys, and rows found by id or alternate key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.rows import values
from closedwon_sandbox.dataverse.rows.store import Ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.rows.schema import AlternateKey, Column, Table
    from closedwon_sandbox.dataverse.rows.store import Store

_SEGMENT = re.compile(r"(?P<name>[^()]*)(?:\((?P<key>.*)\))?", re.DOTALL)
_ROOT = re.compile(r"(?:https?://[^/]+)?(?:/?api/data/v9\.[0-2]/)?/?")
_NAMED = re.compile(r"\s*(?P<name>[A-Za-z_@]\w*)\s*=\s*(?P<value>'(?:[^']|'')*'|[^,]*)\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path. `key` maps key names to their literal texts; "" is the name of an unnamed key."""

    name: str
    key: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A row as a path names it: its id, None where an alternate key finds none; then `key` and `values` say which."""

    table: Table
    row_id: str | None
    key: AlternateKey | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def parse_path(path: str) -> list[Segment]:
    """Split a percent-encoded path below the service root. *Raises* DataverseError (400) for broken parentheses."""
    return [_segment(unquote(text)) for text in _split(path.strip("/"), "/") if text]


def strip_root(url: str) -> str:
    """Return the part of an absolute or relative address that lies below the service root."""
    return url[match.end() :] if (match := _ROOT.match(url)) else url


def _split(text: str, separator: str) -> list[str]:
    parts, depth, quoted, start = [], 0, False, 0
    for index, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == separator and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def split_list(text: str, separator: str) -> list[str]:
    """Split an option at a separator that stands outside parentheses and quotes."""
    return [part.strip() for part in _split(text, separator)]


def _segment(text: str) -> Segment:
    match = _SEGMENT.fullmatch(text)
    if match is None:
        raise errors.bad_query(f"Bad Request - Error in query syntax near '{text}'.")
    return Segment(match["name"], None if match["key"] is None else _key(match["key"]))


def _key(text: str) -> Mapping[str, str]:
    if "=" not in text or text.startswith("'"):
        return {"": text.strip()} if text.strip() else {}
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _NAMED.match(text, position)
        if match is None or match.end() == position:
            raise errors.bad_query(f"Bad Request - Error in query syntax near '{text[position:]}'.")
        found[match["name"]] = match["value"].strip()
        position = match.end()
    return found


def find_row(store: Store, table: Table, key: Mapping[str, str]) -> Address:
    """Say which row a key means. *Raises* DataverseError (400) for a key the table has not."""
    unnamed = key.get("", key.get(table.key) if len(key) == 1 else None)
    if unnamed is not None:
        row_id = values.parse_guid(unnamed)
        if row_id is None:
            raise bad_key(table)
        return Address(table, row_id)
    return _by_alternate_key(store, table, key)


def _by_alternate_key(store: Store, table: Table, key: Mapping[str, str]) -> Address:
    columns = [table.wires.get(name) for name in key]
    names = {column.name for column in columns if column is not None}
    alternate = next((candidate for candidate in table.keys.values() if set(candidate.columns) == names), None)
    if alternate is None or None in columns or alternate.status != "Active":
        raise bad_key(table)
    found = {column.name: _literal(column, key[column.wire], table) for column in columns if column is not None}
    indexed = tuple(found[name] for name in alternate.columns)
    lookups = [column for column in columns if column is not None and column.targets]
    found |= {column.name: _pointed(store, column, found[column.name]) for column in lookups}
    return Address(table, store.find_by_key(table.name, alternate, indexed), alternate, found)


def _pointed(store: Store, column: Column, row_id: str) -> Ref:
    target = next((table for table in column.targets if store.find(table, row_id) is not None), column.targets[0])
    return Ref(target, row_id)


def _literal(column: Column, text: str, table: Table) -> Any:
    if column.kind in {"text", "memo"}:
        if not (len(text) > 1 and text[0] == text[-1] == "'"):
            raise bad_key(table)
        return text[1:-1].replace("''", "'")
    if column.kind in {"int", "bigint", "choice", "state", "status"}:
        return int(text) if re.fullmatch(r"-?\d+", text) else _refuse(table)
    if column.kind in {"decimal", "money"}:
        number = values.to_number(text)
        return values.decimal(number) if number is not None else _refuse(table)
    parsed = values.read(table, column, text)
    return parsed if parsed is not None else _refuse(table)


def _refuse(table: Table) -> Any:
    raise bad_key(table)


def bad_key(table: Table) -> errors.DataverseError:
    """Say that a path's key names no key of the table."""
    text = (
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table.name}'. Ensure that the "
        "names and number of key properties match the declared or alternate key properties for the resource."
    )
    return errors.DataverseError(400, "0x80060888", text)

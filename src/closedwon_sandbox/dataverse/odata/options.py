"""Query options and the Prefer header, parsed and checked against the table they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.odata import filters
from closedwon_sandbox.dataverse.odata.paths import split_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.odata.filters import Node
    from closedwon_sandbox.dataverse.rows.schema import Navigation, Relationship, Schema, Table

MAX_PAGE = 5000
MAX_EXPANDS = 15
_KNOWN = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken", "$deltatoken", "tag", "$id"}
)
_UNSIMULATED = frozenset({"fetchXml", "savedQuery", "userQuery", "$apply", "sql", "partitionId"})
_PREFERENCE = re.compile(r'\s*([\w.\-]+)\s*(?:=\s*(?:"([^"]*)"|([^,]*)))?\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Order:
    """One part of `$orderby`."""

    path: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class Expand:
    """One navigation property to expand, with its own options. Exactly one of the two ends is set."""

    name: str
    options: Options
    single: Navigation | None
    many: Relationship | None
    refs_only: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What a query asks for. `select` is None for all columns; `text` is what a next link must repeat."""

    select: tuple[str, ...] | None = None
    filter: Node | None = None
    orderby: tuple[Order, ...] = ()
    top: int | None = None
    count: bool = False
    expand: tuple[Expand, ...] = ()
    skiptoken: str | None = None
    deltatoken: str | None = None
    select_text: str = ""


@dataclass(frozen=True, slots=True)
class Prefer:
    """The Prefer header."""

    representation: bool = False
    page_size: int | None = None
    annotations: tuple[str, ...] = ()
    track_changes: bool = False
    continue_on_error: bool = False
    applied: tuple[str, ...] = field(default=())

    def annotates(self, name: str) -> bool:
        """Say whether an annotation of this name was asked for."""
        return any(fnmatchcase(name, pattern) for pattern in self.annotations)


def parse_prefer(header: str) -> Prefer:
    """Read the Prefer header; preferences nobody knows are ignored, as the standard says."""
    found = {
        match[1].lower(): match[2] or (match[3] or "").strip() for match in _PREFERENCE.finditer(header) if match[1]
    }
    size = found.get("odata.maxpagesize", "")
    page_size = int(size) if size.isdigit() and int(size) > 0 else None
    annotations = tuple(name.strip() for name in found.get("odata.include-annotations", "").split(",") if name.strip())
    applied = [name for name in ("return=representation", "odata.track-changes") if name.partition("=")[0] in found]
    if page_size is not None:
        applied.append(f"odata.maxpagesize={page_size}")
    if annotations:
        applied.append(f'odata.include-annotations="{",".join(annotations)}"')
    return Prefer(
        representation=found.get("return") == "representation",
        page_size=None if page_size is None else min(page_size, MAX_PAGE),
        annotations=annotations,
        track_changes="odata.track-changes" in found,
        continue_on_error="odata.continue-on-error" in found,
        applied=tuple(applied),
    )


def parse_query(query: str) -> dict[str, str]:
    """Split a raw query string into its decoded parts."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote(name): unquote_plus(value) for name, _, value in pairs}


def parse_options(schema: Schema, table: Table, raw: Mapping[str, str]) -> Options:
    """Check the options of a query on a table. *Raises* DataverseError (400) for whatever the vendor refuses."""
    for name in raw:
        if name in _UNSIMULATED:
            raise errors.not_simulated(f"The query option '{name}'")
        if name == "$skip":
            raise errors.DataverseError(400, "0x80060888", "Skip Clause is not supported in CRM")
        if name.startswith("$") and name not in _KNOWN:
            raise errors.bad_query(f"The query parameter '{name}' is not supported.")
    options = _options(schema, table, raw)
    if _expands(options) > MAX_EXPANDS:
        raise errors.DataverseError(
            400, "0x8004430d", f"Number of link entity: {_expands(options)} exceed limit {MAX_EXPANDS}"
        )
    return options


def _options(schema: Schema, table: Table, raw: Mapping[str, str]) -> Options:
    aliases = {name: value for name, value in raw.items() if name.startswith("@")}
    node = filters.parse_filter(raw["$filter"]) if "$filter" in raw else None
    return Options(
        select=_select(table, raw["$select"]) if raw.get("$select") else None,
        filter=None if node is None else filters.substitute(node, aliases) if "@" in raw["$filter"] else node,
        orderby=_orderby(raw.get("$orderby", "")),
        top=_top(raw.get("$top")),
        count=raw.get("$count") == "true",
        expand=_expand(schema, table, raw.get("$expand", "")),
        skiptoken=raw.get("$skiptoken"),
        deltatoken=raw.get("$deltatoken"),
        select_text=raw.get("$select", ""),
    )


def _expands(options: Options) -> int:
    return sum(1 + _expands(part.options) for part in options.expand)


def _select(table: Table, text: str) -> tuple[str, ...] | None:
    names = split_list(text, ",")
    if "*" in names:
        return None
    for name in names:
        if name not in table.wires and name not in table.navigations:
            raise errors.unknown_property(name, table.name)
    return tuple(dict.fromkeys(name for name in names if name in table.wires))


def _orderby(text: str) -> tuple[Order, ...]:
    orders = []
    for part in split_list(text, ","):
        words = part.split()
        if not words:
            continue
        if len(words) > 2 or (len(words) == 2 and words[1] not in {"asc", "desc"}):  # noqa: PLR2004 - column and direction
            raise errors.bad_query(f"Syntax error in '$orderby' near '{part}'.")
        orders.append(Order(tuple(words[0].split("/")), words[-1] == "desc" and len(words) > 1))
    return tuple(orders)


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise errors.bad_query(
            f"Invalid value '{text}' for $top query option found. "
            "The $top query option requires a non-negative integer value."
        )
    return int(text)


def _expand(schema: Schema, table: Table, text: str) -> tuple[Expand, ...]:
    return tuple(_expand_one(schema, table, part) for part in split_list(text, ",") if part)


def _expand_one(schema: Schema, table: Table, text: str) -> Expand:
    name, bracket, inner = text.partition("(")
    name, _, suffix = name.strip().partition("/")
    single, many = table.navigations.get(name), table.collections.get(name)
    if single is None and many is None:
        raise errors.unknown_property(name, table.name)
    if suffix and (suffix != "$ref" or single is None):
        text = "Expand with $ref is only supported on lookup type navigation property."
        raise errors.DataverseError(400, "0x80060888", text)
    target = many.table if many else (single.target if single else None) or "systemuser"
    if target not in schema.tables:
        raise errors.not_simulated(f"The table '{target}'")
    if bracket and not inner.endswith(")"):
        raise errors.bad_query(f"Syntax error in '$expand' near '{text}'.")
    raw = dict(_option(part) for part in split_list(inner[:-1], ";") if part) if bracket else {}
    return Expand(name, _options(schema, schema.get(target), raw), single, many, refs_only=bool(suffix))


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in {"$select", "$filter", "$orderby", "$top", "$expand"}:
        raise errors.bad_query(f"The query option '{name}' is not supported inside '$expand'.")
    return name, value

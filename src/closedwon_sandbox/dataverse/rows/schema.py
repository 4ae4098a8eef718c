"""What tables, columns and relationships exist: read from tables.yaml once, extended by clients that create columns."""

from __future__ import annotations

import functools
import re
import uuid
from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal[
    "text", "memo", "money", "decimal", "double", "int", "bigint", "bool", "choice", "state", "status", "date",
    "datetime", "localdate", "guid", "lookup", "managed",
]  # fmt: skip
OnDelete = Literal["cascade", "restrict", "clear"]

CUSTOMER = frozenset({"account", "contact"})
OWNERS = ("systemuser", "team")
DEFAULT_DECIMAL_RANGE = (Decimal(-100_000_000_000), Decimal(100_000_000_000))
DEFAULT_MONEY_RANGE = (Decimal(-922_337_203_685_477), Decimal(922_337_203_685_477))
_NAMESPACE = uuid.UUID("5d7b6c64-3c5a-4a58-9a55-1f2ce0ea3a51")
_TYPE = re.compile(r"(?P<kind>\w+)(?:\((?P<low>-?[\d.]+?)(?:\.\.(?P<high>-?[\d.]+))?\))?(?P<readonly> read-only)?")


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `name` is the logical name; `wire` is how a body or `$select` spells it."""

    name: str
    kind: Kind
    length: int = 0
    low: Decimal | None = None
    high: Decimal | None = None
    required: bool = False
    readonly: bool = False
    custom: bool = False
    targets: tuple[str, ...] = ()
    options: Mapping[int, str] = field(default_factory=dict)
    states: Mapping[int, int] = field(default_factory=dict)
    default: bool | None = None
    schema_name: str = ""
    label: str = ""
    base_of: str | None = None
    metadata_id: str = ""

    @property
    def wire(self) -> str:
        """The property's name in JSON: lookups appear as `_name_value`."""
        return f"_{self.name}_value" if self.kind == "lookup" else self.name


@dataclass(frozen=True, slots=True)
class Navigation:
    """A single-valued navigation property; `target` is None where any table may own the record."""

    name: str
    column: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Relationship:
    """One-to-many: `column` of `table` points here; `collection` is the name seen from this side, if it has one."""

    table: str
    column: str
    collection: str | None
    on_delete: OnDelete


@dataclass(slots=True)
class AlternateKey:
    """Columns that identify a row. `status` is Pending, Active or Failed; only Active keys can be used."""

    name: str
    columns: tuple[str, ...]
    status: str
    metadata_id: str
    label: str = ""


@dataclass(slots=True)
class Table:
    """One table's definition; columns and keys can be added while the simulator runs."""

    name: str
    set_name: str
    schema_name: str
    code: int
    key: str
    title: str
    owner: str
    money: bool
    metadata_id: str
    columns: dict[str, Column] = field(default_factory=dict)
    wires: dict[str, Column] = field(default_factory=dict)
    navigations: dict[str, Navigation] = field(default_factory=dict)
    children: list[Relationship] = field(default_factory=list)
    collections: dict[str, Relationship] = field(default_factory=dict)
    keys: dict[str, AlternateKey] = field(default_factory=dict)
    starts: tuple[int, int] | None = None
    change_tracking: bool = True
    generation: int = 0

    def add(self, column: Column) -> None:
        """Add a column; a money column brings its read-only twin in the base currency."""
        column = replace(
            column,
            schema_name=column.schema_name or column.name,
            label=column.label or column.name,
            metadata_id=column.metadata_id or stable_id(self.name, column.name),
        )
        self.columns[column.name] = column
        self.wires[column.wire] = column
        self.generation += 1
        if column.kind == "money" and column.base_of is None:
            self.add(Column(f"{column.name}_base", "money", readonly=True, custom=column.custom, base_of=column.name))

    def copy(self) -> Table:
        """Return a table that can be extended without this one changing."""
        return replace(
            self,
            columns=dict(self.columns),
            wires=dict(self.wires),
            navigations=dict(self.navigations),
            children=list(self.children),
            collections=dict(self.collections),
            keys=dict(self.keys),
        )

    def remove(self, name: str) -> None:
        """Forget a column and its twin."""
        for doomed in (name, f"{name}_base"):
            column = self.columns.pop(doomed, None)
            if column is not None:
                del self.wires[column.wire]
        self.generation += 1

    def navigation_to(self, column: str, target: str) -> str:
        """Name the navigation property to use in `@odata.bind` when `column` points to `target`."""
        for navigation in self.navigations.values():
            if navigation.column == column and navigation.target in {target, None}:
                return navigation.name
        return column

    def default_status(self, state: int) -> int:
        """Return the status that a state starts with: the lowest one that belongs to it."""
        return min(status for status, owner in self.columns["statuscode"].states.items() if owner == state)


@dataclass(slots=True)
class Schema:
    """All tables, by logical name and by entity set name."""

    tables: dict[str, Table]
    sets: dict[str, Table]

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables.values())

    def get(self, name: str) -> Table:
        """Return a table by logical name; it must exist."""
        return self.tables[name]

    def copy(self) -> Schema:
        """Return a schema that can be extended without this one changing."""
        return Schema.of({name: table.copy() for name, table in self.tables.items()})

    @classmethod
    def of(cls, tables: dict[str, Table]) -> Schema:
        """Build a schema of tables by logical name."""
        return cls(tables, {table.set_name: table for table in tables.values()})


def stable_id(*parts: str) -> str:
    """Make the id that a built-in thing has in every sandbox."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def load_schema() -> Schema:
    """Return a fresh schema of what tables.yaml describes."""
    return _built_in().copy()


@functools.cache
def _built_in() -> Schema:
    document = _document()
    schema = Schema.of({name: _table(name, entry, document) for name, entry in document["tables"].items()})
    for name, entry in document["tables"].items():
        for column, text in _lookups(schema.get(name), entry):
            _relate(schema, schema.get(name), column, text)
    return schema


def _document() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files(__package__).joinpath("tables.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - both candidates are safe loaders
    return document


def _table(name: str, entry: Mapping[str, Any], document: Mapping[str, Any]) -> Table:
    starts = entry.get("starts")
    table = Table(
        name, entry["set"], entry["schema"], entry["code"], entry["key"], entry["name"], entry["owner"],
        money=bool(entry.get("money")), metadata_id=stable_id(name), starts=tuple(starts) if starts else None,
    )  # fmt: skip
    table.add(Column(table.key, "guid", schema_name=f"{table.schema_name}Id"))
    choices = {**document["shared_choices"], **entry.get("choices", {})}
    for types, custom in [*_column_lists(entry, document), (entry.get("custom", {}), True)]:
        for type_text, names in types.items():
            for column_name in names.split():
                table.add(_column(type_text, column_name, choices, custom=custom))
    if "statuses" in entry:
        _add_states(table, choices["statecode"], entry["statuses"])
    return table


def _column_lists(entry: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, str], bool]]:
    yield entry["columns"], False
    for block, prefixes in entry.get("blocks", {}).items():
        for prefix in prefixes:
            yield {kind: names.replace("%", prefix) for kind, names in document["blocks"][block].items()}, False
    yield {"datetime": "createdon* modifiedon* overriddencreatedon", "bigint": "versionnumber*"}, False
    yield {"int": "importsequencenumber timezoneruleversionnumber utcconversiontimezonecode"}, False
    if entry.get("money"):
        yield {"decimal": "exchangerate*"}, False


def _column(type_text: str, name: str, choices: Mapping[str, Any], *, custom: bool) -> Column:
    match = _TYPE.fullmatch(type_text)
    if match is None:
        raise ValueError(f"tables.yaml: unknown type {type_text!r}")
    name, _, default = name.partition("=")
    bare = name.rstrip("!*")
    kind: Any = match["kind"]
    return Column(
        bare,
        kind,
        length=int(match["low"]) if kind in {"text", "memo"} else 0,
        low=Decimal(match["low"]) if match["high"] else None,
        high=Decimal(match["high"]) if match["high"] else None,
        required="!" in name,
        readonly="*" in name or bool(match["readonly"]),
        custom=custom,
        options=choices.get(bare, {}) if kind == "choice" else {},
        default=(default == "true") if kind == "bool" else None,
    )


def _add_states(table: Table, states: Mapping[int, str], statuses: Mapping[int, tuple[int, str]]) -> None:
    labels = {value: label for value, (_, label) in statuses.items()}
    owners = {value: state for value, (state, _) in statuses.items()}
    table.add(Column("statecode", "state", options=states))
    table.add(Column("statuscode", "status", options=labels, states=owners))


def _lookups(table: Table, entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from entry.get("lookups", {}).items()
    for column in ("createdby*", "modifiedby*", "createdonbehalfby*", "modifiedonbehalfby*"):
        yield column, "systemuser"
    if table.money:
        yield "transactioncurrencyid", "transactioncurrency restrict"
    if table.owner == "user":
        yield "owninguser*", "systemuser"
        yield "owningbusinessunit*", "businessunit"
    if table.owner == "organization":
        yield "organizationid*", "organization"
    if table.owner == "user":
        yield "ownerid", " ".join(OWNERS)


def _relate(schema: Schema, table: Table, marked: str, text: str) -> None:
    words = text.split()
    on_delete: OnDelete = "clear"
    if words[-1] in {"cascade", "restrict"}:
        on_delete = "cascade" if words.pop() == "cascade" else "restrict"
    targets, _, collections = " ".join(words).partition(" many ")
    column = marked.rstrip("!*")
    table.add(Column(column, "lookup", required="!" in marked, readonly="*" in marked, targets=tuple(targets.split())))
    names: list[str | None] = [*collections.split()]
    for target, collection in zip(targets.split(), names or [None] * len(targets.split()), strict=True):
        relate(schema, table, column, target, Relationship(table.name, column, collection, on_delete))


def relate(schema: Schema, table: Table, column: str, target: str, relationship: Relationship) -> None:
    """Make both ends of a relationship navigable."""
    owner = column == "ownerid"
    many = len(table.columns[column].targets) > 1 and not owner
    name = f"{column}_{target}" if many else column
    table.navigations[name] = Navigation(name, column, None if owner else target)
    if target in schema.tables:
        schema.tables[target].children.append(relationship)
        if relationship.collection:
            schema.tables[target].collections[relationship.collection] = relationship

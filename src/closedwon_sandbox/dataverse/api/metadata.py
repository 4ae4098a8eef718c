"""Definitions of tables, columns and alternate keys, to read, create and delete. Source: reference section 16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.api.definitions import (
    ATTRIBUTE_TYPES,
    attribute,
    column_of,
    entity,
    key_definition,
    many_to_one,
    one_to_many,
)
from closedwon_sandbox.dataverse.api.wire import json_reply, read_body
from closedwon_sandbox.dataverse.odata import filters
from closedwon_sandbox.dataverse.odata.options import parse_query
from closedwon_sandbox.dataverse.odata.paths import split_list
from closedwon_sandbox.dataverse.odata.predicates import predicate
from closedwon_sandbox.dataverse.rows import values
from closedwon_sandbox.dataverse.rows.schema import AlternateKey
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.odata.paths import Segment
    from closedwon_sandbox.dataverse.rows.schema import Column, Table
    from closedwon_sandbox.exchange import Request

ROOTS = frozenset({"EntityDefinitions", "GlobalOptionSetDefinitions"})
KEY_BUILD_S = 1.0
"""Seconds until a new alternate key can be used: the vendor builds its index in a system job."""

MAX_KEYS = 10
CRM = "Microsoft.Dynamics.CRM."
_OPTIONS = frozenset({"$select", "$filter", "$expand", "LabelLanguages"})
_KEY_KINDS = frozenset({"text", "int", "bigint", "decimal", "date", "datetime", "localdate", "lookup", "choice"})


class _Names:
    """The scope of a filter on definitions: names are members of their JSON."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now

    def getter(self, names: tuple[str, ...]) -> tuple[Callable[[dict[str, Any]], Any], Column | None]:
        def read(document: dict[str, Any]) -> Any:
            value: Any = document
            for name in names:
                value = value.get(name) if isinstance(value, dict) else None
            return value

        return read, None

    def collection(self, names: tuple[str, ...]) -> Any:
        raise errors.bad_query(f"'{'/'.join(names)}' cannot be used with a lambda operator.")

    def user_id(self) -> str:
        return ""


def handle(env: Environment, call: Call, request: Request, segments: list[Segment]) -> Reply:
    """Answer a request for definitions. *Raises* DataverseError."""
    if segments[0].name == "GlobalOptionSetDefinitions":
        return json_reply(200, {"@odata.context": f"{call.root}/$metadata#GlobalOptionSetDefinitions", "value": []})
    return Definitions(env, call, request).answer(segments)


class Definitions:
    """One request below `EntityDefinitions`."""

    def __init__(self, env: Environment, call: Call, request: Request) -> None:
        self._env = env
        self._call = call
        self._request = request
        self._raw = parse_query(request.query)
        unknown = [name for name in self._raw if name.startswith("$") and name not in _OPTIONS]
        if unknown:
            raise errors.bad_query(f"The query parameter {unknown[0]} is not supported.")

    def answer(self, segments: list[Segment]) -> Reply:
        """Route below the root."""
        head, rest = segments[0], segments[1:]
        if head.key is None:
            if rest:
                raise errors.unknown_segment(rest[0].name)
            self._only("GET")
            return self._list("EntityDefinitions", [self._entity(table) for table in self._env.schema])
        table = self._table(head.key)
        if not rest:
            self._only("GET")
            return self._one("EntityDefinitions", self._entity(table))
        ways: Mapping[str, Callable[[Table, list[Segment]], Reply]] = {
            "Attributes": self._attributes,
            "Keys": self._keys,
            "ManyToOneRelationships": lambda found, _: self._list(
                "Relationships", many_to_one(self._env.schema, found)
            ),
            "OneToManyRelationships": lambda found, _: self._list(
                "Relationships", one_to_many(self._env.schema, found)
            ),
            "ManyToManyRelationships": lambda _, __: self._list("Relationships", []),
        }
        if rest[0].name not in ways:
            raise errors.unknown_segment(rest[0].name)
        return ways[rest[0].name](table, rest)

    def _entity(self, table: Table) -> dict[str, Any]:
        document = entity(table)
        for part in split_list(self._raw.get("$expand", ""), ","):
            name, _, inner = part.partition("(")
            select = inner.rstrip(")").removeprefix("$select=").split(",") if inner else None
            if name == "Attributes":
                document[name] = [_pick(attribute(table, column), select) for column in table.columns.values()]
            elif name == "Keys":
                document[name] = [_pick(key_definition(table, key), select) for key in table.keys.values()]
        return document

    def _table(self, key: Mapping[str, str]) -> Table:
        name = key.get("LogicalName", "").strip("'")
        wanted = key.get("", key.get("MetadataId", "")).strip("'").lower()
        for table in self._env.schema:
            if table.name == name or (wanted and table.metadata_id == wanted):
                return table
        text = f"Could not find an entity with name {name or wanted} in the MetadataCache."
        raise errors.DataverseError(404, "0x80060888", text)

    # -- columns

    def _attributes(self, table: Table, rest: list[Segment]) -> Reply:
        key, cast = rest[0].key, rest[1].name if len(rest) > 1 else None
        if key is not None:
            return self._attribute(table, key, cast)
        if self._request.method == "POST" and cast is None:
            return self._create_attribute(table)
        self._only("GET")
        columns = list(table.columns.values())
        if cast is not None:
            kinds = self._kinds(cast)
            columns = [column for column in columns if column.kind in kinds]
        documents = [attribute(table, column, options=self._wants_options()) for column in columns]
        return self._list(f"EntityDefinitions('{table.name}')/Attributes", documents)

    @staticmethod
    def _kinds(cast: str) -> frozenset[str]:
        name = cast.removeprefix(CRM)
        kinds = frozenset(kind for kind, (metadata_type, _) in ATTRIBUTE_TYPES.items() if metadata_type == name)
        if not kinds or not cast.startswith(CRM):
            raise errors.unknown_segment(cast)
        return kinds

    def _wants_options(self) -> bool:
        return "OptionSet" in self._raw.get("$expand", "")

    def _attribute(self, table: Table, key: Mapping[str, str], cast: str | None) -> Reply:
        column = self._column(table, key)
        if cast is not None and column.kind not in self._kinds(cast):
            raise errors.unknown_segment(cast)
        if self._request.method == "DELETE":
            return self._delete_attribute(table, column)
        self._only("GET")
        document = attribute(table, column, options=self._wants_options() or cast is not None)
        return self._one(f"EntityDefinitions('{table.name}')/Attributes", document)

    def _column(self, table: Table, key: Mapping[str, str]) -> Column:
        name = key.get("LogicalName", "").strip("'")
        wanted = key.get("", key.get("MetadataId", "")).strip("'").lower()
        for column in table.columns.values():
            if column.name == name or (wanted and column.metadata_id == wanted):
                return column
        text = f"Could not find an attribute with name {name or wanted} for the entity with name {table.name}."
        raise errors.DataverseError(404, "0x80060888", text)

    def _create_attribute(self, table: Table) -> Reply:
        self._require("prvCreateAttribute", table)
        column = column_of(read_body(self._request))
        if column.name in table.columns:
            text = f"An attribute with the specified name {column.schema_name} already exists for {table.schema_name}."
            raise errors.DataverseError(400, "0x80047013", text)
        table.add(column)
        return self._created(
            f"EntityDefinitions({table.metadata_id})/Attributes({table.columns[column.name].metadata_id})"
        )

    def _delete_attribute(self, table: Table, column: Column) -> Reply:
        self._require("prvDeleteAttribute", table)
        if not column.custom or column.base_of is not None:
            raise errors.DataverseError(
                400, "0x80047007", f"The {column.name} attribute is not custom and cannot be deleted."
            )
        if any(column.name in key.columns for key in table.keys.values()):
            raise errors.DataverseError(400, "0x8004f01f", f"The {column.name} attribute is used by an alternate key.")
        table.remove(column.name)
        return Reply(204, headers={"OData-Version": "4.0"})

    # -- alternate keys

    def _keys(self, table: Table, rest: list[Segment]) -> Reply:
        if rest[0].key is not None:
            return self._key(table, rest[0].key)
        if self._request.method == "POST":
            return self._create_key(table)
        self._only("GET")
        keys = [key_definition(table, key) for key in table.keys.values()]
        return self._list(f"EntityDefinitions('{table.name}')/Keys", keys)

    def _key(self, table: Table, wanted: Mapping[str, str]) -> Reply:
        text = next(iter(wanted.values()), "").strip("'").lower()
        key = next((key for key in table.keys.values() if text in {key.metadata_id, key.name}), None)
        if key is None:
            raise errors.DataverseError(404, "0x80060888", f"The key {text} does not exist on {table.name}.")
        if self._request.method == "DELETE":
            del table.keys[key.name]
            self._env.store.drop_key(table.name, key.name)
            return Reply(204, headers={"OData-Version": "4.0"})
        self._only("GET")
        return self._one(f"EntityDefinitions('{table.name}')/Keys", key_definition(table, key))

    def _create_key(self, table: Table) -> Reply:
        self._require("prvCreateEntityKey", table)
        body = read_body(self._request)
        schema_name, columns = body.get("SchemaName"), body.get("KeyAttributes")
        if not isinstance(schema_name, str) or not isinstance(columns, list) or not columns:
            raise errors.invalid_argument("An alternate key needs SchemaName and KeyAttributes.")
        self._check_key(table, schema_name.lower(), columns)
        key = AlternateKey(schema_name.lower(), tuple(columns), "Pending", values.new_id(), schema_name)
        table.keys[key.name] = key
        self._env.clock.call_later(KEY_BUILD_S, lambda: self._activate(table, key))
        # the official client takes the first id of the address for the key's: the table must stand there by name
        return self._created(f"EntityDefinitions(LogicalName='{table.name}')/Keys({key.metadata_id})")

    @staticmethod
    def _check_key(table: Table, name: str, columns: list[Any]) -> None:
        if name in table.keys:
            raise errors.DataverseError(
                400, "0x80060893", f"An entity key with the name {name} already exists on {table.name}."
            )
        if any(set(key.columns) == set(columns) for key in table.keys.values()):
            raise errors.DataverseError(400, "0x80060894", "An entity key with the selected attributes already exists.")
        if len(table.keys) >= MAX_KEYS:
            raise errors.DataverseError(
                400, "0x80060896", f"{table.name} has the maximum of {MAX_KEYS} alternate keys."
            )
        for column in columns:
            found = table.columns.get(column)
            if found is None or found.kind not in _KEY_KINDS or found.base_of is not None:
                raise errors.DataverseError(
                    400, "0x80060890", f"The attribute {column} of {table.name} cannot be part of an alternate key."
                )

    def _activate(self, table: Table, key: AlternateKey) -> None:
        if key.name in table.keys:
            key.status = "Active" if self._env.store.build_key(table.name, key) else "Failed"

    # -- answers

    def _require(self, privilege: str, table: Table) -> None:
        if privilege in self._env.settings.deny and self._call.user_id == self._env.settings.app_user_id:
            errors.privilege_denied(self._call.user_id, privilege, table.code, table.name)

    def _only(self, method: str) -> None:
        if self._request.method != method:
            raise errors.wrong_verb(self._request.method)

    def _list(self, kind: str, documents: list[dict[str, Any]]) -> Reply:
        if "$filter" in self._raw:
            test = predicate(
                filters.substitute(filters.parse_filter(self._raw["$filter"]), self._raw), _Names(self._env.now)
            )
            try:
                documents = [document for document in documents if test(document)]
            except TypeError:  # the members of definitions have no declared types to check a filter against
                raise errors.bad_query("A binary operator with incompatible types was detected.") from None
        picked = [self._picked(document) for document in documents]
        return json_reply(200, {"@odata.context": f"{self._call.root}/$metadata#{kind}", "value": picked})

    def _one(self, kind: str, document: dict[str, Any]) -> Reply:
        return json_reply(
            200, {"@odata.context": f"{self._call.root}/$metadata#{kind}/$entity", **self._picked(document)}
        )

    def _picked(self, document: dict[str, Any]) -> dict[str, Any]:
        select = split_list(self._raw["$select"], ",") if self._raw.get("$select") else None
        if select is None:
            return document
        expanded = [part.partition("(")[0] for part in split_list(self._raw.get("$expand", ""), ",")]
        return _pick(document, [*select, *expanded])

    def _created(self, address: str) -> Reply:
        return Reply(204, headers={"OData-Version": "4.0", "OData-EntityId": f"{self._call.root}/{address}"})


def _pick(document: dict[str, Any], select: list[str] | None) -> dict[str, Any]:
    if select is None:
        return document
    wanted = {*select, "MetadataId", "@odata.type"}
    missing = [name for name in select if name and name not in document and name not in _SOMETIMES]
    if missing:
        raise errors.bad_query(
            f"Could not find a property named '{missing[0]}' on type 'Microsoft.Dynamics.CRM.MetadataBase'."
        )
    return {name: value for name, value in document.items() if name in wanted}


_SOMETIMES = frozenset({
    "MaxLength", "FormatName", "MinValue", "MaxValue", "Precision", "PrecisionSource", "Format", "DateTimeBehavior",
    "Targets", "OptionSet", "GlobalOptionSet", "DefaultFormValue", "IsBaseCurrency", "CalculationOf", "Attributes",
    "Keys",
})  # fmt: skip
"""Members that only some kinds of definitions have."""

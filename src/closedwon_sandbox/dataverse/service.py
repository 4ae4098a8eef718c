"""The Web API below `/api/data/v9.x/`: which resource and verb does what. Bodies in, replies out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors, metadata, payloads, records
from closedwon_sandbox.dataverse.odata.changes import Tracking, refuse_options
from closedwon_sandbox.dataverse.odata.listing import Listing
from closedwon_sandbox.dataverse.odata.options import Options, Prefer, parse_options, parse_prefer, parse_query
from closedwon_sandbox.dataverse.odata.paths import Address, Segment, find_row, parse_path, strip_root
from closedwon_sandbox.dataverse.odata.rendering import etag
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.dataverse.sales.actions import ACTIONS, FUNCTIONS
from closedwon_sandbox.dataverse.wire import json_reply, read_body
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.rows.schema import Table
    from closedwon_sandbox.exchange import Request

MAX_URL = 32_768
CRM = "Microsoft.Dynamics.CRM."
_CREATED, _OK, _EMPTY, _UNCHANGED = 201, 200, 204, 304


class WebApi:
    """Answers one request of one caller against an environment."""

    def __init__(self, env: Environment) -> None:
        self.env = env

    def handle(self, request: Request, call: Call) -> Reply:
        """Answer a request. *Raises* DataverseError for what the vendor refuses."""
        segments = parse_path(strip_root(request.raw_path))
        if not segments:
            return self._service_document(call)
        head = segments[0]
        if head.name == "$metadata":
            raise errors.not_simulated("The CSDL document '$metadata'")
        if head.name in metadata.ROOTS:
            return metadata.handle(self.env, call, request, segments)
        if head.name in FUNCTIONS and len(segments) == 1:
            return self._function(request, call, head)
        if head.name in ACTIONS and len(segments) == 1:
            return self._action(request, call, head.name)
        table = self.env.schema.sets.get(head.name)
        if table is None:
            raise errors.unknown_segment(head.name)
        return Resource(self.env, request, call, table, segments).answer()

    def _service_document(self, call: Call) -> Reply:
        sets = [{"name": name, "kind": "EntitySet", "url": name} for name in sorted(self.env.schema.sets)]
        return json_reply(_OK, {"@odata.context": f"{call.root}/$metadata", "value": sets})

    def _function(self, request: Request, call: Call, segment: Segment) -> Reply:
        if request.method != "GET":
            raise errors.wrong_verb(request.method)
        raw = parse_query(request.query)
        parameters = {name: raw.get(value, value) for name, value in (segment.key or {}).items()}
        kind, function = FUNCTIONS[segment.name]
        body = {"@odata.context": f"{call.root}/$metadata#{CRM}{kind}", **function(self.env, call, parameters)}
        return json_reply(_OK, body, {"x-ms-dop-hint": "8"} if segment.name == "WhoAmI" else None)

    def _action(self, request: Request, call: Call, name: str) -> Reply:
        if request.method != "POST":
            raise errors.wrong_verb(request.method)
        body = read_body(request)
        with self.env.operation():
            result = ACTIONS[name](self.env, call, body)
        if result is None:
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        table, row_id = result["row"]
        options = Options(select=result["columns"])
        listing = Listing(self.env.scope(table, call.user_id), options, parse_prefer(request.headers.get("prefer", "")))
        rendered = listing.render_all([self.env.store.get(table.name, row_id)])[0]
        return json_reply(_OK, {"@odata.context": f"{call.root}/$metadata#{table.set_name}/$entity", **rendered})


class Resource:
    """One request for an entity set or something below it."""

    def __init__(self, env: Environment, request: Request, call: Call, table: Table, segments: list[Segment]) -> None:
        self.env = env
        self.request = request
        self.call = call
        self.table = table
        self.segments = segments
        self.prefer: Prefer = parse_prefer(request.headers.get("prefer", ""))
        self.raw = parse_query(request.query)

    def answer(self) -> Reply:
        """Route by shape: a set, a record, something of a set, something of a record."""
        head, rest = self.segments[0], self.segments[1:]
        if head.key is None:
            return self._of_set(rest)
        return self._of_record(head.key, rest)

    def _of_set(self, rest: list[Segment]) -> Reply:
        if not rest:
            return self._verb({"GET": self._list, "POST": self._create})
        name = rest[0].name
        if name == "$count" and len(rest) == 1:
            return self._verb({"GET": self._count})
        if name.startswith(CRM) and name.removeprefix(CRM) in _BULK and len(rest) == 1:
            return self._verb({"POST": lambda: self._bulk(name.removeprefix(CRM))})
        raise errors.unknown_segment(name)

    def _verb(self, ways: Mapping[str, Callable[[], Reply]]) -> Reply:
        way = ways.get(self.request.method)
        if way is None:
            raise errors.wrong_verb(self.request.method)
        return way()

    # -- sets

    def _list(self) -> Reply:
        records.require(self.env, self.call, "Read", self.table)
        options = self._options()
        token = options.deltatoken
        if token is not None or self.prefer.track_changes or '"True"' in (options.skiptoken or ""):
            return self._tracked(options, token)
        listing = Listing(self.env.scope(self.table, self.call.user_id), options, self.prefer)
        body = {"@odata.context": self._context(), **listing.answer(self._link("$skiptoken"))}
        return json_reply(_OK, body, self._applied())

    def _tracked(self, options: Options, token: str | None) -> Reply:
        refuse_options(options)
        days = self.env.organization["expirechangetrackingindays"]
        tracking = Tracking(self.env.scope(self.table, self.call.user_id), options, self.prefer, days)
        link = self._link("$skiptoken", "$deltatoken")
        if token is None:
            return json_reply(_OK, {"@odata.context": self._context(), **tracking.scan(link)}, self._applied())
        context = f"{self.call.root}/$metadata#{self.table.set_name}"
        body = {"@odata.context": f"{self._context()}/$delta", **tracking.changes(link, token, context)}
        return json_reply(_OK, body, self._applied())

    def _count(self) -> Reply:
        records.require(self.env, self.call, "Read", self.table)
        options = self._options()
        scope = self.env.scope(self.table, self.call.user_id)
        if options.deltatoken is not None:
            days = self.env.organization["expirechangetrackingindays"]
            number = Tracking(scope, options, self.prefer, days).count(options.deltatoken)
        else:
            number = Listing(scope, options, self.prefer).count()
        return Reply(_OK, str(number).encode(), {"Content-Type": "text/plain", "OData-Version": "4.0"})

    def _create(self) -> Reply:
        options = self._options()
        body = read_body(self.request)
        with self.env.operation():
            row = records.create(self.env, self.call, self.table, body)
        return self._written(row[self.table.key], _CREATED, options)

    def _bulk(self, message: str) -> Reply:
        targets = read_body(self.request).get("Targets")
        if not isinstance(targets, list) or not targets:
            raise errors.invalid_argument("The parameter 'Targets' is missing or empty.")
        wanted = f"{CRM}{self.table.name}"
        for target in targets:
            if not isinstance(target, dict) or str(target.get("@odata.type", "")).lstrip("#") != wanted:
                raise errors.bad_payload(self.table.set_name, f"Every target needs the @odata.type '{wanted}'.")
        with self.env.operation():
            ids = [_BULK[message](self, target) for target in targets]
        if message != "CreateMultiple":
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        return json_reply(
            _OK, {"@odata.context": f"{self.call.root}/$metadata#{CRM}CreateMultipleResponse", "Ids": ids}
        )

    def create_one(self, target: Mapping[str, Any]) -> str:
        """Create one target of a bulk message."""
        row_id: str = records.create(self.env, self.call, self.table, target)[self.table.key]
        return row_id

    def update_one(self, target: Mapping[str, Any]) -> str:
        """Update one target of a bulk message."""
        row_id = str(target.get(self.table.key, "")).lower()
        records.update(self.env, self.call, self.table, self.env.store.get(self.table.name, row_id), target)
        return row_id

    def upsert_one(self, target: Mapping[str, Any]) -> str:
        """Update or create one target of a bulk message, by `@odata.id` or by primary key."""
        address = target.get("@odata.id")
        if isinstance(address, str):
            segments = parse_path(strip_root(address))
            found = find_row(self.env.store, self.table, segments[0].key or {})
        else:
            found = Address(self.table, str(target.get(self.table.key, "")).lower() or None)
        row, _ = self._upsert(found, target)
        row_id: str = row[self.table.key]
        return row_id

    # -- records

    def _of_record(self, key: Mapping[str, str], rest: list[Segment]) -> Reply:
        address = find_row(self.env.store, self.table, key)
        if not rest:
            return self._verb(
                {
                    "GET": lambda: self._read(address),
                    "PATCH": lambda: self._patch(address),
                    "DELETE": lambda: self._delete(address),
                }
            )
        row = self._existing(address)
        name = rest[0].name
        if rest[-1].name == "$ref":
            return References(self, row, rest).answer()
        if name in self.table.wires and len(rest) <= 2:  # noqa: PLR2004 - the property and perhaps $value
            return Property(self, row, name, raw=len(rest) > 1).answer()
        if name in self.table.collections or name in self.table.navigations:
            return self._verb({"GET": lambda: self._related(row, name, rest[1:])})
        raise errors.unknown_segment(name)

    def _existing(self, address: Address) -> Row:
        if address.row_id is None:
            raise errors.missing_key(self.table.name)
        return self.env.store.get(self.table.name, address.row_id)

    def _read(self, address: Address) -> Reply:
        records.require(self.env, self.call, "Read", self.table)
        options = self._options()
        row = self._existing(address)
        known = self.request.headers.get("if-none-match", "")
        if known == etag(row) and not options.expand and not self.prefer.annotations:
            return Reply(_UNCHANGED, headers={"ETag": etag(row), "OData-Version": "4.0"})
        return self._shown(row, _OK, options)

    def _shown(self, row: Row, status: int, options: Options) -> Reply:
        listing = Listing(self.env.scope(self.table, self.call.user_id), options, self.prefer)
        body = {"@odata.context": f"{self._context()}/$entity", **listing.render_all([row])[0]}
        return json_reply(status, body, {"ETag": etag(row), **self._applied()})

    def _patch(self, address: Address) -> Reply:
        options = self._options()
        body = read_body(self.request)
        with self.env.operation():
            row, created = self._upsert(address, body)
        return self._written(row[self.table.key], _CREATED if created else _OK, options)

    def _upsert(self, address: Address, body: Mapping[str, Any]) -> tuple[Row, bool]:
        row = None if address.row_id is None else self.env.store.find(self.table.name, address.row_id)
        if self._may_only("if-none-match") == "*" and row is not None:
            raise errors.duplicate_row("A record with matching key values already exists.")
        match = self._may_only("if-match")
        if row is None:
            if match is not None:
                raise errors.missing_row(self.table.name, address.row_id or "00000000-0000-0000-0000-000000000000")
            return records.create(
                self.env, self.call, self.table, body, row_id=address.row_id, given=address.values
            ), True
        self._check_version(row, match)
        return records.update(self.env, self.call, self.table, row, body), False

    def _may_only(self, header: str) -> str | None:
        value = self.request.headers.get(header)
        return None if value in {None, "null", ""} else value

    @staticmethod
    def _check_version(row: Row, match: str | None) -> None:
        if match not in {None, "*", etag(row)}:
            raise errors.version_mismatch()

    def _delete(self, address: Address) -> Reply:
        row = self._existing(address)
        self._check_version(row, self._may_only("if-match"))
        with self.env.operation():
            records.delete(self.env, self.call, self.table, row[self.table.key])
        return Reply(_EMPTY, headers={"OData-Version": "4.0"})

    def _written(self, row_id: str, status: int, options: Options) -> Reply:
        if self.prefer.representation:
            return self._shown(self.env.store.get(self.table.name, row_id), status, Options(select=options.select))
        address = f"{self.call.root}/{self.table.set_name}({row_id})"
        headers = {"OData-Version": "4.0", "OData-EntityId": address}
        if status == _CREATED:
            headers["Location"] = address
        return Reply(_EMPTY, headers=headers)

    def _related(self, row: Row, name: str, rest: list[Segment]) -> Reply:
        relationship = self.table.collections.get(name)
        if relationship is None:
            return self._related_one(row, name, rest)
        target = self.env.schema.get(relationship.table)
        rows = self.env.store.pointing_at(target.name, relationship.column, row[self.table.key])
        if rest and rest[0].name == "$count":
            return Reply(_OK, str(len(rows)).encode(), {"Content-Type": "text/plain", "OData-Version": "4.0"})
        if rest:
            raise errors.unknown_segment(rest[0].name)
        options = parse_options(self.env.schema, target, self.raw)
        listing = Listing(self.env.scope(target, self.call.user_id), options, self.prefer)
        context = f"{self.call.root}/$metadata#{target.set_name}"
        return json_reply(
            _OK, {"@odata.context": context, **listing.answer(self._link("$skiptoken"), within=rows)}, self._applied()
        )

    def _related_one(self, row: Row, name: str, rest: list[Segment]) -> Reply:
        navigation = self.table.navigations[name]
        ref = row.get(navigation.column)
        found = self.env.store.follow(ref)
        if found is None or ref is None or rest or navigation.target not in {None, ref.table}:
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        inner = Resource(self.env, self.request, self.call, self.env.schema.get(ref.table), self.segments)
        return inner._shown(found, _OK, inner._options())

    # -- words of the answer

    def _options(self) -> Options:
        if self.request.method == "GET" and len(self.request.raw_path) + len(self.request.query) > MAX_URL:
            raise errors.DataverseError(414, "0x80060888", "The request URI is too long.")
        return parse_options(self.env.schema, self.table, self.raw)

    def _context(self) -> str:
        select = self.raw.get("$select")
        return f"{self.call.root}/$metadata#{self.table.set_name}" + (f"({select})" if select else "")

    def _link(self, *without: str) -> str:
        path = strip_root(self.request.raw_path).strip("/")
        kept = [
            part
            for part in self.request.query.split("&")
            if part and part.partition("=")[0].replace("%24", "$") not in without
        ]
        return f"{self.call.root}/{path}" + (f"?{'&'.join(kept)}" if kept else "")

    def _applied(self) -> dict[str, str]:
        return {"Preference-Applied": ", ".join(self.prefer.applied)} if self.prefer.applied else {}


_BULK: Mapping[str, Callable[[Resource, Mapping[str, Any]], str]] = {
    "CreateMultiple": Resource.create_one,
    "UpdateMultiple": Resource.update_one,
    "UpsertMultiple": Resource.upsert_one,
}


class Property:
    """One column of one record, read or set by itself."""

    def __init__(self, resource: Resource, row: Row, name: str, *, raw: bool) -> None:
        self._resource = resource
        self._row = row
        self._name = name
        self._raw = raw

    def answer(self) -> Reply:
        """Read, set or clear the column."""
        table, env, call = self._resource.table, self._resource.env, self._resource.call
        method = self._resource.request.method
        if method == "GET":
            return self._read()
        if method not in {"PUT", "DELETE"} or self._raw:
            raise errors.wrong_verb(method)
        value = read_body(self._resource.request).get("value") if method == "PUT" else None
        with env.operation():
            records.update(env, call, table, self._row, {self._name: value})
        return Reply(_EMPTY, headers={"OData-Version": "4.0"})

    def _read(self) -> Reply:
        resource = self._resource
        listing = Listing(
            resource.env.scope(resource.table, resource.call.user_id), Options(select=(self._name,)), Prefer()
        )
        value = listing.render_all([self._row])[0][self._name]
        if value is None:
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        if self._raw:
            return Reply(_OK, str(value).encode(), {"Content-Type": "text/plain", "OData-Version": "4.0"})
        address = f"{resource.table.set_name}({self._row[resource.table.key]})/{self._name}"
        return json_reply(_OK, {"@odata.context": f"{resource.call.root}/$metadata#{address}", "value": value})


class References:
    """Associating and disassociating through `$ref`."""

    def __init__(self, resource: Resource, row: Row, rest: list[Segment]) -> None:
        self._resource = resource
        self._row = row
        self._name = rest[0].name
        self._key = rest[0].key

    def answer(self) -> Reply:
        """Link or unlink."""
        resource = self._resource
        with resource.env.operation():
            if self._name in resource.table.collections:
                self._many()
            elif self._name in resource.table.navigations:
                self._one()
            else:
                raise errors.unknown_segment(self._name)
        return Reply(_EMPTY, headers={"OData-Version": "4.0"})

    def _target(self) -> Ref:
        address = read_body(self._resource.request).get("@odata.id")
        if not isinstance(address, str):
            raise errors.invalid_argument("The body needs '@odata.id'.")
        return payloads.resolve(self._resource.env, address)

    def _one(self) -> None:
        resource, method = self._resource, self._resource.request.method
        if method not in {"PUT", "DELETE"}:
            raise errors.wrong_verb(method)
        address = None
        if method == "PUT":
            ref = self._target()
            address = f"{resource.env.schema.get(ref.table).set_name}({ref.id})"
        records.update(resource.env, resource.call, resource.table, self._row, {f"{self._name}@odata.bind": address})

    def _many(self) -> None:
        resource, method = self._resource, self._resource.request.method
        relationship = resource.table.collections[self._name]
        child = resource.env.schema.get(relationship.table)
        if method == "POST":
            ref, value = self._target(), Ref(resource.table.name, self._row[resource.table.key])
        elif method == "DELETE":
            ref, value = self._named_child(child), None
        else:
            raise errors.wrong_verb(method)
        if ref.table != child.name:
            raise errors.invalid_argument(f"A record of '{ref.table}' cannot be a member of '{self._name}'.")
        row = resource.env.store.get(child.name, ref.id)
        records.change(resource.env, resource.call, child, row, {relationship.column: value})

    def _named_child(self, child: Table) -> Ref:
        if self._key:
            found = find_row(self._resource.env.store, child, self._key)
            if found.row_id is None:
                raise errors.missing_key(child.name)
            return Ref(child.name, found.row_id)
        return payloads.resolve(self._resource.env, self._resource.raw.get("$id", ""))

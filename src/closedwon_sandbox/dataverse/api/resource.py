"""Records and sets of records as resources: which path and verb does what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors, records
from closedwon_sandbox.dataverse.api.members import Asked, Property, References
from closedwon_sandbox.dataverse.api.wire import json_reply, read_body
from closedwon_sandbox.dataverse.odata.changes import Tracking, refuse_options
from closedwon_sandbox.dataverse.odata.listing import Listing
from closedwon_sandbox.dataverse.odata.options import Options, Prefer, parse_options, parse_prefer, parse_query
from closedwon_sandbox.dataverse.odata.paths import Address, Segment, find_row, parse_path, strip_root
from closedwon_sandbox.dataverse.odata.rendering import etag
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.rows.schema import Table
    from closedwon_sandbox.dataverse.rows.store import Row
    from closedwon_sandbox.exchange import Request

MAX_URL = 32_768
CRM = "Microsoft.Dynamics.CRM."
_CREATED, _OK, _EMPTY, _UNCHANGED = 201, 200, 204, 304


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
            return References(self._asked(), row, rest).answer()
        if name in self.table.wires and len(rest) <= 2:  # noqa: PLR2004 - the property and perhaps $value
            return Property(self._asked(), row, name, raw=len(rest) > 1).answer()
        if name in self.table.collections or name in self.table.navigations:
            return self._verb({"GET": lambda: self._related(row, name, rest[1:])})
        raise errors.unknown_segment(name)

    def _asked(self) -> Asked:
        return Asked(self.env, self.request, self.call, self.table)

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

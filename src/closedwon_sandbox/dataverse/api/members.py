"""What hangs on one record: a single column, and its links to other records through `$ref`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse import errors, payloads, records
from closedwon_sandbox.dataverse.api.wire import json_reply, read_body
from closedwon_sandbox.dataverse.odata.listing import Listing
from closedwon_sandbox.dataverse.odata.options import Options, Prefer
from closedwon_sandbox.dataverse.odata.paths import Segment, find_row
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.dataverse.api.resource import Resource
    from closedwon_sandbox.dataverse.rows.schema import Table

_OK, _EMPTY = 200, 204


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

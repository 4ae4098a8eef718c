"""What hangs on one record: a single column, and its links to other records through `$ref`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse import errors, payloads, records
from closedwon_sandbox.dataverse.api.wire import json_reply, read_body
from closedwon_sandbox.dataverse.odata.listing import Listing
from closedwon_sandbox.dataverse.odata.options import Options, Prefer, parse_query
from closedwon_sandbox.dataverse.odata.paths import Segment, find_row
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.rows.schema import Table
    from closedwon_sandbox.exchange import Request

_OK, _EMPTY = 200, 204


@dataclass(frozen=True, slots=True)
class Asked:
    """A request below a record of `table`, and who sent it."""

    env: Environment
    request: Request
    call: Call
    table: Table


class Property:
    """One column of one record, read or set by itself."""

    def __init__(self, asked: Asked, row: Row, name: str, *, raw: bool) -> None:
        self._asked = asked
        self._row = row
        self._name = name
        self._raw = raw

    def answer(self) -> Reply:
        """Read, set or clear the column."""
        table, env, call = self._asked.table, self._asked.env, self._asked.call
        method = self._asked.request.method
        if method == "GET":
            return self._read()
        if method not in {"PUT", "DELETE"} or self._raw:
            raise errors.wrong_verb(method)
        value = read_body(self._asked.request).get("value") if method == "PUT" else None
        with env.operation():
            records.update(env, call, table, self._row, {self._name: value})
        return Reply(_EMPTY, headers={"OData-Version": "4.0"})

    def _read(self) -> Reply:
        asked = self._asked
        listing = Listing(asked.env.scope(asked.table, asked.call.user_id), Options(select=(self._name,)), Prefer())
        value = listing.render_all([self._row])[0][self._name]
        if value is None:
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        if self._raw:
            return Reply(_OK, str(value).encode(), {"Content-Type": "text/plain", "OData-Version": "4.0"})
        address = f"{asked.table.set_name}({self._row[asked.table.key]})/{self._name}"
        return json_reply(_OK, {"@odata.context": f"{asked.call.root}/$metadata#{address}", "value": value})


class References:
    """Associating and disassociating through `$ref`."""

    def __init__(self, asked: Asked, row: Row, rest: list[Segment]) -> None:
        self._asked = asked
        self._row = row
        self._name = rest[0].name
        self._key = rest[0].key

    def answer(self) -> Reply:
        """Link or unlink."""
        asked = self._asked
        with asked.env.operation():
            if self._name in asked.table.collections:
                self._many()
            elif self._name in asked.table.navigations:
                self._one()
            else:
                raise errors.unknown_segment(self._name)
        return Reply(_EMPTY, headers={"OData-Version": "4.0"})

    def _target(self) -> Ref:
        address = read_body(self._asked.request).get("@odata.id")
        if not isinstance(address, str):
            raise errors.invalid_argument("The body needs '@odata.id'.")
        return payloads.resolve(self._asked.env, address)

    def _one(self) -> None:
        asked, method = self._asked, self._asked.request.method
        if method not in {"PUT", "DELETE"}:
            raise errors.wrong_verb(method)
        address = None
        if method == "PUT":
            ref = self._target()
            address = f"{asked.env.schema.get(ref.table).set_name}({ref.id})"
        records.update(asked.env, asked.call, asked.table, self._row, {f"{self._name}@odata.bind": address})

    def _many(self) -> None:
        asked, method = self._asked, self._asked.request.method
        relationship = asked.table.collections[self._name]
        child = asked.env.schema.get(relationship.table)
        if method == "POST":
            ref, value = self._target(), Ref(asked.table.name, self._row[asked.table.key])
        elif method == "DELETE":
            ref, value = self._named_child(child), None
        else:
            raise errors.wrong_verb(method)
        if ref.table != child.name:
            raise errors.invalid_argument(f"A record of '{ref.table}' cannot be a member of '{self._name}'.")
        row = asked.env.store.get(child.name, ref.id)
        records.change(asked.env, asked.call, child, row, {relationship.column: value})

    def _named_child(self, child: Table) -> Ref:
        if self._key:
            found = find_row(self._asked.env.store, child, self._key)
            if found.row_id is None:
                raise errors.missing_key(child.name)
            return Ref(child.name, found.row_id)
        return payloads.resolve(self._asked.env, parse_query(self._asked.request.query).get("$id", ""))

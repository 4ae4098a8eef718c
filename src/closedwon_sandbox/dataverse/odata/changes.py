"""Change tracking: a first scan that ends in a delta link, then what changed or went. Source: reference section 10."""

from __future__ import annotations

import bisect
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.odata.listing import Listing, paging_cookie, position
from closedwon_sandbox.dataverse.odata.options import MAX_PAGE

if TYPE_CHECKING:
    from closedwon_sandbox.dataverse.odata.options import Options, Prefer
    from closedwon_sandbox.dataverse.odata.scopes import TableScope
    from closedwon_sandbox.dataverse.rows.store import TableRows

EXPIRED_STATUS = 400
"""HTTP status of an expired delta token. [inferred] Only the code is known."""

_TOKEN = re.compile(r"(\d+)!(\d\d/\d\d/\d{4} \d\d:\d\d:\d\d)(?:!(\d+)!(\d)!(\d+))?")
_FORMAT = "%m/%d/%Y %H:%M:%S"


def refuse_options(options: Options) -> None:
    """Refuse what cannot be combined with tracking. *Raises* DataverseError (400)."""
    asked = {"filter": options.filter, "orderby": options.orderby, "expand": options.expand, "top": options.top}
    for name, value in asked.items():
        if value:
            text = f'The "${{{name}}}" query parameter isn\'t supported when Change Tracking is enabled.'
            raise errors.DataverseError(400, "0x80060888", text)


class Tracking:
    """The change feed of one table for one request."""

    def __init__(self, scope: TableScope, options: Options, prefer: Prefer, keep_days: int) -> None:
        self._scope = scope
        self._table = scope.table
        self._options = options
        self._prefer = prefer
        self._keep = timedelta(days=keep_days)
        self._size = prefer.page_size or MAX_PAGE
        self._rows: TableRows = scope.store.tables[scope.table.name]
        self._listing = Listing(scope, options, prefer)
        if not scope.table.change_tracking:
            text = f"The entity {scope.table.name} is not enabled for change tracking."
            raise errors.DataverseError(400, "0x80072491", text)

    def scan(self, link: str) -> dict[str, Any]:
        """Return a page of the first scan; only the last page has the delta link, taken when it is read.

        A row that changes between its page and the last one is therefore in neither: integrators read an overlap.
        """
        number, last, _ = position(self._options.skiptoken)
        start = 0 if last is None else bisect.bisect_right(self._rows.order, last)
        ids = self._rows.order[start : start + self._size]
        out: dict[str, Any] = {}
        if start + self._size < len(self._rows.order):
            cookie = paging_cookie(number + 1, self._table.key, ids[0], ids[-1], tracking=True)
            out["@odata.nextLink"] = f"{link}{_glue(link)}$skiptoken={quote(cookie, safe='')}"
        else:
            out["@odata.deltaLink"] = self._delta_link(link)
        out["value"] = self._listing.render_all([self._rows.rows[row_id] for row_id in ids])
        return out

    def changes(self, link: str, token: str, context: str) -> dict[str, Any]:
        """Return what changed since a token: rows by version, then tombstones. *Raises* DataverseError."""
        since, upto, seen = self._read(token)
        entries = [entry for entry in self._entries(since, upto) if entry[:2] > seen]
        page = entries[: self._size]
        out: dict[str, Any] = {}
        if len(entries) > len(page):
            rest = f"{since}!{self._stamp()}!{upto}!{page[-1][0]}!{page[-1][1]}"
            out["@odata.nextLink"] = f"{link}{_glue(link)}$deltatoken={quote(rest, safe='')}"
        else:
            out["@odata.deltaLink"] = self._delta_link(link, upto)
        rows = [self._rows.rows[row_id] for gone, _, row_id in page if not gone]
        tombstones = [
            {"@odata.context": f"{context}/$deletedEntity", "id": row_id, "reason": "deleted"}
            for gone, _, row_id in page
            if gone
        ]
        out["value"] = [*self._listing.render_all(rows), *tombstones]
        return out

    def count(self, token: str) -> int:
        """Count the changes since a token."""
        since, upto, _ = self._read(token)
        return len(self._entries(since, upto))

    def _entries(self, since: int, upto: int) -> list[tuple[int, int, str]]:
        """List (is gone, version, id): the latest change of each row that is there, then the rows that went."""
        changed = _between(self._rows.changes, since, upto)
        entries = [(0, version, row_id) for version, row_id in changed if self._current(row_id) == version]
        last = {row_id: version for version, row_id in _between(self._rows.deletions, since, upto)}
        return entries + [(1, version, row_id) for row_id, version in last.items() if row_id not in self._rows.rows]

    def _current(self, row_id: str) -> int:
        row = self._rows.rows.get(row_id)
        return -1 if row is None else row["versionnumber"]

    def _stamp(self) -> str:
        return self._scope.now().strftime(_FORMAT)

    def _delta_link(self, link: str, version: int | None = None) -> str:
        token = f"{self._scope.store.version if version is None else version}!{self._stamp()}"
        return f"{link}{_glue(link)}$deltatoken={quote(token, safe='')}"

    def _read(self, token: str) -> tuple[int, int, tuple[int, int]]:
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise errors.invalid_argument("The delta token is not valid.")
        since = int(match[1])
        taken = datetime.strptime(match[2], _FORMAT).replace(tzinfo=UTC)
        newest = self._scope.store.version
        if self._scope.now() - taken > self._keep or since > newest:
            text = "Version stamp associated with the client has expired. Please perform a full sync."
            raise errors.DataverseError(EXPIRED_STATUS, "0x80044352", text)
        return since, int(match[3] or newest), (int(match[4] or 0), int(match[5] or 0))


def _glue(link: str) -> str:
    return "&" if "?" in link else "?"


def _between(log: list[tuple[int, str]], since: int, upto: int) -> list[tuple[int, str]]:
    start = bisect.bisect_right(log, (since, "\uffff"))
    end = bisect.bisect_right(log, (upto, "\uffff"))
    return log[start:end]

"""Running a query: find the rows, sort them, cut a page, expand, render, link to the next page."""

from __future__ import annotations

import bisect
import re
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.odata.filters import as_moment, comparable
from closedwon_sandbox.dataverse.odata.options import MAX_PAGE, Expand, Options, Prefer
from closedwon_sandbox.dataverse.odata.predicates import predicate, wanted_ids
from closedwon_sandbox.dataverse.odata.rendering import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from closedwon_sandbox.dataverse.odata.scopes import TableScope
    from closedwon_sandbox.dataverse.rows.schema import Table
    from closedwon_sandbox.dataverse.rows.store import Row

COUNT_CAP = 5000
_COOKIE = re.compile(r'<cookie pagenumber="(\d+)" pagingcookie="([^"]*)" istracking="(True|False)" />')
_LAST = re.compile(r"last%3d%22%7b([0-9a-f-]{36})%7d%22")


class Listing:
    """One query on one table."""

    def __init__(self, scope: TableScope, options: Options, prefer: Prefer) -> None:
        self.scope = scope
        self.table: Table = scope.table
        self.options = options
        self.prefer = prefer
        self.renderer = Renderer(scope.schema, scope.store, prefer)

    def answer(self, link: str, within: Iterable[Row] | None = None) -> dict[str, Any]:
        """Run the query and return the body of the answer; `link` is the query's address without a skip token.

        `within` restricts it to these rows, as for a collection of a row.
        """
        rows: Iterable[Row] = self._matching(within)
        out: dict[str, Any] = {}
        if self.options.count:
            rows = found = list(rows)
            out["@odata.count"] = min(len(found), COUNT_CAP)
            if self.prefer.annotates("Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"):
                out["@Microsoft.Dynamics.CRM.totalrecordcount"] = min(len(found), COUNT_CAP)
                out["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] = len(found) > COUNT_CAP
        page, more, number = self._page(rows, ordered=bool(self.options.orderby) or within is not None)
        out["value"] = self.render_all(page)
        if more:
            cookie = paging_cookie(number + 1, self.table.key, page[0][self.table.key], page[-1][self.table.key])
            out["@odata.nextLink"] = f"{link}{'&' if '?' in link else '?'}$skiptoken={quote(cookie, safe='')}"
        return out

    def count(self) -> int:
        """Count the matching rows, up to the vendor's cap."""
        return sum(1 for _ in islice(self._matching(None), COUNT_CAP))

    def render_all(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Render rows with their expansions."""
        plan = self.renderer.plan(self.table, self.options.select)
        rendered = [self.renderer.render(self.table, row, plan) for row in rows]
        for expand in self.options.expand:
            expander = Expander(self, expand)
            for row, out in zip(rows, rendered, strict=True):
                expander.attach(row, out)
        return rendered

    def _matching(self, within: Iterable[Row] | None) -> Iterator[Row]:
        node = self.options.filter
        rows: Iterable[Row]
        if within is not None:
            rows = within
        elif node is not None and (wanted := wanted_ids(node, self.table)) is not None:
            rows = self._indexed(wanted[0].name, wanted[1])
        else:
            held = self.scope.store.tables[self.table.name]
            rows = (held.rows[held.order[index]] for index in range(self._start(held.order), len(held.order)))
        if node is None:
            return iter(rows)
        test = predicate(node, self.scope)
        return (row for row in rows if test(row))

    def _start(self, order: list[str]) -> int:
        """Skip to where a page in id order starts, so that deep pages of a big table cost no more than the first."""
        last = None if self.options.orderby or self.options.count else position(self.options.skiptoken)[1]
        return 0 if last is None else bisect.bisect_right(order, last)

    def _indexed(self, column: str, ids: list[str]) -> list[Row]:
        store, name = self.scope.store, self.table.name
        if column == self.table.key:
            return [row for row_id in sorted(set(ids)) if (row := store.find(name, row_id)) is not None]
        found = {
            row[self.table.key]: row for row_id in dict.fromkeys(ids) for row in store.pointing_at(name, column, row_id)
        }
        return [found[row_id] for row_id in sorted(found)]

    def _page(self, rows: Iterable[Row], *, ordered: bool) -> tuple[list[Row], bool, int]:
        size = self.prefer.page_size or MAX_PAGE
        number, last, _ = position(self.options.skiptoken)
        key = self.table.key
        if self.options.orderby:
            rows = self._sorted(list(rows))
        if last is not None and (ordered or self.options.count):
            rows = _after(list(rows), key, last, (number - 1) * size)
        elif last is not None:
            rows = (row for row in rows if row[key] > last)
        top = self.options.top
        if top is not None:
            return list(islice(rows, min(top, MAX_PAGE))), False, number
        page = list(islice(rows, size + 1))
        return page[:size], len(page) > size, number

    def _sorted(self, rows: list[Row]) -> list[Row]:
        for order in reversed(self.options.orderby):
            read, column = self.scope.getter(order.path)
            if column is not None and column.kind == "managed":
                raise errors.bad_query(f"Rows cannot be ordered by '{column.name}'.")

            def rank(row: Row, read: Any = read) -> tuple[bool, Any]:
                value = read(row)
                return (value is not None, 0 if value is None else comparable(as_moment(value)))

            rows.sort(key=rank, reverse=order.descending)
        return rows


class Expander:
    """Attaches one expanded navigation property to rendered rows."""

    def __init__(self, listing: Listing, expand: Expand) -> None:
        self._expand = expand
        self._store = listing.scope.store
        self._key = listing.table.key
        target = expand.many.table if expand.many else (expand.single.target if expand.single else None) or "systemuser"
        self._inner = Listing(listing.scope.at(target), expand.options, Prefer(annotations=listing.prefer.annotations))
        self._plan = self._inner.renderer.plan(self._inner.table, expand.options.select)

    def attach(self, row: Row, out: dict[str, Any]) -> None:
        """Add the property to one rendered row."""
        if self._expand.many is not None:
            rows = self._store.pointing_at(self._expand.many.table, self._expand.many.column, row[self._key])
            out[self._expand.name] = self._members(rows)
        elif self._expand.single is not None:
            out[self._expand.name] = self._single(row, self._expand.single.column)

    def _members(self, rows: list[Row]) -> list[dict[str, Any]]:
        inner, options = self._inner, self._expand.options
        if options.filter is None and not options.orderby and options.top is None and not options.expand:
            return [inner.renderer.render(inner.table, row, self._plan) for row in rows]
        answer = inner.answer("", within=rows)
        members: list[dict[str, Any]] = answer["value"]
        return members

    def _single(self, row: Row, column: str) -> dict[str, Any] | None:
        ref = row.get(column)
        found = self._store.follow(ref) if ref is not None and ref.table == self._inner.table.name else None
        if found is None:
            return None
        if self._expand.refs_only:
            return {"@odata.id": f"{self._inner.table.set_name}({found[self._inner.table.key]})"}
        if self._expand.options.expand:
            return self._inner.render_all([found])[0]
        return self._inner.renderer.render(self._inner.table, found, self._plan)


def paging_cookie(number: int, key: str, first: str, last: str, *, tracking: bool = False) -> str:
    """Build a skip token in the vendor's shape: opaque to clients, its inside encoded twice."""
    inner = f'<cookie page="{number - 1}"><{key} last="{{{last}}}" first="{{{first}}}" /></cookie>'
    once = re.sub(r"[^\w.\-]", lambda match: f"%{ord(match[0]):02x}", inner)
    return f'<cookie pagenumber="{number}" pagingcookie="{once}" istracking="{tracking}" />'


def position(token: str | None) -> tuple[int, str | None, bool]:
    """Read a skip token: page number, id of the last row seen, whether changes are tracked.

    *Raises* DataverseError (400) for a token that we never gave.
    """
    if token is None:
        return 1, None, False
    match = _COOKIE.fullmatch(token)
    last = _LAST.search(match[2]) if match else None
    if match is None or last is None:
        raise errors.DataverseError(400, "0x80040203", "Invalid skip token.")
    return int(match[1]), last[1], match[3] == "True"


def _after(rows: list[Row], key: str, last: str, fallback: int) -> list[Row]:
    for index, row in enumerate(rows):
        if row[key] == last:
            return rows[index + 1 :]
    return rows[fallback:]

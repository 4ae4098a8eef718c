"""What people can do with the product, whatever door they come through: command line, API, console."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from closedwon.connectors.port import Finding
from closedwon.db.migrate import HEAD
from closedwon.engine.run import State, lane_name, split_lane
from closedwon.events.event import Event
from closedwon.flows.opportunity_won import OpportunityWon
from closedwon.flows.plan import Plan
from closedwon.kernel.clock import render_instant
from closedwon.kernel.errors import ClosedwonError, Misconfigured, NoMatch
from closedwon.kernel.ids import new_id
from closedwon.review.resolution import check_decision
from closedwon.tenants.store import INTEGRATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.app.compose import App
    from closedwon.app.settings import ConnectionSettings
    from closedwon.review.item import ReviewItem

SYNC_POLL_S = 0.1
BUSY_S = 30  # how long a decision waits for a run that is being tried again
LARGEST_CLOCK_DIFFERENCE_S = 120


class Desk:
    """The abilities. One tenant at a time: every method names it."""

    def __init__(self, app: App) -> None:
        self._app = app

    # --- connections --------------------------------------------------------------------------------------------

    def check(self, tenant: str) -> list[Finding]:
        """Look at everything a tenant's flows need, connection by connection; never raises for what it finds."""
        findings: list[Finding] = []
        for one in self._connections(tenant):
            findings += self._check_connection(one)
        stopped = {finding.subject for finding in findings if finding.code}
        books = {one.books for one in self._app.settings.integrations.values() if one.tenant == tenant}
        findings += [self._check_reference(tenant, one) for one in sorted(books) if f"{tenant}.{one}" not in stopped]
        return findings

    def check_store(self) -> Finding:
        """Say which store there is and that it can be read and written. *Raises* Misconfigured, Unavailable."""
        database = self._app.database
        version = "sqlite_version()" if database.is_sqlite else "current_setting('server_version')"
        with database.begin() as tx:
            found = tx.execute(sa.text(f"SELECT {version}")).scalar_one()
        where = sa.make_url(self._app.settings.store).render_as_string(hide_password=True)
        kind = "SQLite" if database.is_sqlite else "PostgreSQL"
        return Finding("store", ok=True, text=f"{where} ({kind} {found}, tables {HEAD})")

    def _check_connection(self, one: ConnectionSettings) -> list[Finding]:
        try:
            connector: Any = self._app.connect(one.tenant, one.name)
            connector.identify()  # what stops this stops the rest, and is said once
            crm = one.connector.side == "crm"
            found: list[Finding] = connector.check(self._app.settings.hook_url(one)) if crm else connector.check()
        except ClosedwonError as error:
            return [Finding(one.reference, ok=False, text=error.text, hint=error.hint, code=error.code)]
        if found and all(finding.ok for finding in found):
            self._app.resume(one.tenant, one.name)
        return [replace(finding, subject=f"{one.reference}: {finding.subject}") for finding in found]

    def _check_reference(self, tenant: str, books: str) -> Finding:
        subject = f"{tenant}.{books}: reference data"
        try:
            with self._app.database.begin() as tx:
                self._app.tenants.mark_stale(tx, tenant, books)
            reference = self._app.reference(tenant, books)
        except ClosedwonError as error:
            return Finding(subject, ok=False, text=error.text, hint=error.hint, code=error.code)
        text = (
            f"{len(reference.accounts)} accounts, {len(reference.tax_rates)} tax rates, {len(reference.items)} items, "
            f"currencies {', '.join(reference.currencies)}"
        )
        return Finding(subject, ok=True, text=text)

    def connect(self, tenant: str) -> dict[str, list[str]]:
        """Test each connection, register its webhooks where that can be done, read the reference data.

        Returns what was done, in words, by connection. *Raises* NotConnected, Unavailable, Misconfigured.
        """
        done: dict[str, list[str]] = {}
        for one in self._connections(tenant):
            connector: Any = self._app.connect(tenant, one.name)
            identity = connector.identify()
            words = [f"signed in to {identity.organisation_name or identity.organisation_id}"]
            url = self._app.settings.hook_url(one)
            if one.connector.side == "crm" and url and one.webhook_secret:
                words += connector.ensure_webhooks(url, one.webhook_secret)
            elif one.connector.side == "books" and url:
                words.append(f"enter {url} as the webhook address in the vendor's developer portal, if not yet there")
            self._app.resume(tenant, one.name)
            done[one.reference] = words
        for integration in self._app.settings.integrations.values():
            if integration.tenant == tenant:
                self._app.reference(tenant, integration.books)
                self._app.tenants.started_on(tenant, integration.name)
                self._app.resume(tenant, f"{INTEGRATION}{integration.name}")
        return done

    def _connections(self, tenant: str) -> list[ConnectionSettings]:
        return [one for one in self._app.settings.connections.values() if one.tenant == tenant]

    # --- looking ------------------------------------------------------------------------------------------------

    def status(self, tenant: str) -> dict[str, Any]:
        """Return how things stand: runs by lane and state, open items, what is paused, how fresh the feeds are."""
        return {
            "tenant": tenant,
            "runs": self._app.engine.count_runs(tenant),
            "open_items": len(self._app.reviews.list_items(tenant)),
            "paused": self._app.tenants.list_paused(tenant),
            "oldest_waiting": self._app.engine.oldest_queued(tenant),
            "feeds_read": self._app.events.last_fed(tenant),
            "invoices_linked": self._count_links(tenant),
            "at": render_instant(self._app.clock.now()),
        }

    def _count_links(self, tenant: str) -> int:
        return sum(
            self._app.links.count(tenant, one.name, "invoice")
            for one in self._app.settings.integrations.values()
            if one.tenant == tenant
        )

    def list_records(self, tenant: str, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """List the newest run of each record, newest first, with the number of its invoice where there is one."""
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self._app.engine.list_runs(tenant, limit=limit * 4):
            newest.setdefault((row["lane"], row["record_id"]), row)
        rows = [row for row in newest.values() if state is None or row["state"] == state][:limit]
        numbers = self._invoice_numbers(tenant, [row["record_id"] for row in rows])
        return [row | {"invoice": numbers.get(row["record_id"], "")} for row in rows]

    def _invoice_numbers(self, tenant: str, record_ids: list[str]) -> dict[str, str]:
        """Return the number of each record's invoice, whether the record is the deal or the invoice itself."""
        numbers: dict[str, str] = {}
        for one in self._app.settings.integrations.values():
            if one.tenant == tenant:
                for find in (self._app.links.find_by_crm, self._app.links.find_by_books):
                    found = find(tenant, one.name, "invoice", record_ids)
                    numbers |= {record_id: link.books_number for record_id, link in found.items()}
        return numbers

    def show_record(self, tenant: str, record: str) -> dict[str, Any]:
        """Return one record's story. `record` is a deal's id, an invoice's id or an invoice's number.

        *Raises* NoMatch when nothing is known of it.
        """
        links = self._links_of(tenant, record)
        ids = sorted({record, *(one["crm_id"] for one in links), *(one["books_id"] for one in links)})
        story: dict[str, Any] = dict(self._app.engine.story(tenant, ids))
        if not links and not story["events"] and not story["runs"]:
            raise NoMatch(
                f"nothing is known of a record {record}",
                hint="give a deal's id, an invoice's id or its number; `closedwon records list` shows the latest",
            )
        items = [item for one in ids for item in self._app.reviews.list_items(tenant, state=None, record_id=one)]
        return {"record": record, "links": links, **story, "review": [_plain_item(item) for item in items]}

    def _links_of(self, tenant: str, record: str) -> list[dict[str, Any]]:
        return [
            {"integration": one.name, **link}
            for one in self._app.settings.integrations.values()
            if one.tenant == tenant
            for link in self._app.links.list_naming(tenant, one.name, record)
        ]

    # --- doing --------------------------------------------------------------------------------------------------

    def preview(self, tenant: str, record: str, integration: str = "") -> dict[str, Any]:
        """Return the plan for a deal: what would be written where, with payloads and totals. Writes nothing there."""
        chosen = self._integration(tenant, integration)
        deals = chosen.crm.fetch_opportunities([record])
        if not deals:
            raise NoMatch(f"the CRM has no deal {record}", hint="give the deal's id as it stands in its address")
        flow = self._app.flows[OpportunityWon.name]
        assert isinstance(flow, OpportunityWon)
        plan = Plan(deals[0])
        flow.settle(chosen, [plan])
        return flow.describe(chosen, plan) | {"state": deals[0].state, "record": record}

    def sync(self, tenant: str, record: str, integration: str = "", timeout_s: float = 120) -> dict[str, Any]:
        """Run a deal's flow now and wait for its end; works whether or not `closedwon run` is running."""
        chosen = self._integration(tenant, integration)
        event = Event(tenant, chosen.crm_connection, "person", "opportunity", record, "sync", f"sync:{new_id()}")
        self._app.intake.accept([event])
        self._app.start_if_alone()
        ends = self._app.clock.monotonic() + timeout_s
        lane = lane_name(chosen.name, OpportunityWon.name)
        while self._app.clock.monotonic() < ends:
            runs = [row for row in self._app.engine.list_runs(tenant, record_id=record, limit=5) if row["lane"] == lane]
            if runs and runs[0]["state"] not in {State.PENDING, State.RUNNING}:
                return runs[0]
            self._app.clock.sleep(SYNC_POLL_S)
        raise ClosedwonError(
            f"the run of {record} did not end within {timeout_s:.0f} s",
            hint="it goes on by itself; `closedwon records show` tells how it stands",
        )

    def retry(self, tenant: str, record: str | None = None) -> int:
        """Put parked, waiting and failed runs back into their lanes, of one record or all; return how many."""
        self._mark_stale(tenant)
        return self._app.replayer.retry(tenant, [State.PARKED, State.WAITING, State.FAILED], record)

    def replay(self, tenant: str, record: str, integration: str = "") -> int:
        """Run a record anew from its stored event; where nothing is missing nothing happens."""
        story = self.show_record(tenant, record)
        chosen = self._integration(tenant, integration)
        kinds = {(event["connection"], event["record_type"], event["record_id"]) for event in story["events"]}
        if not kinds:
            kinds = {(chosen.crm_connection, "opportunity", link["crm_id"]) for link in story["links"]}
        return sum(self._app.replayer.replay(tenant, *kind) for kind in sorted(kinds))

    # --- review -------------------------------------------------------------------------------------------------

    def list_items(self, tenant: str, *, closed: bool = False) -> list[dict[str, Any]]:
        """List review items, open ones or all."""
        items = self._app.reviews.list_items(tenant, state=None if closed else "open")
        return [_plain_item(item) for item in items]

    def show_item(self, tenant: str, number: int) -> dict[str, Any]:
        """Return an item with its evidence, proposals and what was decided. *Raises* NoMatch."""
        item = self._item(tenant, number)
        return _plain_item(item) | {"resolutions": self._app.reviews.list_resolutions(tenant, item.id)}

    def resolve(self, tenant: str, number: int, decision: Mapping[str, Any], decided_by: str) -> dict[str, Any]:
        """Decide an open item; the run goes on with the decision. *Raises* NoMatch, Misconfigured."""
        item = self._open_item(tenant, number)
        if not item.subject.startswith("run:"):
            return self._resolve_pause(item, decided_by)
        decided = check_decision(decision)
        run_id = item.subject.removeprefix("run:")
        ends = self._app.clock.monotonic() + BUSY_S
        while not self._decide(item, run_id, decided, decided_by):
            if self._app.clock.monotonic() > ends:
                raise _busy(number)
            self._app.clock.sleep(SYNC_POLL_S)
        return self.show_item(tenant, number)

    def _decide(self, item: ReviewItem, run_id: str, decided: Mapping[str, Any], decided_by: str) -> bool:
        """Put a run back with a decision; False while it is tried again because its record changed."""
        kept = {name: value for name, value in decided.items() if name != "retry"}
        lane = self._lane_of(item.tenant, run_id)
        with self._app.database.begin() as tx:
            if not self._app.replayer.resume(tx, item.tenant, run_id, lane, kept):
                # the item closes by itself when the run goes through without a decision
                now = self._app.reviews.find(item.tenant, item.number)
                if now is None or now.state != "open":
                    raise _closed(item.number)
                return False
            if not self._app.reviews.decide(tx, item, "resolved", decided, decided_by):
                raise _closed(item.number)
            self._mark_books_stale(tx, item.tenant, lane)
        return True

    def _resolve_pause(self, item: ReviewItem, decided_by: str) -> dict[str, Any]:
        name = item.subject.removeprefix("connection:")
        if not name.startswith(INTEGRATION):
            self._app.connect(item.tenant, name).identify()
        with self._app.database.begin() as tx:
            self._app.reviews.decide(tx, item, "resolved", {"retry": True}, decided_by)
            self._app.tenants.resume(tx, item.tenant, name)
        return self.show_item(item.tenant, item.number)

    def dismiss(self, tenant: str, number: int, reason: str, decided_by: str) -> dict[str, Any]:
        """Close an item without going on; its run is cancelled. *Raises* NoMatch."""
        item = self._open_item(tenant, number)
        if not item.subject.startswith("run:"):
            raise Misconfigured(
                "a paused connection cannot be dismissed", hint="mend it; it goes on by itself, or resolve the item"
            )
        with self._app.database.begin() as tx:
            run_id = item.subject.removeprefix("run:")
            if not self._app.engine.cancel(tx, tenant, run_id, f"dismissed by {decided_by}: {reason}"):
                raise _busy(number)
            if not self._app.reviews.decide(tx, item, "dismissed", {"reason": reason}, decided_by):
                raise _closed(number)
        return self.show_item(tenant, number)

    def _item(self, tenant: str, number: int) -> ReviewItem:
        item = self._app.reviews.find(tenant, number)
        if item is None:
            raise NoMatch(f"there is no review item {number}", hint="`closedwon review list` shows the open ones")
        return item

    def _open_item(self, tenant: str, number: int) -> ReviewItem:
        item = self._item(tenant, number)
        if item.state != "open":
            raise _closed(number)
        return item

    def _lane_of(self, tenant: str, run_id: str) -> str:
        row = self._app.engine.find_run(tenant, run_id)
        if row is None:
            raise NoMatch(f"the run {run_id} no longer exists", hint="dismiss the item")
        return str(row["lane"])

    def _mark_stale(self, tenant: str) -> None:
        with self._app.database.begin() as tx:
            for one in self._app.settings.integrations.values():
                if one.tenant == tenant:
                    self._app.tenants.mark_stale(tx, tenant, one.books)

    def _mark_books_stale(self, tx: Any, tenant: str, lane: str) -> None:
        integration = self._app.settings.integrations.get((tenant, split_lane(lane)[0]))
        if integration is not None:
            self._app.tenants.mark_stale(tx, tenant, integration.books)

    def _integration(self, tenant: str, name: str) -> Any:
        """Return the named integration, or the only one. *Raises* Misconfigured."""
        mine = {key[1]: one for key, one in self._app.integrations.items() if key[0] == tenant}
        if name in mine:
            return mine[name]
        if not name and len(mine) == 1:
            return next(iter(mine.values()))
        raise Misconfigured(
            f"the tenant {tenant} has the integrations {', '.join(sorted(mine)) or '(none)'}", hint="name one of them"
        )


def _busy(number: int) -> ClosedwonError:
    return ClosedwonError(
        f"the run of review item {number} is being tried again at this moment",
        hint="decide again when it has come to its end",
    )


def _closed(number: int) -> NoMatch:
    return NoMatch(f"the review item {number} is closed", hint="`closedwon review list` shows the open ones")


def _plain_item(item: ReviewItem) -> dict[str, Any]:
    return {
        "number": item.number,
        "state": item.state,
        "code": item.code,
        "text": item.text,
        "hint": item.hint,
        "subject": item.subject,
        "record_id": item.record_id,
        "record_name": item.record_name,
        "details": dict(item.details),
        "proposals": [{"label": one.label, "decision": dict(one.decision)} for one in item.proposals],
        "opened_at": item.opened_at,
        "closed_at": item.closed_at,
    }

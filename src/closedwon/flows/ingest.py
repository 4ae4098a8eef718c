"""The feeds: finds in the vendors' change feeds what no webhook told us, and makes the same events of it.

Cost of one reading where nothing changed: one call to Dynamics, one to Xero.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from closedwon.events.event import Event, feed_key
from closedwon.kernel.clock import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.connectors.port import Change, Changes
    from closedwon.engine.flow import Integration
    from closedwon.engine.intake import Intake
    from closedwon.events.store import EventStore
    from closedwon.links.store import LinkStore

DAY_BEFORE = timedelta(days=1)  # a closing date is a day somewhere on earth, our start is an instant


class Feeds:
    """Reads the change feeds of integrations."""

    def __init__(
        self, intake: Intake, events: EventStore, links: LinkStore, started_on: Callable[[str, str], str]
    ) -> None:
        self._intake = intake
        self._events = events
        self._links = links
        self._started_on = started_on

    def read_crm(self, integration: Integration) -> int:
        """Read which deals changed; return how many new events that makes."""
        feed = f"opportunity@{integration.name}"
        mark = self._events.get_watermark(integration.tenant, integration.crm_connection, feed)
        changes = integration.crm.fetch_changes(mark)
        since = self._since(integration)
        won = [
            change
            for change in changes.changes
            if change.state == "won" and not change.deleted and (change.changed_on or since) >= since
        ]
        links = self._links.find_by_crm(
            integration.tenant, integration.name, "invoice", [change.record_id for change in won]
        )
        new = [change for change in won if change.record_id not in links]
        return self._accept(integration, integration.crm_connection, "opportunity", feed, changes, new)

    def read_books(self, integration: Integration) -> int:
        """Read which invoices changed; return how many new events that makes."""
        feed = f"invoice@{integration.name}"
        mark = self._events.get_watermark(integration.tenant, integration.books_connection, feed)
        changes = integration.books.fetch_changes(mark)
        links = self._links.find_by_books(
            integration.tenant, integration.name, "invoice", [change.record_id for change in changes.changes]
        )
        new = [
            change
            for change in changes.changes
            if change.record_id in links and links[change.record_id].books_version != change.version
        ]
        return self._accept(integration, integration.books_connection, "invoice", feed, changes, new)

    def _accept(
        self,
        integration: Integration,
        connection: str,
        record_type: str,
        feed: str,
        changes: Changes,
        new: list[Change],
    ) -> int:
        tenant = integration.tenant
        events = [
            Event(
                tenant,
                connection,
                "feed",
                record_type,
                change.record_id,
                change.state,
                feed_key(connection, record_type, change.record_id, change.version),
            )
            for change in new
        ]
        with self._links.transaction() as tx:
            number = self._intake.accept_in(tx, events)
            self._events.save_watermark(tx, tenant, connection, feed, changes.watermark)
        return number

    def _since(self, integration: Integration) -> date:
        """Return the first closing date that counts; older deals are for a backfill, not for a surprise."""
        settings = integration.settings.get("opportunity_won")
        if settings is not None and settings.since is not None:
            return date.fromisoformat(str(settings.since))
        started = parse_instant(self._started_on(integration.tenant, integration.name))
        return started.date() - DAY_BEFORE

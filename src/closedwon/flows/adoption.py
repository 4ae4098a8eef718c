"""Finds invoices that we made and no longer know: after a store was lost, or an older backup restored.

Before a process first makes invoices it asks the books once which ones our app has made since the deals at hand were
won. Later it knows, because it makes them itself.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from closedwon.flows.steps import Writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.engine.flow import Integration
    from closedwon.engine.store import EngineStore
    from closedwon.links.store import LinkStore
    from closedwon.model.invoice import BooksInvoice
    from closedwon.model.opportunity import Opportunity

RECORD_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
GONE = ("voided", "deleted")
DAY_BEFORE = timedelta(days=1)  # a closing date is a day somewhere on earth


class Adoption:
    """Links the invoices that carry a deal's id and have no link."""

    def __init__(self, links: LinkStore, engine: EngineStore) -> None:
        self._links = links
        self._engine = engine
        self._looked_back_to: dict[tuple[str, str], date] = {}

    def adopt(self, integration: Integration, unlinked: Sequence[Opportunity]) -> int:
        """Link invoices made since the oldest of these deals was won; return how many. One call, or none.

        Invoices of other deals are linked as well: this process will not look that far back again.
        """
        key = (integration.tenant, integration.name)
        closed = [deal.closed_on for deal in unlinked if deal.closed_on is not None]
        if not closed or min(closed) >= self._looked_back_to.get(key, date.max):
            return 0
        since = datetime.combine(min(closed) - DAY_BEFORE, time(), UTC)
        found = _by_deal(integration.books.fetch_created_invoices(since))
        linked = self._links.find_by_crm(integration.tenant, integration.name, "invoice", list(found))
        taken = self._links.find_by_books(
            integration.tenant, integration.name, "invoice", [one.id for one in found.values()]
        )
        new = {deal_id: one for deal_id, one in found.items() if deal_id not in linked and one.id not in taken}
        writes = Writes(integration, self._links, self._engine)
        with self._links.transaction() as tx:
            for deal_id, invoice in new.items():
                writes.save_invoice(tx, deal_id, invoice)
        self._looked_back_to[key] = min(closed)
        return len(new)


def _by_deal(invoices: Sequence[BooksInvoice]) -> dict[str, BooksInvoice]:
    """Return the invoice of each deal whose id an invoice carries; one that stands before one that is gone."""
    found: dict[str, BooksInvoice] = {}
    for invoice in sorted(invoices, key=lambda one: one.status not in GONE):
        ids = RECORD_ID.findall(invoice.reference.lower()) or RECORD_ID.findall(invoice.source_url.lower())
        if ids:
            found[ids[-1]] = invoice
    return found

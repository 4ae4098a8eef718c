"""Both systems for tests of flows: they hold what a test puts into them and remember what they were asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from books_data import reference
from closedwon.connectors.port import Change, Changes
from closedwon.engine.flow import Integration
from closedwon.flows.invoicing import WonSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from closedwon.model.customer import Customer
    from closedwon.model.invoice import BooksInvoice
    from stores import SetClock

TENANT = "acme"


@dataclass
class Systems:
    """Stands for the CRM and the books at once."""

    clock: SetClock
    contacts: list[Customer] = field(default_factory=list)
    invoices: list[BooksInvoice] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    since: list[datetime | None] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    document_kind: str = "invoice"
    create_limit: int = 50

    def integration(self, won: WonSettings | None = None) -> Integration:
        """Return an integration of the two."""
        system = cast("Any", self)
        flows = {"opportunity_won": won or WonSettings(account_code="200")}
        return Integration(TENANT, "sales", system, system, "crm", "books", flows, reference, self.clock)

    def fetch_contacts(self, since: datetime | None) -> Iterator[list[Customer]]:
        """Give all contacts, a page each."""
        self.since.append(since)
        for one in self.contacts:
            yield [one]

    def fetch_invoices(self, ids: Sequence[str]) -> list[BooksInvoice]:
        """Give those that exist."""
        return [one for one in self.invoices if one.id in ids]

    def fetch_created_invoices(self, _since: datetime) -> list[BooksInvoice]:
        """Give all there are."""
        return self.invoices

    def fetch_changes(self, watermark: str) -> Changes:
        """Give what the test put there."""
        self.marks.append(watermark)
        return Changes(tuple(self.changes), f"mark-{len(self.marks)}")

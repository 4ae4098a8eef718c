"""An invoice changed in the books: the CRM shows its status, amounts and payment.

Cost of a batch of up to 200 invoices: Xero 1 call per 100, Dynamics 1 batch; none for invoices of no deal of ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.engine.run import Outcome
from closedwon.flows.steps import NOT_LINKED, Shown, Writes, show, snapshot
from closedwon.kernel.errors import Unavailable
from closedwon.model.opportunity import CrmDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.engine.batch import Batch
    from closedwon.engine.flow import Integration
    from closedwon.engine.ledger import Operation
    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from closedwon.links.link import Link
    from closedwon.links.store import LinkStore
    from closedwon.model.invoice import BooksInvoice

OWN_CREATION = "CREATE"  # the books' word for an invoice that came into being; for a linked one that was us
FIRST_WAIT_S = 1.0  # until the flow that created the invoice has had the CRM show it


class StatusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the flow invoice_status; there are none so far."""


class InvoiceStatus:
    """The flow."""

    name: str = "invoice_status"
    record_type: str = "invoice"
    side: str = "books"
    steps: Sequence[str] = ("links", "fetch", "write_back")
    settings: type[msgspec.Struct] = StatusSettings

    def __init__(self, links: LinkStore, events: EventStore, engine: EngineStore) -> None:
        self._links = links
        self._events = events
        self._engine = engine

    def operations(self, integration: Integration) -> Mapping[str, Operation[Any, Any]]:
        """Return the flow's remote writes."""
        return Writes(integration, self._links, self._engine).all()

    def execute(self, batch: Batch) -> None:
        """Carry every invoice's status over."""
        writes = Writes(batch.integration, self._links, self._engine)
        with batch.step("links"):
            links = self._find_links(batch)
        with batch.step("fetch") as details:
            invoices = self._fetch(batch, links)
            details.update({run.id: snapshot(invoices[run.record_id]) for run in batch.runs})
        with batch.step("write_back"):
            self._write_back(batch, writes, links, invoices)

    def _find_links(self, batch: Batch) -> dict[str, Link]:
        integration = batch.integration
        ids = [run.record_id for run in batch.runs]
        links = self._links.find_by_books(integration.tenant, integration.name, "invoice", ids)
        heard = self._events.names(integration.tenant, ids)
        for run in list(batch.runs):
            link = links.get(run.record_id)
            if link is None:
                batch.finish(run, Outcome.SKIPPED, NOT_LINKED)
            elif heard.get(run.record_id) == {OWN_CREATION}:  # the flow that created it has the CRM show it, too
                batch.finish(run, Outcome.UNCHANGED, "the echo of our own creation")
            elif link.crm_document is None:
                batch.fail(run, Unavailable("the CRM does not show this invoice yet", retry_after_s=FIRST_WAIT_S))
        return links

    def _fetch(self, batch: Batch, links: Mapping[str, Link]) -> dict[str, BooksInvoice]:
        wanted = [run.record_id for run in batch.runs]
        invoices = {one.id: one for one in batch.integration.books.fetch_invoices(wanted)} if wanted else {}
        for run in list(batch.runs):
            invoice = invoices.get(run.record_id)
            if invoice is None:
                batch.finish(run, Outcome.SKIPPED, "the invoice no longer exists in the books")
                continue
            batch.names[run.record_id] = invoice.number
            link = links[run.record_id]
            if link.snapshot == snapshot(invoice):
                self._note_version(batch, link, invoice)
                batch.finish(run, Outcome.UNCHANGED, "the CRM shows this already")
        return invoices

    def _note_version(self, batch: Batch, link: Link, invoice: BooksInvoice) -> None:
        if link.books_version != invoice.version:
            with self._links.transaction() as tx:
                seen = replace(link, books_version=invoice.version)
                self._links.save(tx, batch.integration.tenant, batch.integration.name, seen)

    def _write_back(
        self, batch: Batch, writes: Writes, links: Mapping[str, Link], invoices: Mapping[str, BooksInvoice]
    ) -> None:
        shown = [
            Shown(run, link, invoices[run.record_id], msgspec.convert(link.crm_document, CrmDocument, strict=False))
            for run in batch.runs
            for link in (links[run.record_id],)
        ]
        show(batch, writes, shown)
        for run in list(batch.runs):
            batch.finish(run, Outcome.UPDATED)

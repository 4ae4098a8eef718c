"""Steps that several flows share: the remote writes, as operations of the ledger, and showing an invoice in the CRM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.connectors.port import DocumentUpdate
from closedwon.engine.ledger import Element, Operation
from closedwon.engine.run import lane_name
from closedwon.flows.plan import own_document
from closedwon.kernel.clock import parse_instant
from closedwon.links.link import Link
from closedwon.model.payment import settlement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.connectors.port import Written
    from closedwon.engine.batch import Batch
    from closedwon.engine.flow import Integration
    from closedwon.engine.ledger import Intent
    from closedwon.engine.run import Run
    from closedwon.engine.store import EngineStore
    from closedwon.links.store import LinkStore
    from closedwon.model.customer import Customer
    from closedwon.model.invoice import BooksInvoice, Invoice
    from closedwon.model.opportunity import CrmDocument

CREATE_CONTACT = "create_contact"
CREATE_INVOICE = "create_invoice"
CREATE_CRM_INVOICE = "create_crm_invoice"
UPDATE_DOCUMENT = "update_document"
NOT_LINKED = "the invoice belongs to no deal we know"
OVERLAP = timedelta(minutes=15)  # how far the vendor's clock may be behind ours when a lost write is looked up


@dataclass(frozen=True, slots=True)
class Shown:
    """An invoice that a CRM record shall show, for a run."""

    run: Run
    link: Link
    invoice: BooksInvoice
    document: CrmDocument


class Writes:
    """The ledger's operations for one integration, and what they leave behind in the store."""

    def __init__(self, integration: Integration, links: LinkStore, engine: EngineStore) -> None:
        self._to = integration
        self._links = links
        self._engine = engine

    # --- contacts -----------------------------------------------------------------------------------------------

    def create_contact(self) -> Operation[Customer, Customer]:
        """Create a contact; its number is the customer's id, by which it is found again."""
        return Operation(
            CREATE_CONTACT,
            self._to.books_connection,
            self._to.books.create_limit,
            self._to.books.create_contacts,
            self._find_contacts,
            self.save_contact,
            lambda contact: (contact.id, contact.version),
        )

    def _find_contacts(self, intents: Sequence[Intent]) -> Mapping[str, Customer]:
        pages = self._to.books.fetch_contacts(_since(intents))
        return {one.external_id: one for page in pages for one in page if one.external_id}

    def save_contact(self, tx: Any, customer_id: str, contact: Customer) -> None:
        """Link a customer to its contact."""
        self._links.save_contacts(tx, self._to.tenant, self._to.books_connection, [contact])
        self._links.save(tx, self._to.tenant, self._to.name, Link("customer", customer_id, contact.id))

    # --- invoices -----------------------------------------------------------------------------------------------

    def create_invoice(self) -> Operation[Invoice, BooksInvoice]:
        """Create an invoice; reference and source link carry the deal's id, by which it is found again."""
        return Operation(
            CREATE_INVOICE,
            self._to.books_connection,
            self._to.books.create_limit,
            self._to.books.create_invoices,
            self._find_invoices,
            self.save_invoice,
            lambda invoice: (invoice.id, invoice.version),
        )

    def _find_invoices(self, intents: Sequence[Intent]) -> Mapping[str, BooksInvoice]:
        found: dict[str, BooksInvoice] = {}
        for invoice in self._to.books.fetch_created_invoices(_since(intents)):
            text = f"{invoice.reference} {invoice.source_url}".lower()
            found |= {one.record_id: invoice for one in intents if one.record_id.lower() in text}
        return found

    def save_invoice(self, tx: Any, deal_id: str, invoice: BooksInvoice) -> None:
        """Link a deal to its invoice, and look again at events of that invoice that came too early."""
        link = Link("invoice", deal_id, invoice.id, invoice.number, books_version=invoice.version)
        self._links.save(tx, self._to.tenant, self._to.name, link)
        lane = lane_name(self._to.name, "invoice_status")
        self._engine.reopen_skipped(tx, self._to.tenant, lane, [invoice.id], NOT_LINKED)

    # --- CRM records --------------------------------------------------------------------------------------------

    def create_crm_invoice(self) -> Operation[str, CrmDocument]:
        """Create the CRM invoice of a deal; found again as the deal's invoice."""
        return Operation(
            CREATE_CRM_INVOICE,
            self._to.crm_connection,
            self._to.crm.create_limit,
            lambda deal_ids, _key: self._to.crm.create_invoices(deal_ids),
            self._find_crm_invoices,
            lambda _tx, _deal_id, _document: None,  # the link names it once it shows the invoice
            lambda document: (document.id, document.version),
        )

    def _find_crm_invoices(self, intents: Sequence[Intent]) -> Mapping[str, CrmDocument]:
        deals = self._to.crm.fetch_opportunities([one.record_id for one in intents])
        found = {deal.id: own_document(deal, "invoice") for deal in deals}
        return {deal_id: document for deal_id, document in found.items() if document is not None}

    def update_document(self, shown: Mapping[str, Shown]) -> Operation[DocumentUpdate, CrmDocument]:
        """Make CRM records show their invoices; may be repeated, so a lost answer needs no looking up."""

        def send(updates: Sequence[DocumentUpdate], _key: str) -> list[Written[CrmDocument]]:
            return self._to.crm.update_documents(updates)

        def save(tx: Any, deal_id: str, document: CrmDocument) -> None:
            self._save_shown(tx, shown[deal_id], document)

        return Operation(
            UPDATE_DOCUMENT,
            self._to.crm_connection,
            self._to.crm.create_limit,
            send,
            None,
            save,
            lambda document: (document.id, document.version),
        )

    def _save_shown(self, tx: Any, one: Shown, document: CrmDocument) -> None:
        link = Link(
            "invoice",
            one.link.crm_id,
            one.invoice.id,
            one.invoice.number,
            crm_document=msgspec.to_builtins(document, str_keys=True),
            snapshot=snapshot(one.invoice),
            books_version=one.invoice.version,
        )
        self._links.save(tx, self._to.tenant, self._to.name, link)

    def all(self) -> dict[str, Operation[Any, Any]]:
        """Return every operation by name, as the resolver needs them."""
        operations: list[Operation[Any, Any]] = [
            self.create_contact(),
            self.create_invoice(),
            self.create_crm_invoice(),
            self.update_document({}),
        ]
        return {one.name: one for one in operations}


def snapshot(invoice: BooksInvoice) -> dict[str, Any]:
    """Return what a CRM record is made to show of an invoice, as plain values that can be compared."""
    shown: dict[str, Any] = msgspec.to_builtins(settlement(invoice), str_keys=True)
    return shown


def show(batch: Batch, writes: Writes, shown: Sequence[Shown]) -> dict[str, CrmDocument]:
    """Make CRM records show their invoices, all in as few calls as possible; runs that fail leave the batch.

    Returns the records as they now stand, by run id.
    """
    crm, books = batch.integration.crm, batch.integration.books
    organisation = batch.integration.reference().organisation
    elements = []
    for one in shown:
        link = books.invoice_url(one.invoice.id, organisation)
        update = DocumentUpdate(one.document, one.invoice.id, one.invoice.number, link, settlement(one.invoice))
        elements.append(Element(one.run.id, one.link.crm_id, update, crm.render_update(update)))
    operation = writes.update_document({one.link.crm_id: one for one in shown})
    results = batch.ledger.write(operation, elements)
    done: dict[str, CrmDocument] = {}
    for one, result in zip(shown, results, strict=True):
        if result.record is not None:
            done[one.run.id] = result.record
        elif result.error is not None:
            batch.fail(one.run, result.error)
    return done


def _since(intents: Sequence[Intent]) -> Any:
    return min(parse_instant(one.created_at) for one in intents) - OVERLAP

"""An opportunity is won: one correct invoice stands in the books, and the CRM shows it.

Fetch the deals, find or create the customers' contacts, make the invoices and prove their totals, write contacts and
invoices, have the CRM show them. Every part looks first at what is there already, so running again changes nothing.

Cost of a batch of up to 200 deals: Dynamics 1 fetch, 1 batch to create CRM invoices, 1 batch to write back; Xero 1 call
for changed contacts, 1 per 50 new contacts, 1 per 50 invoices; once per process 1 call per 1,000 invoices made lately.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from closedwon.connectors.port import DocumentUpdate
from closedwon.engine.ledger import Element
from closedwon.engine.run import Outcome
from closedwon.flows.adoption import Adoption
from closedwon.flows.customers import CustomerDesk
from closedwon.flows.invoicing import WonSettings, arrange, draft_invoice, propose_fixes
from closedwon.flows.plan import Plan, own_document
from closedwon.flows.steps import Shown, Writes, show
from closedwon.kernel.errors import ClosedwonError, Drift, NoMatch
from closedwon.model.invoice import BooksInvoice
from closedwon.model.opportunity import CrmDocument
from closedwon.model.payment import settlement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.engine.batch import Batch
    from closedwon.engine.flow import Integration
    from closedwon.engine.ledger import Operation
    from closedwon.engine.run import Run
    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from closedwon.links.link import Link
    from closedwon.links.store import LinkStore
    from closedwon.model.invoice import Invoice

Plans = dict[str, Plan]  # by run id
UNKNOWN = "?"  # in a preview: what the other system will assign


class OpportunityWon:
    """The flow."""

    name: str = "opportunity_won"
    record_type: str = "opportunity"
    side: str = "crm"
    steps: Sequence[str] = ("fetch", "plan", "contacts", "invoices", "crm_invoices", "write_back")
    settings: type[msgspec.Struct] = WonSettings

    def __init__(self, links: LinkStore, events: EventStore, engine: EngineStore) -> None:
        self._links = links
        self._engine = engine
        self._customers = CustomerDesk(links, events)
        self._adoption = Adoption(links, engine)

    def operations(self, integration: Integration) -> Mapping[str, Operation[Any, Any]]:
        """Return the flow's remote writes."""
        return Writes(integration, self._links, self._engine).all()

    def execute(self, batch: Batch) -> None:
        """Carry every deal as far as it can go."""
        writes = Writes(batch.integration, self._links, self._engine)
        with batch.step("fetch"):
            plans = self._fetch(batch)
        with batch.step("plan") as details:
            self.settle(batch.integration, [plans[run.id] for run in batch.runs])
            details.update({run.id: self.describe(batch.integration, plans[run.id]) for run in batch.runs})
            self._stop_unplannable(batch, plans)
        with batch.step("contacts"):
            self._write_contacts(batch, writes, plans)
        with batch.step("invoices") as details:
            self._write_invoices(batch, writes, plans)
            details.update({run.id: _written(plans[run.id]) for run in batch.runs})
        with batch.step("crm_invoices"):
            self._create_documents(batch, writes, plans)
        with batch.step("write_back"):
            self._write_back(batch, writes, plans)

    # --- fetch --------------------------------------------------------------------------------------------------

    def _fetch(self, batch: Batch) -> Plans:
        """Fetch the deals; those that are not won (any more) are skipped."""
        deals = {deal.id: deal for deal in batch.integration.crm.fetch_opportunities(_records(batch.runs))}
        plans: Plans = {}
        for run in list(batch.runs):
            deal = deals.get(run.record_id)
            if deal is None:
                batch.finish(run, Outcome.SKIPPED, "the deal no longer exists in the CRM")
            elif deal.state != "won":
                batch.finish(run, Outcome.SKIPPED, f"the deal is {deal.state}")
            else:
                batch.names[run.record_id] = deal.name
                plans[run.id] = Plan(deal, run.decision)
        return plans

    # --- plan (shared with preview) -----------------------------------------------------------------------------

    def settle(self, integration: Integration, plans: Sequence[Plan]) -> None:
        """Complete plans: what exists already, which contact, which invoice. Reads both sides, writes nothing there."""
        if not plans:
            return
        self._find_links(integration, plans)
        self._customers.settle(integration, plans)
        if all(plan.link is not None for plan in plans):
            return
        books = arrange(integration.reference())
        settings = integration.settings[self.name]
        kind = integration.crm.document_kind
        today = integration.clock.now().astimezone(ZoneInfo(settings.timezone)).date()
        for plan in plans:
            if plan.link is None and plan.stop is None:
                draft = draft_invoice(plan.deal, plan.contact_id, books, settings, plan.decision, today)
                plan.take_draft(draft, propose_fixes(draft, books))
                if not draft.problems and kind != "invoice" and own_document(plan.deal, kind) is None:
                    plan.stop = _no_document(kind)

    def _find_links(self, integration: Integration, plans: Sequence[Plan]) -> None:
        """Find invoices that exist: linked ones, and ones an earlier store wrote back to the CRM."""
        ids = [plan.deal.id for plan in plans]
        links = self._links.find_by_crm(integration.tenant, integration.name, "invoice", ids)
        if self._adoption.adopt(integration, [plan.deal for plan in plans if plan.deal.id not in links]):
            links = self._links.find_by_crm(integration.tenant, integration.name, "invoice", ids)
        unlinked = [plan for plan in plans if plan.deal.id not in links]
        written_back = {
            document.books_id: plan for plan in unlinked for document in plan.deal.documents if document.books_id
        }
        copied = self._links.find_by_books(integration.tenant, integration.name, "invoice", list(written_back))
        written_back = {books_id: plan for books_id, plan in written_back.items() if books_id not in copied}
        unseen = [link.books_id for link in links.values() if link.snapshot is None]
        wanted = [*written_back, *unseen]
        invoices = {one.id: one for one in integration.books.fetch_invoices(wanted)} if wanted else {}
        with self._links.transaction() as tx:
            writes = Writes(integration, self._links, self._engine)
            for books_id, plan in written_back.items():
                if books_id in invoices:
                    writes.save_invoice(tx, plan.deal.id, invoices[books_id])
        adopted = [plan.deal.id for books_id, plan in written_back.items() if books_id in invoices]
        links |= self._links.find_by_crm(integration.tenant, integration.name, "invoice", adopted)
        for plan in plans:
            plan.link = links.get(plan.deal.id)
            if plan.link is not None:
                plan.written = invoices.get(plan.link.books_id)
                plan.document = own_document(plan.deal, integration.crm.document_kind, plan.link.books_id)
                if plan.link.snapshot is None and plan.written is None:
                    plan.stop = _vanished(plan.link)

    def describe(self, integration: Integration, plan: Plan) -> dict[str, Any]:
        """Return a plan as plain values: what will be written where, and why."""
        writes: list[dict[str, Any]] = []
        if plan.link is None and plan.new_contact is not None:
            payload = integration.books.render_contact(plan.new_contact)
            writes.append({"system": "books", "operation": "create contact", "payload": payload})
        if plan.link is None and plan.invoice is not None:
            payload = integration.books.render_invoice(plan.invoice)
            writes.append({"system": "books", "operation": "create invoice", "payload": payload})
        if plan.link is None or plan.link.snapshot is None:
            writes += self._describe_crm_writes(integration, plan)
        described = {
            "deal": plan.deal.name,
            "customer": plan.deal.customer.name if plan.deal.customer else None,
            "contact": plan.contact_id or None,
            "contact_reason": plan.contact_reason,
            "linked_invoice": plan.link.books_id if plan.link else None,
            "crm_total": str(plan.deal.total),
            "invoice_total": str(plan.invoice.total) if plan.invoice and plan.link is None else None,
            "currency": plan.deal.currency,
            "notes": list(plan.notes),
            "stop": plan.stop.as_dict() if plan.stop else None,
            "writes": writes if plan.stop is None else [],
        }
        return dict(msgspec.to_builtins(described, str_keys=True))

    def _describe_crm_writes(self, integration: Integration, plan: Plan) -> list[dict[str, Any]]:
        """Return what will be written to the CRM; what only the books will know stands there as a question mark."""
        kind, invoice = integration.crm.document_kind, plan.written or _as_written(plan.invoice)
        if invoice is None:
            return []
        document = plan.document or own_document(plan.deal, kind, invoice.id)
        writes: list[dict[str, Any]] = []
        if document is None and kind == "invoice":
            payload = {"OpportunityId": plan.deal.id}
            writes.append({"system": "crm", "operation": "create invoice from the deal", "payload": payload})
        shown = document or CrmDocument(kind=kind, id=UNKNOWN)
        link = integration.books.invoice_url(invoice.id, integration.reference().organisation)
        update = DocumentUpdate(shown, invoice.id, invoice.number, link, settlement(invoice))
        payload = integration.crm.render_update(update)
        return [*writes, {"system": "crm", "operation": f"show the books' invoice on the {kind}", "payload": payload}]

    def _stop_unplannable(self, batch: Batch, plans: Plans) -> None:
        for run in list(batch.runs):
            stop = plans[run.id].stop
            if stop is not None:
                batch.fail(run, stop)

    # --- write --------------------------------------------------------------------------------------------------

    def _write_contacts(self, batch: Batch, writes: Writes, plans: Plans) -> None:
        """Create the missing contacts, one per customer, and link the ones that were found."""
        with self._links.transaction() as tx:
            for run in batch.runs:
                plan = plans[run.id]
                if plan.adopt_contact is not None and plan.deal.customer is not None:
                    writes.save_contact(tx, plan.deal.customer.id, plan.adopt_contact)
        elements = {
            plan.new_contact.id: Element(
                run.id, plan.new_contact.id, plan.new_contact, batch.integration.books.render_contact(plan.new_contact)
            )
            for run in batch.runs
            if (plan := plans[run.id]).new_contact is not None
        }
        results = batch.ledger.write(writes.create_contact(), list(elements.values()))
        made = dict(zip(elements, results, strict=True))
        for run in list(batch.runs):
            contact = plans[run.id].new_contact
            if contact is None:
                continue
            result = made[contact.id]
            if result.record is not None:
                plans[run.id].contact_id = result.record.id
            elif result.error is not None:
                batch.fail(run, result.error)

    def _write_invoices(self, batch: Batch, writes: Writes, plans: Plans) -> None:
        """Create the missing invoices."""
        runs, elements = [], []
        for run in batch.runs:
            plan = plans[run.id]
            if plan.link is None and plan.invoice is not None:
                plan.invoice = msgspec.structs.replace(plan.invoice, contact_id=plan.contact_id)
                request = batch.integration.books.render_invoice(plan.invoice)
                runs.append(run)
                elements.append(Element(run.id, plan.deal.id, plan.invoice, request))
        results = batch.ledger.write(writes.create_invoice(), elements)
        for run, result in zip(runs, results, strict=True):
            if result.record is not None:
                plans[run.id].written = result.record
            elif result.error is not None:
                batch.fail(run, result.error)

    def _create_documents(self, batch: Batch, writes: Writes, plans: Plans) -> None:
        """Choose the CRM record that shows each invoice; create CRM invoices where there is none."""
        kind = batch.integration.crm.document_kind
        missing = []
        for run in batch.runs:
            plan = plans[run.id]
            if plan.written is not None:
                plan.document = own_document(plan.deal, kind, plan.written.id)
                if plan.document is None:
                    missing.append(run)
        if kind != "invoice":
            for run in missing:
                batch.fail(run, _no_document(kind))
            return
        elements = [Element(run.id, run.record_id, run.record_id, {"opportunity": run.record_id}) for run in missing]
        results = batch.ledger.write(writes.create_crm_invoice(), elements)
        for run, result in zip(missing, results, strict=True):
            plans[run.id].document = result.record
            if result.error is not None:
                batch.fail(run, result.error)

    def _write_back(self, batch: Batch, writes: Writes, plans: Plans) -> None:
        """Have the CRM show the invoices, and end the runs."""
        ids = _records(batch.runs)
        links = self._links.find_by_crm(batch.integration.tenant, batch.integration.name, "invoice", ids)
        shown = []
        for run in list(batch.runs):
            plan, link = plans[run.id], links.get(run.record_id)
            if plan.written is None or plan.document is None or link is None:
                batch.finish(run, Outcome.UNCHANGED, "the invoice exists and the CRM shows it")
            else:
                shown.append(Shown(run, link, plan.written, plan.document))
        show(batch, writes, shown)
        for run in list(batch.runs):
            created = plans[run.id].link is None
            batch.finish(run, Outcome.CREATED if created else Outcome.UPDATED)


def _as_written(invoice: Invoice | None) -> BooksInvoice | None:
    """Return a planned invoice as the books would give it back, as far as that is known before."""
    if invoice is None:
        return None
    return BooksInvoice(
        id=UNKNOWN,
        number=invoice.number or UNKNOWN,
        status=invoice.status,
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.total,
    )


def _records(runs: Sequence[Run]) -> list[str]:
    return [run.record_id for run in runs]


def _written(plan: Plan) -> dict[str, Any] | None:
    if plan.written is None:
        return None
    return {"invoice": plan.written.number, "id": plan.written.id, "total": str(plan.written.total)}


def _vanished(link: Link) -> ClosedwonError:
    return Drift(
        f"the invoice {link.books_number or link.books_id} was created for this deal, but the books no longer have it",
        hint="look in the books what became of it",
    )


def _no_document(kind: str) -> ClosedwonError:
    return NoMatch(
        f"the deal has no {kind} that could show the invoice",
        hint=f"create the {kind} in the CRM and try again, or set write_back to invoice or opportunity",
    )

"""What the flow finds before it plans."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from books_data import DEAL_ID, deal, line
from closedwon.flows.opportunity_won import OpportunityWon
from closedwon.flows.plan import Plan
from closedwon.links.link import Link
from closedwon.model.invoice import BooksInvoice
from closedwon.model.opportunity import CrmDocument
from flow_parts import TENANT

if TYPE_CHECKING:
    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from closedwon.links.store import LinkStore
    from flow_parts import Systems

THERE = BooksInvoice(id="inv", number="INV-1", status="draft", currency="NZD", total=Decimal(115))
SHOWING = CrmDocument(kind="invoice", id="doc", books_id="inv")


def test_an_invoice_that_the_crm_shows_is_adopted(
    links: LinkStore, events: EventStore, engine: EngineStore, systems: Systems
) -> None:
    """A store that was lost does not double an invoice."""
    systems.invoices = [THERE]
    plan = Plan(deal(line(), documents=(SHOWING,)))
    OpportunityWon(links, events, engine).settle(systems.integration(), [plan])
    assert plan.link is not None
    assert plan.link.books_id == "inv"
    assert plan.invoice is None


def test_a_copied_deal_does_not_take_the_originals_invoice(
    links: LinkStore, events: EventStore, engine: EngineStore, systems: Systems
) -> None:
    """People copy records with all their columns; the copy gets an invoice of its own."""
    systems.invoices = [THERE]
    with links.transaction() as tx:
        links.save(tx, TENANT, "sales", Link("invoice", "original", "inv"))
    plan = Plan(deal(line(), documents=(SHOWING,)))
    OpportunityWon(links, events, engine).settle(systems.integration(), [plan])
    assert plan.link is None
    assert plan.invoice is not None
    assert links.find_by_books(TENANT, "sales", "invoice", ["inv"])["inv"].crm_id == "original" != DEAL_ID

"""Which flow an event starts: the one table from event to process.

| event                              | flow            |
|------------------------------------|-----------------|
| crm: an opportunity changed        | opportunity_won |
| books: an invoice changed          | invoice_status  |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from closedwon.flows.invoice_status import InvoiceStatus
from closedwon.flows.opportunity_won import OpportunityWon

if TYPE_CHECKING:
    import msgspec

    from closedwon.engine.flow import Flow
    from closedwon.engine.store import EngineStore
    from closedwon.events.store import EventStore
    from closedwon.links.store import LinkStore

SETTINGS: dict[str, type[msgspec.Struct]] = {
    OpportunityWon.name: OpportunityWon.settings,
    InvoiceStatus.name: InvoiceStatus.settings,
}


def build_flows(links: LinkStore, events: EventStore, engine: EngineStore) -> dict[str, Flow]:
    """Build every flow there is, by name."""
    flows: list[Flow] = [OpportunityWon(links, events, engine), InvoiceStatus(links, events, engine)]
    return {flow.name: flow for flow in flows}

"""Finds or plans the contact of each deal's customer: by link, by match, by decision, else as a new one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.kernel.clock import parse_instant, render_instant
from closedwon.kernel.errors import AmbiguousMatch, ClosedwonError, NoMatch
from closedwon.links.match import match
from closedwon.links.normalise import name_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.engine.flow import Integration
    from closedwon.events.store import EventStore
    from closedwon.flows.plan import Plan
    from closedwon.links.match import Match
    from closedwon.links.store import LinkStore
    from closedwon.model.customer import Customer

CONTACT_FEED = "contact"
OVERLAP = timedelta(minutes=5)  # the vendor's clock and ours may differ that much


class CustomerDesk:
    """Answers, for many deals at once, which contact their customers are.

    Makes at most one call per 1,000 contacts that are new or changed since it last looked, and none when every customer
    is linked.
    """

    def __init__(self, links: LinkStore, events: EventStore) -> None:
        self._links = links
        self._events = events

    def settle(self, integration: Integration, plans: Sequence[Plan]) -> None:
        """Give every plan its contact, a contact to create, or the reason to stop."""
        open_plans = [plan for plan in plans if plan.deal.customer is not None and plan.link is None]
        customers = {plan.deal.customer.id: plan.deal.customer for plan in open_plans if plan.deal.customer}
        linked = self._links.find_by_crm(integration.tenant, integration.name, "customer", list(customers))
        unknown = [one for one in customers.values() if one.id not in linked]
        matches = self._match(integration, unknown)
        taken: dict[str, str] = {}  # name or contact → customer of this batch
        for plan in open_plans:
            customer = plan.deal.customer
            if customer is None:
                continue
            if customer.id in linked:
                plan.contact_id, plan.contact_reason = linked[customer.id].books_id, "linked"
                continue
            try:
                self._decide(plan, customer, matches[customer.id], taken)
            except ClosedwonError as error:
                plan.stop = error

    def _match(self, integration: Integration, customers: Sequence[Customer]) -> dict[str, Match]:
        if not customers:
            return {}
        self.refresh(integration)
        found = self._links.find_contacts(integration.tenant, integration.books_connection, customers)
        contact_ids = sorted({contact.id for contacts in found.values() for contact in contacts})
        owners = {
            books_id: link.crm_id
            for books_id, link in self._links.find_by_books(
                integration.tenant, integration.name, "customer", contact_ids
            ).items()
        }
        return {one.id: match(one, found[one.id], owners) for one in customers}

    def refresh(self, integration: Integration) -> None:
        """Read the contacts that are new or changed in the books since we last looked."""
        tenant, connection = integration.tenant, integration.books_connection
        mark = self._events.get_watermark(tenant, connection, CONTACT_FEED)
        started = integration.clock.now()
        for page in integration.books.fetch_contacts(parse_instant(mark) - OVERLAP if mark else None):
            with self._links.transaction() as tx:
                self._links.save_contacts(tx, tenant, connection, page)
        with self._links.transaction() as tx:
            self._events.save_watermark(tx, tenant, connection, CONTACT_FEED, render_instant(started))

    def _decide(self, plan: Plan, customer: Customer, found: Match, taken: dict[str, str]) -> None:
        decided_id, decided_name = plan.decision.get("contact_id"), plan.decision.get("create_contact")
        if decided_id:
            plan.adopt_contact = _decided(str(decided_id), found)
            plan.contact_id, plan.contact_reason = plan.adopt_contact.id, "decided in review"
        elif found.verdict == "found" and found.contact is not None:
            if taken.setdefault(found.contact.id, customer.id) != customer.id:
                raise _shared(customer, found.contact)
            plan.adopt_contact = found.contact
            plan.contact_id, plan.contact_reason = found.contact.id, found.reason
        elif found.verdict == "ask" and not decided_name:
            raise AmbiguousMatch(
                f"which contact is the customer “{customer.name}”? {found.reason}",
                hint="link the right contact, or have a new one created",
                details=_evidence(customer, found),
            )
        else:
            plan.new_contact = _new_contact(customer, str(decided_name or ""), taken)
            plan.contact_reason = "new"


def _new_contact(customer: Customer, decided_name: str, taken: dict[str, str]) -> Customer:
    """Plan a contact, unless another customer of this batch takes the same name: only one of them may have it."""
    contact = msgspec.structs.replace(customer, name=decided_name) if decided_name else customer
    owner = taken.setdefault(name_key(contact.name), customer.id)
    if owner != customer.id:
        raise AmbiguousMatch(
            f"two customers are called “{customer.name}”, and a contact's name must be unique",
            hint="have the contact created under a distinguishing name",
            details={"proposals": [_creation(customer)]},
        )
    return contact


def _shared(customer: Customer, contact: Customer) -> AmbiguousMatch:
    return AmbiguousMatch(
        f"the contact “{contact.name}” looks like the customer “{customer.name}” and like another one, too",
        hint="link it to the other one, and have a contact created under a distinguishing name",
        details={"proposals": [_creation(customer)]},
    )


def _decided(contact_id: str, found: Match) -> Customer:
    for candidate in found.candidates:
        if candidate.contact.id == contact_id and not candidate.owner:
            return candidate.contact
    raise NoMatch(
        f"the contact {contact_id} cannot be linked: it is not among the candidates, or belongs to another customer",
        hint="`closedwon review show` lists the candidates",
    )


def _evidence(customer: Customer, found: Match) -> dict[str, Any]:
    candidates = [
        {
            "id": one.contact.id,
            "name": one.contact.name,
            "email": one.contact.email,
            "reasons": list(one.reasons),
            "against": list(one.against),
        }
        for one in found.candidates
    ]
    links = [
        {
            "label": f"link to the contact “{one.contact.name}” ({', '.join(one.reasons)})",
            "decision": {"contact_id": one.contact.id},
        }
        for one in found.candidates
        if not one.owner and one.contact.active
    ]
    return {"candidates": candidates, "proposals": [*links, _creation(customer)]}


def _creation(customer: Customer) -> dict[str, Any]:
    mark = customer.number or customer.id[:8]
    name = f"{customer.name} ({mark})"
    return {"label": f"create a new contact “{name}”", "decision": {"create_contact": name}}

"""Every deal gets its contact: by link, by match, by decision, as a new one, or a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from books_data import deal, line
from closedwon.flows.customers import OVERLAP, CustomerDesk
from closedwon.flows.plan import Plan
from closedwon.links.link import Link
from closedwon.model.customer import Customer
from flow_parts import TENANT
from stores import START

if TYPE_CHECKING:
    from closedwon.events.store import EventStore
    from closedwon.links.store import LinkStore
    from flow_parts import Systems
    from stores import SetClock


@pytest.fixture
def desk(links: LinkStore, events: EventStore) -> CustomerDesk:
    """Return the desk."""
    return CustomerDesk(links, events)


def customer(record_id: str = "c1", name: str = "Acme Ltd", **members: Any) -> Customer:
    """Return a customer or contact."""
    return Customer(id=record_id, kind="company", name=name, **members)


def plan(buyer: Customer | None = None, **decision: Any) -> Plan:
    """Return the plan of a deal of this customer."""
    return Plan(deal(line(), customer=buyer or customer()), decision)


def settled(desk: CustomerDesk, systems: Systems, *plans: Plan) -> None:
    """Settle plans."""
    desk.settle(systems.integration(), plans)


def test_a_linked_customer_costs_no_call(desk: CustomerDesk, systems: Systems, links: LinkStore) -> None:
    """The link is the answer."""
    with links.transaction() as tx:
        links.save(tx, TENANT, "sales", Link("customer", "c1", "k1"))
    made = plan()
    settled(desk, systems, made)
    assert (made.contact_id, made.contact_reason) == ("k1", "linked")
    assert systems.since == []


def test_a_contact_that_fits_is_adopted(desk: CustomerDesk, systems: Systems) -> None:
    """It is to be linked."""
    systems.contacts = [customer("k1", "ACME LTD")]
    made = plan()
    settled(desk, systems, made)
    assert made.contact_id == "k1"
    assert made.adopt_contact is not None


def test_a_customer_without_contact_gets_a_new_one(desk: CustomerDesk, systems: Systems) -> None:
    """Two deals of one customer share it."""
    first, second = plan(), plan()
    settled(desk, systems, first, second)
    assert first.new_contact == second.new_contact == customer()
    assert first.stop is second.stop is None


def test_contacts_are_read_once_and_then_only_changes(desk: CustomerDesk, systems: Systems, clock: SetClock) -> None:
    """With an overlap, as the vendor's clock may differ from ours."""
    settled(desk, systems, plan(), plan(customer("c2", "Beta")))
    clock.advance(3600)
    settled(desk, systems, plan())
    assert systems.since == [None, START - OVERLAP]


def test_an_uncertain_match_asks_and_proposes(desk: CustomerDesk, systems: Systems) -> None:
    """Link to one of them, or create under a distinguishing name."""
    systems.contacts = [customer("k1"), customer("k2")]
    made = plan()
    settled(desk, systems, made)
    assert made.stop is not None
    assert made.stop.code == "ambiguous_match"
    decisions = [one["decision"] for one in made.stop.details["proposals"]]
    assert decisions == [{"contact_id": "k1"}, {"contact_id": "k2"}, {"create_contact": "Acme Ltd (c1)"}]


def test_a_decided_contact_is_adopted(desk: CustomerDesk, systems: Systems) -> None:
    """If it is one of the candidates."""
    systems.contacts = [customer("k1"), customer("k2")]
    made, wrong = plan(contact_id="k2"), plan(contact_id="k9")
    settled(desk, systems, made, wrong)
    assert made.contact_id == "k2"
    assert wrong.stop is not None
    assert wrong.stop.code == "no_match"


def test_a_decided_name_creates_a_contact(desk: CustomerDesk, systems: Systems) -> None:
    """Beside those that look alike."""
    systems.contacts = [customer("k1"), customer("k2")]
    made = plan(create_contact="Acme Ltd (South)")
    settled(desk, systems, made)
    assert made.new_contact == customer(name="Acme Ltd (South)")


def test_two_new_customers_of_one_name_are_a_question(desk: CustomerDesk, systems: Systems) -> None:
    """The books want unique names: the first gets it, the second is asked about."""
    first, second = plan(), plan(customer("c2", "ACME ltd"))
    settled(desk, systems, first, second)
    assert first.new_contact is not None
    assert second.stop is not None
    assert second.stop.code == "ambiguous_match"


def test_two_customers_do_not_adopt_one_contact(desk: CustomerDesk, systems: Systems) -> None:
    """Both look like it in one batch: the first gets it, the second is asked about."""
    systems.contacts = [customer("k1")]
    first, second = plan(), plan(customer("c2", "ACME ltd"))
    settled(desk, systems, first, second)
    assert first.contact_id == "k1"
    assert second.stop is not None
    assert {"create_contact": "ACME ltd (c2)"} in [one["decision"] for one in second.stop.details["proposals"]]


def test_a_deal_without_customer_is_left_to_the_checks(desk: CustomerDesk, systems: Systems) -> None:
    """No call is made for it."""
    made = Plan(deal(line(), customer=None))
    settled(desk, systems, made)
    assert (made.stop, systems.since) == (None, [])

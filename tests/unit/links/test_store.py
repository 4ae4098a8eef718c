"""The cross-reference, one to one; and the contacts that matching looks through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from closedwon.links.link import Link
from closedwon.links.store import LinkStore
from closedwon.model.customer import Customer

if TYPE_CHECKING:
    from closedwon.db.connect import Database
    from stores import SetClock


@pytest.fixture
def links(any_database: Database, clock: SetClock) -> LinkStore:
    """Return a link store."""
    return LinkStore(any_database, clock)


def save(links: LinkStore, *some: Link) -> None:
    """Save links."""
    with links.transaction() as tx:
        for one in some:
            links.save(tx, "acme", "sales", one)


def test_a_link_is_found_from_both_sides(links: LinkStore) -> None:
    """By the CRM's id and by the books'."""
    one = Link("invoice", "deal", "inv", "INV-1", {"id": "doc"}, {"status": "paid"}, "v1")
    save(links, one)
    assert links.find_by_crm("acme", "sales", "invoice", ["deal", "other"]) == {"deal": one}
    assert links.find_by_books("acme", "sales", "invoice", ["inv"]) == {"inv": one}
    assert links.find_by_crm("acme", "sales", "customer", ["deal"]) == {}
    assert links.find_by_crm("globex", "sales", "invoice", ["deal"]) == {}


def test_saving_again_updates(links: LinkStore) -> None:
    """There is still one."""
    save(links, Link("invoice", "deal", "inv"), Link("invoice", "deal", "inv", snapshot={"status": "paid"}))
    assert links.count("acme", "sales", "invoice") == 1
    assert links.find_by_crm("acme", "sales", "invoice", ["deal"])["deal"].snapshot == {"status": "paid"}


def test_two_deals_cannot_have_one_invoice(links: LinkStore) -> None:
    """The store refuses it, whoever tries."""
    save(links, Link("invoice", "deal", "inv"))
    with pytest.raises(sa.exc.IntegrityError):
        save(links, Link("invoice", "other", "inv"))


def test_a_thousand_links_are_found_at_once(links: LinkStore) -> None:
    """In as many statements as it takes."""
    save(links, *(Link("invoice", f"d{number}", f"i{number}") for number in range(1000)))
    assert len(links.find_by_crm("acme", "sales", "invoice", [f"d{number}" for number in range(1000)])) == 1000
    assert links.count("acme", "sales", "invoice") == 1000


def test_a_record_is_found_by_id_or_number(links: LinkStore) -> None:
    """As people type it."""
    save(links, Link("invoice", "deal", "inv", "INV-1"))
    for name in ("deal", "inv", "INV-1"):
        assert [row["books_number"] for row in links.list_naming("acme", "sales", name)] == ["INV-1"]


def customer(record_id: str, name: str, **members: Any) -> Customer:
    """Return a customer or contact."""
    return Customer(id=record_id, kind="company", name=name, **members)


def test_contacts_are_found_by_number_name_and_e_mail(links: LinkStore) -> None:
    """Whatever their case; nobody is found for sharing no address."""
    with links.transaction() as tx:
        links.save_contacts(
            tx,
            "acme",
            "books",
            [
                customer("k1", "Renamed", external_id="c1"),
                customer("k2", "ACME  ltd"),
                customer("k3", "Other", email="PAY@acme.example"),
                customer("k4", "Nobody"),
            ],
        )
    us, stranger = customer("c1", "Acme Ltd", email="pay@acme.example"), customer("c2", "Stranger")
    found = links.find_contacts("acme", "books", [us, stranger])
    assert {one.id for one in found["c1"]} == {"k1", "k2", "k3"}
    assert found["c2"] == []


def test_a_contact_read_again_replaces_itself(links: LinkStore) -> None:
    """Under its new name, and no longer under the old."""
    for name in ("Old", "New"):
        with links.transaction() as tx:
            links.save_contacts(tx, "acme", "books", [customer("k1", name)])
    found = links.find_contacts("acme", "books", [customer("c1", "Old"), customer("c2", "new")])
    assert (found["c1"], [one.name for one in found["c2"]]) == ([], ["New"])

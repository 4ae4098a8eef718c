"""Matching: certain, or a question to a person; never a guess."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.links.match import match
from closedwon.links.normalise import email_key, name_key
from closedwon.model.customer import Customer

US = Customer(id="c1", kind="company", name="Acme Ltd", email="pay@acme.example")


def contact(contact_id: str = "k1", name: str = "Acme Ltd", **members: Any) -> Customer:
    """Return a contact of the books."""
    return Customer(id=contact_id, kind="company", name=name, **members)


def test_nobody_alike_is_nobody() -> None:
    """A new contact may be created."""
    assert match(US, [], {}).verdict == "none"
    assert match(US, [contact(name="Other")], {}).verdict == "none"


def test_the_contact_with_our_number_is_the_customer() -> None:
    """Whatever it is called by now, and whoever else looks alike."""
    found = match(US, [contact("k2"), contact("k1", "Renamed", external_id="c1")], {})
    assert (found.verdict, found.contact and found.contact.id) == ("found", "k1")


def test_an_archived_contact_with_our_number_is_a_question() -> None:
    """It cannot be invoiced, and a second one with the number cannot be created."""
    found = match(US, [contact(external_id="c1", active=False)], {})
    assert found.verdict == "ask"
    assert "archived" in found.reason


def test_an_active_contact_with_our_number_beats_an_archived_one() -> None:
    """Whichever comes first."""
    both = [contact("old", external_id="c1", active=False), contact("k1", external_id="c1")]
    for contacts in (both, both[::-1]):
        found = match(US, contacts, {})
        assert (found.verdict, found.contact and found.contact.id) == ("found", "k1")


def test_a_contact_with_our_number_that_belongs_to_another_is_a_question() -> None:
    """Two customers cannot have one contact."""
    found = match(US, [contact(external_id="c1")], {"k1": "c2"})
    assert found.verdict == "ask"
    assert "another customer" in found.reason


def test_the_same_name_with_nothing_against_it_is_enough() -> None:
    """Case and blanks do not matter."""
    found = match(US, [contact(name=" ACME  ltd")], {})
    assert (found.verdict, found.reason) == ("found", "same name, nothing against it")


def test_the_same_name_with_another_e_mail_is_a_question() -> None:
    """The reason is said."""
    found = match(US, [contact(email="other@else.example")], {})
    assert found.verdict == "ask"
    assert "another e-mail" in found.reason


def test_the_same_e_mail_under_another_name_is_a_question() -> None:
    """A shared mailbox proves nothing."""
    found = match(US, [contact(name="Acme Holding", email="PAY@acme.example")], {})
    assert found.verdict == "ask"
    assert "another name" in found.reason


def test_twins_are_a_question() -> None:
    """Two contacts of the same name."""
    found = match(US, [contact("k1"), contact("k2")], {})
    assert (found.verdict, found.reason) == ("ask", "2 contacts look like this customer")
    assert len(found.candidates) == 2


def test_name_and_e_mail_decide_among_several() -> None:
    """The one that shares both is the customer; the one that shares the mailbox is not."""
    found = match(US, [contact("k1", email="pay@acme.example"), contact("k2", "Other", email="pay@acme.example")], {})
    assert (found.verdict, found.contact and found.contact.id) == ("found", "k1")


def test_a_contact_of_another_customer_is_a_question() -> None:
    """Though it has our name."""
    found = match(US, [contact()], {"k1": "c2"})
    assert found.verdict == "ask"
    assert found.candidates[0].owner == "c2"


def test_our_own_link_is_nothing_against_us() -> None:
    """The owner is we."""
    assert match(US, [contact()], {"k1": "c1"}).verdict == "found"


def test_archived_contacts_are_not_alike() -> None:
    """Nobody is asked about them."""
    assert match(US, [contact(active=False)], {}).verdict == "none"


@pytest.mark.parametrize("email", ["", "no address", "a@b@c"])
def test_what_is_no_e_mail_address_matches_nothing(email: str) -> None:
    """Two customers without an address do not share one."""
    assert email_key(email) == ""
    us = Customer(id="c1", kind="company", name="Acme", email=email)
    assert match(us, [contact(name="Other", email=email)], {}).verdict == "none"


@given(st.text())
def test_a_key_of_a_key_is_the_key(text: str) -> None:
    """Folding twice changes nothing for plain names."""
    assert name_key(f"  {text} ") == name_key(text)
    assert email_key(email_key("A@B.example")) == "a@b.example"

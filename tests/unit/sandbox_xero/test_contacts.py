"""Contacts: names, numbers, what a POST means, archiving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xero_desk import Desk

NAME_TAKEN = (
    "The contact name {} is already assigned to another contact. "
    "The contact name must be unique across all active contacts."
)
NUMBER_TAKEN = (
    "The contact number {} is already assigned to another contact. "
    "The contact number must be unique across all contacts."
)
ARCHIVED = (
    "The specified contact details matched an archived contact. "
    "Archived contacts cannot currently be edited via the API."
)


def test_a_created_contact_shows_its_empty_addresses_and_phones(desk: Desk) -> None:
    """Two kinds of address and four of phone come back blank."""
    made = desk.contact("Acme Ltd", EmailAddress="pay@acme.example")
    assert [row["AddressType"] for row in made["Addresses"]] == ["STREET", "POBOX"]
    assert made["Addresses"][0] == {"AddressType": "STREET", "City": "", "Region": "", "PostalCode": "", "Country": ""}
    assert [row["PhoneType"] for row in made["Phones"]] == ["DEFAULT", "DDI", "FAX", "MOBILE"]
    assert (made["ContactStatus"], made["IsCustomer"], made["IsSupplier"]) == ("ACTIVE", False, False)
    assert made["UpdatedDateUTC"].startswith("/Date(")
    assert made["UpdatedDateUTC"].endswith("+0000)/")


def test_put_refuses_a_taken_name_whatever_its_case(desk: Desk) -> None:
    """Names of active contacts are unique, case or not."""
    desk.contact("Acme Ltd")
    assert desk.complaints("PUT", "Contacts", {"Name": "ACME ltd"}) == [NAME_TAKEN.format("ACME ltd")]


def test_a_refused_contact_is_echoed_with_the_zero_id(desk: Desk) -> None:
    """The 400 envelope carries what was sent and why it failed."""
    desk.contact("Acme Ltd")
    answer = desk.ask("PUT", "Contacts", {"Contacts": [{"Name": "Acme Ltd"}, {"Name": "Other"}]}, status=400)
    assert {key: answer[key] for key in ("ErrorNumber", "Type", "Message")} == {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
    }
    (element,) = answer["Elements"]
    assert element["ContactID"] == "00000000-0000-0000-0000-000000000000"
    assert element["HasValidationErrors"] is True


def test_put_refuses_a_taken_number_even_of_an_archived_contact(desk: Desk) -> None:
    """Archiving a contact frees its name but never its number."""
    made = desk.contact("Acme Ltd", ContactNumber="C-1")
    desk.ask("POST", "Contacts", {"ContactID": made["ContactID"], "ContactStatus": "ARCHIVED"})
    again = {"Name": "Acme Ltd", "ContactNumber": "C-1"}
    assert desk.complaints("PUT", "Contacts", again) == [NUMBER_TAKEN.format("C-1")]
    desk.contact("Acme Ltd", ContactNumber="C-2")


def test_post_with_a_known_name_overwrites_that_contact(desk: Desk) -> None:
    """The trap: a name-only POST changes an existing contact and keeps what was not sent."""
    made = desk.contact("Acme Ltd", ContactNumber="C-1", EmailAddress="old@acme.example")
    posted = desk.ask("POST", "Contacts", {"Name": "acme ltd", "EmailAddress": "new@acme.example"})["Contacts"][0]
    assert posted["ContactID"] == made["ContactID"]
    assert (posted["ContactNumber"], posted["EmailAddress"]) == ("C-1", "new@acme.example")


def test_post_prefers_id_then_number_then_name(desk: Desk) -> None:
    """A number finds its contact even under another name."""
    made = desk.contact("Acme Ltd", ContactNumber="C-1")
    renamed = desk.ask("POST", "Contacts", {"Name": "Acme Limited", "ContactNumber": "C-1"})["Contacts"][0]
    assert (renamed["ContactID"], renamed["Name"]) == (made["ContactID"], "Acme Limited")
    unknown = {"ContactID": "11111111-1111-4111-8111-111111111111", "Name": "Acme Limited"}
    assert desk.complaints("POST", "Contacts", unknown) == [
        "An existing Contact with the specified ContactID could not be found",
    ]


def test_present_addresses_replace_only_their_own_kind(desk: Desk) -> None:
    """An update of the street leaves the post box alone."""
    both = [{"AddressType": kind, "City": "Nelson"} for kind in ("STREET", "POBOX")]
    made = desk.contact("Acme Ltd", Addresses=both)
    body = {"Addresses": [{"AddressType": "STREET", "City": "Napier"}]}
    posted = desk.ask("POST", f"Contacts/{made['ContactID']}", body)["Contacts"][0]
    assert [row["City"] for row in posted["Addresses"]] == ["Napier", "Nelson"]


def test_an_archived_contact_cannot_be_edited_or_brought_back(desk: Desk) -> None:
    """Archiving is a one-way street through the API."""
    made = desk.contact("Acme Ltd")
    path = f"Contacts/{made['ContactID']}"
    assert desk.ask("POST", path, {"ContactStatus": "ARCHIVED"})["Contacts"][0]["ContactStatus"] == "ARCHIVED"
    assert desk.complaints("POST", path, {"ContactStatus": "ACTIVE"}) == [ARCHIVED]
    assert desk.complaints("POST", path, {"EmailAddress": "x@y.example"}) == [ARCHIVED]


def test_archived_contacts_are_hidden_unless_asked_for(desk: Desk) -> None:
    """Lists show active contacts only; includeArchived shows the rest."""
    made = desk.contact("Acme Ltd")
    desk.ask("POST", f"Contacts/{made['ContactID']}", {"ContactStatus": "ARCHIVED"})
    assert desk.get("Contacts", IDs=made["ContactID"])["Contacts"] == []
    assert len(desk.get("Contacts", IDs=made["ContactID"], includeArchived="true")["Contacts"]) == 1


@pytest.mark.parametrize("name", [" Acme", "Acme ", "Acme  Ltd", "Acme <Ltd>"])
def test_odd_blanks_and_angle_brackets_are_refused_in_names(desk: Desk, name: str) -> None:
    """A name must be tidy."""
    (text,) = desk.complaints("PUT", "Contacts", {"Name": name})
    assert text.startswith("The contact name")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "The Contact must contain at least 1 of the following elements to identify the contact: Name"),
        ({"Name": "A", "EmailAddress": "not-an-address"}, "Email address must be valid."),
        ({"Name": "A", "EmailAddress": "jürgen@example.com"}, "Email address must be valid."),
        ({"Name": "A" * 256}, "The Name field exceeds the maximum length of 255 characters."),
        ({"Name": "A", "ContactStatus": "ARCHIVED"}, "The status 'ARCHIVED' is not valid for contacts"),
        ({"Name": "A", "DefaultCurrency": "EUR"}, "Organisation is not subscribed to currency EUR"),
        (
            {"Name": "A", "ContactPersons": [{"FirstName": "B"}] * 6},
            "A contact cannot have more than 5 contact persons.",
        ),
    ],
)
def test_what_no_contact_may_have_is_refused(desk: Desk, members: dict[str, object], text: str) -> None:
    """Each rule has its text."""
    (found,) = desk.complaints("PUT", "Contacts", {"Contacts": [{"FirstName": "F", **members}]})
    assert found.startswith(text)


def test_a_contact_is_found_by_its_number_in_the_path(desk: Desk) -> None:
    """The address takes the id or the contact number."""
    made = desk.contact("Acme Ltd", ContactNumber="C-1")
    assert desk.ask("GET", "Contacts/C-1")["Contacts"][0]["ContactID"] == made["ContactID"]
    assert desk.send("GET", "Contacts/C-2").status == 404


def test_a_first_invoice_makes_a_customer_without_touching_the_stamp(desk: Desk) -> None:
    """IsCustomer flips by itself and does not count as a change."""
    made = desk.contact("Acme Ltd")
    desk.invoice(Contact={"ContactID": made["ContactID"]})
    after = desk.ask("GET", f"Contacts/{made['ContactID']}")["Contacts"][0]
    assert after["IsCustomer"] is True
    assert after["UpdatedDateUTC"] == made["UpdatedDateUTC"]
    assert str(after["Balances"]["AccountsReceivable"]["Outstanding"]) == "115.00"


def test_the_worlds_customers_are_there_from_the_start(desk: Desk) -> None:
    """Companies and people marked for the books exist, each name once."""
    names = [row["Name"] for row in desk.get("Contacts")["Contacts"]]
    known = {row.name for row in desk.world.companies if row.in_books}
    assert known <= set(names)
    assert len({name.casefold() for name in names}) == len(names)


def test_list_forms_differ(desk: Desk) -> None:
    """Pages show payment terms and persons, plain lists do not, summaries drop customer flags."""
    desk.contact("Zed", ContactPersons=[{"FirstName": "Ann", "EmailAddress": "ann@zed.example"}])
    where = 'Name=="Zed"'
    assert desk.get("Contacts", where=where)["Contacts"][0]["ContactPersons"] == []
    page = desk.get("Contacts", where=where, page="1")
    assert page["pagination"] == {"page": 1, "pageSize": 100, "pageCount": 1, "itemCount": 1}
    assert page["Contacts"][0]["ContactPersons"][0]["FirstName"] == "Ann"
    assert page["Contacts"][0]["Phones"][1] == {"PhoneType": "DDI"}
    summary = desk.get("Contacts", where=where, summaryOnly="true")
    assert "IsCustomer" not in summary["Contacts"][0]
    assert "pagination" in summary

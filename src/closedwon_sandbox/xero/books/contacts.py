"""Contacts: who they are, when a name or number is taken, and which record a write means.

*Source*: developer.xero.com "Contacts", probes of a demo company, read 2026-11-22.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.errors import RefusedError
from closedwon_sandbox.xero.books.organisation import first
from closedwon_sandbox.xero.books.shapes import CONTACT, overlong

if TYPE_CHECKING:
    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record

_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_BAD_NAME: Final = re.compile(r"[<>]|^\s|\s$|\s\s")
_PERSONS: Final = 5  # [memory]
_KEYED: Final = {"Addresses": "AddressType", "Phones": "PhoneType"}


def create_contact(books: Books, element: Record) -> Record:
    """Create a contact. *Raises* RefusedError when it has no name, or the name or number is taken."""
    if "Name" not in element:
        raise RefusedError(messages.CONTACT_UNIDENTIFIED)
    if element.get("ContactStatus", "ACTIVE") != "ACTIVE":
        raise RefusedError(messages.CONTACT_STATUS.format(element["ContactStatus"]))
    _check(books, element, None)
    contact: Record = {"ContactID": books.new_id(), "ContactStatus": "ACTIVE", "Addresses": {}, "Phones": {}}
    contact |= {"ContactPersons": [], "IsSupplier": False, "IsCustomer": False}
    _lay_over(contact, element)
    books.save(books.contacts, contact)
    books.note(contact["ContactID"], "Created", f"{contact['Name']} was created.")
    books.announce("CONTACT", "CREATE", contact)
    return contact


def update_contact(books: Books, contact: Record, element: Record) -> Record:
    """Change a contact; members that were not sent stay. *Raises* RefusedError."""
    if contact["ContactStatus"] == "ARCHIVED":
        raise RefusedError(messages.CONTACT_IS_ARCHIVED)
    if element.get("ContactStatus", "ACTIVE") not in {"ACTIVE", "ARCHIVED"}:
        raise RefusedError(messages.CONTACT_STATUS.format(element["ContactStatus"]))
    _check(books, element, contact)
    _lay_over(contact, element)
    books.save(books.contacts, contact)
    books.note(contact["ContactID"], "Edited", f"{contact['Name']} was edited.")
    books.announce("CONTACT", "UPDATE", contact)
    return contact


def create_or_update_contact(books: Books, element: Record) -> Record:
    """Update the contact that the element means by id, number or name, or create one. *Raises* RefusedError."""
    if not {"ContactID", "ContactNumber", "Name"} & element.keys():
        raise RefusedError(messages.CONTACT_UNIDENTIFIED)
    match = find_contact(books, element)
    return update_contact(books, match, element) if match else create_contact(books, element)


def find_contact(books: Books, element: Record) -> Record | None:
    """Find the contact an element means: by id, else number, else active name (that order is inferred).

    *Raises* RefusedError for an id that nobody has.
    """
    if "ContactID" in element:
        contact = books.contacts.find(element["ContactID"])
        if contact is None:
            raise RefusedError(messages.CONTACT_UNKNOWN)
        return contact
    if element.get("ContactNumber") and (by_number := books.contacts.having("ContactNumber", element["ContactNumber"])):
        return by_number[0]
    return find_active_name(books, element.get("Name", ""))


def find_active_name(books: Books, name: str) -> Record | None:
    """Find the active contact of that name, without regard to case."""
    return first(row for row in books.contacts.having("Name", name) if row["ContactStatus"] == "ACTIVE")


def name_is_free(books: Books, name: str, owner: Record | None = None) -> bool:
    """Say whether an active contact other than `owner` already has this name."""
    holder = find_active_name(books, name)
    return holder is None or holder is owner


def _check(books: Books, element: Record, owner: Record | None) -> None:
    """Refuse what no contact may have. *Raises* RefusedError with all problems."""
    problems = overlong(element, CONTACT)
    name, number = element.get("Name"), element.get("ContactNumber")
    if name is not None and (not name or _BAD_NAME.search(name)):
        problems.append(messages.CONTACT_NAME_FORM.format(name))
    elif name and not name_is_free(books, name, owner):
        problems.append(messages.NAME_TAKEN.format(name))
    if number and any(row is not owner for row in books.contacts.having("ContactNumber", number)):
        problems.append(messages.NUMBER_TAKEN.format(number))
    if any(email and not _EMAIL.fullmatch(email) for email in _emails(element)):
        problems.append(messages.EMAIL_INVALID)
    if len(element.get("ContactPersons", ())) > _PERSONS:
        problems.append(messages.TOO_MANY_PERSONS)
    if "DefaultCurrency" in element and not books.currencies.find(element["DefaultCurrency"]):
        problems.append(messages.CURRENCY_NOT_SUBSCRIBED.format(element["DefaultCurrency"]))
    if problems:
        raise RefusedError(*problems)


def _emails(element: Record) -> list[str]:
    return [row.get("EmailAddress", "") for row in (element, *element.get("ContactPersons", ()))]


def _lay_over(contact: Record, element: Record) -> None:
    for name, value in element.items():
        if name in _KEYED:
            contact[name] = contact[name] | {row[_KEYED[name]]: row for row in value if row.get(_KEYED[name])}
        elif name != "ContactID":
            contact[name] = value

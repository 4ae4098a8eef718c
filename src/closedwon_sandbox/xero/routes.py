"""The table of addresses: verb and path to operation, with the scopes that open it.

An address that is not here is a 404; one that is here with other verbs is a 501.
*Source*: Xero's OpenAPI description 16.1.0 and its FAQ on granular scopes, read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from closedwon_sandbox.xero.books import documents, messages, reference, rendering, settlement, shapes
from closedwon_sandbox.xero.books.errors import MissingError, RefusedError, UnsupportedError
from closedwon_sandbox.xero.operations import (
    ACCOUNT_RESOURCE,
    CONTACT_RESOURCE,
    CREDIT_NOTE_RESOURCE,
    CURRENCY_RESOURCE,
    INVOICE_RESOURCE,
    ITEM_RESOURCE,
    PAYMENT_RESOURCE,
    TAX_RATE_RESOURCE,
    TRACKING_RESOURCE,
    Answer,
    Call,
    read_elements,
)
from closedwon_sandbox.xero.wire import ValidationFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon_sandbox.xero.books.shapes import Record
    from closedwon_sandbox.xero.operations import Resource

ROOT: Final = "/api.xro/2.0/"
_EMAILED: Final = frozenset({"SUBMITTED", "AUTHORISED", "PAID"})
_DEEPEST: Final = 4


@dataclass(frozen=True, slots=True)
class Route:
    """One verb on one address. `scopes` are alternatives; reading is also open to their `.read` forms."""

    operation: Callable[[Call], Answer]
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a path leads: the address with `{id}` in place of ids, the ids, and its verbs."""

    address: str
    ids: tuple[str, ...]
    verbs: dict[str, Route]

    def route(self, method: str) -> Route:
        """Return the route of a verb. *Raises* UnsupportedError."""
        route = self.verbs.get("GET" if method == "HEAD" else method)
        if route is None:
            raise UnsupportedError
        return route


def resolve(raw_path: str) -> Target | None:
    """Find where a path below the API's root leads, without regard to case; None for a path nobody serves."""
    parts = [unquote(part) for part in raw_path[len(ROOT) :].rstrip("/").split("/")]
    if not parts[0] or len(parts) > _DEEPEST or not all(parts):
        return None
    words = [part.lower() for part in parts]
    literal, named = "/".join(words), "/".join(word if place % 2 == 0 else "{id}" for place, word in enumerate(words))
    address, ids = (literal, ()) if literal in _BY_WORDS else (named, tuple(parts[1::2]))
    known = _BY_WORDS.get(address)
    return Target(known, ids, _ROUTES[known]) if known else None


# Operations that are not a plain list, read or write of a resource


def _organisation(call: Call) -> Answer:
    profile = rendering.render_plain(call.books.profile)
    return Answer("Organisations", [profile])


def _actions(_call: Call) -> Answer:
    names = (
        "CreateApprovedInvoice",
        "CreateDraftInvoice",
        "CreateRepeatingInvoice",
        "UseMulticurrency",
        "AttachFilesToInvoices",
    )
    return Answer("Actions", [{"Name": name, "Status": "ALLOWED"} for name in names])


def _themes(call: Call) -> Answer:
    rows = [row for row in call.books.themes if not call.ids or row["BrandingThemeID"] == call.ids[0].lower()]
    if not rows:
        raise MissingError(call.ids[0])
    return Answer("BrandingThemes", [rendering.render_plain(row) for row in rows])


def _put_single(resource: Resource) -> Callable[[Call], Answer]:
    """Create from a body that is one bare object; these endpoints take no list of them."""

    def put(call: Call) -> Answer:
        assert resource.create is not None
        element = resource.elements(call)[0]
        try:
            record = resource.create(call, element)
        except RefusedError as refusal:
            raise ValidationFailedError([resource.echo(element, refusal)]) from None
        return Answer(resource.collection, [resource.render(call, record, rendering.Form.FULL)])

    return put


def _delete_item(call: Call) -> Answer:
    reference.delete_item(call.books, ITEM_RESOURCE.named(call))
    return Answer(status=204)


def _delete_account(call: Call) -> Answer:
    account = ACCOUNT_RESOURCE.named(call)
    try:
        reference.delete_account(call.books, account)
    except RefusedError as refusal:
        raise ValidationFailedError([ACCOUNT_RESOURCE.echo(account, refusal)]) from None
    return Answer("Accounts", [rendering.render_plain(account)])


def _options(call: Call, write: Callable[[Record, Record], Record]) -> Answer:
    category = TRACKING_RESOURCE.named(call)
    element = read_elements(call, "Options", "TrackingOption", shapes.OPTION)[0]
    try:
        option = write(category, element)
    except RefusedError as refusal:
        reasons = [{"Message": text} for text in refusal.messages]
        raise ValidationFailedError([element | {"HasValidationErrors": True, "ValidationErrors": reasons}]) from None
    return Answer("Options", [rendering.render_plain(option)])


def _put_option(call: Call) -> Answer:
    return _options(call, lambda category, element: reference.create_option(category, call.books, element))


def _post_option(call: Call) -> Answer:
    return _options(call, lambda category, element: reference.update_option(category, call.ids[1].lower(), element))


def _put_allocations(call: Call) -> Answer:
    note = CREDIT_NOTE_RESOURCE.named(call)
    rows: list[Record] = []
    for element in read_elements(call, "Allocations", "Allocation", shapes.ALLOCATION):
        try:
            rows.append(rendering.render_allocation(settlement.allocate(call.books, note, element)))
        except RefusedError as refusal:
            reasons = [{"Message": text} for text in refusal.messages]
            echoed = rendering.render_plain(element) | {"HasValidationErrors": True, "ValidationErrors": reasons}
            raise ValidationFailedError([echoed]) from None
    return Answer("Allocations", rows)


def _delete_allocation(call: Call) -> Answer:
    note = CREDIT_NOTE_RESOURCE.named(call)
    removed = settlement.remove_allocation(call.books, note, call.ids[1].lower())
    return Answer(
        bare={
            "AllocationId": removed["AllocationID"],
            "Amount": removed["Amount"],  # not in the vendor's example, but its own client insists on it
            "Date": rendering.ms_date(removed["Date"]),
            "Invoice": [{"InvoiceID": removed["Invoice"]["InvoiceID"]}],
            "IsDeleted": True,
        },
    )


def _email(call: Call) -> Answer:
    invoice = INVOICE_RESOURCE.named(call)
    can = invoice["Type"] == "ACCREC" and invoice["Status"] in _EMAILED and invoice["Contact"].get("EmailAddress")
    if not can:
        raise ValidationFailedError(
            [INVOICE_RESOURCE.echo({"InvoiceID": invoice["InvoiceID"]}, RefusedError(messages.EMAIL_REFUSED))],
        )
    documents.mark_sent(call.books, invoice)
    return Answer(status=204)


def _online_invoice(call: Call) -> Answer:
    invoice = INVOICE_RESOURCE.named(call)
    if invoice["Type"] != "ACCREC" or invoice["Status"] not in {"AUTHORISED", "PAID"}:
        raise MissingError(invoice["InvoiceID"])
    token = invoice["InvoiceID"].replace("-", "")
    return Answer("OnlineInvoices", [{"OnlineInvoiceUrl": f"https://in.xero.com/{token}"}])


def _history(resource: Resource) -> dict[str, Callable[[Call], Answer]]:
    def read(call: Call) -> Answer:
        record = resource.named(call)
        notes = call.books.history.get(record[resource.key], [])
        return Answer("HistoryRecords", [_note(note) for note in reversed(notes)])

    def write(call: Call) -> Answer:
        record = resource.named(call)
        sent = read_elements(call, "HistoryRecords", "HistoryRecord", shapes.NOTE)
        if problems := [text for element in sent for text in shapes.overlong(element, shapes.NOTE)]:
            raise ValidationFailedError([sent[0] | {"ValidationErrors": [{"Message": text} for text in problems]}])
        for element in sent:
            call.books.note(record[resource.key], "Note", element["Details"])
        return Answer(
            "HistoryRecords", [_note(note) for note in call.books.history[record[resource.key]][-len(sent) :]]
        )

    return {"GET": read, "PUT": write}


def _note(note: Record) -> Record:
    return rendering.render_plain(note) | {"DateUTCString": f"{note['DateUTC']:%Y-%m-%dT%H:%M:%S}"}


# The table

_INVOICES: Final = ("accounting.invoices",)
_CONTACTS: Final = ("accounting.contacts",)
_PAYMENTS: Final = ("accounting.payments",)
_SETTINGS: Final = ("accounting.settings",)
_ITEMS: Final = ("accounting.settings", "accounting.invoices")


def _verbs(scopes: tuple[str, ...], **verbs: Callable[[Call], Answer]) -> dict[str, Route]:
    return {verb: Route(operation, scopes) for verb, operation in verbs.items()}


def _usual(resource: Resource, scopes: tuple[str, ...]) -> dict[str, dict[str, Route]]:
    """List, read, create and update in the usual way."""
    name = resource.collection
    return {
        name: _verbs(scopes, GET=resource.list_records, PUT=resource.put, POST=resource.post),
        f"{name}/{{id}}": _verbs(scopes, GET=resource.get, POST=resource.post_one),
    }


_ROUTES: Final[dict[str, dict[str, Route]]] = {
    **_usual(INVOICE_RESOURCE, _INVOICES),
    "Invoices/{id}/Email": _verbs(_INVOICES, POST=_email),
    "Invoices/{id}/OnlineInvoice": _verbs(_INVOICES, GET=_online_invoice),
    "Invoices/{id}/History": _verbs(_INVOICES, **_history(INVOICE_RESOURCE)),
    **_usual(CREDIT_NOTE_RESOURCE, _INVOICES),
    "CreditNotes/{id}/Allocations": _verbs(_INVOICES, PUT=_put_allocations),
    "CreditNotes/{id}/Allocations/{id}": _verbs(_INVOICES, DELETE=_delete_allocation),
    "CreditNotes/{id}/History": _verbs(_INVOICES, **_history(CREDIT_NOTE_RESOURCE)),
    **_usual(CONTACT_RESOURCE, _CONTACTS),
    "Contacts/{id}/History": _verbs(_CONTACTS, **_history(CONTACT_RESOURCE)),
    **_usual(PAYMENT_RESOURCE, _PAYMENTS),
    **_usual(ITEM_RESOURCE, _ITEMS),
    "Items/{id}": _verbs(_ITEMS, GET=ITEM_RESOURCE.get, POST=ITEM_RESOURCE.post_one, DELETE=_delete_item),
    "Accounts": _verbs(_SETTINGS, GET=ACCOUNT_RESOURCE.list_records, PUT=_put_single(ACCOUNT_RESOURCE)),
    "Accounts/{id}": _verbs(
        _SETTINGS,
        GET=ACCOUNT_RESOURCE.get,
        POST=ACCOUNT_RESOURCE.post_one,
        DELETE=_delete_account,
    ),
    "TaxRates": _verbs(_SETTINGS, GET=TAX_RATE_RESOURCE.list_records),
    "TaxRates/{id}": _verbs(_SETTINGS, GET=TAX_RATE_RESOURCE.get),
    "TrackingCategories": _verbs(_SETTINGS, GET=TRACKING_RESOURCE.list_records, PUT=_put_single(TRACKING_RESOURCE)),
    "TrackingCategories/{id}": _verbs(_SETTINGS, GET=TRACKING_RESOURCE.get, POST=TRACKING_RESOURCE.post_one),
    "TrackingCategories/{id}/Options": _verbs(_SETTINGS, PUT=_put_option),
    "TrackingCategories/{id}/Options/{id}": _verbs(_SETTINGS, POST=_post_option),
    "Currencies": _verbs(_SETTINGS, GET=CURRENCY_RESOURCE.list_records, PUT=_put_single(CURRENCY_RESOURCE)),
    "Organisation": _verbs(_SETTINGS, GET=_organisation),
    "Organisation/Actions": _verbs(_SETTINGS, GET=_actions),
    "BrandingThemes": _verbs(_SETTINGS, GET=_themes),
    "BrandingThemes/{id}": _verbs(_SETTINGS, GET=_themes),
}
_BY_WORDS: Final = {address.lower(): address for address in _ROUTES}

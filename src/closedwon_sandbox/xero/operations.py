"""What each address does: reads a call's body, applies it to the books, and says what goes back.

*Source*: developer.xero.com "Requests and responses" and "HTTP response codes", read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from closedwon_sandbox.xero.books import contacts, documents, messages, reference, rendering, settlement, shapes
from closedwon_sandbox.xero.books.documents import CREDIT_NOTES, INVOICES, Write
from closedwon_sandbox.xero.books.errors import (
    MalformedError,
    MissingError,
    NothingSentError,
    RefusedError,
    UnreadableMediaError,
)
from closedwon_sandbox.xero.books.organisation import ZERO_GUID, first
from closedwon_sandbox.xero.books.rendering import Form
from closedwon_sandbox.xero.query.listing import Listing, find_records
from closedwon_sandbox.xero.wire import ValidationFailedError, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.xero.books.documents import Family
    from closedwon_sandbox.xero.books.organisation import Books, Table
    from closedwon_sandbox.xero.books.shapes import Record, Shape

VALID_ELEMENTS_OF_A_REFUSED_BATCH_STAY: Final = True  # [not established]; the harder case for a caller
MAX_ELEMENTS: Final = 1000  # the vendor names no count and recommends 50; this only keeps a call from taking seconds
_READABLE: Final = ("application/json", "text/json")


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted call: on which books, by whom, with the ids of its path and its parameters."""

    books: Books
    app: str
    method: str
    ids: tuple[str, ...]
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def unit_places(self) -> int:
        """Decimals of unit amounts: 4 with unitdp=4."""
        return 4 if self.params.get("unitdp") == "4" else 2

    @property
    def write(self) -> Write:
        """Say how documents are to be written for this call."""
        return Write(self.books, self.unit_places, self.app)

    def document(self) -> Any:
        """Read the body. *Raises* MalformedError or UnreadableMediaError."""
        media = self.headers.get("content-type", "").lower()
        if not media.startswith(_READABLE):
            raise UnreadableMediaError("The media type of the body is not supported")
        return decode(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: elements of a collection in the envelope, or a `bare` body, or nothing with status 204."""

    collection: str = ""
    elements: list[Record] = field(default_factory=list)
    pagination: Record | None = None
    bare: Record | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that is listed, read and written by element."""

    element: str
    collection: str
    key: str
    shape: Shape
    table: Callable[[Books], Table]
    listing: Listing
    render: Callable[[Call, Record, Form], Record]
    find: Callable[[Books, str], Record | None]
    create: Callable[[Call, Record], Record] | None = None
    upsert: Callable[[Call, Record], Record] | None = None
    update: Callable[[Call, Record, Record], Record] | None = None
    flaw: str = "HasValidationErrors"
    blank: Mapping[str, Any] = field(default_factory=dict)

    # Reading

    def list_records(self, call: Call) -> Answer:
        """Answer GET on the collection."""
        found = find_records(self.table(call.books), self.listing, call.params, call.headers, call.app)
        rows = [self.render(call, row, found.form) for row in found.records]
        return Answer(self.collection, rows, found.pagination)

    def get(self, call: Call) -> Answer:
        """Answer GET of one record, by id or by its number or code. *Raises* MissingError."""
        return Answer(self.collection, [self.render(call, self.named(call), Form.FULL)])

    def named(self, call: Call) -> Record:
        """Return the record that the path names. *Raises* MissingError."""
        found = self.table(call.books).find(call.ids[0].lower()) or self.find(call.books, call.ids[0])
        if found is None:
            raise MissingError(call.ids[0])
        return found

    # Writing

    def put(self, call: Call) -> Answer:
        """Create every element."""
        assert self.create is not None
        return self._batch(call, self.create)

    def post(self, call: Call) -> Answer:
        """Create or update every element."""
        assert self.upsert is not None
        return self._batch(call, self.upsert)

    def post_one(self, call: Call) -> Answer:
        """Update the record that the path names with the one element of the body."""
        assert self.update is not None
        record = self.named(call)
        element = self.elements(call)[0] | {self.key: record[self.key]}
        try:
            saved = self.update(call, record, element)
        except RefusedError as refusal:
            raise ValidationFailedError([self.echo(element, refusal)]) from None
        return Answer(self.collection, [self.render(call, saved, Form.FULL)])

    def elements(self, call: Call) -> list[Record]:
        """Read the elements of the body: one bare object, or the plural wrapper. *Raises* ApiError."""
        return read_elements(call, self.collection, self.element, self.shape)

    def echo(self, element: Record, refusal: RefusedError) -> Record:
        """Write a refused element: what was sent, the all-zero id where nothing was named, and the reasons."""
        shown = {self.key: ZERO_GUID} | rendering.render_plain(element) | dict(self.blank)
        return shown | {self.flaw: True, "ValidationErrors": [{"Message": text} for text in refusal.messages]}

    def _batch(self, call: Call, save: Callable[[Call, Record], Record]) -> Answer:
        apart = call.params.get("summarizeErrors", "").lower() == "false"
        rows: list[Record] = []
        failed: list[Record] = []
        for element in self.elements(call):
            try:
                row = self.render(call, save(call, element), Form.FULL)
                rows.append(row | {"StatusAttributeString": "OK"} if apart else row)
            except RefusedError as refusal:
                failed.append(self.echo(element, refusal))
                rows.append(failed[-1] | {"StatusAttributeString": "ERROR"})
        if failed and not apart:
            raise ValidationFailedError(failed)
        return Answer(self.collection, rows)


def read_elements(call: Call, collection: str, element: str, shape: Shape) -> list[Record]:
    """Read the elements of a body. *Raises* NothingSentError or MalformedError."""
    document = call.document()
    if not isinstance(document, dict):
        raise MalformedError("Object reference not set to an instance of an object.")
    sent = document.get(collection, [document] if shape.keys() & document.keys() else [])
    if not isinstance(sent, list):
        raise MalformedError("Object reference not set to an instance of an object.")
    if not sent:
        raise NothingSentError(element)
    if len(sent) > MAX_ELEMENTS:
        raise MalformedError(f"A request cannot have more than {MAX_ELEMENTS} elements.")
    return [shapes.read_element(row, shape) for row in sent]


def _document_resource(family: Family, listing: Listing, blank: Mapping[str, Any]) -> Resource:
    return Resource(
        element=family.element,
        collection=f"{family.element}s",
        key=family.id_name,
        shape=family.shape,
        table=family.table,
        listing=listing,
        render=lambda call, row, form: rendering.render_document(call.books, family, row, form, call.unit_places),
        find=lambda books, number: first(family.table(books).having(family.number_name, number)),
        create=lambda call, element: documents.create_document(call.write, family, element),
        upsert=lambda call, element: documents.create_or_update_document(call.write, family, element),
        update=lambda call, row, element: documents.update_document(call.write, family, row, element),
        flaw="HasErrors",
        blank=blank,
    )


def _pay_or_delete(call: Call, element: Record) -> Record:
    """POST of a payment creates, unless it names one: then it can only be deleted."""
    if "PaymentID" not in element:
        return settlement.create_payment(call.books, element)
    payment = call.books.payments.find(element["PaymentID"])
    if payment is None:
        raise RefusedError(messages.DOCUMENT_UNKNOWN.format("Payment", "PaymentID"))
    return settlement.delete_payment(call.books, payment, element)


def _render_category(call: Call, category: Record, form: Form) -> Record:
    archived = form is Form.FULL or call.params.get("includeArchived", "").lower() == "true"
    options = [_render_option(row) for row in category["Options"] if archived or row["Status"] == "ACTIVE"]
    return rendering.render_plain(category) | {"Options": options}


def _render_option(option: Record) -> Record:
    status = option["Status"]
    flags = {"IsDeleted": status == "DELETED", "IsArchived": status == "ARCHIVED", "IsActive": status == "ACTIVE"}
    return rendering.render_plain(option) | {"HasValidationErrors": False} | flags


INVOICE_RESOURCE: Final = _document_resource(
    INVOICES,
    Listing(
        shape=shapes.INVOICE,
        optimised=frozenset({"invoiceid", "updateddateutc", "date"}),
        csv={
            "IDs": "InvoiceID",
            "InvoiceNumbers": "InvoiceNumber",
            "ContactIDs": "Contact.ContactID",
            "Statuses": "Status",
        },
        search=("InvoiceNumber", "Reference"),
        pages=True,
        forced_by=frozenset({"Statuses", "summaryOnly"}),
    ),
    {"Prepayments": [], "Overpayments": []},
)
CREDIT_NOTE_RESOURCE: Final = _document_resource(
    CREDIT_NOTES,
    Listing(shape=shapes.CREDIT_NOTE, optimised=frozenset({"creditnoteid", "updateddateutc", "date"}), pages=True),
    {},
)
CONTACT_RESOURCE: Final = Resource(
    element="Contact",
    collection="Contacts",
    key="ContactID",
    shape=shapes.CONTACT,
    table=lambda books: books.contacts,
    listing=Listing(
        shape=shapes.CONTACT,
        optimised=frozenset({"contactid", "updateddateutc"}),
        csv={"IDs": "ContactID"},
        search=("Name", "FirstName", "LastName", "ContactNumber", "CompanyNumber", "EmailAddress"),
        pages=True,
        forced_by=frozenset({"summaryOnly"}),
        hidden=lambda row: bool(row["ContactStatus"] != "ACTIVE"),
    ),
    render=lambda call, row, form: rendering.render_contact(call.books, row, form),
    find=lambda books, number: first(books.contacts.having("ContactNumber", number)),
    create=lambda call, element: contacts.create_contact(call.books, element),
    upsert=lambda call, element: contacts.create_or_update_contact(call.books, element),
    update=lambda call, row, element: contacts.update_contact(call.books, row, element),
    blank={"ContactGroups": []},
)
PAYMENT_RESOURCE: Final = Resource(
    element="Payment",
    collection="Payments",
    key="PaymentID",
    shape=shapes.PAYMENT,
    table=lambda books: books.payments,
    listing=Listing(shape=shapes.PAYMENT, optimised=frozenset({"paymentid", "updateddateutc", "date"}), pages=True),
    render=lambda _, row, __: rendering.render_payment(row),
    find=lambda _, __: None,
    create=lambda call, element: settlement.create_payment(call.books, element),
    upsert=_pay_or_delete,
    update=lambda call, row, element: settlement.delete_payment(call.books, row, element),
)
ITEM_RESOURCE: Final = Resource(
    element="Item",
    collection="Items",
    key="ItemID",
    shape=shapes.ITEM,
    table=lambda books: books.items,
    listing=Listing(shape=shapes.ITEM),
    render=lambda _, row, __: rendering.render_plain(row),
    find=lambda books, code: first(books.items.having("Code", code)),
    create=lambda call, element: reference.create_item(call.books, element),
    upsert=lambda call, element: reference.create_or_update_item(call.books, element),
    update=lambda call, row, element: reference.update_item(call.books, row, element),
)
ACCOUNT_RESOURCE: Final = Resource(
    element="Account",
    collection="Accounts",
    key="AccountID",
    shape=shapes.ACCOUNT,
    table=lambda books: books.accounts,
    listing=Listing(shape=shapes.ACCOUNT),
    render=lambda _, row, __: rendering.render_plain(row) | {"HasAttachments": False},
    find=lambda _, __: None,
    create=lambda call, element: reference.create_account(call.books, element),
    update=lambda call, row, element: reference.update_account(call.books, row, element),
)
TAX_RATE_RESOURCE: Final = Resource(
    element="TaxRate",
    collection="TaxRates",
    key="TaxType",
    shape=shapes.TAX_RATE,
    table=lambda books: books.tax_rates,
    listing=Listing(shape=shapes.TAX_RATE, since=False),
    render=lambda _, row, __: rendering.render_plain(row),
    find=lambda books, tax_type: books.tax_rates.find(tax_type.upper()),
)
TRACKING_RESOURCE: Final = Resource(
    element="TrackingCategory",
    collection="TrackingCategories",
    key="TrackingCategoryID",
    shape=shapes.CATEGORY,
    table=lambda books: books.tracking,
    listing=Listing(
        shape=shapes.CATEGORY, since=False, hidden=lambda row: bool(row["Status"] != "ACTIVE"),
    ),
    render=_render_category,
    find=lambda _, __: None,
    create=lambda call, element: reference.create_category(call.books, element),
    update=lambda call, row, element: reference.update_category(call.books, row, element),
)  # fmt: skip
CURRENCY_RESOURCE: Final = Resource(
    element="Currency",
    collection="Currencies",
    key="Code",
    shape=shapes.CURRENCY,
    table=lambda books: books.currencies,
    listing=Listing(shape=shapes.CURRENCY, since=False),
    render=lambda _, row, __: rendering.render_plain(row),
    find=lambda _, __: None,
    create=lambda call, element: reference.create_currency(call.books, element),
)

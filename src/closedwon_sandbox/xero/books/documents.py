"""Invoices and credit notes: what may be created, which moves are legal, and what an edit may touch.

A change is worked out on a copy and laid over the stored record only when nothing speaks against it.
*Source*: developer.xero.com "Invoices" and "Credit notes", recorded answers, read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.contacts import create_contact, find_contact
from closedwon_sandbox.xero.books.errors import RefusedError
from closedwon_sandbox.xero.books.lines import ZERO, Terms, build_lines, line_inputs, overlay_line, to_places
from closedwon_sandbox.xero.books.organisation import first
from closedwon_sandbox.xero.books.shapes import CREDIT_NOTE, INVOICE, overlong

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from closedwon_sandbox.xero.books.organisation import Books, Table
    from closedwon_sandbox.xero.books.shapes import Record, Shape

APPROVED: Final = frozenset({"AUTHORISED", "PAID"})
_COMPLETE: Final = frozenset({"SUBMITTED", "AUTHORISED", "PAID"})
_NEW: Final = frozenset({"DRAFT", "SUBMITTED", "AUTHORISED"})
_MOVES: Final = {
    "DRAFT": _NEW | {"DELETED"},
    "SUBMITTED": _NEW | {"DELETED"},
    "AUTHORISED": frozenset({"AUTHORISED", "VOIDED"}),
    "PAID": frozenset({"PAID"}),
    "VOIDED": frozenset[str](),
    "DELETED": frozenset[str](),
}
_AMOUNT_TYPES: Final = {"exclusive": "Exclusive", "inclusive": "Inclusive", "notax": "NoTax"}
_RATE_PLACES: Final = 6
_OPEN_WHEN_SETTLED: Final = frozenset(
    {"Reference", "DueDate", "BrandingThemeID", "Contact", "Url", "PlannedPaymentDate", "SentToContact", "LineItems"},
)
_SILENT_WHEN_SETTLED: Final = frozenset({"DueDate", "SentToContact"})
_LINE_OPEN_WHEN_SETTLED: Final = frozenset({"Description", "AccountCode", "AccountID", "Tracking"})
_HEADER_TEXTS: Final = ("Reference", "Url", "BrandingThemeID", "ExpectedPaymentDate", "PlannedPaymentDate")
ZERO_TOTAL_IS_PAID: Final = True  # [memory] an authorised document of nothing is paid at once
NEGATIVE_TOTAL_REFUSED: Final = True  # [memory]


@dataclass(frozen=True, slots=True)
class Family:
    """What tells invoices from credit notes. `sales_type` and `purchase_type` are the two values of Type."""

    element: str
    title: str
    shape: Shape
    prefix: str
    sales_type: str
    purchase_type: str
    category: str
    number_taken: str
    due: bool
    table: Callable[[Books], Table]

    @property
    def id_name(self) -> str:
        """The member that holds the record's id."""
        return f"{self.element}ID"

    @property
    def number_name(self) -> str:
        """The member that holds the document's number."""
        return f"{self.element}Number"

    def sells(self, document_type: str) -> bool:
        """Say whether a type is on the customer's side of the ledger."""
        return document_type == self.sales_type


INVOICES: Final = Family(
    element="Invoice", title="Invoice", shape=INVOICE, prefix="INV-", sales_type="ACCREC", purchase_type="ACCPAY",
    category="INVOICE", number_taken=messages.INVOICE_NUMBER_TAKEN, due=True, table=lambda books: books.invoices,
)  # fmt: skip
CREDIT_NOTES: Final = Family(
    element="CreditNote", title="Credit Note", shape=CREDIT_NOTE, prefix="CN-", sales_type="ACCRECCREDIT",
    purchase_type="ACCPAYCREDIT", category="CREDITNOTE", number_taken=messages.CREDIT_NOTE_NUMBER_TAKEN, due=False,
    table=lambda books: books.credit_notes,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """Where a write goes and how it counts: decimals of unit amounts, and the app that makes it."""

    books: Books
    unit_places: int
    app: str


def create_document(write: Write, family: Family, element: Record) -> Record:
    """Create an invoice or credit note. *Raises* RefusedError with everything that speaks against it."""
    if element.get("Type") not in {family.sales_type, family.purchase_type}:
        raise RefusedError(messages.TYPE_FOR_CREATION.format(family.title))
    if element.get("Status", "DRAFT") not in _NEW:
        raise RefusedError(messages.STATUS_FOR_CREATION.format(family.title))
    document: Record = {
        family.id_name: write.books.new_id(),
        "Type": element["Type"],
        "Status": "DRAFT",
        "LineItems": [],
        "Payments": [],
        "Allocations": [],
        "HasAttachments": False,
        "_App": write.app,
    }
    return _Edit(write, family, document, element).commit("CREATE")


def update_document(write: Write, family: Family, document: Record, element: Record) -> Record:
    """Change an invoice or credit note. *Raises* RefusedError with everything that speaks against it."""
    wanted = element.get("Status", document["Status"])
    if wanted == "VOIDED" and is_settled(document):
        raise RefusedError(messages.VOID_BLOCKED)
    if wanted not in _MOVES[document["Status"]] or element.get("Type", document["Type"]) != document["Type"]:
        raise RefusedError(messages.STATUS_FOR_MODIFICATION.format(family.title))
    return _Edit(write, family, document, element).commit("UPDATE")


def create_or_update_document(write: Write, family: Family, element: Record) -> Record:
    """Update the document that the element means by id or sales number, or create one. *Raises* RefusedError."""
    found: Record | None = None
    if family.id_name in element:
        found = family.table(write.books).find(element[family.id_name])
        if found is None:
            raise RefusedError(messages.DOCUMENT_UNKNOWN.format(family.title, family.id_name))
    elif element.get(family.number_name) and element.get("Type", family.sales_type) == family.sales_type:
        found = find_number(write.books, family, element[family.number_name])
    return update_document(write, family, found, element) if found else create_document(write, family, element)


def find_number(books: Books, family: Family, number: str) -> Record | None:
    """Find the sales document of that number, whatever its status."""
    held = family.table(books).having(family.number_name, number)
    return first(row for row in held if family.sells(row["Type"]))


def is_settled(document: Record) -> bool:
    """Say whether any payment, refund or allocation stands on a document."""
    return bool(document["Payments"] or document["Allocations"])


def settle(books: Books, family: Family, document: Record) -> None:
    """Work out what is still open after a change of payments or allocations, and save the document."""
    open_amount = refresh_balance(document)
    if document["Status"] in APPROVED:
        document["Status"] = "PAID" if open_amount == 0 else "AUTHORISED"
    _set_paid_on(document)
    books.save(family.table(books), document)
    announce(books, family, "UPDATE", document)


def refresh_balance(document: Record) -> Decimal:
    """Recompute the amounts paid, credited and open; return what is open."""
    paid: Decimal = sum((payment["Amount"] for payment in document["Payments"]), ZERO)
    allocated: Decimal = sum((allocation["Amount"] for allocation in document["Allocations"]), ZERO)
    open_amount: Decimal = document["Total"] - paid - allocated
    if "CreditNoteID" in document:
        document |= {"RemainingCredit": open_amount, "AppliedAmount": allocated}
    else:
        document |= {"AmountPaid": paid, "AmountCredited": allocated, "AmountDue": open_amount}
    return open_amount


def mark_sent(books: Books, invoice: Record) -> None:
    """Note that an invoice went to its customer."""
    invoice["SentToContact"] = True
    books.note(invoice["InvoiceID"], "Invoice sent", "This invoice has been sent.")
    if not is_settled(invoice):
        books.save(books.invoices, invoice)
        announce(books, INVOICES, "UPDATE", invoice)


def announce(books: Books, family: Family, kind: str, document: Record) -> None:
    """Tell the webhooks about a document."""
    thin = {"Type": document["Type"], "Status": document["Status"]}
    books.announce(family.category, kind, document, thin if family is CREDIT_NOTES else None)


def check_lock(books: Books, day: date) -> str | None:
    """Return why a date is closed for changes, None when it is open."""
    year, period = books.profile.get("EndOfYearLockDate"), books.profile.get("PeriodLockDate")
    if year and day <= year:
        return messages.YEAR_LOCKED.format(f"{year:%d-%b-%Y}")
    if period and day <= period:
        return messages.PERIOD_LOCKED.format(f"{period:%d-%b-%Y}")
    return None


def _set_paid_on(document: Record) -> None:
    if document["Status"] == "PAID":
        days = [entry["Date"] for entry in (*document["Payments"], *document["Allocations"])]
        document["FullyPaidOnDate"] = max(days, default=document["Date"])
    else:
        document.pop("FullyPaidOnDate", None)


class _Edit:
    """One change to one document, worked out on a copy."""

    def __init__(self, write: Write, family: Family, document: Record, element: Record) -> None:
        self._write = write
        self._books = write.books
        self._family = family
        self._document = document
        self._element = element
        self._draft = dict(document)
        self._problems = overlong(element, family.shape)
        self._sells = family.sells(document["Type"])

    def commit(self, kind: str) -> Record:
        """Check everything, then lay the change over the record. *Raises* RefusedError."""
        if kind == "UPDATE" and is_settled(self._document):
            self._check_settled()
        newcomer = self._header()
        self._dates()
        self._currency()
        self._lines()
        self._totals()
        self._check_number()
        if self._problems:
            raise RefusedError(*dict.fromkeys(self._problems))
        if newcomer:
            self._draft["Contact"] = create_contact(self._books, newcomer)
        self._number()
        return self._store(kind)

    def _check_settled(self) -> None:
        """Refuse to touch what money already hangs on; repeating what is stored is no touch."""
        allowed = _OPEN_WHEN_SETTLED | {self._family.id_name, self._family.number_name}
        changed = {
            name for name, value in self._element.items() if name not in allowed and value != self._document.get(name)
        }
        stored = {line["LineItemID"]: line for line in self._document["LineItems"]}
        lines = self._element.get("LineItems")
        if changed or (lines is not None and not _same_amounts(lines, stored)):
            raise RefusedError(messages.DOCUMENT_SETTLED)

    def _header(self) -> Record | None:
        draft, element = self._draft, self._element
        draft["Status"] = element.get("Status", draft["Status"])
        draft |= {name: element[name] for name in _HEADER_TEXTS if name in element}
        if not self._sells:
            draft.pop("Reference", None)
        sent_types = element.get("LineAmountTypes", draft.get("LineAmountTypes", "Exclusive"))
        draft["LineAmountTypes"] = _AMOUNT_TYPES.get(sent_types.lower(), "Exclusive")
        if sent_types.lower() not in _AMOUNT_TYPES:
            self._problems.append(messages.AMOUNT_TYPES_UNKNOWN.format(sent_types))
        if element.get("SentToContact") and draft["Status"] not in APPROVED:
            self._problems.append(messages.SENT_BEFORE_APPROVAL)
        draft["SentToContact"] = element.get("SentToContact", draft.get("SentToContact", False))
        draft.setdefault("BrandingThemeID", first(self._books.themes)["BrandingThemeID"])  # type: ignore[index]
        return self._contact()

    def _contact(self) -> Record | None:
        """Set the draft's contact; return the element of a contact that has yet to be created."""
        sent = self._element.get("Contact")
        if not sent:
            if "Contact" not in self._draft:
                self._problems.append(messages.CONTACT_REQUIRED)
            return None
        try:
            contact = find_contact(self._books, sent)
        except RefusedError as refusal:
            self._problems += refusal.messages
            return None
        if contact is None and not sent.get("Name"):
            self._problems.append(messages.CONTACT_REQUIRED)
            return None
        if contact is None:
            return {name: sent[name] for name in ("Name", "ContactNumber", "EmailAddress") if name in sent}
        if contact["ContactStatus"] != "ACTIVE" and contact is not self._document.get("Contact"):
            self._problems.append(messages.CONTACT_CANNOT_BUY)
        self._draft["Contact"] = contact
        return None

    def _dates(self) -> None:
        draft, element = self._draft, self._element
        draft["Date"] = element.get("Date", draft.get("Date")) or self._books.today()
        if self._family.due:
            due = element.get("DueDate", draft.get("DueDate"))
            if due:
                draft["DueDate"] = due
            elif draft["Status"] in _COMPLETE:
                self._problems.append(messages.DUE_DATE_REQUIRED)
        days = {draft["Date"], self._document.get("Date", draft["Date"])}
        locked = [reason for day in days if (reason := check_lock(self._books, day))]
        self._problems += locked[:1]

    def _currency(self) -> None:
        draft, element = self._draft, self._element
        code = element.get("CurrencyCode", draft.get("CurrencyCode", self._books.base_currency)).upper()
        if not self._books.currencies.find(code):
            self._problems.append(messages.CURRENCY_NOT_SUBSCRIBED.format(code))
        rate = element.get("CurrencyRate", draft.get("CurrencyRate"))
        if code == self._books.base_currency:
            rate = Decimal(1)
        elif not rate or ("CurrencyRate" not in element and code != draft.get("CurrencyCode")):
            rate = self._books.exchange_rates.get(code, Decimal(1))
        draft["CurrencyCode"], draft["CurrencyRate"] = code, to_places(rate, _RATE_PLACES)
        if draft["CurrencyRate"] <= 0:
            self._problems.append(messages.RATE_POSITIVE)

    def _lines(self) -> None:
        stored = {line["LineItemID"]: line for line in self._document["LineItems"]}
        if "LineItems" in self._element:
            sent = [self._line_input(line, stored) for line in self._element["LineItems"]]
        elif self._needs_lines_again():
            sent = [line_inputs(line) for line in stored.values()]
        else:
            return
        if not sent:
            self._problems.append(messages.LINES_REQUIRED)
        bill = build_lines(self._books, sent, self._terms())
        self._problems += bill.problems
        self._draft["LineItems"] = bill.lines
        self._draft |= bill.totals(self._draft["LineAmountTypes"])

    def _line_input(self, line: Record, stored: dict[str, Record]) -> Record:
        known = stored.get(line.get("LineItemID", ""))
        if known:
            return overlay_line(known, line)
        return {name: value for name, value in line.items() if name != "LineItemID"}

    def _needs_lines_again(self) -> bool:
        before, after = self._document, self._draft
        approving = after["Status"] in _COMPLETE and before["Status"] not in _COMPLETE
        return approving or not before["LineItems"] or after["LineAmountTypes"] != before.get("LineAmountTypes")

    def _terms(self) -> Terms:
        no_discount = messages.NO_DISCOUNT_ON_CREDIT if self._family is CREDIT_NOTES else messages.NO_DISCOUNT_ON_BILLS
        return Terms(
            sells=self._sells,
            amount_types=self._draft["LineAmountTypes"],
            unit_places=self._write.unit_places,
            complete=self._draft["Status"] in _COMPLETE,
            no_discount=None if self._sells and self._family is INVOICES else no_discount,
        )

    def _totals(self) -> None:
        draft = self._draft
        if "Total" not in draft or self._problems:
            return
        approving = draft["Status"] in _COMPLETE
        if NEGATIVE_TOTAL_REFUSED and approving and draft["Total"] < 0:
            self._problems.append(messages.NEGATIVE_TOTAL)
        open_amount = refresh_balance(draft)
        if ZERO_TOTAL_IS_PAID and draft["Status"] == "AUTHORISED" and open_amount == 0:
            draft["Status"] = "PAID"
        if draft["Status"] in {"VOIDED", "DELETED"}:
            draft["AmountDue" if self._family is INVOICES else "RemainingCredit"] = ZERO
        _set_paid_on(draft)

    def _check_number(self) -> None:
        number = self._element.get(self._family.number_name)
        holder = find_number(self._books, self._family, number) if number and self._sells else None
        if holder is not None and holder is not self._document:
            self._problems.append(self._family.number_taken)

    def _number(self) -> None:
        name, family = self._family.number_name, self._family
        wanted = self._element.get(name, self._draft.get(name))
        if not wanted and self._sells:
            wanted = self._books.next_number(
                family.prefix, lambda number: bool(find_number(self._books, family, number))
            )
        if wanted:
            self._draft[name] = wanted

    def _is_silent(self) -> bool:
        """Say whether the change leaves the stamp alone: the vendor does so at the edges of a part-paid document."""
        touched = self._element.keys() - {self._family.id_name, self._family.number_name}
        return is_settled(self._document) and bool(touched) and touched <= _SILENT_WHEN_SETTLED

    def _store(self, kind: str) -> Record:
        document = self._document
        document.clear()
        document.update(self._draft)
        document["Contact"]["IsCustomer" if self._sells else "IsSupplier"] = True
        if self._is_silent():
            self._family.table(self._books).save(document)
            return document
        self._books.save(self._family.table(self._books), document)
        number = document.get(self._family.number_name, "")
        verb = "created" if kind == "CREATE" else "edited"
        self._books.note(
            document[self._family.id_name], verb.capitalize(), f"{self._family.title} {number} was {verb}."
        )
        announce(self._books, self._family, kind, document)
        return document


def _same_amounts(lines: list[Record], stored: dict[str, Record]) -> bool:
    if {line.get("LineItemID") for line in lines} != stored.keys():
        return False
    fixed = (
        (name, value, stored[line["LineItemID"]].get(name))
        for line in lines
        for name, value in line.items()
        if name not in _LINE_OPEN_WHEN_SETTLED
    )
    return all(value == kept for _, value, kept in fixed)

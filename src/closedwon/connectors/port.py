"""What a connector must do: the port of a CRM and the port of the books.

Batch calls take many records because API calls are the scarce thing; a connector makes as few calls as its vendor
allows and splits longer lists itself, except for creates: those are one call each, at most `create_limit` elements,
because the ledger keeps one idempotency key per call. Every method raises only `ClosedwonError`s. Writes return one
`Written` per element in the order given: what was refused for one element is in it, not raised; what failed for the
whole call is raised, as `OutcomeUnknown` when it may have happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import msgspec

from closedwon.model.product import Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from closedwon.kernel.errors import ClosedwonError
    from closedwon.model.customer import Customer
    from closedwon.model.invoice import BooksInvoice, Invoice
    from closedwon.model.opportunity import CrmDocument, Opportunity
    from closedwon.model.payment import Settlement

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Written(Generic[Record]):
    """What became of one element of a write: the record as it now stands, or the error that refused it."""

    record: Record | None = None
    error: ClosedwonError | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a change feed: the record, its version, and what the flow needs to decide whether to care.

    `state` is "open", "won", "lost" for opportunities and the invoice status for invoices.
    """

    record_id: str
    version: str
    state: str = ""
    changed_on: date | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a change feed has since a watermark, drained to its end, and the watermark to go on from.

    `restarted` tells that the vendor no longer knew the old watermark and everything was read again.
    """

    changes: tuple[Change, ...]
    watermark: str
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """What a webhook said: which record changed, in our words. The fetch finds out the rest.

    `record_type` is "opportunity" or "invoice"; `name` the vendor's event, such as "Win" or "UPDATE"; `key` is equal
    for two deliveries of one event; `own` marks an echo of our own write where the vendor tells.
    """

    record_type: str
    record_id: str
    name: str
    key: str
    occurred_at: datetime | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a connection check: what was looked at, whether it is fine, why not, and the next step.

    `code` is that of the error that was met, where one was.
    """

    subject: str
    ok: bool
    text: str
    hint: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are at the vendor: the user or app, the organisation or environment, and its version."""

    user_id: str
    organisation_id: str
    organisation_name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """What a CRM record shall show of an invoice. `document` is the record as we last knew it."""

    document: CrmDocument
    books_id: str
    books_number: str
    books_link: str
    settlement: Settlement


# --- reference data of the books -----------------------------------------------------------------------------------


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """The organisation in the books. Documents dated on or before a lock date are refused there."""

    id: str
    name: str
    base_currency: str
    country: str = ""
    short_code: str = ""
    timezone: str = ""
    lock_date: date | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger account. `usable` says whether an invoice line may name it; `kind` is ASSET, REVENUE and so on."""

    code: str
    name: str
    kind: str
    tax_type: str = ""
    active: bool = True
    usable: bool = True
    role: str = ""  # the system's own use of it, such as ROUNDING


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A tax rate. `rate_pct` is the effective rate in per cent; `kinds` the account kinds it may be used with."""

    tax_type: str
    name: str
    rate_pct: Decimal
    active: bool = True
    kinds: tuple[str, ...] = ()


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What the books' documents are checked against before anything is sent; cached by us."""

    organisation: Organisation
    accounts: tuple[Account, ...]
    tax_rates: tuple[TaxRate, ...]
    items: tuple[Product, ...]
    currencies: tuple[str, ...]
    fetched_at: datetime


# --- the ports -------------------------------------------------------------------------------------------------------


class Crm(Protocol):
    """A CRM: where deals are won and where people want to see whether they were paid.

    `document_kind` is the kind of CRM record that shows the invoice there, as configured.
    """

    create_limit: int
    document_kind: Literal["invoice", "order", "opportunity"]

    def identify(self) -> Identity:
        """Fetch who we are there; the cheapest call that proves address and credentials. One call."""

    def fetch_opportunities(self, ids: Sequence[str]) -> list[Opportunity]:
        """Fetch deals with lines, products, customer and the records that show the invoice, those that exist."""

    def fetch_changes(self, watermark: str) -> Changes:
        """Fetch which opportunities changed since a watermark; "" reads all there are."""

    def create_invoices(self, opportunity_ids: Sequence[str]) -> list[Written[CrmDocument]]:
        """Create one CRM invoice from each deal, in one call. Not repeatable: the ledger guards it."""

    def update_documents(self, updates: Sequence[DocumentUpdate]) -> list[Written[CrmDocument]]:
        """Make CRM records show their invoice: ids, link, status, amounts, state. Repeatable."""

    def render_update(self, update: DocumentUpdate) -> dict[str, Any]:
        """Return what `update_documents` would send for one record, for previews and fingerprints."""

    def ensure_webhooks(self, url: str, secret: str) -> list[str]:
        """Register the webhooks that are missing, repair those that differ; return what was done, in words."""

    def check(self, url: str) -> list[Finding]:
        """Look at everything the flows need: rights, columns, change tracking, webhooks to `url`."""


class Books(Protocol):
    """An accounting system: where invoices stand and payments arrive."""

    create_limit: int

    def identify(self) -> Identity:
        """Fetch who we are there; the cheapest call that proves address and credentials. One call."""

    def fetch_reference(self) -> Reference:
        """Fetch organisation, accounts, tax rates, items and currencies. Five calls."""

    def fetch_contacts(self, since: datetime | None) -> Iterator[list[Customer]]:
        """Fetch contacts page by page, archived ones too: all, or those changed since a moment (inclusive)."""

    def create_contacts(self, customers: Sequence[Customer], idempotency_key: str) -> list[Written[Customer]]:
        """Create contacts, in one call; `external_id` of the result is our customer's id."""

    def create_invoices(self, invoices: Sequence[Invoice], idempotency_key: str) -> list[Written[BooksInvoice]]:
        """Create invoices, in one call."""

    def fetch_invoices(self, ids: Sequence[str]) -> list[BooksInvoice]:
        """Fetch invoices by id, those that exist."""

    def fetch_created_invoices(self, since: datetime) -> list[BooksInvoice]:
        """Fetch the invoices this app created or that changed since a moment; how lost answers are found again."""

    def fetch_changes(self, watermark: str) -> Changes:
        """Fetch which sales invoices changed since a watermark; "" starts at the present and returns none."""

    def render_contact(self, customer: Customer) -> dict[str, Any]:
        """Return the payload that would create this contact."""

    def render_invoice(self, invoice: Invoice) -> dict[str, Any]:
        """Return the payload that would create this invoice."""

    def invoice_url(self, invoice_id: str, organisation: Organisation) -> str:
        """Return the address that opens an invoice in the books."""

    def check(self) -> list[Finding]:
        """Look at everything the flows need: organisation, scopes, webhooks as far as the vendor tells."""


class Webhooks(Protocol):
    """The receiving half of a connector: pure functions on bytes, no network."""

    def verify(self, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        """Tell, in constant time, whether the call comes from the vendor. Header names are lower case."""

    def parse(self, body: bytes) -> list[Hint]:
        """Parse a verified body. *Raises* ValueError when it is not what the vendor sends."""


Window = Literal["concurrent", "minute", "day", "app"]


class Budget(Protocol):
    """The API calls a connection may still make."""

    def acquire(self) -> None:
        """Take one call, waiting while a window is full.

        *Raises* Throttled when the wait is longer than a batch may take.
        """

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Read what an answer says of the budget and give the concurrent slot back. Header names are lower case."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and when it ends; `refresh` is the rotating refresh token where the grant has one."""

    access: str = field(repr=False)
    expires_at: datetime
    refresh: str = field(default="", repr=False)


class TokenStore(Protocol):
    """Keeps a connection's token encrypted, shared by all processes."""

    def find(self) -> Token | None:
        """Return the stored token."""

    def renew(self, stale: Token | None, fetch: Callable[[Token | None], Token]) -> Token:
        """Replace `stale` by what `fetch` gets, under a lock across processes.

        Whoever waited for the lock while another process renewed gets that process's token and fetches nothing.
        """

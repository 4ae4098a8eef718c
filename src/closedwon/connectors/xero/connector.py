"""Xero as the books: the port, call by call."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from closedwon.connectors.oauth import TokenSource
from closedwon.connectors.port import Books, Changes, Finding, Identity, Organisation, Reference, Written
from closedwon.connectors.registry import ConnectorType, Equipment
from closedwon.connectors.xero.changes import INVOICE_LIST, fetch_all, fetch_invoice_changes
from closedwon.connectors.xero.check import check_connection
from closedwon.connectors.xero.client import UnreadableMeansUnknown, XeroClient
from closedwon.connectors.xero.errors import element_error, is_saved
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.mappings import documents, payloads
from closedwon.connectors.xero.mappings.wire import (
    AccountRow,
    ContactRow,
    CurrencyRow,
    InvoiceRow,
    ItemRow,
    OrganisationRow,
    TaxRateRow,
    parse_row,
    parse_rows,
)
from closedwon.connectors.xero.settings import XeroSettings
from closedwon.connectors.xero.webhooks import XeroWebhooks
from closedwon.kernel.errors import Rejected, Unavailable
from closedwon.kernel.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from closedwon.connectors.xero.client import Page
    from closedwon.model.customer import Customer
    from closedwon.model.invoice import BooksInvoice, Invoice

Row = TypeVar("Row", bound=msgspec.Struct)
Record = TypeVar("Record")
Payload = dict[str, Any]

ENVELOPE_BYTES = 1_000  # what stands around the elements of a request
FOUR_DECIMALS = {"unitdp": "4"}
EACH_ELEMENT = {"summarizeErrors": "false"}  # a refused element then leaves the others alone


class XeroBooks(Books):
    """One organisation in Xero. The number of calls each method makes is in its first lines."""

    def __init__(self, settings: XeroSettings, equipment: Equipment) -> None:
        self._settings = settings
        self._clock = equipment.clock
        self.create_limit = manifest().create_limit
        endpoint = settings.token_endpoint(equipment)
        self._tokens = TokenSource(
            equipment.tokens, equipment.clock, lambda stale: settings.auth.fetch(endpoint, stale)
        )
        self._client = XeroClient(
            equipment,
            self._tokens,
            api_url=settings.api_url,
            organisation=settings.organisation,
            bound=settings.is_bound,
        )

    def identify(self) -> Identity:
        """Fetch the organisation, or find out which one the sign-in reaches. One call."""
        client_id = self._settings.auth.client_id
        if not self._settings.organisation:
            connection = self._client.only_connection()
            return Identity(client_id, connection.tenant_id, connection.tenant_name)
        row = self._fetch_organisation()
        return Identity(client_id, self._settings.organisation, row.name, row.version)

    def fetch_reference(self) -> Reference:
        """Fetch organisation, accounts, tax rates, items and currencies. Five calls."""
        return Reference(
            organisation=documents.parse_organisation(self._fetch_organisation()),
            accounts=self._fetch_list("Accounts", AccountRow, documents.parse_account),
            tax_rates=self._fetch_list("TaxRates", TaxRateRow, documents.parse_tax_rate),
            items=self._fetch_list("Items", ItemRow, documents.parse_item),
            currencies=self._fetch_list("Currencies", CurrencyRow, lambda row: row.code),
            fetched_at=self._clock.now(),
        )

    def fetch_contacts(self, since: datetime | None) -> Iterator[list[Customer]]:
        """Fetch contacts, archived ones too: all, or those changed since a moment. One call per 1,000.

        A contact that changes meanwhile comes twice, the later state last.
        """
        for page in fetch_all(self._client, "Contacts", since, {"includeArchived": "true"}):
            yield [documents.parse_contact(row) for row in parse_rows({"Contacts": page}, "Contacts", ContactRow)]

    def create_contacts(self, customers: Sequence[Customer], idempotency_key: str) -> list[Written[Customer]]:
        """Create contacts; one whose name or number is taken is refused, never overwritten. One call, 50 at most."""
        batch = _Batch("Contacts", "contact", [payloads.render_contact(customer) for customer in customers])

        def read(element: Payload, sent: Payload) -> Customer:
            row = parse_row(element, "Contacts", ContactRow)
            _require(is_saved(row.id), "a contact without an id")
            _require(row.contact_number == sent["ContactNumber"], "a contact in another's place")
            return documents.parse_contact(row)

        return self._create(batch, idempotency_key, EACH_ELEMENT, read)

    def create_invoices(self, invoices: Sequence[Invoice], idempotency_key: str) -> list[Written[BooksInvoice]]:
        """Create sales invoices. One call, 50 at most."""
        batch = _Batch("Invoices", "invoice", [payloads.render_invoice(invoice) for invoice in invoices])

        def read(element: Payload, sent: Payload) -> BooksInvoice:
            row = parse_row(element, "Invoices", InvoiceRow)
            _require(is_saved(row.id), "an invoice without an id")
            same = not row.contact.id or row.contact.id.lower() == sent["Contact"]["ContactID"].lower()
            _require(same, "an invoice in another's place")
            return documents.parse_invoice(row)

        return self._create(batch, idempotency_key, EACH_ELEMENT | FOUR_DECIMALS, read)

    def fetch_invoices(self, ids: Sequence[str]) -> list[BooksInvoice]:
        """Fetch invoices by id, those that exist, whatever their status. One call per 100."""
        wanted = list(dict.fromkeys(filter(None, map(_as_id, ids))))
        size = manifest().ids_per_fetch
        found: list[BooksInvoice] = []
        for start in range(0, len(wanted), size):
            group = ",".join(wanted[start : start + size])
            for page in fetch_all(self._client, "Invoices", None, INVOICE_LIST | {"IDs": group}):
                found.extend(_parse_invoices(page))
        return found

    def fetch_created_invoices(self, since: datetime) -> list[BooksInvoice]:
        """Fetch this app's invoices that changed since a moment, and some minutes more. One call per 1,000."""
        found: dict[str, BooksInvoice] = {}
        since -= timedelta(seconds=manifest().feed_overlap_s)
        for page in fetch_all(self._client, "Invoices", since, INVOICE_LIST | {"createdByMyApp": "true"}):
            found.update((invoice.id, invoice) for invoice in _parse_invoices(page))
        return list(found.values())

    def fetch_changes(self, watermark: str) -> Changes:
        """Fetch which sales invoices changed since a watermark. One call per 1,000; none for ""."""
        return fetch_invoice_changes(self._client, watermark)

    def render_contact(self, customer: Customer) -> dict[str, Any]:
        """Return the payload that would create this contact. No call."""
        return payloads.render_contact(customer)

    def render_invoice(self, invoice: Invoice) -> dict[str, Any]:
        """Return the payload that would create this invoice. No call."""
        return payloads.render_invoice(invoice)

    def invoice_url(self, invoice_id: str, organisation: Organisation) -> str:
        """Return the address that opens an invoice in the browser, in the right organisation. No call."""
        facts = manifest()
        link = facts.deep_link if organisation.short_code else facts.deep_link_without_code
        path = link.format(short_code=organisation.short_code, invoice_id=invoice_id)
        return self._settings.app_url.rstrip("/") + path

    def check(self) -> list[Finding]:
        """Look at sign-in, organisation, scopes, rights, clock and webhooks. Three calls at most."""
        return list(check_connection(self._client, self._tokens, self._settings))

    def _fetch_organisation(self) -> OrganisationRow:
        rows = parse_rows(self._client.get("Organisation").document, "Organisations", OrganisationRow)
        if not rows:
            raise Unavailable("Xero answered without an organisation.", hint="Try again; if it stays, report it.")
        return rows[0]

    def _fetch_list(self, path: str, row: type[Row], parse: Callable[[Row], Record]) -> tuple[Record, ...]:
        return tuple(parse(entry) for entry in parse_rows(self._client.get(path).document, path, row))

    def _create(
        self,
        batch: _Batch,
        idempotency_key: str,
        params: dict[str, str],
        read: Callable[[Payload, Payload], Record],
    ) -> list[Written[Record]]:
        """Send one batch and pair each payload with what became of it."""
        written: list[Written[Record]] = [Written(error=error) for error in batch.errors]
        indices = [index for index, error in enumerate(batch.errors) if error is None]
        if not indices:
            return written
        sent = [batch.payloads[index] for index in indices]
        page = self._client.put(batch.path, params, {batch.path: sent}, idempotency_key)
        with UnreadableMeansUnknown(page.request_ids):
            for index, payload, element in zip(indices, sent, _elements(page, batch.path, len(sent)), strict=True):
                error = element_error(element, batch.noun, page.request_ids)
                written[index] = Written(error=error) if error else Written(read(element, payload))
        return written


class _Batch:
    """The elements of one create call, and errors for those left out because the request would be too large."""

    def __init__(self, path: str, noun: str, elements: list[Payload]) -> None:
        assert len(elements) <= manifest().create_limit, "the caller splits longer lists"
        self.path = path
        self.noun = noun
        self.payloads = elements
        self.errors = list(self._judge())

    def _judge(self) -> Iterator[Rejected | Unavailable | None]:
        room = full = manifest().body_max_bytes - ENVELOPE_BYTES
        for payload in self.payloads:
            size = len(encode(payload)) + 1
            if size > full:
                yield Rejected(
                    f"The {self.noun} takes {size:,} bytes; Xero takes {full:,} at most.",
                    hint="Shorten the descriptions or split the deal.",
                    details={"kind": "too_large", "messages": []},
                )
            elif size > room:
                yield Unavailable(f"The {self.noun} did not fit into this request.", retry_after_s=0)
            else:
                room -= size
                yield None


def _elements(page: Page, path: str, expected: int) -> list[Payload]:
    elements = page.document.get(path)
    _require(isinstance(elements, list), f"no list of {path}")
    elements = cast("list[Any]", elements)
    _require(len(elements) == expected, f"{len(elements)} {path} for {expected}")
    _require(all(isinstance(element, dict) for element in elements), f"{path} of an unknown shape")
    return elements


def _require(holds: bool, found: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Insist on something about an answer; inside `UnreadableMeansUnknown` its breach leaves the outcome unknown."""
    if not holds:
        raise Unavailable(f"Xero answered with {found}.")


def _parse_invoices(page: list[Payload]) -> list[BooksInvoice]:
    return [documents.parse_invoice(row) for row in parse_rows({"Invoices": page}, "Invoices", InvoiceRow)]


def _as_id(text: str) -> str:
    """Return an id as Xero writes it, "" for a text that cannot be one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""


def _build(settings: msgspec.Struct, equipment: Equipment) -> Books:
    return XeroBooks(cast("XeroSettings", settings), equipment)


XERO = ConnectorType(
    name="xero",
    side="books",
    settings=XeroSettings,
    build=_build,
    webhooks=XeroWebhooks(),
    limits=XeroSettings.call_limits,
)

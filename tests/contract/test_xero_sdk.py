"""The vendor's own Python client works against the Xero simulator, unchanged but for its base addresses.

One sandbox serves the whole file; every test makes the records that it needs.
"""

from __future__ import annotations

import gc
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from xero_python.accounting import AccountingApi, models
from xero_python.api_client import ApiClient
from xero_python.api_client.configuration import Configuration
from xero_python.api_client.oauth2 import OAuth2Token, TokenApi
from xero_python.exceptions import (
    AccountingBadRequestException,
    HTTPStatusException,
    NotFoundException,
    RateLimitException,
)
from xero_python.identity import IdentityApi

from sandbox_process import Simulators, simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT_OF_A_CUSTOM_CONNECTION = ""
_names = count(1)


@dataclass
class Client:
    """The vendor's client, signed in to a sandbox; `tokens` are those it was given."""

    sandbox: Simulators
    token: OAuth2Token
    tenant: str
    tokens: list[dict[str, Any]] = field(default_factory=list)
    api: ApiClient = field(init=False)

    def __post_init__(self) -> None:
        self.api = ApiClient(
            Configuration(oauth2_token=self.token),
            oauth2_token_saver=self.tokens.append,
            oauth2_token_getter=lambda: self.tokens[-1],
        )
        self.accounting = AccountingApi(self.api, base_url=f"{self.sandbox.xero_url}/api.xro/2.0")
        self.identity = IdentityApi(self.api, base_url=self.sandbox.xero_url)

        # without this urllib3 itself sits out every Retry-After, up to a minute, three times over
        self.api.rest_client.pool_manager.connection_pool_kw["retries"] = False

    def close(self) -> None:
        """Close the connections, which the client itself never does."""
        pools = self.api.rest_client.pool_manager.pools
        for key in pools.keys():  # noqa: SIM118 - the container refuses to be iterated
            pools[key].close()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Simulators]:
    """Run one sandbox without rate limits, with the client's token addresses pointing at it."""
    with simulators_on_a_thread() as simulators, _token_addresses(simulators.xero_url):
        simulators.limits("xero", enforce=False)
        yield simulators


@contextmanager
def _token_addresses(url: str) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    for name in ("client_credentials_token_url", "refresh_token_url"):
        patch.setattr(TokenApi, name, f"{url}/connect/token")
    patch.setattr(TokenApi, "revoke_token_url", f"{url}/connect/revocation")
    try:
        yield
    finally:
        patch.undo()


@pytest.fixture(scope="module")
def client(sandbox: Simulators) -> Iterator[Client]:
    """Sign in as the custom connection."""
    token = OAuth2Token(client_id=sandbox.xero.client_id, client_secret=sandbox.xero.client_secret)
    with closing(Client(sandbox, token, TENANT_OF_A_CUSTOM_CONNECTION)) as signed_in:
        token.get_client_credentials_access_token(signed_in.api, app_store_billing=False)
        yield signed_in


@pytest.fixture(scope="module")
def books(client: Client) -> AccountingApi:
    """Hand out the accounting part."""
    return client.accounting


def _contact(books: AccountingApi, **members: Any) -> models.Contact:
    named = {"name": f"Client of the SDK {next(_names)}", **members}
    made = books.create_contacts("", models.Contacts(contacts=[models.Contact(**named)]))
    return made.contacts[0]


def _invoice(
    contact: models.Contact, *, status: str = "AUTHORISED", amount: str = "100", **members: Any
) -> models.Invoice:
    line = models.LineItem(
        description="Work", quantity=Decimal(1), unit_amount=Decimal(amount), account_code="200", tax_type="OUTPUT2"
    )
    return models.Invoice(
        type="ACCREC",
        contact=models.Contact(contact_id=contact.contact_id),
        date=date(2026, 9, 14),
        due_date=date(2026, 10, 14),
        line_items=[line],
        status=status,
        **members,
    )


def _created(books: AccountingApi, **members: Any) -> models.Invoice:
    made = books.create_invoices("", models.Invoices(invoices=[_invoice(_contact(books), **members)]))
    return made.invoices[0]


def _paid(books: AccountingApi, invoice: models.Invoice, amount: str) -> models.Payment:
    payment = models.Payment(
        invoice=models.Invoice(invoice_id=invoice.invoice_id),
        account=models.Account(code="090"),
        date=date(2026, 9, 20),
        amount=Decimal(amount),
    )
    return books.create_payment("", payment).payments[0]


def _reasons(error: AccountingBadRequestException) -> list[str]:
    return [row["Message"] for row in error.error_data["Elements"][0]["ValidationErrors"]]


# Identity


def test_connections_name_the_organisation(sandbox: Simulators, client: Client) -> None:
    """The client asks for /Connections with a capital C and finds the one organisation."""
    (connection,) = client.identity.get_connections()
    assert connection.tenant_id == sandbox.xero.organisation_id
    assert connection.tenant_name == "Closedwon Demo (NZ)"
    assert isinstance(connection.created_date_utc, datetime)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_web_app_refreshes_and_revokes(sandbox: Simulators) -> None:
    """The client rotates its refresh token, reads with the tenant header, and gives the consent back."""
    token = OAuth2Token(client_id=sandbox.xero.web_client_id, client_secret=sandbox.xero.web_client_secret)
    scope = ["accounting.settings", "accounting.invoices", "offline_access"]
    first = {"refresh_token": sandbox.xero.web_refresh_token, "scope": scope, "access_token": "", "expires_in": 0}
    token.update_token(token_type="Bearer", expires_at=1.0, **first)
    with closing(Client(sandbox, token, sandbox.xero.organisation_id)) as web:
        assert token.refresh_access_token(web.api)
        assert token.refresh_token != sandbox.xero.web_refresh_token
        found = web.accounting.get_organisations(web.tenant).organisations
        assert found[0].organisation_id == sandbox.xero.organisation_id
        assert token.revoke_access_token(web.api)
    gc.collect()  # the client leaves the answer to a revocation unread and its socket open: let that be found here


def test_a_made_up_token_is_unauthorised(sandbox: Simulators) -> None:
    """The client raises with status 401."""
    token = OAuth2Token()
    with closing(Client(sandbox, token, "")) as stranger:
        stranger.tokens.append({"access_token": "x", "scope": [], "expires_in": 1800, "token_type": "Bearer"})
        with pytest.raises(HTTPStatusException) as caught:
            stranger.accounting.get_organisations("")
    assert caught.value.status == 401


# Reference data


def test_the_organisation_and_its_reference_data_are_read(books: AccountingApi) -> None:
    """Every list of reference data parses into the client's models."""
    (organisation,) = books.get_organisations("").organisations
    assert (organisation.base_currency.value, organisation.country_code.value) == ("NZD", "NZ")
    accounts = {row.code: row for row in books.get_accounts("").accounts}
    assert (accounts["200"].type.value, accounts["205"].status) == ("REVENUE", "ARCHIVED")
    rates = {row.tax_type: row for row in books.get_tax_rates("").tax_rates}
    assert rates["OUTPUT2"].effective_rate == Decimal("15.0000")
    assert {row.code.value for row in books.get_currencies("").currencies} >= {"NZD", "AUD", "USD", "GBP"}
    assert books.get_branding_themes("").branding_themes[0].name == "Standard"
    categories = books.get_tracking_categories("").tracking_categories
    assert [row.name for row in categories] == ["Region", "Cost Centre"]
    assert categories[0].options[0].status == "ACTIVE"


def test_accounts_are_filtered_by_an_expression(books: AccountingApi) -> None:
    """The client's example filter finds the banks."""
    found = books.get_accounts("", where='Status=="ACTIVE" AND Type=="BANK"', order="Name ASC").accounts
    assert [row.code for row in found] == ["090", "091"]


def test_an_account_is_added_and_archived(books: AccountingApi) -> None:
    """The chart can be changed through the client."""
    account = models.Account(code="298", name="SDK income", type=models.AccountType.REVENUE, tax_type="OUTPUT2")
    made = books.create_account("", account).accounts[0]
    change = models.Accounts(accounts=[models.Account(status="ARCHIVED")])
    assert books.update_account("", made.account_id, change).accounts[0].status == "ARCHIVED"


def test_items_are_read_created_and_updated(books: AccountingApi) -> None:
    """Prices keep four decimals."""
    assert any(row.code.startswith("TRN-") for row in books.get_items("").items)
    details = models.Purchase(unit_price=Decimal("12.3456"), account_code="200", tax_type="OUTPUT2")
    item = models.Item(code="SDK-1", name="SDK item", sales_details=details)
    made = books.create_items("", models.Items(items=[item]), unitdp=4).items[0]
    assert made.sales_details.unit_price == Decimal("12.3456")
    renamed = models.Items(items=[models.Item(code="SDK-1", name="Renamed")])
    changed = books.update_or_create_items("", renamed).items[0]
    assert (changed.item_id, changed.name) == (made.item_id, "Renamed")
    assert books.get_item("", made.item_id).items[0].name == "Renamed"


# Contacts


def test_contacts_are_created_updated_and_found(books: AccountingApi) -> None:
    """By id, by number, by search and by filter."""
    made = _contact(books, contact_number="SDK-C1", email_address="c1@example.com")
    change = models.Contacts(contacts=[models.Contact(email_address="new@example.com")])
    assert books.update_contact("", made.contact_id, change).contacts[0].email_address == "new@example.com"
    assert books.get_contact("", made.contact_id).contacts[0].contact_number == "SDK-C1"
    assert books.get_contact_by_contact_number("", "SDK-C1").contacts[0].contact_id == made.contact_id
    assert books.get_contacts("", i_ds=[made.contact_id]).contacts[0].name == made.name
    assert books.get_contacts("", search_term="sdk-c1", page=1).contacts[0].contact_id == made.contact_id
    assert books.get_contacts("", where=f'Name=="{made.name}"').contacts[0].contact_id == made.contact_id


def test_a_duplicate_contact_is_refused(books: AccountingApi) -> None:
    """The client raises a bad request that carries the reason."""
    made = _contact(books)
    again = models.Contacts(contacts=[models.Contact(name=made.name)])
    with pytest.raises(AccountingBadRequestException) as caught:
        books.create_contacts("", again, summarize_errors=True)
    (reason,) = _reasons(caught.value)
    assert reason.startswith(f"The contact name {made.name} is already assigned")


# Invoices


def test_an_invoice_is_created_with_totals_and_dates(books: AccountingApi) -> None:
    """The model's dates and decimals are what was meant."""
    made = _created(books, reference="SDK")
    assert (made.sub_total, made.total_tax, made.total) == (Decimal(100), Decimal(15), Decimal(115))
    assert (made.date, made.due_date) == (date(2026, 9, 14), date(2026, 10, 14))
    assert made.line_items[0].line_amount == Decimal(100)
    assert made.invoice_number.startswith("INV-")


def test_a_batch_reports_each_invoice(books: AccountingApi) -> None:
    """With summarize_errors off one bad invoice does not hide the good ones."""
    contact = _contact(books)
    bad = _invoice(contact)
    bad.line_items[0].account_code = "999"
    batch = models.Invoices(invoices=[_invoice(contact), bad, _invoice(contact)])
    made = books.create_invoices("", batch, summarize_errors=False).invoices
    assert [row.status_attribute_string for row in made] == ["OK", "ERROR", "OK"]
    assert made[1].validation_errors[0].message == "Account code '999' is not a valid code for this document."


def test_an_invoice_is_read_by_id_number_filter_and_page(books: AccountingApi) -> None:
    """All the ways the client offers lead to the same invoice."""
    made = _created(books, reference="find me")
    assert books.get_invoice("", made.invoice_id).invoices[0].line_items[0].description == "Work"
    ways: list[dict[str, Any]] = [
        {"i_ds": [made.invoice_id]},
        {"invoice_numbers": [made.invoice_number]},
        {"contact_i_ds": [made.contact.contact_id], "statuses": ["AUTHORISED"]},
        {"where": 'Reference=="find me"', "page": 1, "page_size": 10},
        {"search_term": "FIND ME", "summary_only": True},
        {"where": f'Contact.ContactID==guid("{made.contact.contact_id}")', "order": "Date DESC"},
    ]
    for way in ways:
        found = books.get_invoices("", **way)
        assert [row.invoice_id for row in found.invoices] == [made.invoice_id], way
    assert books.get_invoices("", where='Reference=="find me"', page=1).pagination.item_count == 1


def test_what_changed_since_is_read(books: AccountingApi) -> None:
    """The client's date goes into If-Modified-Since and comes back understood."""
    made = _created(books)
    moment = made.updated_date_utc.replace(microsecond=0)
    found = books.get_invoices("", if_modified_since=moment).invoices
    assert made.invoice_id in {row.invoice_id for row in found}
    later = datetime(2999, 1, 1, tzinfo=UTC)
    assert books.get_invoices("", if_modified_since=later).invoices == []


def test_an_invoice_is_approved_updated_and_voided(books: AccountingApi) -> None:
    """Status changes go through the client; a forbidden one raises its reason."""
    made = _created(books, status="DRAFT")

    def move(**members: Any) -> models.Invoice:
        change = models.Invoices(invoices=[models.Invoice(**members)])
        return books.update_invoice("", made.invoice_id, change).invoices[0]

    assert move(status="AUTHORISED").status == "AUTHORISED"
    assert move(reference="changed").reference == "changed"
    assert move(status="VOIDED").amount_due == 0
    with pytest.raises(AccountingBadRequestException) as caught:
        move(status="AUTHORISED")
    assert _reasons(caught.value) == ["Invoice not of valid status for modification"]


def test_posting_a_known_number_updates(books: AccountingApi) -> None:
    """update_or_create matches by number."""
    made = _created(books, invoice_number="SDK-1")
    change = _invoice(made.contact, invoice_number="SDK-1", amount="200")
    posted = books.update_or_create_invoices("", models.Invoices(invoices=[change])).invoices[0]
    assert (posted.invoice_id, posted.total) == (made.invoice_id, Decimal(230))


def test_the_same_key_makes_one_invoice(books: AccountingApi) -> None:
    """The client's idempotency key reaches the simulator."""
    contact = _contact(books)
    batch = models.Invoices(invoices=[_invoice(contact)])
    first = books.create_invoices("", batch, idempotency_key="sdk-key-1").invoices[0]
    again = books.create_invoices("", batch, idempotency_key="sdk-key-1").invoices[0]
    assert again.invoice_id == first.invoice_id
    assert len(books.get_invoices("", contact_i_ds=[contact.contact_id]).invoices) == 1


def test_a_missing_invoice_is_not_found(books: AccountingApi) -> None:
    """The 404 sentence becomes the client's exception."""
    with pytest.raises(NotFoundException):
        books.get_invoice("", "11111111-1111-4111-8111-111111111111")


def test_history_is_noted_and_read(books: AccountingApi) -> None:
    """Notes come back with their dates."""
    made = _created(books)
    notes = models.HistoryRecords(history_records=[models.HistoryRecord(details="From the SDK")])
    books.create_invoice_history("", made.invoice_id, notes)
    found = books.get_invoice_history("", made.invoice_id).history_records
    assert found[0].details == "From the SDK"


# Payments and credit notes


def test_a_payment_pays_and_its_removal_reopens(books: AccountingApi) -> None:
    """Both directions show on the invoice."""
    made = _created(books)
    payment = _paid(books, made, "115.00")
    assert (payment.status, payment.amount) == ("AUTHORISED", Decimal(115))
    after = books.get_invoice("", made.invoice_id).invoices[0]
    assert (after.status, after.fully_paid_on_date) == ("PAID", date(2026, 9, 20))
    books.delete_payment("", payment.payment_id, models.PaymentDelete(status="DELETED"))
    assert books.get_invoice("", made.invoice_id).invoices[0].status == "AUTHORISED"
    assert books.get_payment("", payment.payment_id).payments[0].status == "DELETED"


def test_payments_are_created_in_a_batch_and_listed(books: AccountingApi) -> None:
    """The list filters by the invoice's id."""
    made = _created(books)
    rows = [
        models.Payment(
            invoice=models.Invoice(invoice_id=made.invoice_id),
            account=models.Account(code="090"),
            date=date(2026, 9, 20),
            amount=Decimal(amount),
        )
        for amount in (15, 50)
    ]
    books.create_payments("", models.Payments(payments=rows))
    where = f'Invoice.InvoiceID==guid("{made.invoice_id}")'
    assert [row.amount for row in books.get_payments("", where=where).payments] == [Decimal(15), Decimal(50)]


def test_overpaying_is_refused(books: AccountingApi) -> None:
    """The refusal names its reason."""
    made = _created(books)
    with pytest.raises(AccountingBadRequestException) as caught:
        _paid(books, made, "115.01")
    assert _reasons(caught.value) == ["Payment amount exceeds the amount outstanding on this document"]


def test_a_credit_note_is_allocated(books: AccountingApi) -> None:
    """Allocation and removal work through the client."""
    made = _created(books)
    template = _invoice(made.contact)
    note = models.CreditNote(
        type="ACCRECCREDIT", contact=template.contact, line_items=template.line_items, status="AUTHORISED"
    )
    note.date = date(2026, 9, 15)
    note = books.create_credit_notes("", models.CreditNotes(credit_notes=[note])).credit_notes[0]
    assert note.remaining_credit == Decimal(115)
    wanted = models.Allocation(
        invoice=models.Invoice(invoice_id=made.invoice_id), amount=Decimal(15), date=date(2026, 9, 16)
    )
    books.create_credit_note_allocation("", note.credit_note_id, models.Allocations(allocations=[wanted]))
    after = books.get_invoice("", made.invoice_id).invoices[0]
    assert (after.amount_credited, after.amount_due) == (Decimal(15), Decimal(100))
    (allocation,) = books.get_credit_note("", note.credit_note_id).credit_notes[0].allocations
    books.delete_credit_note_allocations("", note.credit_note_id, allocation.allocation_id)
    assert books.get_credit_notes("", page=1).credit_notes[-1].remaining_credit == Decimal(115)


# Limits


def test_the_client_meets_the_rate_limit(sandbox: Simulators, books: AccountingApi) -> None:
    """A 429 without a body becomes the client's rate-limit exception with its kind."""
    sandbox.limits("xero", enforce=True, minute=0)
    try:
        with pytest.raises(RateLimitException) as caught:
            books.get_organisations("")
    finally:
        sandbox.limits("xero", enforce=False, minute=60)
    assert caught.value.rate_limit == "minute"

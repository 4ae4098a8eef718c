"""The port of the books, kept by the Xero connector against the simulator, over HTTP."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import httpx2
import msgspec
import pytest

from closedwon.connectors.limits import CallBudget, MemoryBudgetStore
from closedwon.connectors.oauth import MemoryTokenStore
from closedwon.connectors.registry import Equipment
from closedwon.connectors.xero.connector import XERO
from closedwon.connectors.xero.settings import XeroSettings
from closedwon.kernel.clock import SystemClock, parse_instant, render_instant
from closedwon.kernel.errors import (
    AuthExpired,
    ConsentRevoked,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)
from closedwon.kernel.http import HttpClient
from closedwon.model.customer import Address, Customer
from closedwon.model.invoice import BooksInvoice, Invoice, InvoiceLine
from closedwon.model.money import line_amount, tax_exclusive
from sandbox_process import Control, Sandbox, running_sandbox, simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from closedwon.connectors.limits import BudgetStore
    from closedwon.connectors.port import Books, TokenStore
    from closedwon.kernel.clock import Clock

DELIVERY_TIMEOUT_S = 20
TODAY = datetime.now(UTC).date()


@dataclass
class Bench:
    """A running simulator and ways to connect to it."""

    control: Control
    api_url: str
    client_id: str
    client_secret: str
    tools_token: str
    organisation: str
    web_app: dict[str, str]
    http: HttpClient

    def connect(
        self,
        *,
        clock: Clock | None = None,
        tokens: TokenStore | None = None,
        budget: BudgetStore | None = None,
        auth: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Books:
        """Build the connector from settings as they stand in a configuration."""
        custom = {"kind": "custom_connection", "client_id": self.client_id, "client_secret": self.client_secret}
        document = {
            "auth": auth or custom,
            "organisation": self.organisation,
            "api_url": self.api_url,
            "identity_url": self.api_url,
            **settings,
        }
        made = msgspec.convert(document, XeroSettings)
        clock = clock or SystemClock()
        equipment = Equipment(
            http=self.http,
            clock=clock,
            tokens=tokens or MemoryTokenStore(),
            budget=CallBudget(made.call_limits(), budget or MemoryBudgetStore(), clock),
        )
        return cast("Books", XERO.build(made, equipment))

    def tool(self, method: str, path: str, document: Any = None, **params: str) -> Any:
        """Call the accounting API as a person in the books would act, outside of the app and its limits."""
        headers = {
            "Authorization": f"Bearer {self.tools_token}",
            "Xero-Tenant-Id": self.organisation,
            "Accept": "application/json",
        }
        answer = httpx2.request(
            method, f"{self.api_url}/api.xro/2.0/{path}", json=document, headers=headers, params=params
        )
        assert answer.is_success, answer.text
        return answer.json()

    def pay(self, invoice_id: str, amount: str) -> None:
        """Record a payment in the books."""
        payment = {"Invoice": {"InvoiceID": invoice_id}, "Account": {"Code": "090"}, "Amount": amount}
        self.tool("PUT", "Payments", payment | {"Date": TODAY.isoformat()})

    def calls(self) -> dict[str, int]:
        """Return the app's calls by endpoint, without signing in."""
        counted: dict[str, int] = self.control.stats()["xero"]["app"]["endpoints"]
        return {name: count for name, count in counted.items() if name != "POST token"}


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    """Keep one pool of connections for all tests of this file."""
    client = HttpClient(timeout_s=10)
    yield client
    client.close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Run the sandbox process for all tests of this file."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        running.limits("xero", minute=100_000, day=1_000_000)  # the limits have a test of their own
        yield running


@pytest.fixture
def bench(sandbox: Sandbox, http: HttpClient) -> Bench:
    """Start a test with counters at zero and no faults."""
    sandbox.clear_faults()
    sandbox.reset_stats()
    xero = sandbox.info["xero"]
    return Bench(
        control=sandbox,
        api_url=xero["api_url"],
        client_id=xero["client_id"],
        client_secret=xero["client_secret"],
        tools_token=xero["token"],
        organisation=xero["organisations"][0]["id"],
        web_app=xero["web_app"],
        http=http,
    )


@pytest.fixture
def books(bench: Bench) -> Books:
    """Connect as a custom connection does."""
    return bench.connect()


def a_company(name: str = "") -> Customer:
    """Make up a customer nobody has seen before."""
    identifier = str(uuid4())
    return Customer(
        id=identifier,
        kind="company",
        name=name or f"Port Test {identifier[:8]} Ltd",
        email="accounts@port-test.example",
        phone="+64 9 555 0100",
        number=f"P-{identifier[:8]}",
        address=Address(line1="1 Quay St", city="Auckland", postal_code="1010", country="New Zealand"),
    )


def a_contact(books: Books) -> str:
    """Create a contact and return its id."""
    (written,) = books.create_contacts([a_company()], str(uuid4()))
    assert written.record is not None, written.error
    return written.record.id


def an_invoice(contact_id: str, *lines: InvoiceLine, **changes: Any) -> Invoice:
    """Make up an invoice with a reference of its own."""
    line = InvoiceLine(
        description="Torque wrench",
        quantity=Decimal(3),
        unit_amount=Decimal("33.3333"),
        account_code="200",
        tax_type="OUTPUT2",
    )
    invoice = Invoice(
        contact_id=contact_id,
        issue_date=TODAY,
        due_date=TODAY + timedelta(days=20),
        currency="NZD",
        lines=lines or (line,),
        status="authorised",
        reference=str(uuid4()),
        source_url="https://crm.example/main.aspx?id=1",
    )
    return msgspec.structs.replace(invoice, **changes)


def create(books: Books, *invoices: Invoice) -> list[BooksInvoice]:
    """Create invoices that must succeed."""
    written = books.create_invoices(invoices, str(uuid4()))
    assert [result.error for result in written] == [None] * len(invoices)
    return [result.record for result in written if result.record is not None]


# --- who, and what there is ------------------------------------------------------------------------------------------


def test_identify_is_one_call(bench: Bench, books: Books) -> None:
    """We learn the organisation's id and name from one call, with or without configuring it."""
    identity = books.identify()
    assert identity.organisation_id == bench.organisation
    assert identity.organisation_name == "Closedwon Demo (NZ)"
    assert sum(bench.calls().values()) == 1
    found = bench.connect(organisation="").identify()
    assert (found.organisation_id, found.organisation_name) == (bench.organisation, "Closedwon Demo (NZ)")
    assert sum(bench.calls().values()) == 2


def test_reference_data_is_five_calls(bench: Bench, books: Books) -> None:
    """Organisation, accounts, tax rates, items and currencies are all there, ready to be checked against."""
    reference = books.fetch_reference()
    assert sum(bench.calls().values()) == 5
    accounts = {account.code: account for account in reference.accounts}
    assert accounts["200"].usable
    assert not accounts["090"].usable, "a bank account"
    assert not accounts["610"].usable, "the system's debtors account"
    assert accounts["860"].role == "ROUNDING"
    assert not accounts["205"].active
    rates = {rate.tax_type: rate for rate in reference.tax_rates}
    assert rates["OUTPUT2"].rate_pct == 15
    assert "REVENUE" in rates["OUTPUT2"].kinds
    assert "REVENUE" not in rates["INPUT2"].kinds
    assert reference.organisation.base_currency == "NZD"
    assert set(reference.currencies) == {"NZD", "AUD", "USD", "GBP"}
    assert {item.account_code for item in reference.items} <= set(accounts)


def test_the_check_finds_nothing_wrong(books: Books) -> None:
    """A sound connection has only good findings."""
    findings = books.check()
    assert [finding for finding in findings if not finding.ok] == []
    assert len(findings) >= 5


def test_wrong_secret(bench: Bench) -> None:
    """A wrong secret is told with the keys to look at, before any call."""
    auth = {"kind": "custom_connection", "client_id": bench.client_id, "client_secret": "wrong"}
    with pytest.raises(AuthExpired) as caught:
        bench.connect(auth=auth).identify()
    assert "auth.client_secret" in caught.value.hint
    assert bench.calls() == {}


def test_wrong_organisation(bench: Bench) -> None:
    """An organisation that does not let us in is told as a lost consent."""
    with pytest.raises(ConsentRevoked):
        bench.connect(organisation=str(uuid4())).identify()


def test_scopes_the_app_has_not(bench: Bench) -> None:
    """Asking for a scope the app was not given is told as a missing permission."""
    auth = {
        "kind": "custom_connection",
        "client_id": bench.client_id,
        "client_secret": bench.client_secret,
        "scopes": ["payroll.employees"],
    }
    with pytest.raises(PermissionMissing):
        bench.connect(auth=auth).identify()


def test_nobody_there(bench: Bench) -> None:
    """An address where nobody listens is Unavailable, and names the address."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        bench.connect(identity_url="http://127.0.0.1:9").identify()


# --- contacts --------------------------------------------------------------------------------------------------------


def test_contacts_are_created_and_found_again(bench: Bench, books: Books) -> None:
    """What was created is read back the same, by the feed since a moment before."""
    since = datetime.now(UTC) - timedelta(seconds=2)
    company = a_company()
    person = Customer(id=str(uuid4()), kind="person", name="Zoë Múller", first_name="Zoë", last_name="Múller")
    person = msgspec.structs.replace(person, name=f"Zoë Múller{person.id[:4]}", last_name=f"Múller{person.id[:4]}")
    written = books.create_contacts([company, person], str(uuid4()))
    records = [result.record for result in written]
    assert [record.external_id for record in records if record] == [company.id, person.id]
    assert [record.kind for record in records if record] == ["company", "person"]
    found = {customer.external_id: customer for page in books.fetch_contacts(since) for customer in page}
    assert found[company.id] == records[0]
    assert found[company.id].address == company.address
    assert found[company.id].phone == company.phone
    assert found[person.id] == records[1]
    assert bench.calls() == {"PUT Contacts": 1, "GET Contacts": 1}


def test_a_taken_name_or_number_is_refused_and_nothing_overwritten(bench: Bench, books: Books) -> None:
    """The contact who has the name keeps his data; the others of the batch are created."""
    first, fresh = a_company(), a_company()
    (before,) = books.create_contacts([first], str(uuid4()))
    same_name = msgspec.structs.replace(a_company(f"  {first.name.upper()} "), email="thief@example.org")
    same_number = msgspec.structs.replace(a_company(), id=first.id)
    named, created, numbered = books.create_contacts([same_name, fresh, same_number], str(uuid4()))
    assert isinstance(named.error, Rejected)
    assert named.error.details["kind"] == "contact_name_taken"
    assert isinstance(numbered.error, Rejected)
    assert numbered.error.details["kind"] == "contact_number_taken"
    assert created.record is not None
    assert before.record is not None
    contact = bench.tool("GET", f"Contacts/{before.record.id}")["Contacts"][0]
    assert contact["EmailAddress"] == "accounts@port-test.example"


def test_archived_contacts_are_read_and_refuse_invoices(bench: Bench, books: Books) -> None:
    """An archived contact comes as not active, and an invoice to it is refused with a reason we know."""
    contact_id = a_contact(books)
    bench.tool("POST", "Contacts", {"ContactID": contact_id, "ContactStatus": "ARCHIVED"})
    found = {one.id: one for page in books.fetch_contacts(None) for one in page}
    assert not found[contact_id].active
    (written,) = books.create_invoices([an_invoice(contact_id)], str(uuid4()))
    assert isinstance(written.error, Rejected)
    assert written.error.details["kind"] == "contact_archived"


# --- invoices --------------------------------------------------------------------------------------------------------


def test_fifty_invoices_are_one_call_and_exact(bench: Bench, books: Books) -> None:
    """Fifty invoices with odd prices, quantities and discounts come out at the cent we computed, in one call."""
    contact_id = a_contact(books)
    bench.control.reset_stats()
    invoices = []
    for number in range(50):
        lines = tuple(
            InvoiceLine(
                description=f"Part {number}.{position} ☃",
                quantity=Decimal("0.5") + number,
                unit_amount=Decimal("7.7777") + position,
                discount_amount=Decimal("0.33") * position,
                account_code="200",
                tax_type="OUTPUT2",
            )
            for position in range(3)
        )
        net = [line_amount(line.quantity, line.unit_amount, line.discount_amount) for line in lines]
        tax = [tax_exclusive(amount, Decimal(15)) for amount in net]
        invoices.append(an_invoice(contact_id, *lines, sub_total=sum(net), total_tax=sum(tax), total=sum(net + tax)))
    made = create(books, *invoices)
    assert bench.calls() == {"PUT Invoices": 1}
    for wanted, got in zip(invoices, made, strict=True):
        assert (got.sub_total, got.total_tax, got.total) == (wanted.sub_total, wanted.total_tax, wanted.total)
        assert (got.reference, got.contact_id, got.source_url) == (wanted.reference, contact_id, wanted.source_url)
        assert (got.status, got.amount_due) == ("authorised", got.total)
        assert got.due_date == wanted.due_date
    assert len({invoice.number for invoice in made}) == 50


@pytest.mark.parametrize("currency", ["NZD", "USD"])
def test_what_was_created_is_what_is_fetched(books: Books, currency: str) -> None:
    """The answer to the create and a later fetch say the same; unknown ids are left out."""
    rate = None if currency == "NZD" else Decimal("0.61")
    (made,) = create(books, an_invoice(a_contact(books), currency=currency, currency_rate=rate))
    assert made.currency == currency
    assert books.fetch_invoices([str(uuid4()), made.id]) == [made]


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("account_code", {"account_code": "999"}, {}, {"account_code": "999"}),
    ("account_code", {"account_code": "205"}, {}, {"account_code": "205"}),
    ("tax_type", {"tax_type": "GST on Income"}, {}, {"tax_type": "GST on Income"}),
    ("tax_type", {"tax_type": "INPUT2"}, {}, {"tax_type": "INPUT2", "account_code": "200"}),
    ("currency", {}, {"currency": "EUR"}, {"currency": "EUR"}),
]


@pytest.mark.parametrize(("kind", "line", "invoice", "values"), REFUSALS)
def test_refusals_have_a_kind_and_leave_the_others_alone(
    books: Books, kind: str, line: dict[str, Any], invoice: dict[str, Any], values: dict[str, Any]
) -> None:
    """One bad element is refused with its kind and the values at fault; the good ones beside it are created."""
    contact_id = a_contact(books)
    good = an_invoice(contact_id)
    bad = msgspec.structs.replace(good, lines=(msgspec.structs.replace(good.lines[0], **line),), **invoice)
    before, refused, after = books.create_invoices([good, bad, an_invoice(contact_id)], str(uuid4()))
    assert before.record is not None
    assert after.record is not None
    assert refused.record is None
    assert isinstance(refused.error, Rejected)
    assert refused.error.details["kind"] == kind
    assert values.items() <= refused.error.details.items()
    assert refused.error.hint


def test_a_taken_number_is_refused(books: Books) -> None:
    """An invoice number that exists is refused; the invoice that has it is not touched."""
    contact_id = a_contact(books)
    number = f"OUR-{uuid4()}"
    (first,) = create(books, an_invoice(contact_id, number=number))
    (second,) = books.create_invoices([an_invoice(contact_id, number=number)], str(uuid4()))
    assert isinstance(second.error, Rejected)
    assert second.error.details["kind"] == "number_taken"
    assert books.fetch_invoices([first.id]) == [first]


def test_300_lines_and_a_long_name(books: Books) -> None:
    """A deal of 300 lines with long texts and emoji is one invoice."""
    line = InvoiceLine(
        description="🛠 " + "x" * 5000,
        quantity=Decimal(1),
        unit_amount=Decimal("0.01"),
        account_code="200",
        tax_type="NONE",
    )
    (made,) = create(books, an_invoice(a_contact(books), *[line] * 300, reference="🛠" * 300))
    assert made.total == Decimal("3.00")


# --- once and only once ----------------------------------------------------------------------------------------------


def test_the_same_key_creates_once(bench: Bench, books: Books) -> None:
    """Sending the same batch with the same key again gives the same invoice, not a second one."""
    invoice = an_invoice(a_contact(books))
    key = str(uuid4())
    (first,) = books.create_invoices([invoice], key)
    (again,) = books.create_invoices([invoice], key)
    assert first.record == again.record
    assert first.record is not None
    assert references(bench).count(invoice.reference) == 1


def test_a_key_used_for_something_else_is_not_taken_for_success(books: Books) -> None:
    """Another batch under a used key is refused by Xero and must be looked up."""
    contact_id, key = a_contact(books), str(uuid4())
    books.create_invoices([an_invoice(contact_id)], key)
    with pytest.raises(OutcomeUnknown, match="different request"):
        books.create_invoices([an_invoice(contact_id)], key)


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "cut_after"},
        {"do": "truncate"},
        {"do": "empty"},
        {"do": "html"},
        {"do": "500"},
        {"do": "503"},
        {"do": "cut_before"},
    ],
    ids=lambda fault: fault["do"],
)
def test_a_lost_answer_is_found_again(bench: Bench, books: Books, fault: dict[str, Any]) -> None:
    """Whatever happens to the answer, the outcome is unknown, and one look tells whether the invoice exists."""
    contact_id = a_contact(books)
    since = datetime.now(UTC)
    invoice = an_invoice(contact_id)
    bench.control.fault("xero", match="PUT Invoices", when={"first": 1}, **fault)
    with pytest.raises(OutcomeUnknown):
        books.create_invoices([invoice], str(uuid4()))
    found = [one for one in books.fetch_created_invoices(since) if one.reference == invoice.reference]
    assert len(found) == references(bench).count(invoice.reference)
    if fault["do"] in {"cut_after", "truncate"}:
        assert found[0].source_url == invoice.source_url


@pytest.mark.parametrize("do", ["500", "503", "cut_before", "cut_after", "truncate", "empty", "html"])
def test_a_lost_read_is_only_unavailable(bench: Bench, books: Books, do: str) -> None:
    """A read that fails in any way is tried again by the engine and then works."""
    bench.control.fault("xero", do, match="GET Invoices", when={"first": 1})
    since = render_instant(datetime.now(UTC))
    with pytest.raises(Unavailable):
        books.fetch_changes(since)
    books.fetch_changes(since)


def test_a_429_is_throttled_and_waited_for(bench: Bench) -> None:
    """A 429 says how long to wait; until then nothing leaves, and then the work goes on."""
    clock = JumpingClock()
    books = bench.connect(clock=clock)
    books.identify()
    bench.control.fault("xero", "429", match="GET Organisation", when={"first": 1}, retry_after_s=7)
    with pytest.raises(Throttled) as caught:
        books.identify()
    assert caught.value.retry_after_s == 7
    books.identify()
    assert clock.slept_s >= 7


# --- what changes in the books ---------------------------------------------------------------------------------------


def test_the_feed_tells_of_payments_voids_and_drafts(bench: Bench, books: Books) -> None:
    """Each change shows once per version, in our states; one call a look."""
    contact_id = a_contact(books)
    watermark = books.fetch_changes("").watermark
    part, full, void, draft = create(
        books, *[an_invoice(contact_id) for _ in range(3)], an_invoice(contact_id, status="draft")
    )
    first = {change.record_id: change for change in books.fetch_changes(watermark).changes}
    bench.pay(part.id, "15.00")
    bench.pay(full.id, str(full.total))
    bench.tool("POST", f"Invoices/{void.id}", {"Status": "VOIDED"})
    bench.control.reset_stats()
    changes = books.fetch_changes(watermark)
    assert bench.calls() == {"GET Invoices": 1}
    states = {change.record_id: change.state for change in changes.changes}
    assert (states[part.id], states[full.id], states[void.id], states[draft.id]) == (
        "partially_paid",
        "paid",
        "voided",
        "draft",
    )
    versions = {change.record_id: change.version for change in changes.changes}
    assert versions[draft.id] == first[draft.id].version
    assert int(versions[part.id]) > int(first[part.id].version)
    assert parse_instant(changes.watermark) > parse_instant(watermark)
    again = books.fetch_changes(changes.watermark)
    assert versions.items() >= {change.record_id: change.version for change in again.changes}.items()


def test_payments_come_and_go(bench: Bench, books: Books) -> None:
    """Amounts and the day of payment follow the books, also when a payment is removed again."""
    (made,) = create(books, an_invoice(a_contact(books)))
    bench.pay(made.id, str(made.total))
    (paid,) = books.fetch_invoices([made.id])
    assert (paid.status, paid.amount_paid, paid.amount_due) == ("paid", made.total, Decimal(0))
    assert paid.paid_on == TODAY
    payment = bench.tool("GET", f"Invoices/{made.id}")["Invoices"][0]["Payments"][0]["PaymentID"]
    bench.tool("POST", f"Payments/{payment}", {"Status": "DELETED"})
    (back,) = books.fetch_invoices([made.id])
    assert (back.status, back.amount_paid, back.paid_on) == ("authorised", Decimal(0), None)
    assert int(back.version) > int(paid.version) > int(made.version)


def test_voided_and_deleted_invoices_are_still_fetched(bench: Bench, books: Books) -> None:
    """An invoice does not vanish from our sight because it was voided or deleted."""
    contact_id = a_contact(books)
    voided, deleted = create(books, an_invoice(contact_id), an_invoice(contact_id, status="draft"))
    bench.tool("POST", f"Invoices/{voided.id}", {"Status": "VOIDED"})
    bench.tool("POST", f"Invoices/{deleted.id}", {"Status": "DELETED"})
    states = {invoice.id: invoice.status for invoice in books.fetch_invoices([voided.id, deleted.id])}
    assert states == {voided.id: "voided", deleted.id: "deleted"}


def test_webhooks_are_genuine_and_name_the_invoice(bench: Bench, books: Books) -> None:
    """Real deliveries pass our check, wrongly signed ones do not, and the hints name the invoice that changed."""
    key = "a-signing-key-of-our-own"
    with listening() as (url, received):
        bench.control.set_xero_webhook(url, key)
        trials = [received.get(timeout=DELIVERY_TIMEOUT_S) for _ in range(2)]
        genuine = [XERO.webhooks.verify(headers, body, key) for headers, body in trials]
        assert True in genuine
        assert False in genuine
        (made,) = create(books, an_invoice(a_contact(books)))
        assert made.id in hinted(received, key, made.id)
    bench.control.set_xero_webhook("http://127.0.0.1:9/gone", key)


# --- tokens and budgets ----------------------------------------------------------------------------------------------


def test_a_web_app_keeps_its_consent_across_refreshes(bench: Bench) -> None:
    """Refresh tokens rotate: the first comes from the configuration, later ones from the store."""
    tokens = MemoryTokenStore()
    auth = {"kind": "authorization_code", **bench.web_app}
    bench.connect(auth=auth, tokens=tokens).identify()
    first = tokens.find()
    assert first is not None
    assert first.refresh not in {"", bench.web_app["refresh_token"]}
    later = JumpingClock(timedelta(minutes=31))
    bench.connect(auth=auth | {"refresh_token": ""}, tokens=tokens, clock=later).identify()
    second = tokens.find()
    assert second is not None
    assert second.refresh != first.refresh


def test_tokens_that_end_early_are_renewed_once(http: HttpClient) -> None:
    """When Xero's clock runs ahead and refuses a token we think good, one new sign-in is enough."""
    with on_a_thread(http) as bench:
        books = bench.connect()
        books.identify()
        bench.control.clock(advance_s=31 * 60)
        books.identify()
        books.identify()
        assert bench.control.stats()["xero"]["app"]["endpoints"]["POST token"] == 2


def test_the_limits_are_never_met(http: HttpClient) -> None:
    """Two hundred calls against 60 a minute by the simulator's clock, with a restart on the way: not one 429."""
    with on_a_thread(http) as bench:
        clock, tokens, store = SandboxClock(bench.control), MemoryTokenStore(), MemoryBudgetStore()
        for _ in range(4):
            books = bench.connect(clock=clock, tokens=tokens, budget=store)
            for _ in range(50):
                books.fetch_invoices([str(uuid4())])
        app = bench.control.stats()["xero"]["app"]
        assert app["endpoints"]["GET Invoices"] == 200
        assert app["throttled"] == 0
        assert clock.slept_s < 4 * 61


def test_many_threads_never_meet_the_concurrency_limit(http: HttpClient) -> None:
    """Twelve threads in two connections to a slow Xero share its five slots: all calls succeed, none is refused."""
    with on_a_thread(http) as bench:
        bench.control.limits("xero", latency_ms=30)
        tokens, store = MemoryTokenStore(), MemoryBudgetStore()
        connections = [bench.connect(tokens=tokens, budget=store) for _ in range(2)]
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(lambda number: connections[number % 2].fetch_invoices([str(uuid4())]), range(40)))
        assert found == [[]] * 40
        app = bench.control.stats()["xero"]["app"]
        assert app["endpoints"] == {"POST token": 1, "GET Invoices": 40}
        assert app["throttled"] == 0


class JumpingClock(SystemClock):
    """The machine's clock, set ahead; waiting only moves it on."""

    def __init__(self, ahead: timedelta = timedelta(0)) -> None:
        self.ahead = ahead
        self.slept_s = 0.0

    def now(self) -> datetime:
        """Return the time it would be."""
        return super().now() + self.ahead

    def sleep(self, seconds: float) -> None:
        """Jump."""
        self.slept_s += seconds
        self.ahead += timedelta(seconds=seconds)


class SandboxClock(SystemClock):
    """The simulator's clock; waiting moves it on."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.slept_s = 0.0

    def now(self) -> datetime:
        """Return the simulator's time."""
        return parse_instant(self.control.clock())

    def sleep(self, seconds: float) -> None:
        """Move the simulator's time."""
        self.slept_s += seconds
        self.control.clock(advance_s=seconds)


@contextmanager
def on_a_thread(http: HttpClient) -> Iterator[Bench]:
    """Run simulators of a test's own, whose clock may be moved."""
    with simulators_on_a_thread() as running:
        xero = running.xero
        yield Bench(
            control=running,
            api_url=running.xero_url,
            client_id=xero.client_id,
            client_secret=xero.client_secret,
            tools_token=xero.token,
            organisation=xero.organisation_id,
            web_app={},
            http=http,
        )


def references(bench: Bench) -> list[str]:
    """List the references of all invoices there are, by the simulator's own account."""
    organisations = bench.control.state("xero")["organisations"]
    return [invoice.get("Reference", "") for one in organisations for invoice in one["invoices"]]


Received = Queue[tuple[dict[str, str], bytes]]


@contextmanager
def listening() -> Iterator[tuple[str, Received]]:
    """Receive webhooks; genuine or not, they are answered as our server would."""
    received: Received = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.put((headers, body))
            genuine = XERO.webhooks.verify(headers, body, "a-signing-key-of-our-own")
            self.send_response(200 if genuine else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/xero/books", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def hinted(received: Received, key: str, wanted: str) -> set[str]:
    """Collect the ids named by genuine deliveries until the wanted one is among them."""
    ids: set[str] = set()
    while wanted not in ids:
        headers, body = received.get(timeout=DELIVERY_TIMEOUT_S)
        if XERO.webhooks.verify(headers, body, key):
            ids.update(hint.record_id for hint in XERO.webhooks.parse(body))
    return ids

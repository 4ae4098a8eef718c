"""The port against a scripted Xero: what is sent, in how many calls, and what becomes of every answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from closedwon.connectors.port import Identity, Organisation
from closedwon.connectors.xero.connector import XERO
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.settings import AuthorizationCode, CallLimits, CustomConnection, XeroSettings
from closedwon.kernel.errors import (
    AuthExpired,
    ConsentRevoked,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)
from closedwon.model.customer import Customer
from closedwon.model.invoice import Invoice, InvoiceLine

if TYPE_CHECKING:
    from scripted_xero import Vendor

ORGANISATION = "84ea839c-54d1-46d5-8711-0e4ebce7ee1a"
OTHER = "11111111-2222-4333-8444-555555555555"
NO_ID = "00000000-0000-0000-0000-000000000000"
UPDATED = "/Date(1789378199160+0000)/"
ACME = Customer(id="c-1", kind="company", name="Acme")
BOLT = Customer(id="c-2", kind="company", name="Bolt")
CONTACT = "b59bf06c-de12-4c09-83b5-15608bd128e7"
LINE = InvoiceLine(description="Wrench", quantity=Decimal(1), unit_amount=Decimal("9.99"), account_code="200")
INVOICE = Invoice(
    contact_id=CONTACT, issue_date=date(2026, 11, 22), due_date=date(2026, 12, 20), currency="NZD", lines=(LINE,)
)
TAKEN = "The contact name Bolt is already assigned to another contact. The contact name must be unique."


def saved_contact(number: str) -> dict[str, Any]:
    """Make the echo of a created contact."""
    identifier = f"00000000-0000-4000-8000-{int(number[2:]):012d}"
    return {
        "ContactID": identifier,
        "ContactNumber": number,
        "Name": number,
        "ContactStatus": "ACTIVE",
        "UpdatedDateUTC": UPDATED,
        "StatusAttributeString": "OK",
    }


def saved_invoice(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Make the echo of a created invoice."""
    return {
        "InvoiceID": f"00000000-0000-4000-8000-{number:012d}",
        "InvoiceNumber": f"INV-{number:04d}",
        "Type": "ACCREC",
        "Status": "DRAFT",
        "CurrencyCode": "NZD",
        "Contact": {"ContactID": CONTACT.upper()},
        "Total": 9.99,
        "AmountDue": 9.99,
        "UpdatedDateUTC": UPDATED,
        "StatusAttributeString": "OK",
        **changes,
    }


# --- one call ------------------------------------------------------------------------------------------------------


def test_every_call_is_dressed_right(vendor: Vendor, envelope: Any) -> None:
    """Token, organisation, JSON, a request id and our name are on the call; the path is the accounting API's."""
    vendor.says(envelope(Organisations=[{"OrganisationID": ORGANISATION, "Name": "Demo", "Version": "NZ"}]))
    assert vendor.books().identify() == Identity("app-1", ORGANISATION, "Demo", "NZ")
    (call,) = vendor.calls
    assert (call.method, call.path) == ("GET", "/api.xro/2.0/Organisation")
    assert call.headers["authorization"] == "Bearer at-1"
    assert call.headers["xero-tenant-id"] == ORGANISATION
    assert call.headers["accept"] == "application/json"
    assert call.headers["user-agent"].startswith("closedwon/")
    assert call.headers["x-request-id"]
    assert "idempotency-key" not in call.headers


def test_an_expired_token_is_renewed_once(vendor: Vendor, envelope: Any) -> None:
    """A 401 costs one sign-in and one repeated call, even for a write, since a 401 did nothing."""
    expired = httpx2.Response(401, json={"Detail": "TokenExpired: token expired"})
    vendor.says(expired, envelope(Contacts=[saved_contact("c-1")]))
    (written,) = vendor.books().create_contacts([ACME], "k-1")
    assert written.record is not None
    assert [call.headers["authorization"] for call in vendor.calls] == ["Bearer at-1", "Bearer at-2"]
    assert vendor.calls[0].headers["idempotency-key"] == vendor.calls[1].headers["idempotency-key"]
    assert len(vendor.sign_ins) == 2


def test_a_second_401_is_final(vendor: Vendor) -> None:
    """When even a fresh token is refused, a person must look; there is no third try."""
    vendor.says(*[httpx2.Response(401, json={"Detail": "AuthenticationUnsuccessful"})] * 2)
    with pytest.raises(AuthExpired):
        vendor.books().identify()
    assert len(vendor.calls) == 2


def test_a_missing_scope_is_not_retried(vendor: Vendor) -> None:
    """A missing scope looks like a 401 and is not one."""
    vendor.says(httpx2.Response(401, json={"Detail": "AuthorizationUnsuccessful"}))
    with pytest.raises(PermissionMissing):
        vendor.books().identify()
    assert len(vendor.calls) == 1


def test_a_429_holds_the_next_call_back(vendor: Vendor, envelope: Any) -> None:
    """The call that met a 429 is told, and the next one waits out Retry-After before it leaves."""
    vendor.says(httpx2.Response(429, headers={"Retry-After": "26", "X-Rate-Limit-Problem": "minute"}))
    books = vendor.books()
    with pytest.raises(Throttled) as caught:
        books.fetch_changes("2026-11-22T09:00:00.000Z")
    assert caught.value.retry_after_s == 26
    vendor.says(envelope(Invoices=[]))
    books.fetch_changes("2026-11-22T09:00:00.000Z")
    assert vendor.clock.monotonic() >= 26


def test_the_budget_is_kept_when_calls_are_lost(vendor: Vendor, envelope: Any) -> None:
    """Ten lost calls do not leave ten slots taken."""
    request = httpx2.Request("GET", "https://api.xero.test")
    books = vendor.books()
    for _ in range(10):
        vendor.says(httpx2.ReadError("reset", request=request))
        with pytest.raises(Unavailable):
            books.identify()
    vendor.says(envelope(Organisations=[{"Name": "Demo"}]))
    assert books.identify().organisation_name == "Demo"
    assert vendor.clock.monotonic() == 0, "nobody had to wait"


# --- who we are ------------------------------------------------------------------------------------------------------


def connection(identifier: str, name: str, kind: str = "ORGANISATION") -> dict[str, str]:
    """Make a row of /connections."""
    return {"id": "x", "authEventId": "y", "tenantId": identifier, "tenantType": kind, "tenantName": name}


def test_without_organisation_the_connection_tells(vendor: Vendor) -> None:
    """The cheapest question is /connections: one call, without an organisation header."""
    vendor.says(httpx2.Response(200, json=[connection(OTHER, "Demo"), connection("p", "Practice", "PRACTICE")]))
    assert vendor.books(organisation="").identify() == Identity("app-1", OTHER, "Demo")
    (call,) = vendor.calls
    assert call.path == "/connections"
    assert "xero-tenant-id" not in call.headers


@pytest.mark.parametrize("rows", [[], [connection(ORGANISATION, "One"), connection(OTHER, "Two")]])
def test_an_unclear_organisation_is_a_question_of_configuration(vendor: Vendor, rows: list[Any]) -> None:
    """None or several organisations: the text lists them, the hint names the key."""
    vendor.says(httpx2.Response(200, json=rows))
    with pytest.raises(Misconfigured) as caught:
        vendor.books(organisation="").identify()
    assert "`organisation`" in caught.value.hint
    assert all(row["tenantId"] in caught.value.text for row in rows)


def test_a_custom_connection_needs_no_organisation(vendor: Vendor, envelope: Any) -> None:
    """Its token is bound to one organisation, so no header is sent and no call is spent to find it."""
    vendor.says(envelope(Invoices=[]))
    vendor.books(organisation="").fetch_created_invoices(datetime(2026, 11, 22, tzinfo=UTC))
    (call,) = vendor.calls
    assert "xero-tenant-id" not in call.headers


def test_a_web_app_finds_its_organisation_once(vendor: Vendor, envelope: Any) -> None:
    """A consent that reaches one organisation needs no configuration: one extra call, at the first use."""
    auth = AuthorizationCode(client_id="web", client_secret="s", refresh_token="rt-0")
    books = vendor.books(organisation="", auth=auth)
    vendor.says(httpx2.Response(200, json=[connection(OTHER, "Demo")]), envelope(Invoices=[]), envelope(Invoices=[]))
    books.fetch_invoices([CONTACT])
    books.fetch_invoices([CONTACT])
    assert [call.path for call in vendor.calls] == ["/connections", "/api.xro/2.0/Invoices", "/api.xro/2.0/Invoices"]
    assert vendor.calls[2].headers["xero-tenant-id"] == OTHER
    assert b"refresh_token=rt-0" in vendor.sign_ins[0].body


def test_revoked_consent_is_told(vendor: Vendor) -> None:
    """A dead refresh token pauses the connection with the next step."""
    vendor.tokens.append((400, {"error": "invalid_grant"}))
    auth = AuthorizationCode(client_id="web", client_secret="s", refresh_token="rt-0")
    with pytest.raises(ConsentRevoked):
        vendor.books(auth=auth).identify()
    assert vendor.calls == []


def test_scopes_are_asked_for(vendor: Vendor, envelope: Any) -> None:
    """The sign-in names the usual scopes, or those configured."""
    vendor.says(*[envelope(Organisations=[{}])] * 2)
    vendor.books().identify()
    vendor.books(
        auth=CustomConnection(client_id="a", client_secret="b", scopes=("accounting.transactions",))
    ).identify()
    bodies = [call.body for call in vendor.sign_ins]
    assert b"scope=accounting.invoices+accounting.contacts+accounting.settings.read" in bodies[0]
    assert b"scope=accounting.transactions" in bodies[1]


# --- reference data --------------------------------------------------------------------------------------------------


def test_reference_data_takes_five_calls(vendor: Vendor, envelope: Any) -> None:
    """Organisation, accounts, tax rates, items and currencies, one call each."""
    vendor.says(
        envelope(Organisations=[{"OrganisationID": ORGANISATION, "Name": "Demo", "BaseCurrency": "NZD"}]),
        envelope(Accounts=[{"Code": "200", "Name": "Sales", "Type": "REVENUE", "Class": "REVENUE"}]),
        envelope(TaxRates=[{"TaxType": "NONE", "Name": "No GST", "EffectiveRate": 0}]),
        envelope(Items=[]),
        envelope(Currencies=[{"Code": "NZD", "Description": "New Zealand Dollar"}, {"Code": "USD"}]),
    )
    reference = vendor.books().fetch_reference()
    assert [call.path.rpartition("/")[2] for call in vendor.calls] == [
        "Organisation",
        "Accounts",
        "TaxRates",
        "Items",
        "Currencies",
    ]
    assert reference.organisation.base_currency == "NZD"
    assert [account.code for account in reference.accounts] == ["200"]
    assert reference.currencies == ("NZD", "USD")
    assert reference.fetched_at == vendor.clock.at


# --- creating --------------------------------------------------------------------------------------------------------


def test_contacts_are_created_in_one_call(vendor: Vendor, envelope: Any) -> None:
    """One PUT, never a POST, which would overwrite a contact of the same name; results come in the order given."""
    refused = {
        "ContactID": NO_ID,
        "Name": "Bolt",
        "StatusAttributeString": "ERROR",
        "HasValidationErrors": True,
        "ValidationErrors": [{"Message": TAKEN}],
    }
    vendor.says(envelope(Contacts=[saved_contact("c-1"), refused]))
    first, second = vendor.books().create_contacts([ACME, BOLT], "flow-7")
    (call,) = vendor.calls
    assert (call.method, call.path) == ("PUT", "/api.xro/2.0/Contacts")
    assert call.query == {"summarizeErrors": "false"}
    assert call.headers["idempotency-key"] == f"{ORGANISATION}/flow-7"
    assert call.headers["content-type"] == "application/json"
    sent = call.json()["Contacts"]
    assert sent == [{"Name": "Acme", "ContactNumber": "c-1"}, {"Name": "Bolt", "ContactNumber": "c-2"}]
    assert first.record is not None
    assert (first.record.id, first.record.external_id) == ("00000000-0000-4000-8000-000000000001", "c-1")
    assert first.record.version == "1789378199160"
    assert second.record is None
    assert isinstance(second.error, Rejected)
    assert second.error.details == {"name": "Bolt", "messages": [TAKEN], "kind": "contact_name_taken"}


def test_invoices_are_created_in_one_call(vendor: Vendor, envelope: Any) -> None:
    """One PUT with four decimals for unit prices; amounts of the answer are exact."""
    vendor.says(envelope(Invoices=[saved_invoice(1), saved_invoice(2)]))
    written = vendor.books().create_invoices([INVOICE, INVOICE], "k")
    (call,) = vendor.calls
    assert (call.method, call.path) == ("PUT", "/api.xro/2.0/Invoices")
    assert call.query == {"summarizeErrors": "false", "unitdp": "4"}
    assert call.json()["Invoices"][0]["LineItems"][0]["UnitAmount"] == Decimal("9.99")
    assert [result.record.number for result in written if result.record] == ["INV-0001", "INV-0002"]
    assert written[0].record is not None
    assert written[0].record.total == Decimal("9.99")


def test_an_error_element_is_never_taken_for_saved(vendor: Vendor, envelope: Any) -> None:
    """A refused element echoes what we sent, status included; nothing of it is believed."""
    echo = saved_invoice(1, Status="AUTHORISED", StatusAttributeString="ERROR", ValidationErrors=[{"Message": "No."}])
    vendor.says(envelope(Invoices=[echo]))
    (written,) = vendor.books().create_invoices([INVOICE], "k")
    assert written.record is None
    assert isinstance(written.error, Rejected)


def test_nothing_to_create_is_no_call(vendor: Vendor) -> None:
    """An empty list costs nothing."""
    assert vendor.books().create_contacts([], "k") == []
    assert vendor.books().create_invoices([], "k") == []
    assert vendor.calls == vendor.sign_ins == []


def test_more_than_fifty_are_a_mistake_of_the_caller(vendor: Vendor) -> None:
    """The ledger keeps one key per call, so the connector does not split a create."""
    books = vendor.books()
    assert books.create_limit == 50
    with pytest.raises(AssertionError):
        books.create_invoices([INVOICE] * 51, "k")


def test_a_long_key_is_shortened_and_stays_its_own(vendor: Vendor, envelope: Any) -> None:
    """Keys above 128 characters become a digest that still differs by key."""
    vendor.says(*[envelope(Contacts=[saved_contact("c-1")])] * 3)
    books = vendor.books()
    for key in ("k" * 200, "k" * 201, "k" * 200):
        books.create_contacts([ACME], key)
    first, second, third = (call.headers["idempotency-key"] for call in vendor.calls)
    assert len(first) <= 128
    assert first == third != second


REQUEST = httpx2.Request("PUT", "https://api.xero.test")
UNUSABLE: dict[str, Any] = {
    "lost": httpx2.ReadError("reset", request=REQUEST),
    "timed out": httpx2.ReadTimeout("slow", request=REQUEST),
    "500": httpx2.Response(500, content=b"<html>oops</html>"),
    "503": httpx2.Response(503, content=b"The API is offline"),
    "html": httpx2.Response(200, content=b"<html>hello</html>"),
    "truncated": httpx2.Response(200, content=b'{"Invoices":[{"InvoiceID":"0'),
    "empty": httpx2.Response(200, content=b""),
    "list": httpx2.Response(200, json=[]),
    "no invoices": {"Status": "OK"},
    "too few": {"Invoices": []},
    "too many": {"Invoices": [saved_invoice(1), saved_invoice(2)]},
    "no id": {"Invoices": [saved_invoice(1, InvoiceID=NO_ID)]},
    "another contact": {"Invoices": [saved_invoice(1, Contact={"ContactID": OTHER})]},
    "bad amount": {"Invoices": [saved_invoice(1, Total="lots")]},
    "bad date": {"Invoices": [saved_invoice(1, UpdatedDateUTC="yesterday")]},
    "not an object": {"Invoices": ["INV-0001"]},
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_answer_to_a_create_leaves_the_outcome_unknown(vendor: Vendor, reply: Any) -> None:
    """Whatever is wrong with the answer, the invoice may exist; it is sent once and never blindly again."""
    vendor.says(reply)
    with pytest.raises(OutcomeUnknown) as caught:
        vendor.books().create_invoices([INVOICE], "k")
    assert len(vendor.calls) == 1
    assert caught.value.hint


def test_a_contact_in_anothers_place_leaves_the_outcome_unknown(vendor: Vendor, envelope: Any) -> None:
    """If Xero ever answered in another order, no customer would be linked to another's contact."""
    vendor.says(envelope(Contacts=[saved_contact("c-2"), saved_contact("c-1")]))
    with pytest.raises(OutcomeUnknown, match="another's place"):
        vendor.books().create_contacts([ACME, BOLT], "k")


def test_nothing_sent_is_not_unknown(vendor: Vendor) -> None:
    """A refused connection did nothing: Unavailable, to be tried again."""
    vendor.says(httpx2.ConnectError("refused", request=REQUEST))
    with pytest.raises(Unavailable):
        vendor.books().create_invoices([INVOICE], "k")


def test_a_refused_request_is_raised(vendor: Vendor) -> None:
    """What Xero refuses as a whole is one error for the whole call."""
    body = {"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": "JSON for post data was invalid"}
    vendor.says(httpx2.Response(400, json=body))
    with pytest.raises(Rejected, match="post data was invalid"):
        vendor.books().create_invoices([INVOICE], "k")


def test_requests_stay_below_the_size_limit(vendor: Vendor, envelope: Any) -> None:
    """What does not fit waits for the next request; what never fits is refused; the rest goes out now."""
    long_line = msgspec.structs.replace(LINE, description="x" * 4000)
    big = msgspec.structs.replace(INVOICE, lines=(long_line,) * 300)
    huge = msgspec.structs.replace(INVOICE, lines=(long_line,) * 900)
    vendor.says(envelope(Invoices=[saved_invoice(1), saved_invoice(2), saved_invoice(3)]))
    written = vendor.books().create_invoices([INVOICE, big, huge, big, big], "k")
    (call,) = vendor.calls
    assert len(call.body) <= manifest().body_max_bytes
    assert [type(result.error) for result in written] == [type(None), type(None), Rejected, type(None), Unavailable]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_invoices_are_fetched_a_hundred_a_call(vendor: Vendor, envelope: Any) -> None:
    """250 ids take three calls whose addresses stay below 4 kB; doubles and texts that are no ids are not asked for."""
    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(250)]
    vendor.says(*[envelope(Invoices=[saved_invoice(number)]) for number in range(3)])
    found = vendor.books().fetch_invoices([*ids, ids[0], ids[1].upper(), "not-an-id", "a,b&c=d"])
    assert [invoice.number for invoice in found] == ["INV-0000", "INV-0001", "INV-0002"]
    asked = [call.query["IDs"].split(",") for call in vendor.calls]
    assert [len(group) for group in asked] == [100, 100, 50]
    assert [one for group in asked for one in group] == ids
    for call in vendor.calls:
        assert call.query["summaryOnly"] == "true"
        assert "VOIDED,DELETED" in call.query["Statuses"]
        assert len(call.path) + sum(map(len, call.query.values())) + 200 < manifest().url_max_bytes


def test_no_ids_are_no_call(vendor: Vendor) -> None:
    """Nothing to fetch, nothing asked."""
    assert vendor.books().fetch_invoices([]) == []
    assert vendor.books().fetch_invoices(["nonsense"]) == []
    assert vendor.calls == []


def test_our_own_invoices_are_found_again(vendor: Vendor, envelope: Any) -> None:
    """The search after a lost answer reads five minutes further back than asked, only what this app made. One call."""
    vendor.says(envelope(Invoices=[saved_invoice(1, Reference="deal-1", Url="https://crm.test/1")]))
    (invoice,) = vendor.books().fetch_created_invoices(vendor.clock.at)
    assert (invoice.reference, invoice.source_url) == ("deal-1", "https://crm.test/1")
    (call,) = vendor.calls
    assert call.query["createdByMyApp"] == "true"
    assert call.headers["if-modified-since"] == "2026-11-22T08:55:00"


def test_contacts_come_page_by_page(vendor: Vendor, envelope: Any) -> None:
    """All contacts, archived ones too; since a moment when asked. One call for up to a thousand."""
    archived = saved_contact("c-2") | {"ContactStatus": "ARCHIVED"}
    vendor.says(envelope(Contacts=[saved_contact("c-1"), archived]), envelope(Contacts=[]))
    books = vendor.books()
    (page,) = list(books.fetch_contacts(None))
    assert [(customer.external_id, customer.active) for customer in page] == [("c-1", True), ("c-2", False)]
    assert list(books.fetch_contacts(vendor.clock.at - timedelta(hours=1))) == []
    first, second = vendor.calls
    assert first.query == {"page": "1", "pageSize": "1000", "order": "UpdatedDateUTC ASC", "includeArchived": "true"}
    assert "if-modified-since" not in first.headers
    assert second.headers["if-modified-since"] == "2026-11-22T08:00:00"


@pytest.mark.parametrize("reply", [httpx2.Response(200, content=b"<html>"), httpx2.Response(502), {"Invoices": "?"}])
def test_unusable_answers_to_reads_are_unavailable(vendor: Vendor, reply: Any) -> None:
    """A read that went wrong is simply tried again."""
    vendor.says(reply)
    with pytest.raises(Unavailable):
        vendor.books().fetch_created_invoices(vendor.clock.at)


# --- links and settings ----------------------------------------------------------------------------------------------


def test_links_open_the_invoice_in_its_organisation(vendor: Vendor) -> None:
    """The short code chooses the organisation; without one the plain address still opens the invoice."""
    organisation = Organisation(id="o", name="Demo", base_currency="NZD", short_code="!abc12")
    assert vendor.books().invoice_url("i-1", organisation) == (
        "https://go.xero.com/organisationlogin/default.aspx?shortcode=!abc12"
        "&redirecturl=/AccountsReceivable/View.aspx?InvoiceID=i-1"
    )
    plain = msgspec.structs.replace(organisation, short_code="")
    books = vendor.books(app_url="https://go.example/")
    assert books.invoice_url("i-1", plain) == "https://go.example/AccountsReceivable/View.aspx?InvoiceID=i-1"


def test_previews_are_what_is_sent(vendor: Vendor, envelope: Any) -> None:
    """The rendered payloads are exactly the elements of the request."""
    vendor.says(envelope(Contacts=[saved_contact("c-1")]), envelope(Invoices=[saved_invoice(1)]))
    books = vendor.books()
    books.create_contacts([ACME], "k")
    books.create_invoices([INVOICE], "k")
    assert vendor.calls[0].json()["Contacts"] == [books.render_contact(ACME)]
    assert vendor.calls[1].json()["Invoices"] == [books.render_invoice(INVOICE)]


def test_settings_are_read_strictly() -> None:
    """Both ways of signing in are told apart by `kind`; unknown keys are refused."""
    auth = {"kind": "custom_connection", "client_id": "a", "client_secret": "b"}
    settings = msgspec.convert({"auth": auth, "limits": {"minute": 30}}, XeroSettings)
    assert settings.auth == CustomConnection(client_id="a", client_secret="b")
    assert settings.api_url == "https://api.xero.com"
    limits = settings.call_limits()
    assert (limits.concurrent, limits.minute, limits.day) == (5, 30, 5000)
    web = auth | {"kind": "authorization_code", "refresh_token": "r"}
    assert isinstance(msgspec.convert({"auth": web}, XeroSettings).auth, AuthorizationCode)
    for wrong in ({"auth": auth | {"kind": "password"}}, {"auth": auth, "colour": "red"}, {}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, XeroSettings)


def test_settings_print_no_secrets() -> None:
    """A settings object in a log shows who signs in, not how."""
    auth = AuthorizationCode(client_id="app-1", client_secret="s3cret", refresh_token="s3cret-too")
    settings = XeroSettings(auth=auth, webhook_key="s3cret-key", limits=CallLimits(day=1000))
    assert "s3cret" not in f"{settings!r} {auth!r} {settings}"
    assert "app-1" in repr(settings)


def test_the_connector_is_offered_by_name() -> None:
    """The registry's entry says what it is and has the receiving half with it."""
    assert (XERO.name, XERO.side, XERO.settings) == ("xero", "books", XeroSettings)
    assert not XERO.webhooks.verify({}, b"", "key")

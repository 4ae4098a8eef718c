"""The CRM port's suite: what every CRM connector must do, judged on the sandbox as the vendor."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from closedwon.connectors.dynamics.connector import DYNAMICS
from closedwon.connectors.dynamics.settings import DynamicsSettings
from closedwon.connectors.limits import CallBudget, MemoryBudgetStore
from closedwon.connectors.oauth import MemoryTokenStore
from closedwon.connectors.port import DocumentUpdate
from closedwon.connectors.registry import Equipment
from closedwon.kernel.clock import SystemClock
from closedwon.kernel.errors import (
    AuthExpired,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)
from closedwon.kernel.http import HttpClient
from closedwon.model.money import round_half_up
from closedwon.model.payment import Settlement
from sandbox_process import running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from closedwon.connectors.port import Crm, Hint
    from closedwon.model.opportunity import CrmDocument
    from sandbox_process import Sandbox

HOOK_DEADLINE_S = 20
SECRET = "a-long-random-text"


class Bench:
    """A sandbox, connectors to it, and the hands of a salesperson."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.info: dict[str, Any] = sandbox.info["dynamics"]
        self.http = HttpClient()
        headers = {"authorization": f"Bearer {self.info['token']}"}
        self.hands = httpx2.Client(base_url=f"{self.info['url']}/api/data/v9.2/", headers=headers, trust_env=False)
        self._deals = iter([one["opportunityid"] for one in sandbox.state("dynamics")["opportunities"]])

    def settings(self, **members: Any) -> DynamicsSettings:
        """Return the settings that connect to the sandbox, with these members set."""
        keys = ("authority_url", "directory", "client_id", "client_secret")
        auth = {"kind": "client_credentials", **{key: self.info[key] for key in keys}, **members.pop("auth", {})}
        return msgspec.convert({"url": self.info["url"], "auth": auth, **members}, DynamicsSettings)

    def connect(self, **members: Any) -> Crm:
        """Return a connector with these settings."""
        settings, clock = self.settings(**members), SystemClock()
        budget = CallBudget(settings.call_limits(), MemoryBudgetStore(), clock)
        crm: Any = DYNAMICS.build(settings, Equipment(self.http, clock, MemoryTokenStore(), budget))
        return crm  # type: ignore[no-any-return] # the registry's type covers both ports

    def next_deals(self, count: int) -> list[str]:
        """Return deals that no other test works on."""
        return [next(self._deals) for _ in range(count)]

    def win(self, deals: list[str], closed: str = "2026-11-20") -> None:
        """Win these deals."""
        for deal in deals:
            close = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({deal})", "actualend": closed}
            self.send("POST", "WinOpportunity", {"Status": 3, "OpportunityClose": close})

    def send(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """Do something in the CRM by hand."""
        answer = self.hands.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer

    def calls(self) -> dict[str, int]:
        """Return how many calls the app made, by endpoint, without those for tokens."""
        counted: dict[str, int] = self.sandbox.stats()["dynamics"]["app"]["endpoints"]
        return {name: count for name, count in counted.items() if name != "POST token"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a bench that all tests share; each works on deals of its own."""
    with running_sandbox(tmp_path_factory.mktemp("crm")) as sandbox:
        yield from _bench(sandbox)


@pytest.fixture
def own_bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench that one test may turn upside down."""
    with running_sandbox(tmp_path / "crm") as sandbox:
        yield from _bench(sandbox)


def _bench(sandbox: Sandbox) -> Iterator[Bench]:
    bench = Bench(sandbox)
    with bench.hands:
        yield bench
    bench.http.close()


@pytest.fixture
def crm(bench: Bench) -> Iterator[Crm]:
    """Return a connector whose calls are counted from now on, on a vendor without faults."""
    connector = bench.connect(webhook_secret=SECRET)
    connector.identify()
    bench.sandbox.reset_stats()
    yield connector
    bench.sandbox.clear_faults()
    bench.sandbox.limits("dynamics", deny=[], requests=6000)


def update(document: CrmDocument, status: Any, paid: str = "0", due: str = "0", day: date | None = None) -> Any:
    """Return the wish to show an invoice on a record."""
    settlement = Settlement(status=status, amount_paid=Decimal(paid), amount_due=Decimal(due), paid_on=day)
    return DocumentUpdate(document, "e1b2", "INV-0042", "https://go.xero.example/INV-0042", settlement)


def invoice_of(bench: Bench, crm: Crm) -> CrmDocument:
    """Return the CRM invoice of a deal that was just won."""
    deals = bench.next_deals(1)
    bench.win(deals)
    (written,) = crm.create_invoices(deals)
    assert written.record is not None
    return written.record


# --- reading ---------------------------------------------------------------------------------------------------------


def test_identity_is_one_call(bench: Bench, crm: Crm) -> None:
    """The app user and the organisation are those of the environment."""
    identity = crm.identify()
    assert identity.user_id
    assert identity.organisation_id
    assert bench.calls() == {"GET WhoAmI": 1}


def test_all_deals_come_in_one_call_and_add_up(bench: Bench, crm: Crm) -> None:
    """Lines, discounts, freight and tax make the CRM's own total for every deal, to the cent."""
    ids = [one["opportunityid"] for one in bench.sandbox.state("dynamics")["opportunities"]]
    deals = crm.fetch_opportunities(ids)
    assert bench.calls() == {"GET opportunities": 1}
    assert [deal.id for deal in deals] == ids
    for deal in deals:
        net = sum((round_half_up(one.quantity * one.unit_price) - one.discount for one in deal.lines), Decimal(0))
        tax = sum((one.tax or Decimal(0) for one in deal.lines), Decimal(0))
        assert deal.total == net + tax - deal.discount + deal.freight, deal.name
        assert deal.total_tax == tax


def test_deals_come_with_everything_an_invoice_needs(bench: Bench, crm: Crm) -> None:
    """Customers of both kinds, several currencies, products with their families."""
    ids = [one["opportunityid"] for one in bench.sandbox.state("dynamics")["opportunities"]]
    deals = crm.fetch_opportunities(ids)
    customers = [deal.customer for deal in deals if deal.customer]
    assert {one.kind for one in customers} == {"company", "person"}
    assert all(one.id and one.name for one in customers)
    assert sum(1 for one in customers if one.email) > len(customers) / 2
    assert len({deal.currency for deal in deals}) > 1
    products = [line.product for deal in deals for line in deal.lines if line.product]
    assert products
    assert all(one.code and one.name for one in products)
    assert any(one.category for one in products)
    assert any(line.discount for deal in deals for line in deal.lines)
    assert all(bench.info["url"] in deal.url and deal.version for deal in deals)


def test_deals_that_do_not_exist_are_left_out(bench: Bench, crm: Crm) -> None:
    """No error, no placeholder."""
    (known,) = bench.next_deals(1)
    deals = crm.fetch_opportunities(["00000000-0000-0000-0000-000000000042", known, "not an id"])
    assert [deal.id for deal in deals] == [known]


def test_a_deal_with_three_hundred_lines_is_whole(bench: Bench, crm: Crm) -> None:
    """Every line arrives, in order, with odd characters unharmed."""
    template = bench.send("GET", f"opportunities({bench.next_deals(1)[0]})").json()
    body = {
        "name": "Großauftrag 🎉, 'quoted' & <tagged>",
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({template['_transactioncurrencyid_value']})",
        "isrevenuesystemcalculated": True,
    }
    answer = bench.send("POST", "opportunities", body)
    deal_id = answer.headers["odata-entityid"].rpartition("(")[2].rstrip(")")
    lines = [
        {
            "opportunityid@odata.bind": f"/opportunities({deal_id})",
            "isproductoverridden": True,
            "productdescription": f"Position {number}",
            "priceperunit": 1.25,
            "quantity": 2,
            "lineitemnumber": number,
        }
        for number in range(300, 0, -1)
    ]
    for line in lines:
        bench.send("POST", "opportunityproducts", line)
    (deal,) = crm.fetch_opportunities([deal_id])
    assert deal.name == body["name"]
    assert [line.description for line in deal.lines] == [f"Position {number}" for number in range(1, 301)]
    assert deal.total == 750


# --- the feed --------------------------------------------------------------------------------------------------------


def test_the_feed_tells_what_changed_and_what_was_deleted(bench: Bench, crm: Crm) -> None:
    """All there is at first, then wins with their day, deletions, and nothing twice. One call each."""
    won, gone, other = bench.next_deals(3)
    start = crm.fetch_changes("")
    assert {one.record_id for one in start.changes} >= {won, gone, other}
    bench.win([won], "2026-11-19")
    bench.send("DELETE", f"opportunities({gone})")
    after = crm.fetch_changes(start.watermark)
    seen = {one.record_id: one for one in after.changes}
    assert set(seen) == {won, gone}
    assert (seen[won].state, seen[won].changed_on, seen[won].deleted) == ("won", date(2026, 11, 19), False)
    assert seen[gone].deleted
    assert crm.fetch_opportunities([won])[0].version == seen[won].version
    rest = crm.fetch_changes(after.watermark)
    assert (rest.changes, rest.restarted) == ((), False)
    assert bench.calls()["GET opportunities"] == 4


def test_a_forgotten_watermark_starts_again_and_expired_tokens_are_renewed(own_bench: Bench) -> None:
    """Weeks later the vendor has forgotten both; all rows come again, marked as a new start."""
    crm = own_bench.connect()
    start = crm.fetch_changes("")
    own_bench.sandbox.clock(advance_s=30 * 86_400)
    again = crm.fetch_changes(start.watermark)
    assert again.restarted
    assert len(again.changes) == len(start.changes)
    assert not crm.fetch_changes(again.watermark).restarted


# --- writing ---------------------------------------------------------------------------------------------------------


def test_invoices_are_created_in_one_call_each_deal_for_itself(bench: Bench, crm: Crm) -> None:
    """Each has the deal's total; an unknown deal is refused in its place; the deals then show their invoice."""
    deals = bench.next_deals(3)
    bench.win(deals)
    results = crm.create_invoices([deals[0], "00000000-0000-0000-0000-000000000042", *deals[1:]])
    assert bench.calls() == {"POST $batch": 1}
    assert isinstance(results[1].error, Rejected)
    made = [result.record for result in results if result.record]
    assert len(made) == 3
    fetched = crm.fetch_opportunities(deals)
    for deal, document in zip(fetched, made, strict=True):
        assert deal.documents == (replace_version(document, deal.documents[0].version),)
        assert document.total == deal.total
        assert document.number


def replace_version(document: CrmDocument, version: str) -> CrmDocument:
    """Return the record as of another version."""
    return msgspec.structs.replace(document, version=version)


def test_a_record_follows_its_invoice_through_its_life(bench: Bench, crm: Crm) -> None:
    """Authorised, partly paid, paid, payment removed, voided: one call a step, and a repeated step none."""
    document = invoice_of(bench, crm)
    bench.sandbox.reset_stats()
    story: list[tuple[Any, str, str, date | None, str]] = [
        ("authorised", "0", "115.10", None, "active"),
        ("partially_paid", "15.05", "100.05", None, "active"),
        ("paid", "115.10", "0", date(2026, 11, 22), "paid"),
        ("authorised", "0", "115.10", None, "active"),
        ("paid", "115.10", "0", date(2026, 11, 23), "paid"),
        ("voided", "0", "0", None, "cancelled"),
    ]
    for count, (status, paid, due, day, state) in enumerate(story, start=1):
        wish = update(document, status, paid, due, day)
        (written,) = crm.update_documents([wish])
        assert written.record is not None, written.error
        document = written.record
        assert (document.state, document.books_status, document.paid_on) == (state, status, day)
        assert (document.amount_paid, document.amount_due) == (Decimal(paid), Decimal(due))
        (same,) = crm.update_documents([replace(wish, document=document)])
        assert same.record == document
        assert bench.calls() == {"POST $batch": count}
    row = bench.send("GET", f"invoices({document.id})").json()
    assert (row["statecode"], row["statuscode"], row["new_xeroinvoiceid"]) == (3, 100003, "e1b2")
    assert row["@odata.etag"] == f'W/"{document.version}"'


def test_many_records_are_updated_in_one_call(bench: Bench, crm: Crm) -> None:
    """One that was deleted meanwhile is refused in its place and is not made again."""
    documents = [invoice_of(bench, crm) for _ in range(3)]
    bench.send("DELETE", f"invoices({documents[1].id})")
    bench.sandbox.reset_stats()
    results = crm.update_documents([update(one, "paid", "1", "0", date(2026, 11, 22)) for one in documents])
    assert bench.calls() == {"POST $batch": 1}
    assert [result.record.state if result.record else "" for result in results] == ["paid", "", "paid"]
    assert isinstance(results[1].error, Rejected)
    assert documents[1].id not in {one["invoiceid"] for one in bench.sandbox.state("dynamics")["invoices"]}


def test_a_record_that_somebody_closed_is_written_all_the_same(bench: Bench, crm: Crm) -> None:
    """We knew it as active; it is read again, opened and written."""
    document = invoice_of(bench, crm)
    bench.send("PATCH", f"invoices({document.id})", {"statecode": 2, "statuscode": 100001})
    (written,) = crm.update_documents([update(document, "authorised", "0", "5.00")])
    assert written.record is not None, written.error
    assert (written.record.state, written.record.books_status) == ("active", "authorised")


def test_a_preview_is_what_is_sent(bench: Bench, crm: Crm) -> None:
    """The rendered writes are in the CRM afterwards, digit for digit; rendering itself sends nothing."""
    document = invoice_of(bench, crm)
    wish = update(document, "authorised", "0", "1234.56")
    bench.sandbox.reset_stats()
    (write,) = crm.render_update(wish)["writes"]
    assert bench.calls() == {}
    crm.update_documents([wish])
    row = bench.send("GET", f"invoices({document.id})").json()
    for column, value in write["body"].items():
        shown = row[column]
        assert (Decimal(str(shown)) == Decimal(value)) if column.startswith("new_xeroamount") else shown == value


def test_an_order_may_show_the_invoice(bench: Bench) -> None:
    """Orders are made, found and written like invoices; their state is left alone."""
    crm = bench.connect(write_back="order")
    deals = bench.next_deals(1)
    bench.win(deals)
    (made,) = crm.create_invoices(deals)
    assert made.record is not None, made.error
    (written,) = crm.update_documents([update(made.record, "paid", "5", "0", date(2026, 11, 22))])
    assert written.record is not None, written.error
    assert (written.record.kind, written.record.state, written.record.books_status) == ("order", "active", "paid")
    assert crm.fetch_opportunities(deals)[0].documents[0].books_id == "e1b2"


def test_the_deal_itself_may_show_the_invoice(bench: Bench) -> None:
    """Nothing is created; a won deal takes the columns."""
    crm = bench.connect(write_back="opportunity")
    deals = bench.next_deals(1)
    bench.win(deals)
    (document,) = crm.fetch_opportunities(deals)[0].documents
    (written,) = crm.update_documents([update(document, "authorised", "0", "5")])
    assert written.record is not None, written.error
    (deal,) = crm.fetch_opportunities(deals)
    assert deal.state == "won"
    assert deal.documents[0].books_number == "INV-0042"


# --- webhooks --------------------------------------------------------------------------------------------------------


class Mailbox(ThreadingHTTPServer):
    """Takes webhooks and keeps them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hooks/dynamics/demo"

    def hints(self, names: set[str]) -> list[Hint]:
        """Wait until hints of all these names have come, and return all."""
        deadline = time.monotonic() + HOOK_DEADLINE_S
        while True:
            hints = [hint for _, body in list(self.received) for hint in DYNAMICS.webhooks.parse(body)]
            if names <= {hint.name for hint in hints}:
                return hints
            assert time.monotonic() < deadline, f"only {[hint.name for hint in hints]} came"
            time.sleep(0.01)


class _Receiver(BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Return a place webhooks can be sent to."""
    with Mailbox() as box:
        thread = Thread(target=box.serve_forever, daemon=True)
        thread.start()
        yield box
        box.shutdown()
        thread.join()


def test_registered_webhooks_arrive_and_are_understood(own_bench: Bench, mailbox: Mailbox) -> None:
    """A win is told with our key; each hint names the deal; our own writes are marked as such."""
    crm = own_bench.connect(webhook_secret=SECRET)
    assert len(crm.ensure_webhooks(mailbox.url, SECRET)) == 4
    deals = own_bench.next_deals(1)
    own_bench.win(deals)
    hints = mailbox.hints({"Win", "Create", "Update"})
    assert {(hint.record_type, hint.record_id) for hint in hints} == {("opportunity", deals[0])}
    assert len({hint.key for hint in hints}) == len(hints)
    assert not any(hint.own for hint in hints)
    headers, body = mailbox.received[0]
    assert DYNAMICS.webhooks.verify(headers, body, SECRET)
    assert not DYNAMICS.webhooks.verify(headers, body, "another")
    mailbox.received.clear()
    own_bench.send("PATCH", f"opportunities({deals[0]})?tag=closedwon", {"statecode": 0, "statuscode": 1})
    assert all(hint.own for hint in mailbox.hints({"Update"}))


def test_registering_twice_leaves_one_registration(own_bench: Bench) -> None:
    """The second time repairs what somebody changed, and no more."""
    crm = own_bench.connect(webhook_secret=SECRET)
    crm.ensure_webhooks("http://127.0.0.1:9/hooks/dynamics/demo", SECRET)
    own_bench.sandbox.reset_stats()
    assert len(crm.ensure_webhooks("http://127.0.0.1:9/hooks/dynamics/demo", SECRET)) == 1
    assert own_bench.calls() == {"POST $batch": 2}
    steps = own_bench.send("GET", "sdkmessageprocessingsteps?$select=sdkmessageprocessingstepid").json()["value"]
    first = steps[0]["sdkmessageprocessingstepid"]
    own_bench.send("PATCH", f"sdkmessageprocessingsteps({first})", {"statecode": 1, "statuscode": 2})
    url = "http://127.0.0.1:9/moved/demo"
    assert any(not finding.ok for finding in crm.check(url))
    done = " ".join(crm.ensure_webhooks(url, SECRET))
    assert "Moved" in done
    assert "Repaired" in done
    assert all(finding.ok for finding in crm.check(url))
    assert len(own_bench.sandbox.state("dynamics")["webhooks"]) == 3


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_check_finds_missing_rights_and_columns(bench: Bench, crm: Crm) -> None:
    """Two calls; every finding that is not fine says what to do."""
    bench.sandbox.limits("dynamics", deny=["prvReadInvoice"])
    columns = {"books_id": "new_nosuchcolumn"}
    findings = {one.subject: one for one in bench.connect(columns=columns).check("")}
    assert not findings["read invoices"].ok
    assert "new_nosuchcolumn" in findings["columns"].text
    assert all(one.hint for one in findings.values() if not one.ok)
    assert findings["credentials"].ok
    assert bench.calls() == {"GET WhoAmI": 1, "POST $batch": 1}


def test_a_missing_right_to_create_is_told_for_each_deal(bench: Bench, crm: Crm) -> None:
    """The class pauses the connection; the text names the privilege."""
    deals = bench.next_deals(1)
    bench.win(deals)
    bench.sandbox.limits("dynamics", deny=["prvCreateInvoice"])
    (written,) = crm.create_invoices(deals)
    assert isinstance(written.error, PermissionMissing)
    assert "prvCreateInvoice" in written.error.text


@pytest.mark.parametrize("auth", [{"client_secret": "wrong"}, {"client_id": "nobody"}])
def test_wrong_credentials_are_told(bench: Bench, auth: dict[str, str]) -> None:
    """The hint names the keys; the secret is not in it."""
    with pytest.raises(AuthExpired) as caught:
        bench.connect(auth=auth).identify()
    assert "auth" in caught.value.hint
    assert "wrong" not in str(caught.value.as_dict())


def test_an_address_without_an_environment_is_told(bench: Bench) -> None:
    """Nobody listens there, or the sign-in server knows no environment of that address."""
    with pytest.raises(Unavailable):
        bench.connect(url="http://127.0.0.1:9", auth={"authority_url": "http://127.0.0.1:9"}).identify()
    with pytest.raises(Misconfigured):
        bench.connect(url=bench.sandbox.xero_url).identify()


def test_a_missing_column_stops_reading_with_a_clear_cause(bench: Bench, crm: Crm) -> None:
    """It is the configuration, not the deal."""
    assert crm.document_kind == "invoice"
    with pytest.raises(Misconfigured):
        bench.connect(columns={"books_id": "new_nosuchcolumn"}).fetch_opportunities(bench.next_deals(1))


@pytest.mark.parametrize("fault", ["html", "truncate", "empty", "500", "503", "cut_before", "cut_after"])
def test_bad_answers_to_reads_are_tried_again_later(bench: Bench, crm: Crm, fault: str) -> None:
    """One class for everything that a repetition may heal, and the repetition succeeds."""
    deals = bench.next_deals(1)
    bench.sandbox.fault("dynamics", fault, match="GET opportunities", when={"first": 1})
    with pytest.raises(Unavailable):
        crm.fetch_opportunities(deals)
    assert [deal.id for deal in crm.fetch_opportunities(deals)] == deals


@pytest.mark.parametrize("fault", ["truncate", "empty", "cut_after", "html", "500", "503"])
def test_a_lost_answer_to_a_create_is_unknown_and_found_again(bench: Bench, crm: Crm, fault: str) -> None:
    """The invoice may exist; fetching the deal tells."""
    deals = bench.next_deals(1)
    bench.win(deals)
    bench.sandbox.fault("dynamics", fault, match="POST $batch", when={"first": 1})
    with pytest.raises(OutcomeUnknown):
        crm.create_invoices(deals)
    (deal,) = crm.fetch_opportunities(deals)
    assert len(deal.documents) == (1 if fault in {"truncate", "empty", "cut_after"} else 0)


def test_a_lost_update_is_done_again_without_harm(bench: Bench, crm: Crm) -> None:
    """Writing the same facts twice leaves one record with these facts."""
    document = invoice_of(bench, crm)
    wish = update(document, "paid", "5", "0", date(2026, 11, 22))
    bench.sandbox.fault("dynamics", "cut_after", match="POST $batch", when={"first": 1})
    with pytest.raises(OutcomeUnknown):
        crm.update_documents([wish])
    (written,) = crm.update_documents([wish])
    assert written.record is not None, written.error
    assert (written.record.state, written.record.books_status) == ("paid", "paid")


def test_being_throttled_says_how_long_to_wait(bench: Bench, crm: Crm) -> None:
    """The vendor's seconds come through."""
    bench.sandbox.fault("dynamics", "429", match="*", when={"first": 1}, retry_after_s=7)
    with pytest.raises(Throttled) as caught:
        crm.identify()
    assert caught.value.retry_after_s == 7
    assert bench.connect().identify().user_id

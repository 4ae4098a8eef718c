"""The told story: what a salesperson, a customer, bad luck and a person at the review desk do, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table

from closedwon.cli.demo.judge import judge, read_holdings
from closedwon.cli.demo.narrator import Narrator, money
from closedwon.cli.demo.payer import Due, Payer
from closedwon.cli.demo.report import Report, count_calls, show_report
from closedwon.cli.demo.seller import HOME_CURRENCY, Deal, Seller
from closedwon.cli.demo.stage import CLOCK, TENANT, open_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from closedwon.cli.demo.stage import Stage

FEED_EVERY_S = 5
PATIENCE_S = 120  # a slow machine, a spent minute of a vendor's limit: either may cost a minute
BURST = 20
HELD_S = 10  # how long the product may not see what stands in the books: enough to pull the plug
USABLE_ACCOUNT = "206"
COLUMNS = (
    "invoiceid,statecode,totalamount,new_xeroinvoiceid,new_xeroinvoicenumber,new_xerostatus,new_xerolink,"
    "new_xeroamountpaid,new_xeroamountdue"
)
MEANING = "deal won until the CRM shows the invoice, product running; deals won one after another"

Row = dict[str, Any]


@dataclass(slots=True)
class Story:
    """One telling."""

    stage: Stage
    seed: int
    console: Console
    unhurried: bool
    report: Report = field(init=False)
    voice: Narrator = field(init=False)
    seller: Seller = field(init=False)
    payer: Payer = field(init=False)
    invoiced: list[tuple[Deal, Row]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.report = Report("story", self.seed, latency_meaning=MEANING)
        self.voice = Narrator(self.console, self.unhurried)
        self.seller = Seller(self.stage.sandbox, self.seed)
        self.payer = Payer(self.stage.sandbox)

    def tell(self) -> Report:
        """Tell it to the end. *Raises* ClosedwonError when something does not happen in time."""
        began = CLOCK.monotonic()
        self.voice.open(
            "Closedwon",
            "A deal is won in Dynamics CRM. One correct invoice appears in Xero. It is paid there, and "
            "the CRM shows it.\nBoth systems are simulators on this machine; the product is the real one.",
        )
        self._set_up()
        self._win_and_pay_one()
        self._win_some()
        self._pay_in_parts()
        self._review()
        self._lose_webhook()
        self._pull_the_plug()
        self._reckon(CLOCK.monotonic() - began)
        return self.report

    # --- the chapters -------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        self.voice.chapter("Two systems and the product between them")
        sandbox = self.stage.sandbox
        self.voice.happens("CRM", f"Dynamics CRM answers at {sandbox.info['dynamics']['url']}")
        books = sandbox.info["xero"]
        self.voice.happens("Xero", f"Xero answers at {books['api_url']}: {books['organisations'][0]['name']}")
        self.stage.write_config(feed_every_s=FEED_EVERY_S)
        self.voice.command(f"closedwon connect --config {self.stage.config.name}")
        with self.voice.waiting("connecting"), self.stage.desk() as desk:
            done = desk.connect(TENANT)
        for words in (done[f"{TENANT}.crm"], done[f"{TENANT}.books"][:1]):
            self.voice.happens("Closedwon", words[0])
            for more in words[1:]:
                self.voice.aside(more)
        self.report.calls.append(count_calls("set-up", sandbox.control("GET", "stats")))
        sandbox.control("DELETE", "stats")
        self.voice.command(f"closedwon run --config {self.stage.config.name} --port {self.stage.port}")
        with self.voice.waiting("starting"):
            seconds = self.stage.start_product()
            self.stage.set_books_webhook()
        self.seller.look_around()
        self.voice.happens("Closedwon", f"runs (process {self.stage.product_id}), ready after {seconds:.1f} s")

    def _win_and_pay_one(self) -> None:
        self.voice.chapter("The first deal: won, invoiced, paid")
        deal, row = self._win(self.seller.deal(self.seller.known_customer("account", HOME_CURRENCY)), "a company")
        self.payer.pay([Due(row["new_xeroinvoiceid"], Decimal(row["new_xeroamountdue"]))])
        self.voice.happens("Xero", f"{row['new_xeroinvoicenumber']} is paid in full")
        self._await_status(deal, "paid", 2)

    def _win_some(self) -> None:
        self.voice.chapter("More deals, one after another", "Companies and individuals, home and abroad.")
        seller = self.seller
        self._win(seller.deal(seller.known_customer("contact", HOME_CURRENCY)), "an individual")
        self._win(seller.deal(seller.new_customer("account", "AUD")), "a company new to both sides, an export")
        self._win(seller.deal(seller.known_customer("account", "USD"), discount_pct=10), "a company, 10 % discount")
        self._win(seller.deal(seller.new_customer("contact", "GBP")), "an individual new to both sides, an export")
        self._win(seller.deal(self.invoiced[2][0].customer, discount_pct=5), "the new company again, 5 % discount")
        lost = seller.deal(seller.known_customer("account", HOME_CURRENCY))
        seller.enter([lost])
        seller.lose(lost)
        self.voice.happens("CRM", f"“{lost.body['name']}” is lost, so nothing follows")

    def _pay_in_parts(self) -> None:
        self.voice.chapter("Money comes in parts, and one payment bounces")
        (person, first), (exporter, second) = self.invoiced[1], self.invoiced[2]
        total = Decimal(first["new_xeroamountdue"])
        part = total // 2
        self.payer.pay([Due(first["new_xeroinvoiceid"], part)])
        self.voice.happens("Xero", f"{first['new_xeroinvoicenumber']}: a first payment of {money(HOME_CURRENCY, part)}")
        self._await_status(person, "partially_paid", 0)
        self.payer.pay([Due(first["new_xeroinvoiceid"], total - part)])
        self.voice.happens("Xero", f"{first['new_xeroinvoicenumber']}: the rest")
        self._await_status(person, "paid", 2)
        (payment,) = self.payer.pay([Due(second["new_xeroinvoiceid"], Decimal(second["new_xeroamountdue"]))])
        self.voice.happens("Xero", f"{second['new_xeroinvoicenumber']} is paid in full")
        self._await_status(exporter, "paid", 2)
        self.payer.take_back(payment)
        self.voice.happens("Xero", f"{second['new_xeroinvoicenumber']}: the payment bounced and is removed")
        self._await_status(exporter, "authorised", 0)

    def _review(self) -> None:
        self.voice.chapter(
            "A question for a person", "A training course: the books have closed the account it is sold on."
        )
        deal = self.seller.deal(self.seller.known_customer("account", HOME_CURRENCY), closed_account=True)
        self._enter_and_win([deal])
        self.voice.happens("CRM", f"“{deal.body['name']}” is won, {money(HOME_CURRENCY, self.seller.total(deal))}")
        with self.voice.waiting("waiting for the question"), self.stage.desk() as desk:
            self._wait(lambda: bool(desk.list_items(TENANT)), "no review item was opened")
            (item,) = desk.list_items(TENANT)
            self.voice.happens("Closedwon", f"review item {item['number']}: {item['text']}", "yellow")
            for proposal in item["proposals"][:3]:
                self.voice.aside(f"proposal: {proposal['label']}")
            self.voice.command(f"closedwon review resolve {item['number']} --account {USABLE_ACCOUNT}")
            desk.resolve(TENANT, item["number"], {"account_code": USABLE_ACCOUNT}, "demo")
        self._await_invoice(deal)

    def _lose_webhook(self) -> None:
        text = f"Nobody tells the product of this deal; it reads the CRM's change feed every {FEED_EVERY_S} s as well."
        self.voice.chapter("A webhook gets lost", text)
        lose = {"system": "dynamics", "do": "webhook_lose", "when": {"always": True}}
        self.stage.sandbox.control("POST", "faults", lose)
        deal = self.seller.deal(self.seller.known_customer("account", HOME_CURRENCY))
        began = self._enter_and_win([deal])
        self.voice.happens("CRM", f"“{deal.body['name']}” is won, {money(HOME_CURRENCY, self.seller.total(deal))}")
        self._wait(self._has_lost_webhook, "the webhook was not lost")
        self.stage.sandbox.control("DELETE", "faults")
        self.voice.happens("bad luck", "the webhook is lost on its way")
        self._await_invoice(deal, began)

    def _pull_the_plug(self) -> None:
        text = f"{BURST} deals are won at once. Xero makes invoices, its answer is lost, and then: kill -9."
        self.voice.chapter("The power fails at the worst moment", text)
        lose = {"system": "xero", "do": "cut_after", "match": "PUT Invoices", "when": {"always": True}}
        hold = {"system": "xero", "do": "slow", "match": "GET Invoices*", "seconds": HELD_S, "when": {"always": True}}
        self.stage.sandbox.control("POST", "faults", [lose, hold])
        deals = self.seller.draw(BURST)
        self._enter_and_win(deals)
        self.voice.happens("CRM", f"{BURST} deals are won")
        with self.voice.waiting("waiting for the first invoice"):
            self._wait(lambda: self._in_books(deals) > 0, "no invoice of the burst appeared")
        pid = self.stage.kill_product()
        standing, shown = self._in_books(deals), self._shown(deals)
        self.stage.sandbox.control("DELETE", "faults")
        self.voice.happens(
            "bad luck", f"process {pid} is killed: {standing} invoices stand in Xero, the CRM shows {shown}"
        )
        began = CLOCK.monotonic()
        with self.voice.waiting("starting again"):
            self.stage.start_product()
        self.voice.happens("Closedwon", f"runs again (process {self.stage.product_id}) and looks before it writes")
        with self.voice.waiting("catching up"):
            self._wait(lambda: self._shown(deals) == BURST, "not all deals of the burst were invoiced")
        seconds = CLOCK.monotonic() - began
        self.voice.happens("CRM", f"shows {BURST} invoices, {seconds:.1f} s after the restart began")
        self.voice.happens(
            "Xero", f"holds {self._in_books(deals)} invoices for these {BURST} deals: none twice, none missing"
        )

    def _reckon(self, seconds: float) -> None:
        self.voice.chapter("The reckoning", "Judged by what the two systems hold, not by what the product believes.")
        with self.voice.waiting("letting everything come to rest"), self.stage.desk() as desk:
            self._wait(lambda: not open_runs(desk.status(TENANT)), "the runs did not end")
        held = read_holdings(self.stage.sandbox.state())
        self.report.calls.append(count_calls("story", self.stage.sandbox.control("GET", "stats")))
        self.report.deals, self.report.invoices = len(held.won), len(held.invoices)
        self.report.payments = held.payment_count
        self.report.seconds["told in"] = seconds
        self.report.verdicts += judge(held, all_paid=False)
        show_report(self.console, self.report)
        show_next_steps(self.console)

    # --- what happens in several chapters -----------------------------------------------------------------------

    def _win(self, deal: Deal, about: str) -> tuple[Deal, Row]:
        """Win a deal and tell of its invoice."""
        self.seller.enter([deal])
        total = self.seller.total(deal)
        began = CLOCK.monotonic()
        self.seller.win([deal])
        currency = deal.customer.currency
        self.voice.happens("CRM", f"“{deal.body['name']}” is won, {money(currency, total)} ({about})")
        row = self._await_invoice(deal, began, measured=True)
        self.invoiced.append((deal, row))
        return deal, row

    def _enter_and_win(self, deals: Sequence[Deal]) -> float:
        self.seller.enter(deals)
        began = CLOCK.monotonic()
        self.seller.win(deals)
        return began

    def _await_invoice(self, deal: Deal, began: float | None = None, *, measured: bool = False) -> Row:
        """Wait until the CRM shows the invoice of a deal, and tell of it."""
        with self.voice.waiting("waiting for the invoice"):
            self._wait(lambda: bool(self._crm_invoice(deal).get("new_xerolink")), f"no invoice of {deal.body['name']}")
        seen = CLOCK.monotonic()
        if measured and began is not None:
            self.report.latencies_s.append(seen - began)
        row = self._crm_invoice(deal)
        took = "" if began is None else f", {seen - began:.1f} s later"
        amount = money(deal.customer.currency, row["new_xeroamountdue"])
        self.voice.happens(
            "Xero", f"{row['new_xeroinvoicenumber']} over {amount} stands, and the CRM shows it{took}", "bold"
        )
        return row

    def _await_status(self, deal: Deal, status: str, state: int) -> None:
        """Wait until the CRM's invoice of a deal has a status, and tell of it."""
        began = CLOCK.monotonic()
        with self.voice.waiting("waiting for the CRM"):
            self._wait(
                lambda: _has(self._crm_invoice(deal), status, state),
                f"the CRM does not show {status} of {deal.body['name']}",
            )
        seconds = CLOCK.monotonic() - began
        row = self._crm_invoice(deal)
        currency = deal.customer.currency
        due, paid = money(currency, row["new_xeroamountdue"]), money(currency, row["new_xeroamountpaid"])
        words = status.replace("_", " ")
        self.voice.happens("CRM", f"shows {words}: {paid} paid, {due} due, {seconds:.1f} s later", "bold")

    def _wait(self, done: Callable[[], bool], otherwise: str) -> None:
        self.stage.wait(done, PATIENCE_S, otherwise)

    # --- looking ------------------------------------------------------------------------------------------------

    def _crm_invoice(self, deal: Deal) -> Row:
        """Return the CRM's invoice of a deal, an empty row while there is none."""
        query = f"invoices?$select={COLUMNS}&$filter=_opportunityid_value eq {deal.id}"
        rows: list[Row] = self.stage.sandbox.crm("GET", query)["value"]
        return rows[0] if rows else {}

    def _in_books(self, deals: Sequence[Deal]) -> int:
        ids = {deal.id for deal in deals}
        return sum(1 for one in self.payer.list_invoices() if one.get("Reference") in ids)

    def _shown(self, deals: Sequence[Deal]) -> int:
        ids = {deal.id for deal in deals}
        query = "invoices?$select=_opportunityid_value&$filter=new_xerolink ne null"
        rows = self.stage.sandbox.crm("GET", query)["value"]
        return sum(1 for row in rows if row["_opportunityid_value"] in ids)

    def _has_lost_webhook(self) -> bool:
        return int(self.stage.sandbox.control("GET", "webhooks")["dynamics"]["lost"]) > 0


def show_next_steps(console: Console) -> None:
    """Print what somebody who liked the story may do next."""
    steps = Table(box=None, show_header=False, pad_edge=False)
    steps.add_column(style="bold")
    steps.add_column(style="dim")
    steps.add_row("closedwon demo --stay", "the same; then everything keeps running, to try commands")
    steps.add_row("closedwon demo --headless", "200 deals without words, figures as JSON with --report FILE")
    steps.add_row("closedwon sandbox start --dir DIR", "both simulators on their own, with a closedwon.yaml for them")
    steps.add_row("closedwon init", "a closedwon.yaml for your own systems")
    console.print("\n[bold]What next[/]")
    console.print(steps)


def show_places(console: Console, stage: Stage) -> None:
    """Print where everything runs, and commands to try on it."""
    config = f"--config {stage.config}"
    console.print("\n[bold]Everything keeps running; Ctrl+C ends it.[/]")
    for name, url in (
        ("Dynamics CRM", stage.sandbox.info["dynamics"]["url"]),
        ("Xero", stage.sandbox.info["xero"]["api_url"]),
        ("control plane", stage.sandbox.info["control"]),
        ("product", stage.url),
        ("credentials", str(stage.folder / "sandbox.json")),
    ):
        console.print(f"  {name:<14} {url}", soft_wrap=True)
    for command in ("status", "records list", "review list --all", "check"):
        console.print(f"  [bold]$ closedwon {command} {config}[/]", soft_wrap=True)


def _has(row: Row, status: str, state: int) -> bool:
    return row.get("new_xerostatus") == status and row.get("statecode") == state

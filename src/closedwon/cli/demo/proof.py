"""The headless demo: a backlog of deals goes through, is paid, and goes through again without effect.

Judged by what the simulators hold. The bars for calls are those of the architecture: 12 per 200 deals and system.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closedwon.cli.demo.judge import Verdict, judge, judge_unchanged, read_holdings
from closedwon.cli.demo.payer import Payer
from closedwon.cli.demo.report import SYSTEMS, Report, count_calls
from closedwon.cli.demo.seller import Seller
from closedwon.cli.demo.stage import CLOCK, TENANT, open_runs
from closedwon.kernel.clock import parse_instant
from closedwon.kernel.errors import ClosedwonError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from closedwon.cli.demo.judge import Holdings
    from closedwon.cli.demo.stage import Stage

CALLS_PER_BLOCK, BLOCK = 12, 200  # at most so many calls to a system per so many deals
STALLED_S = 150  # longer than a spent minute of a vendor's limit takes to pass
MEANING = "deal won, or product started if that was later, until the invoice stood in the books"


@dataclass(slots=True)
class Proof:
    """One headless run; `say` hears what goes on."""

    stage: Stage
    deals: int
    seed: int
    say: Callable[[str], object]
    report: Report = field(init=False)
    _started_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.report = Report("headless", self.seed, latency_meaning=MEANING)

    def run(self) -> Report:
        """Play it to the end. *Raises* ClosedwonError when it cannot go on."""
        began = CLOCK.monotonic()
        seller = self._set_up()
        self._work_off(seller)
        self._pay()
        held = read_holdings(self.stage.sandbox.state())
        self.report.deals, self.report.invoices = len(held.won), len(held.invoices)
        self.report.payments = held.payment_count
        self.report.verdicts += [self._count(held), *judge(held, all_paid=True), *self._bars()]
        self._run_again(held)
        self._run_with_empty_store(held)
        self._count_calls("second runs")
        self.report.seconds["altogether"] = CLOCK.monotonic() - began
        self.report.verdicts.append(self._unthrottled())
        return self.report

    # --- the parts ----------------------------------------------------------------------------------------------

    def _set_up(self) -> Seller:
        """Connect both systems, then have all deals won while the product does not run yet."""
        self.stage.write_config()
        with self.stage.desk() as desk:
            desk.connect(TENANT)
        self._count_calls("set-up")
        seller = Seller(self.stage.sandbox, self.seed)
        seller.look_around()
        deals = seller.draw(self.deals)
        seller.enter(deals)
        seller.win(deals)
        self.say(f"{len(deals)} deals are won in the CRM; the product does not run yet")
        return seller

    def _work_off(self, seller: Seller) -> None:
        """Start the product and wait until the CRM shows every invoice."""
        self.stage.sandbox.control("DELETE", "stats")
        self._started_at = CLOCK.now()
        began = CLOCK.monotonic()
        self.stage.start_product()
        self.stage.set_books_webhook()
        self._wait_for("new_xerolink ne null", "invoices in the CRM")
        self.report.seconds["backlog invoiced"] = CLOCK.monotonic() - began
        for invoice in Payer(self.stage.sandbox).list_invoices():
            won_at = seller.won_at.get(invoice.get("Reference", ""))
            if won_at is not None:
                begun = max(won_at, self._started_at)
                self.report.latencies_s.append((parse_instant(invoice["UpdatedDateUTC"]) - begun).total_seconds())

    def _pay(self) -> None:
        """Pay everything in the books and wait until the CRM shows it."""
        began = CLOCK.monotonic()
        paid = Payer(self.stage.sandbox).pay_all()
        self.say(f"{paid} invoices are paid in the books")
        self._wait_for("statecode eq 2", "invoices paid in the CRM")
        self._wait_until_quiet()
        self.report.seconds["payments shown"] = CLOCK.monotonic() - began
        self._count_calls("backlog with payments")

    def _run_again(self, before: Holdings) -> None:
        """Replay every deal and every invoice with the same store."""
        self.stage.stop_product()
        records = [*before.won, *(invoice["InvoiceID"] for invoice in before.invoices)]
        with self.stage.desk() as desk:
            for record in records:
                desk.replay(TENANT, record)
        self.stage.start_product()
        self._wait_until_quiet()
        self.stage.stop_product()
        self.say("every deal is replayed with the same store")
        self._judge_again(before, "a second run")

    def _run_with_empty_store(self, before: Holdings) -> None:
        """Run once more as if the product's store were lost."""
        self.stage.write_config("closedwon-empty.yaml", store="empty.db")
        with self.stage.desk() as desk:
            desk.connect(TENANT)
        self.stage.start_product()
        with self.stage.desk() as desk:
            self.stage.wait_for_count(
                lambda: int(desk.status(TENANT)["invoices_linked"]),
                len(before.won),
                STALLED_S,
                "deals seen again",
                _hush,
            )
        self._wait_until_quiet()
        self.stage.stop_product()
        self.say("and everything is read again with an empty store")
        self._judge_again(before, "a run with an empty store")

    def _judge_again(self, before: Holdings, when: str) -> None:
        after = read_holdings(self.stage.sandbox.state())
        self.report.verdicts.append(judge_unchanged(before, after, when))
        wrong = tuple(text for verdict in judge(after, all_paid=True) for text in verdict.wrong)
        self.report.verdicts.append(Verdict(f"{when} leaves everything right", wrong))

    # --- waiting and counting -----------------------------------------------------------------------------------

    def _wait_for(self, condition: str, what: str) -> None:
        query = f"invoices?$select=invoiceid&$top=1&$count=true&$filter={condition}"

        def count() -> int:
            return int(self.stage.sandbox.crm("GET", query)["@odata.count"])

        try:
            self.stage.wait_for_count(count, self.deals, STALLED_S, what, lambda n: self.say(f"{n} {what}"))
        except ClosedwonError as error:
            raise self._explained(error) from None

    def _explained(self, error: ClosedwonError) -> ClosedwonError:
        """Add what the product itself says about deals that do not get on."""
        with self.stage.desk() as desk:
            items = [f"review item {item['number']}: {item['text']}" for item in desk.list_items(TENANT)[:5]]
            runs = desk.status(TENANT)["runs"]
        return ClosedwonError(error.text, hint="\n".join([f"runs: {runs}", *items, error.hint]))

    def _wait_until_quiet(self) -> None:
        """Wait until no run is open."""
        with self.stage.desk() as desk:
            self.stage.wait(lambda: not open_runs(desk.status(TENANT)), STALLED_S, "the runs did not end", 0.2)

    def _count_calls(self, phase: str) -> None:
        self.report.calls.append(count_calls(phase, self.stage.sandbox.control("GET", "stats")))
        self.stage.sandbox.control("DELETE", "stats")

    def _count(self, held: Holdings) -> Verdict:
        won = len(held.won)
        wrong = () if won == self.deals else (f"{won} are",)
        return Verdict(f"{self.deals} deals are won", wrong)

    def _bars(self) -> list[Verdict]:
        allowed = CALLS_PER_BLOCK * math.ceil(self.deals / BLOCK)
        calls = self.report.calls[-1]
        return [
            Verdict(
                f"at most {allowed} calls to {title}, sign-in included",
                ()
                if calls.total(system) <= allowed
                else (f"{calls.total(system)}: {_endpoints(calls.systems[system])}",),
            )
            for system, title in SYSTEMS.items()
        ]

    def _unthrottled(self) -> Verdict:
        wrong = tuple(f"{one.throttled} in {one.phase}" for one in self.report.calls if one.throttled)
        return Verdict("no call was refused as one too many (429)", wrong)


def _endpoints(system: dict[str, Any]) -> str:
    return ", ".join(f"{count} {name}" for name, count in system["endpoints"].items())


def _hush(_count: int) -> None:
    """Say nothing."""

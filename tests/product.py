"""Runs the whole product beside both simulators in one test process: stages, people, waiting and judging.

A stage is a sandbox with its people; a product is opened on it, one at a time, as the engine is one per process.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import uvicorn
import yaml

from closedwon.app.compose import App, open_app
from closedwon.app.desk import Desk
from closedwon.web.server import build_api, listen
from closedwon_sandbox.handover import Running, config_text, description
from deals import JSON, People
from sandbox_process import Simulators, simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from closedwon_sandbox.world import Deal

TENANT, INTEGRATION = "demo", "sales"
NEVER_S = 1800  # how often feeds are read by themselves: tests read them when they want to
PATIENCE_S = 60.0
POLL_S = 0.03
AT_WORK = frozenset({"pending", "running", "waiting"})
DEAD = frozenset({"VOIDED", "DELETED"})


@dataclass
class Product:
    """The running product: the desk, and what a test asks of it."""

    app: App
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.app)

    def read_feeds(self) -> int:
        """Read the change feeds of both sides now; return how many new events there were."""
        return self.app.read_feeds(TENANT, INTEGRATION)

    def wait_until(self, predicate: Callable[[], Any], what: str = "", patience_s: float = PATIENCE_S) -> Any:
        """Wait until something is so and return what the predicate says; tell how things stand when it never is."""
        ends = time.monotonic() + patience_s
        while not (found := predicate()):
            assert time.monotonic() < ends, f"never so: {what or predicate}; {self.desk.status(TENANT)}; {self.items()}"
            time.sleep(POLL_S)
        return found

    def wait_settled(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until no run is under way or waiting for its next attempt."""
        self.wait_until(self.is_settled, "settled", patience_s)

    def is_settled(self) -> bool:
        """Tell whether no run is under way or waiting for its next attempt."""
        counts = self.app.engine.count_runs(TENANT)
        return not any(states.keys() & AT_WORK for states in counts.values())

    def is_stopped(self) -> bool:
        """Tell whether a connection is paused and nothing is under way."""
        running = any("running" in states for states in self.app.engine.count_runs(TENANT).values())
        return bool(self.desk.status(TENANT)["paused"]) and not running

    def work_off(self, patience_s: float = PATIENCE_S) -> int:
        """Read the feeds and see their events through to the end; return how many new events there were."""
        number = self.read_feeds()
        self.wait_settled(patience_s)
        return number

    def items(self, deal_id: str | None = None) -> list[dict[str, Any]]:
        """List the open review items, of one deal or all."""
        return [one for one in self.desk.list_items(TENANT) if deal_id in {None, one["record_id"]}]

    def item(self, deal_id: str) -> dict[str, Any]:
        """Return the one open review item of a deal."""
        (item,) = self.items(deal_id)
        return item

    def resolve(self, deal_id: str, **decision: Any) -> None:
        """Decide a deal's item and see the run through."""
        self.desk.resolve(TENANT, self.item(deal_id)["number"], decision, "Robin")
        self.wait_settled()

    def run_of(self, record_id: str) -> dict[str, Any]:
        """Return the newest run of a record."""
        return self.app.engine.list_runs(TENANT, record_id=record_id, limit=1)[0]

    def steps_of(self, record_id: str) -> list[str]:
        """List the steps that the runs of a record went through."""
        return [one["step"] for one in self.app.engine.story(TENANT, [record_id])["steps"]]


@dataclass
class Stage:
    """Both simulators, the people around them, and a folder for the product's files."""

    simulators: Simulators
    folder: Path
    people: People
    running: Running
    port: int

    # --- configuration ------------------------------------------------------------------------------------------

    def configure(
        self, change: Callable[[dict[str, Any]], None] | None = None, store: str = "sqlite:///closedwon.db", **won: Any
    ) -> Path:
        """Write a configuration; `won` are settings of the flow opportunity_won, `change` edits the tenant."""
        document = yaml.safe_load(config_text(self.running))
        document["store"] = store
        tenant = document["tenants"][TENANT]
        integration = tenant["integrations"][INTEGRATION]
        integration["feed_every_s"] = NEVER_S
        integration["flows"]["opportunity_won"] |= won
        if change is not None:
            change(tenant)
        path = self.folder / f"config-{uuid.uuid4().hex[:8]}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    @contextmanager
    def product(self, config: Path | None = None, *, hooks: bool = False) -> Iterator[Product]:
        """Run the product; with `hooks` both systems send it their webhooks."""
        with running_product(config or self.configure(), port=self.port if hooks else None) as product:
            if hooks:
                product.desk.connect(TENANT)
                key = self.simulators.xero.webhook_key
                url = f"{self.running.hooks_url}/hooks/xero/{TENANT}.books"
                self.simulators.set_xero_webhook(url, key)
            yield product

    # --- looking ------------------------------------------------------------------------------------------------

    def books(self) -> dict[str, Any]:
        """Return everything the organisation of the books holds."""
        return dict(self.simulators.state("xero")["organisations"][0])

    def crm(self) -> dict[str, Any]:
        """Return everything the CRM holds."""
        return dict(self.simulators.state("dynamics"))

    def invoices(self, deal_id: str) -> list[dict[str, Any]]:
        """List the live invoices of a deal in the books."""
        rows = self.books()["invoices"]
        return [row for row in rows if row.get("Reference") == deal_id and row["Status"] not in DEAD]

    def invoice(self, deal_id: str) -> dict[str, Any]:
        """Return the one live invoice of a deal in the books."""
        (invoice,) = self.invoices(deal_id)
        return invoice

    def shown(self, deal_id: str, kind: str = "invoices") -> dict[str, Any]:
        """Return the one record of the CRM that shows a deal's invoice."""
        if kind == "opportunities":
            return self.deal(deal_id)
        (row,) = (row for row in self.crm()[kind] if (row.get("opportunityid") or {}).get("id") == deal_id)
        return dict(row)

    def deal(self, deal_id: str) -> dict[str, Any]:
        """Return a deal as the CRM has it."""
        (row,) = (row for row in self.crm()["opportunities"] if row["opportunityid"] == deal_id)
        return dict(row)

    def calls(self) -> dict[str, int]:
        """Return how many calls the product made to each system, tokens included."""
        stats = self.simulators.stats()
        return {system: stats[system]["app"]["total"] for system in ("dynamics", "xero")}

    def throttled(self) -> int:
        """Return how many 429s the product was given."""
        stats = self.simulators.stats()
        return sum(int(stats[system]["app"]["throttled"]) for system in ("dynamics", "xero"))

    def clean_deals(self, currency: str = "NZD", *, person: bool = False, extras: bool = False) -> list[Deal]:
        """List the world's deals that can be invoiced; `extras` wants freight and a discount on the whole deal."""
        return [
            deal
            for deal in self.simulators.world.deals
            if deal.wrinkle is None
            and deal.currency == currency
            and deal.customer_is_person == person
            and (not extras or (deal.freight and deal.discount))
        ]

    def wrinkled_deal(self, wrinkle: str) -> Deal:
        """Return the world's deal with this wrinkle."""
        (deal,) = (deal for deal in self.simulators.world.deals if deal.wrinkle == wrinkle)
        return deal

    def new_customer(self, name: str, **columns: Any) -> str:
        """Enter a company that nobody knows yet into the CRM; return its id."""
        account_id = str(uuid.uuid4())
        body = {"accountid": account_id, "name": name, **columns}
        answer = self.people.crm.post("accounts", json=body)
        assert answer.is_success, answer.text
        return account_id

    def sell_to(self, account_id: str, *, won: bool = True, **columns: Any) -> str:
        """Make a deal of one line for a company and win it; return its id."""
        customer = {"customerid_account@odata.bind": f"/accounts({account_id})"}
        deal_id = self.people.deal(**customer, **columns)
        if won:
            self.people.win(deal_id)
        return deal_id

    def mend(self, path: str, **columns: Any) -> None:
        """Change a record in the CRM as a person does."""
        answer = self.people.crm.patch(path, content=JSON.encode(columns))
        assert answer.is_success, answer.text

    def win(self, *deals: Deal) -> list[str]:
        """Win deals of the world; return their ids."""
        for deal in deals:
            self.people.win(deal.id)
        return [deal.id for deal in deals]

    def change_secret(self, system: str, secret: str) -> None:
        """Have a vendor accept another client secret than before."""
        if system == "dynamics":
            self.simulators.dynamics.client_secret = secret
        else:
            apps = self._simulator("xero").identity._apps
            client_id = self.simulators.xero.client_id
            apps[client_id] = replace(apps[client_id], client_secret=secret)

    def _simulator(self, system: str) -> Any:
        return self.simulators.served._sites[system]._simulator

    def profile(self) -> Any:
        """Return the settings of the organisation in the books, to be changed as its owner does on a page of Xero."""
        simulator = self._simulator("xero")
        (organisation,) = simulator.organisations.values()
        return organisation.profile

    # --- judging ------------------------------------------------------------------------------------------------

    def assert_invoiced_once(self, deal_ids: Sequence[str]) -> None:
        """Judge from the simulators' own data: one right invoice for each deal, and the CRM shows it."""
        books, crm = self.books(), self.crm()
        live = [one for one in books["invoices"] if one["Status"] not in DEAD and one.get("Reference") in deal_ids]
        assert Counter(one["Reference"] for one in live) == Counter(deal_ids)
        deals = {row["opportunityid"]: row for row in crm["opportunities"]}
        codes = {row["transactioncurrencyid"]: row["isocurrencycode"] for row in crm["currencies"]}
        shown = {row["new_xeroinvoiceid"]: row for row in crm["invoices"] if row.get("new_xeroinvoiceid")}
        of_deals = Counter((row.get("opportunityid") or {}).get("id") for row in crm["invoices"])
        for one in live:
            deal = deals[one["Reference"]]
            assert Decimal(one["Total"]) == Decimal(deal["totalamount"]), deal["name"]
            assert one["CurrencyCode"] == codes[deal["transactioncurrencyid"]["id"]]
            assert of_deals[one["Reference"]] == 1
            assert shown[one["InvoiceID"]]["new_xeroinvoicenumber"] == one["InvoiceNumber"]
        names = Counter(one["Name"].casefold() for one in books["contacts"] if one["ContactStatus"] == "ACTIVE")
        assert not [name for name, number in names.items() if number > 1]


@contextmanager
def stage(folder: Path, seed: int = 1, size: str = "small") -> Iterator[Stage]:
    """Set up a sandbox with its people, on a thread of this process."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with simulators_on_a_thread(seed, size) as simulators:
        running = Running(
            dynamics_url=simulators.dynamics_url,
            xero_url=simulators.xero_url,
            hooks_url=f"http://127.0.0.1:{port}",
            ca_file=None,
            world=simulators.world,
            dynamics=simulators.dynamics,
            xero=simulators.xero,
        )
        with People(description(running)) as people:
            yield Stage(simulators, folder, people, running, port)


@contextmanager
def running_product(config: Path, port: int | None = None) -> Iterator[Product]:
    """Run the product from a configuration until the block ends; with a port it takes in webhooks there."""
    app = open_app(config)
    try:
        app.start()
        if port is None:
            yield Product(app)
        else:
            with _served(app, port):
                yield Product(app)
    finally:
        app.close()


@contextmanager
def _served(app: App, port: int) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(build_api(app), log_level="warning", access_log=False, ws="none"))
    opened = listen("127.0.0.1", port)
    thread = threading.Thread(target=server.run, args=[[opened]], name="hooks")
    thread.start()
    try:
        ends = time.monotonic() + PATIENCE_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < ends, "the server did not start in time"
            time.sleep(POLL_S)
        yield
    finally:
        server.should_exit = True
        thread.join()
        opened.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def as_json(value: Any) -> bytes:
    """Encode with exact amounts, as the vendors' APIs take them."""
    return JSON.encode(value)

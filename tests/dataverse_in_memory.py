"""A Dataverse simulator for a test, spoken to without a network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from closedwon_sandbox.clock import Clock
from closedwon_sandbox.dataverse import DataverseSimulator
from closedwon_sandbox.exchange import Delivery, Reply, Request
from closedwon_sandbox.settings import dataverse_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon_sandbox.world import World

BASE = "http://127.0.0.1:8000"
ROOT = f"{BASE}/api/data/v9.2"


class Box:
    """A postman that keeps what it is given; the test answers."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []

    def post(self, delivery: Delivery) -> None:
        """Keep a delivery."""
        self.deliveries.append(delivery)

    def bodies(self) -> list[Any]:
        """Return the bodies kept, in order."""
        return [json.loads(delivery.body) for delivery in self.deliveries]


@dataclass(frozen=True)
class Answer:
    """A reply with its body parsed; numbers with a fraction are decimals."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body, parse_float=Decimal)

    @property
    def value(self) -> Any:
        """The rows of a list."""
        return self.document["value"]

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.document["error"]["code"])

    @property
    def message(self) -> str:
        """The text of an error."""
        return str(self.document["error"]["message"])

    @property
    def row_id(self) -> str:
        """The id in the OData-EntityId header."""
        return self.headers["OData-EntityId"].rpartition("(")[2].rstrip(")")


@dataclass
class Crm:
    """The simulator and everything around it, with short ways to call it."""

    world: World
    clock: Clock = field(default_factory=Clock)
    box: Box = field(default_factory=Box)

    def __post_init__(self) -> None:
        self.settings = dataverse_settings(1)
        self.simulator = DataverseSimulator(self.clock, self.box, self.world, self.settings)
        self.token = self.settings.token

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; `path` is below the service root, blanks in it are encoded."""
        return answer(self.simulator.handle(self.request(method, path, body, **headers)))

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Request:
        """Build a request as this caller sends it."""
        path, _, query = path.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body, default=str).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"authorization": f"Bearer {self.token}", "content-type": "application/json", **named}
        return Request(method, f"/api/data/v9.2/{path}", quote(query, safe="=&$%+@"), known, content, BASE)

    def raw(self, method: str, path: str, query: str = "", **headers: str) -> Answer:
        """Send a request whose query is already encoded, as that of a link."""
        path, _, rest = path.partition("?")
        request = replace(self.request(method, path, **headers), query=query or rest)
        return answer(self.simulator.handle(request))

    def ask_raw(self, link: str, prefer: str = "") -> Any:
        """Follow a link and return the document."""
        found = self.raw("GET", link, **({"prefer": prefer} if prefer else {}))
        assert found.status == 200, found.body
        return found.document

    def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST."""
        return self.ask("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Answer:
        """PATCH."""
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Answer:
        """DELETE."""
        return self.ask("DELETE", path, **headers)

    def sign_in(self, **changed: str) -> Reply:
        """Ask for a token as the application."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.settings.client_id,
            "client_secret": self.settings.client_secret,
            "scope": f"{BASE}/.default",
            **changed,
        }
        directory = form.pop("directory", self.settings.directory)
        content = "&".join(f"{name}={quote(value, safe='')}" for name, value in form.items()).encode()
        return self.simulator.handle(Request("POST", f"/{directory}/oauth2/v2.0/token", "", {}, content, BASE))

    def as_app(self) -> Crm:
        """Call as the application user from now on."""
        self.token = json.loads(self.sign_in().body)["access_token"]
        return self

    def create(self, entity_set: str, body: Any) -> str:
        """Create a record and return its id."""
        made = self.post(entity_set, body)
        assert made.status == 204, made.body
        return made.row_id

    def pass_time(self, seconds: float) -> None:
        """Let time go by, and with it whatever was waiting for it."""
        self.clock.advance(seconds)
        self.clock.tick()

    def currency(self, code: str) -> str:
        """Return the id of a currency."""
        return next(currency.id for currency in self.world.currencies if currency.code == code)

    def price_list(self, code: str) -> str:
        """Return the id of the price list of a currency."""
        found = self.get(f"pricelevels?$select=name&$filter=name eq 'Standard {code}'")
        return str(found.value[0]["pricelevelid"])

    def unit(self) -> str:
        """Return the id of the only unit."""
        return str(self.get("uoms?$select=name").value[0]["uomid"])

    def deal(self, lines: Sequence[Mapping[str, Any]], code: str = "NZD", **columns: Any) -> str:
        """Create an opportunity of the first company with some lines, and return its id."""
        body = {
            "name": "A deal",
            "customerid_account@odata.bind": f"/accounts({self.world.companies[0].id})",
            "pricelevelid@odata.bind": f"/pricelevels({self.price_list(code)})",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({self.currency(code)})",
            "isrevenuesystemcalculated": True,
            "product_opportunities": lines,
            **columns,
        }
        return self.create("opportunities", body)

    def win(self, opportunity_id: str) -> Answer:
        """Win an opportunity."""
        close = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({opportunity_id})"}
        return self.post("WinOpportunity", {"Status": 3, "OpportunityClose": close})


def answer(reply: Reply) -> Answer:
    """Wrap a reply."""
    return Answer(reply.status, reply.headers, reply.body)


def write_in(price: float, quantity: float = 1, **columns: Any) -> dict[str, Any]:
    """Describe a line without a product."""
    return {
        "isproductoverridden": True,
        "productdescription": "Something",
        "priceperunit": price,
        "quantity": quantity,
        **columns,
    }

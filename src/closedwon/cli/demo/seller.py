"""Acts on the CRM as a salesperson does: enters customers, makes deals with products, wins and loses them.

A careful salesperson: the tax of each line is right to the cent, exports bear none, and a customer is entered once.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Literal

from closedwon.kernel.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from closedwon.cli.demo.control import Sandbox

Kind = Literal["account", "contact"]

HOME_CURRENCY = "NZD"
TAX_PCT = Decimal(15)
CENT = Decimal("0.01")
ARCHIVED_ACCOUNT_PREFIX = "TRN"  # training products: the books closed their account
WON_STATUS = 3
LOST_STATUS = 4
SHARE_NEW_CUSTOMER = 0.3
SHARE_AGAIN = 0.5  # of new customers: how often the next new one is the last one again
SHARE_INDIVIDUAL = 0.25
SHARE_WRITE_IN = 0.15
LARGE_DEAL = Decimal(500)
LEGAL_FORMS = {"NZD": "Ltd", "AUD": "Pty Ltd", "USD": "Inc.", "GBP": "plc"}
COUNTRIES = {"NZD": "New Zealand", "AUD": "Australia", "USD": "United States", "GBP": "United Kingdom"}
FIRST_WORDS = ("Tide", "Fern", "Granary", "Lighthouse", "Ember", "Quill", "Saddle", "Thistle", "Vale", "Whistler")
SECOND_WORDS = ("Provisions", "Bindery", "Outfitters", "Cartage", "Glassworks", "Apiaries", "Millinery", "Roastery")
FIRST_NAMES = ("Ada", "Bruno", "Celia", "Dario", "Edith", "Felix", "Greta", "Hugo", "Ines", "Jonas")
LAST_NAMES = ("Abbott", "Berry", "Carver", "Draper", "Eden", "Fielding", "Glover", "Hatch", "Ivers", "Jessop")
PURPOSES = ("first order", "renewal", "roll-out", "second site", "annual plan", "replacement", "pilot")


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the CRM; `currency` is what it buys in."""

    kind: Kind
    id: str
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Item:
    """A product with its prices by currency."""

    id: str
    number: str
    unit_id: str
    prices: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal to enter: `body` is what the CRM is sent."""

    id: str
    customer: Customer
    body: dict[str, Any] = field(repr=False)


class Seller:
    """A salesperson. The same seed sells the same."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self._sandbox = sandbox
        self._rng = random.Random(f"seller-{seed}")  # noqa: S311 - a demo must repeat with its seed
        self.won_at: dict[str, datetime] = {}
        self._currency_ids: dict[str, str] = {}
        self._price_lists: dict[str, str] = {}
        self._known: list[Customer] = []
        self._entered: list[Customer] = []
        self._items: list[Item] = []
        self._closed_items: list[Item] = []
        self._names = _new_names()

    # --- looking around -----------------------------------------------------------------------------------------

    def look_around(self) -> None:
        """Learn which customers, products and prices there are."""
        state = self._sandbox.state()
        crm, books = state["dynamics"], state["xero"]["organisations"][0]
        codes = {row["transactioncurrencyid"]: row["isocurrencycode"] for row in crm["currencies"]}
        self._currency_ids = {code: row_id for row_id, code in codes.items() if code in books["currencies"]}
        lists = self._sandbox.crm("GET", "pricelevels?$select=_transactioncurrencyid_value")["value"]
        self._price_lists = {codes[row["_transactioncurrencyid_value"]]: row["pricelevelid"] for row in lists}
        self._known = [one for one in _customers(crm, codes) if one.currency in self._currency_ids]
        items = self._catalogue(crm)
        self._items = [one for one in items if not one.number.startswith(ARCHIVED_ACCOUNT_PREFIX)]
        self._closed_items = [one for one in items if one.number.startswith(ARCHIVED_ACCOUNT_PREFIX)]

    def _catalogue(self, crm: dict[str, Any]) -> list[Item]:
        currencies = {list_id: code for code, list_id in self._price_lists.items()}
        columns = "amount,_productid_value,_pricelevelid_value"
        prices: dict[str, dict[str, Decimal]] = {}
        for row in self._sandbox.crm("GET", f"productpricelevels?$select={columns}")["value"]:
            code = currencies[row["_pricelevelid_value"]]
            prices.setdefault(row["_productid_value"], {})[code] = Decimal(row["amount"])
        return [
            Item(row["productid"], row["productnumber"], row["defaultuomid"]["id"], prices[row["productid"]])
            for row in crm["products"]
            if row["productid"] in prices
        ]

    # --- making deals -------------------------------------------------------------------------------------------

    def draw(self, count: int) -> list[Deal]:
        """Make up deals that can be invoiced, some of customers nobody knows yet."""
        deals = []
        new: Customer | None = None
        for _ in range(count):
            if self._rng.random() >= SHARE_NEW_CUSTOMER:
                customer = self._rng.choice(self._known)
            else:
                if new is None or self._rng.random() >= SHARE_AGAIN:
                    kind: Kind = "contact" if self._rng.random() < SHARE_INDIVIDUAL else "account"
                    new = self.new_customer(kind, self._rng.choice(sorted(self._currency_ids)))
                customer = new
            deals.append(self.deal(customer))
        return deals

    def new_customer(self, kind: Kind, currency: str) -> Customer:
        """Make up a customer that nobody knows yet; it is entered with its first deal."""
        name = next(self._names[kind])
        if kind == "account":
            name = f"{name} {LEGAL_FORMS[currency]}"
        customer = Customer(kind, self._id(), name, currency)
        self._entered.append(customer)
        return customer

    def known_customer(self, kind: Kind, currency: str = "") -> Customer:
        """Choose a customer that the CRM knows, of a kind and currency."""
        fitting = [one for one in self._known if one.kind == kind and currency in {"", one.currency}]
        return self._rng.choice(fitting) if fitting else self.new_customer(kind, currency or HOME_CURRENCY)

    def deal(self, customer: Customer, *, closed_account: bool = False, discount_pct: int | None = None) -> Deal:
        """Make up a deal; with `closed_account` on a product whose ledger account the books have closed."""
        items = self._closed_items if closed_account else self._items
        chosen = self._rng.sample(items, min(len(items), self._rng.choice((1, 1, 2, 2, 3, 4))))
        lines = [self._line(item, customer.currency, discount_pct) for item in chosen]
        if not closed_account and self._rng.random() < SHARE_WRITE_IN:
            lines.append(self._write_in(customer.currency))
        deal_id = self._id()
        body = {
            "opportunityid": deal_id,
            "name": f"{customer.name}: {self._rng.choice(PURPOSES)}",
            f"customerid_{customer.kind}@odata.bind": f"/{customer.kind}s({customer.id})",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({self._currency_ids[customer.currency]})",
            "pricelevelid@odata.bind": f"/pricelevels({self._price_lists[customer.currency]})",
            "isrevenuesystemcalculated": True,
            **self._extras(customer.currency, lines),
            "product_opportunities": lines,
        }
        return Deal(deal_id, customer, body)

    def _extras(self, currency: str, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Freight and a discount on the whole deal: the CRM never taxes these, so only exports have them."""
        if currency == HOME_CURRENCY:
            return {}
        net = sum(
            (line["priceperunit"] * line["quantity"] - line["manualdiscountamount"] for line in lines), Decimal(0)
        )
        discount = Decimal(self._rng.choice((0, 0, 10, 25))) if net > LARGE_DEAL else Decimal(0)
        freight = Decimal(self._rng.choice((0, 0, 35, 80)))
        extras = {"discountamount": discount, "freightamount": freight}
        return {name: amount for name, amount in extras.items() if amount}

    def _line(self, item: Item, currency: str, discount_pct: int | None) -> dict[str, Any]:
        price = item.prices[currency]
        quantity = Decimal(self._rng.choice(("1", "1", "2", "3", "5", "8", "12", "0.5", "7.5")))
        pct = self._rng.choice((0, 0, 0, 5, 10)) if discount_pct is None else discount_pct
        discount = _half_up(price * quantity * pct / 100)
        sold = {"productid@odata.bind": f"/products({item.id})", "uomid@odata.bind": f"/uoms({item.unit_id})"}
        return {**sold, **_priced(price, quantity, discount, currency)}

    def _write_in(self, currency: str) -> dict[str, Any]:
        price = Decimal(self._rng.randint(2_000, 30_000)) / 100
        sold = {"isproductoverridden": True, "productdescription": "Courier, packing and insurance"}
        return {**sold, **_priced(price, Decimal(self._rng.randint(1, 4)), Decimal(0), currency)}

    def _id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    # --- acting -------------------------------------------------------------------------------------------------

    def enter(self, deals: Sequence[Deal]) -> None:
        """Enter deals, and before them their customers where they are new."""
        self._sandbox.crm_batch([_entry(one) for one in self._entered])
        self._known += self._entered
        self._entered = []
        self._sandbox.crm_batch([("POST", "opportunities", deal.body) for deal in deals])

    def win(self, deals: Sequence[Deal]) -> None:
        """Close deals as won."""
        self._sandbox.crm_batch([("POST", "WinOpportunity", _closing(deal, WON_STATUS, "Won")) for deal in deals])
        now = SystemClock().now()
        self.won_at |= {deal.id: now for deal in deals}

    def lose(self, deal: Deal) -> None:
        """Close a deal as lost."""
        self._sandbox.crm("POST", "LoseOpportunity", _closing(deal, LOST_STATUS, "Lost"))

    def total(self, deal: Deal) -> Decimal:
        """Return a deal's total as the CRM calculated it."""
        row = self._sandbox.crm("GET", f"opportunities({deal.id})?$select=totalamount")
        return Decimal(row["totalamount"])


def _closing(deal: Deal, status: int, subject: str) -> dict[str, Any]:
    close = {"subject": subject, "opportunityid@odata.bind": f"/opportunities({deal.id})"}
    return {"Status": status, "OpportunityClose": close}


def _entry(one: Customer) -> tuple[str, str, dict[str, Any]]:
    slug = "".join(sign for sign in one.name.lower() if sign.isalnum())
    shared = {"address1_country": COUNTRIES[one.currency], "emailaddress1": f"accounts@{slug}.example"}
    if one.kind == "account":
        return ("POST", "accounts", {"accountid": one.id, "name": one.name, **shared})
    first, _, last = one.name.partition(" ")
    return ("POST", "contacts", {"contactid": one.id, "firstname": first, "lastname": last, **shared})


def _priced(price: Decimal, quantity: Decimal, discount: Decimal, currency: str) -> dict[str, Any]:
    net = _half_up(price * quantity - discount)
    tax = _half_up(net * TAX_PCT / 100) if currency == HOME_CURRENCY else Decimal(0)
    return {
        "quantity": quantity,
        "ispriceoverridden": True,
        "priceperunit": price,
        "manualdiscountamount": discount,
        "tax": tax,
    }


def _half_up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def _customers(crm: dict[str, Any], codes: dict[str, str]) -> list[Customer]:
    """List the customers whose name is theirs alone; who shares a name is a question for a person."""
    companies = [
        Customer("account", row["accountid"], row["name"], codes[row["transactioncurrencyid"]["id"]])
        for row in crm["accounts"]
    ]
    people = [
        Customer("contact", row["contactid"], row["fullname"], codes[row["transactioncurrencyid"]["id"]])
        for row in crm["contacts"]
    ]
    employed = {row["contactid"] for row in crm["contacts"] if row.get("parentcustomerid")}
    alike = Counter(_sound(one.name) for one in [*companies, *people])
    return [one for one in [*companies, *people] if alike[_sound(one.name)] == 1 and one.id not in employed]


def _sound(name: str) -> str:
    """Reduce a company's name to what is left of it when it is written sloppily."""
    plain = name.casefold().replace("limited", "ltd").replace("&", "and").replace(".", "")
    return plain.removeprefix("the ")


def _new_names() -> dict[Kind, Any]:
    """Name new customers; no name comes twice."""
    companies = (
        f"{first} {second}{f' {number}' if number else ''}"
        for number in range(1000)
        for second in SECOND_WORDS
        for first in FIRST_WORDS
    )
    people = (
        f"{first} {last}{f'-{LAST_NAMES[number % 10]} {number}' if number else ''}"
        for number in range(1000)
        for last in LAST_NAMES
        for first in FIRST_NAMES
    )
    return {"account": companies, "contact": people}

"""What the world is made of: one seller, its customers, products and open deals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of the CRM. `rate` is units of it per 1 of the base; `in_books` says that Xero has subscribed it."""

    id: str
    code: str
    name: str
    symbol: str
    precision: int
    rate: Decimal
    in_books: bool


@dataclass(frozen=True, slots=True)
class Family:
    """A branch of the product tree; `parent_id` is None at the top."""

    id: str
    key: str
    name: str
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Product:
    """Something sold. `number` is the Xero item code too, `family` a `Family.id`, `unit_price` is by currency code."""

    id: str
    number: str
    name: str
    description: str
    family: str
    unit_price: Mapping[str, Decimal]
    account_code: str
    tax_type: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Company:
    """A customer that is a company. `country` is the country's name; `in_books`: Xero knows it from the start.

    `twin_of` is the id of an older company with the same or nearly the same name, None for everybody else.
    """

    id: str
    name: str
    account_number: str
    email: str
    phone: str
    line1: str
    city: str
    region: str
    postal_code: str
    country: str
    currency: str
    in_books: bool
    twin_of: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a company, or an individual customer where `company_id` is None. `in_books`: Xero knows them."""

    id: str
    first_name: str
    last_name: str
    email: str
    phone: str
    company_id: str | None
    country: str
    currency: str
    in_books: bool


@dataclass(frozen=True, slots=True)
class DealLine:
    """One line of a deal. *Units*: `discount` and `tax` are amounts for the whole line. No product: a write-in.

    `tax` is what a careful seller's CRM holds: on this line's net, half-up to two decimals.
    """

    product_id: str | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Deal:
    """An opportunity. `wrinkle` names what keeps it from becoming an invoice unattended, None for a clean deal.

    Wrinkles: "currency" (Xero has not subscribed it), "archived_account" (a product's account is archived),
    "twin" (two customers have that name).
    """

    id: str
    name: str
    customer_id: str
    customer_is_person: bool
    currency: str
    lines: tuple[DealLine, ...]
    discount: Decimal
    freight: Decimal
    won: bool
    region: str
    cost_centre: str
    po_number: str
    wrinkle: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything a simulator is seeded with. `country` is the seller's ISO code.

    `regions` and `cost_centres` are the values a deal's region and cost centre can have: options for tracking.
    """

    seed: int
    size: str
    organisation_name: str
    base_currency: str
    country: str
    currencies: tuple[Currency, ...]
    products: tuple[Product, ...]
    families: tuple[Family, ...]
    companies: tuple[Company, ...]
    people: tuple[Person, ...]
    deals: tuple[Deal, ...]
    regions: tuple[str, ...]
    cost_centres: tuple[str, ...]

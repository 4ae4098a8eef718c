"""Makes a world out of a seed: the same seed and size give the same world on every machine."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from closedwon_sandbox.world import names
from closedwon_sandbox.world.records import Company, Currency, Deal, DealLine, Family, Person, Product, World

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPANIES = {"small": 50, "medium": 2_000, "large": 100_000}
DEALS = {"small": 60, "medium": 600, "large": 3_000}
ORGANISATION_NAME = "Closedwon Demo (NZ)"
BASE_CURRENCY = "NZD"
TAX_TYPE = "OUTPUT2"
TAX_PCT = Decimal(15)
ARCHIVED_ACCOUNT_FAMILY = "training"
PEOPLE_PER_COMPANY = 0.5
SHARE_ALONE = 0.25
SHARE_IN_BOOKS = 0.4
SHARE_TWINS = 0.02
SHARE_WITH_WRITE_IN = 0.15
SHARE_WITH_PO = 0.6
SHARE_OF_INDIVIDUALS = 0.2
LARGE_DEAL = Decimal(500)
REGIONS = tuple(city.region for city in names.NEW_ZEALAND.cities)
CENT = Decimal("0.01")
NOTHING = Decimal(0)

_CURRENCIES = (
    ("NZD", "New Zealand Dollar", "$", "1", True),
    ("AUD", "Australian Dollar", "A$", "0.9175", True),
    ("USD", "US Dollar", "US$", "0.6012", True),
    ("GBP", "Pound Sterling", "£", "0.4538", True),
    ("EUR", "Euro", "€", "0.5214", False),  # the books have not subscribed it: deals in it need a person
)


def generate(seed: int, size: str) -> World:
    """Make the world of a seed; `size` is one of `COMPANIES`."""
    return _Maker(seed, size).world()


def half_up(amount: Decimal) -> Decimal:
    """Round to cents the way invoices do."""
    return amount.quantize(CENT, ROUND_HALF_UP)


class _Maker:
    def __init__(self, seed: int, size: str) -> None:
        self._seed = seed
        self._size = size
        self._rng = Random(f"{seed}-{size}")  # noqa: S311 - a world must repeat with its seed
        self._taken: set[str] = set()

    def world(self) -> World:
        currencies = tuple(self._currency(*row) for row in _CURRENCIES)
        families = self._families()
        products = self._products(currencies, {family.key: family.id for family in families})
        companies = self._companies(COMPANIES[self._size])
        people = self._people(companies, int(COMPANIES[self._size] * PEOPLE_PER_COMPANY))
        deals = self._deals(products, companies, people, families)
        return World(
            seed=self._seed,
            size=self._size,
            organisation_name=ORGANISATION_NAME,
            base_currency=BASE_CURRENCY,
            country="NZ",
            currencies=currencies,
            products=products,
            families=families,
            companies=companies,
            people=people,
            deals=deals,
            regions=REGIONS,
            cost_centres=names.COST_CENTRES,
        )

    def _id(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))

    # ---- catalogue

    def _currency(self, code: str, name: str, symbol: str, rate: str, in_books: bool) -> Currency:  # noqa: FBT001 - a row of the table above
        return Currency(self._id(), code, name, symbol, 2, Decimal(rate), in_books)

    def _families(self) -> tuple[Family, ...]:
        ids = {family.key: self._id() for family in names.FAMILIES}
        return tuple(
            Family(ids[family.key], family.key, family.name, ids[family.parent] if family.parent else None)
            for family in names.FAMILIES
        )

    def _products(self, currencies: Sequence[Currency], family_ids: dict[str, str]) -> tuple[Product, ...]:
        accounts = {family.key: family.account_code for family in names.FAMILIES}
        return tuple(
            Product(
                id=self._id(),
                number=number,
                name=name,
                description=description,
                family=family_ids[family],
                unit_price={currency.code: half_up(Decimal(price) * currency.rate) for currency in currencies},
                account_code=accounts[family],
                tax_type=TAX_TYPE,
                cost=Decimal(cost),
            )
            for family, number, name, description, price, cost in names.PRODUCTS
        )

    # ---- customers

    def _companies(self, count: int) -> tuple[Company, ...]:
        twins = max(2, int(count * SHARE_TWINS))
        companies = [self._company(index) for index in range(count - twins)]
        # the first ones stay without a twin: there is one for every country, whatever the size
        originals = self._rng.sample(companies[len(names.COUNTRIES) :], twins)
        companies += [self._twin(original, count - twins + place) for place, original in enumerate(originals)]
        return tuple(companies)

    def _company(self, index: int) -> Company:
        rng = self._rng
        if index < len(names.COUNTRIES):
            country = names.COUNTRIES[index]
        else:
            (country,) = rng.choices(names.COUNTRIES, names.COUNTRY_WEIGHTS)
        city = rng.choice(country.cities)
        core = self._free_name(city.name)
        return self._at(
            country, city, f"{core} {rng.choice(country.legal_forms)}", index, in_books=rng.random() < SHARE_IN_BOOKS
        )

    def _free_name(self, city: str) -> str:
        """Find a company name without its legal form that nobody has yet."""
        while True:
            core = f"{self._rng.choice(names.COMPANY_FIRST)} {self._rng.choice(names.COMPANY_SECOND)}"
            joint = self._rng.choice(names.COMPANY_JOINT)
            core = f"{core} {joint}" if joint else core
            for name in (core, f"{core} {city}"):
                if name not in self._taken:
                    self._taken.add(name)
                    return name

    def _at(self, country: names.Country, city: names.City, name: str, index: int, *, in_books: bool) -> Company:
        rng = self._rng
        return Company(
            id=self._id(),
            name=name,
            account_number=f"C{100_000 + index}",
            email=f"accounts@{_slug(name)}.example",
            phone=self._digits(city.phone),
            line1=f"{rng.randint(1, 399)} {rng.choice(names.STREETS)} {rng.choice(names.STREET_KINDS)}",
            city=city.name,
            region=city.region,
            postal_code=self._digits(city.postal),
            country=country.name,
            currency=country.currency,
            in_books=in_books,
        )

    def _twin(self, original: Company, index: int) -> Company:
        """Make a second company of the same name, or of one that differs as sloppy typing does."""
        rng = self._rng
        country = next(country for country in names.COUNTRIES if country.name == original.country)
        twin = self._at(country, rng.choice(country.cities), original.name, index, in_books=False)
        name = original.name if index % 2 else _nearly(original.name)
        return Company(
            **{field: getattr(twin, field) for field in Company.__slots__ if field not in {"name", "email", "twin_of"}},
            name=name,
            email=f"office@{_slug(name)}-{_slug(twin.city)}.example",
            twin_of=original.id,
        )

    def _people(self, companies: Sequence[Company], count: int) -> tuple[Person, ...]:
        alone = int(count * SHARE_ALONE)
        at_work = [self._person(self._rng.choice(companies)) for _ in range(count - alone)]
        return tuple(at_work + [self._person(None) for _ in range(alone)])

    def _person(self, company: Company | None) -> Person:
        rng = self._rng
        first, last = rng.choice(names.FIRST_NAMES), rng.choice(names.LAST_NAMES)
        (country,) = rng.choices(names.COUNTRIES[:4], names.COUNTRY_WEIGHTS[:4])
        free = company is None and f"{first} {last}" not in self._taken
        self._taken.add(f"{first} {last}")
        host = company.email.partition("@")[2] if company else f"mail{rng.randint(1, 9)}.example"
        return Person(
            id=self._id(),
            first_name=first,
            last_name=last,
            email=f"{_slug(first)}.{_slug(last)}{'' if company else rng.randint(10, 99_999)}@{host}",
            phone=company.phone if company else self._digits(rng.choice(country.cities).phone),
            company_id=company.id if company else None,
            country=company.country if company else country.name,
            currency=company.currency if company else country.currency,
            in_books=free and rng.random() < SHARE_IN_BOOKS,
        )

    def _digits(self, pattern: str) -> str:
        return re.sub("#", lambda _: str(self._rng.randint(0, 9)), pattern)

    # ---- deals

    def _deals(
        self,
        products: Sequence[Product],
        companies: Sequence[Company],
        people: Sequence[Person],
        families: Sequence[Family],
    ) -> tuple[Deal, ...]:
        archived = next(family.id for family in families if family.key == ARCHIVED_ACCOUNT_FAMILY)
        sellable = [product for product in products if product.family != archived]
        doubled = {company.twin_of for company in companies}
        unsubscribed = {code for code, *_, in_books in _CURRENCIES if not in_books}
        regular = [
            company
            for company in companies
            if company.id not in doubled and not company.twin_of and company.currency not in unsubscribed
        ]
        individuals = _without_namesakes(people)
        deals = [self._deal(self._customer(regular, individuals), sellable) for _ in range(DEALS[self._size] - 3)]
        foreign = next(company for company in companies if company.currency in unsubscribed)
        training = [product for product in products if product.family == archived]
        deals.append(self._deal(foreign, sellable, "currency"))
        deals.append(self._deal(companies[0], training, "archived_account"))
        deals.append(self._deal(next(company for company in companies if company.twin_of), sellable, "twin"))
        return tuple(deals)

    def _customer(self, companies: Sequence[Company], individuals: Sequence[Person]) -> Company | Person:
        if individuals and self._rng.random() < SHARE_OF_INDIVIDUALS:
            return self._rng.choice(individuals)
        return self._rng.choice(companies)

    def _deal(self, customer: Company | Person, products: Sequence[Product], wrinkle: str | None = None) -> Deal:
        rng = self._rng
        person = isinstance(customer, Person)
        called = f"{customer.first_name} {customer.last_name}" if isinstance(customer, Person) else customer.name
        abroad = customer.currency != BASE_CURRENCY
        lines = tuple(
            self._line(product, customer.currency, taxed=not abroad)
            for product in rng.sample(products, min(len(products), rng.choice((1, 1, 2, 2, 3, 4))))
        )
        if wrinkle is None and rng.random() < SHARE_WITH_WRITE_IN:
            lines += (self._write_in(taxed=not abroad),)
        # CRM adds no tax to freight and takes none off with a discount on the whole deal, so a careful seller uses both
        # only where nothing is taxed
        return Deal(
            id=self._id(),
            name=f"{called}: {rng.choice(names.DEAL_WORDS)}",
            customer_id=customer.id,
            customer_is_person=person,
            currency=customer.currency,
            lines=lines,
            discount=Decimal(rng.choice((0, 0, 10, 25))) if abroad and _net(lines) > LARGE_DEAL else NOTHING,
            freight=Decimal(rng.choice((0, 0, 35, 80))) if abroad else NOTHING,
            won=False,
            region=rng.choice(REGIONS),
            cost_centre=rng.choice(names.COST_CENTRES),
            po_number=f"PO-{rng.randint(1000, 99999)}" if rng.random() < SHARE_WITH_PO else "",
            wrinkle=wrinkle,
        )

    def _line(self, product: Product, currency: str, *, taxed: bool) -> DealLine:
        rng = self._rng
        quantity = Decimal(rng.choice(("1", "1", "2", "3", "5", "8", "12", "24", "0.5", "7.5")))
        price = product.unit_price[currency]
        discount = half_up(price * quantity * rng.choice((0, 0, 0, 5, 10)) / 100)
        return DealLine(
            product.id, product.name, quantity, price, discount, _tax(price, quantity, discount, taxed=taxed)
        )

    def _write_in(self, *, taxed: bool) -> DealLine:
        quantity = Decimal(self._rng.randint(1, 4))
        price = Decimal(self._rng.randint(2_000, 30_000)) / 100
        text = self._rng.choice(names.WRITE_IN_LINES)
        return DealLine(None, text, quantity, price, NOTHING, _tax(price, quantity, NOTHING, taxed=taxed))


def _without_namesakes(people: Sequence[Person]) -> list[Person]:
    """List the individual customers whose name is theirs alone."""
    names_taken = Counter((person.first_name, person.last_name) for person in people)
    return [
        person
        for person in people
        if person.company_id is None and names_taken[person.first_name, person.last_name] == 1
    ]


def _net(lines: Sequence[DealLine]) -> Decimal:
    return sum((half_up(line.quantity * line.unit_price - line.discount) for line in lines), NOTHING)


def _tax(price: Decimal, quantity: Decimal, discount: Decimal, *, taxed: bool) -> Decimal:
    return half_up(half_up(price * quantity - discount) * TAX_PCT / 100) if taxed else NOTHING


def _nearly(name: str) -> str:
    """Spell a company's name as somebody else would."""
    for written, instead in (
        (" Ltd", " Limited"),
        (" Limited", " Ltd"),
        (" & ", " and "),
        (" Inc.", " Inc"),
        (" plc", " PLC"),
    ):
        if written in name:
            return name.replace(written, instead)
    return f"The {name}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "", plain)

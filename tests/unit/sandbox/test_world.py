"""The made-up world: repeatable, varied, and honest about its wrinkles."""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import pytest

from closedwon_sandbox.world import DealLine, World, generate


@pytest.fixture(scope="module")
def small() -> World:
    """Make the world of seed 1."""
    return generate(1, "small")


@pytest.fixture(scope="module", params=["small", "medium"])
def world(request: pytest.FixtureRequest) -> World:
    """Make a world of each size that is quick to make."""
    return generate(3, request.param)


def test_the_same_seed_makes_the_same_world(small: World) -> None:
    """Ids, names and amounts repeat; another seed makes another world."""
    assert generate(1, "small") == small
    assert generate(2, "small").companies != small.companies


def test_sizes_are_as_promised(small: World) -> None:
    """Small has 50 companies and about 60 deals, half as many people."""
    assert (len(small.companies), len(small.people), len(small.deals)) == (50, 25, 60)
    assert len(generate(1, "medium").companies) == 2_000


def test_ids_are_unique(world: World) -> None:
    """No two things share an id, no two products a number, no two companies an account number."""
    groups = (world.companies, world.people, world.products, world.deals, world.currencies, world.families)
    ids = [thing.id for group in groups for thing in group]
    assert len(set(ids)) == len(ids)
    assert len({product.number for product in world.products}) == len(world.products)
    assert len({company.account_number for company in world.companies}) == len(world.companies)


def test_everybody_in_the_books_has_a_name_of_their_own(world: World) -> None:
    """Xero refuses two contacts of one name, so the seeded ones differ, whatever the case."""
    names = [company.name.casefold() for company in world.companies if company.in_books]
    names += [f"{person.first_name} {person.last_name}".casefold() for person in world.people if person.in_books]
    assert len(set(names)) == len(names)
    assert 0 < len(names) < len(world.companies)


def test_there_are_twins_and_near_twins(world: World) -> None:
    """Some companies have the name of an older one, some nearly so; neither is in the books."""
    by_id = {company.id: company for company in world.companies}
    twins = [(company, by_id[company.twin_of]) for company in world.companies if company.twin_of]
    assert {twin.name == original.name for twin, original in twins} == {True, False}
    assert not any(twin.in_books for twin, _ in twins)
    assert all(twin.email != original.email for twin, original in twins)


def test_references_resolve(world: World) -> None:
    """Deals have known customers and products, people known employers, products known families."""
    companies = {company.id for company in world.companies}
    alone = {person.id for person in world.people if person.company_id is None}
    products = {product.id for product in world.products}
    assert all(deal.customer_id in (alone if deal.customer_is_person else companies) for deal in world.deals)
    assert all(line.product_id is None or line.product_id in products for deal in world.deals for line in deal.lines)
    assert {person.company_id for person in world.people} - {None} <= companies
    assert {product.family for product in world.products} <= {family.id for family in world.families}


def test_deals_are_varied(world: World) -> None:
    """Several currencies, companies and individuals, discounts, write-in lines, none of them won."""
    clean = [deal for deal in world.deals if deal.wrinkle is None]
    assert {deal.currency for deal in clean} >= {"NZD", "AUD", "USD"}
    assert {deal.customer_is_person for deal in clean} == {True, False}
    assert any(line.discount for deal in clean for line in deal.lines)
    assert any(line.product_id is None for deal in clean for line in deal.lines)
    assert not any(deal.won for deal in world.deals)


def test_a_clean_deal_can_become_an_invoice_unattended(world: World) -> None:
    """Its currency is subscribed, its customer's name is nobody else's, no product's account is archived."""
    subscribed = {currency.code for currency in world.currencies if currency.in_books}
    company_names = Counter(company.name for company in world.companies)
    companies = {company.id: company for company in world.companies}
    archived = {product.id for product in world.products if product.account_code == "205"}
    clean = [deal for deal in world.deals if deal.wrinkle is None]
    assert {deal.currency for deal in clean} <= subscribed
    assert all(deal.customer_is_person or company_names[companies[deal.customer_id].name] == 1 for deal in clean)
    assert not archived & {line.product_id for deal in clean for line in deal.lines}
    assert all(total(deal.lines) - deal.discount > 0 for deal in clean)


def test_the_wrinkles_are_what_they_say(world: World) -> None:
    """One deal for each kind of trouble, at the end."""
    assert [deal.wrinkle for deal in world.deals[-3:]] == ["currency", "archived_account", "twin"]
    foreign, archived, twin = world.deals[-3:]
    products = {product.id: product for product in world.products}
    companies = {company.id: company for company in world.companies}
    assert foreign.currency == "EUR"
    assert {products[line.product_id].account_code for line in archived.lines if line.product_id} == {"205"}
    assert companies[twin.customer_id].twin_of


def test_tax_is_what_new_zealand_charges(world: World) -> None:
    """15 % of each line's net, half-up to the cent, for sales at home; nothing on exports."""
    for deal in world.deals:
        for line in deal.lines:
            net = cents(line.quantity * line.unit_price - line.discount)
            assert line.tax == (cents(net * Decimal("0.15")) if deal.currency == "NZD" else 0)


def test_what_crm_cannot_tax_is_only_on_exports(world: World) -> None:
    """Freight and a discount on the whole deal would make CRM's tax differ from the books'."""
    at_home = [deal for deal in world.deals if deal.currency == "NZD"]
    assert not any(deal.discount or deal.freight for deal in at_home)
    assert any(deal.freight for deal in world.deals)


def test_prices_exist_in_every_currency(small: World) -> None:
    """The price list of every currency has every product, to the cent."""
    codes = {currency.code for currency in small.currencies}
    assert all(set(product.unit_price) == codes for product in small.products)
    assert all(price == cents(price) for product in small.products for price in product.unit_price.values())


def cents(amount: Decimal) -> Decimal:
    """Round half-up to cents."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def total(lines: tuple[DealLine, ...]) -> Decimal:
    """Add up what the lines cost before tax."""
    return sum((line.quantity * line.unit_price - line.discount for line in lines), Decimal(0))

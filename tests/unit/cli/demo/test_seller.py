"""The demo's salesperson: deals that repeat with their seed, and that can be invoiced."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from closedwon.cli.demo.control import Sandbox
from closedwon.cli.demo.judge import read_holdings
from closedwon.cli.demo.seller import HOME_CURRENCY, Seller
from closedwon.kernel.http import HttpClient
from sandbox_process import simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Both simulators, as sandbox.json would describe them."""
    with simulators_on_a_thread() as both:
        http = HttpClient()
        info = {
            "dynamics": {"url": both.dynamics_url, "token": both.dynamics.token},
            "xero": {
                "api_url": both.xero_url,
                "token": both.xero.token,
                "organisations": [{"id": both.xero.organisation_id}],
            },
            "control": f"{both.dynamics_url}/_sandbox",
        }
        yield Sandbox(info, http)
        http.close()


def _seller(sandbox: Sandbox, seed: int) -> Seller:
    seller = Seller(sandbox, seed)
    seller.look_around()
    return seller


def test_the_same_seed_sells_the_same(sandbox: Sandbox) -> None:
    """And another seed sells something else."""
    first, again, other = (_seller(sandbox, seed).draw(20) for seed in (1, 1, 2))
    assert [deal.body for deal in first] == [deal.body for deal in again]
    assert [deal.body for deal in first] != [deal.body for deal in other]


def test_deals_are_of_all_kinds(sandbox: Sandbox) -> None:
    """Companies and individuals, several currencies, discounts; the books use every currency."""
    deals = _seller(sandbox, 3).draw(200)
    assert {deal.customer.kind for deal in deals} == {"account", "contact"}
    assert {deal.customer.currency for deal in deals} == {"NZD", "AUD", "USD", "GBP"}
    lines = [line for deal in deals for line in deal.body["product_opportunities"]]
    assert any(line["manualdiscountamount"] for line in lines)
    assert len({deal.customer.id for deal in deals}) < len(deals)


def test_only_sales_at_home_bear_tax(sandbox: Sandbox) -> None:
    """Fifteen per cent, half-up, on each line; every amount is a Decimal of whole cents."""
    for deal in _seller(sandbox, 4).draw(100):
        for line in deal.body["product_opportunities"]:
            net = line["priceperunit"] * line["quantity"] - line["manualdiscountamount"]
            taxed = deal.customer.currency == HOME_CURRENCY
            assert abs(line["tax"] - (net * Decimal("0.15") if taxed else 0)) <= Decimal("0.006")
            assert line["tax"] == round(line["tax"], 2)


def test_deals_are_entered_with_their_customers_and_won(sandbox: Sandbox) -> None:
    """The CRM adds up what was entered; who is lost is not won."""
    seller = _seller(sandbox, 5)
    deals = seller.draw(12)
    lost = seller.deal(seller.known_customer("account"))
    seller.enter([*deals, lost])
    seller.win(deals)
    seller.lose(lost)
    won = read_holdings(sandbox.state()).won
    assert {deal.id for deal in deals} <= won.keys()
    assert lost.id not in won
    assert seller.won_at.keys() == {deal.id for deal in deals}
    assert all(Decimal(won[deal.id]["totalamount"]) == seller.total(deal) > 0 for deal in deals)

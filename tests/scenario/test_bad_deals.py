"""Deals that can hardly be invoiced or not at all: each is parked with all that is wrong with it, or invoiced right."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from product import stage as open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from product import Product, Stage

LONGEST_NAME = 300  # of a deal; the CRM takes no more
LINES = 300
LONG_TEXT = ("🧾 Zeile " * 500)[:1990]  # of a line; the CRM takes 2,000


class Worked(NamedTuple):
    """A stage on which all the bad deals were won and worked off together; `deals` are their ids by name."""

    stage: Stage
    product: Product
    deals: dict[str, str]


def line(stage: Stage, quantity: str = "1", price: str = "100", **columns: Any) -> dict[str, Any]:
    """Make a line of the first product, its tax right to the cent."""
    look = stage.people._look()
    made = stage.people._line(look["products"][0], random.Random(1), look)
    amount = Decimal(quantity) * Decimal(price)
    priced = {"quantity": Decimal(quantity), "priceperunit": Decimal(price), "manualdiscountamount": Decimal(0)}
    return made | priced | {"tax": (amount * 15 / 100).quantize(Decimal("0.01"))} | columns


def bad_deals(stage: Stage) -> Iterator[tuple[str, dict[str, Any]]]:
    """Describe the deals by the columns in which they differ from good ones."""
    yield "no customer", {"customerid_account@odata.bind": None}
    yield "no lines", {"product_opportunities": None}
    yield "nothing at all", {"customerid_account@odata.bind": None, "product_opportunities": None}
    yield "zero total", {"product_opportunities": [line(stage, price="0")]}
    negative = [line(stage, price="10"), line(stage, price="-50")]
    yield "negative total", {"product_opportunities": negative}
    yield "zero quantity", {"product_opportunities": [line(stage), line(stage, quantity="0")]}
    many = [line(stage, quantity=str(number % 7 + 1), price=f"{number}.37") for number in range(1, LINES + 1)]
    yield "300 lines", {"product_opportunities": many}
    name = ("🚀 Rollout “Ōtautahi” + " * 20)[:LONGEST_NAME]
    described = line(stage, description=LONG_TEXT)
    yield "long name", {"name": name, "product_opportunities": [described]}
    yield "tags in the name", {"name": "<script>alert(1)</script> & \"'`"}


@pytest.fixture(scope="module", name="worked")
def all_bad_deals_at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """Win good deals and all the bad ones, and work them off in one batch."""
    with open_stage(tmp_path_factory.mktemp("bad")) as stage, stage.product() as product:
        deals = {name: stage.people.deal(**columns) for name, columns in bad_deals(stage)}
        deals |= {f"good {number}": stage.people.deal() for number in range(3)}
        for deal_id in deals.values():
            stage.people.win(deal_id)
        product.work_off()
        yield Worked(stage, product, deals)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("no customer", ["the deal has no customer"]),
        ("no lines", ["the deal has no products"]),
        ("nothing at all", ["the deal has no customer", "the deal has no products"]),
        ("zero total", ["the invoice would come to 0.00 NZD"]),
        ("negative total", ["the invoice would come to -46.00 NZD"]),
        ("zero quantity", ["line 2 has the quantity 0"]),
    ],
)
def test_a_deal_that_cannot_be_invoiced_is_parked_with_every_problem(
    worked: Worked, name: str, texts: list[str]
) -> None:
    """The deal has no invoice but an item that names every problem, each with what to do."""
    deal_id = worked.deals[name]
    assert worked.stage.invoices(deal_id) == []
    item = worked.product.item(deal_id)
    assert item["code"] == "mapping_failed"
    problems = item["details"]["problems"]
    assert [one["text"] for one in problems] == texts
    assert all(one["hint"] for one in problems)
    assert item["hint"]
    assert worked.product.run_of(deal_id)["state"] == "parked"


@pytest.mark.parametrize("name", ["300 lines", "long name", "tags in the name", "good 0", "good 1", "good 2"])
def test_an_odd_deal_is_invoiced_right(worked: Worked, name: str) -> None:
    """Many lines, a name as long as can be with an emoji, signs that mean something elsewhere: one right invoice."""
    deal_id = worked.deals[name]
    worked.stage.assert_invoiced_once([deal_id])
    assert worked.product.items(deal_id) == []


def test_nothing_of_a_large_or_long_deal_is_lost(worked: Worked) -> None:
    """All 300 lines are on the invoice, and a line's long text is kept to its last sign."""
    large = worked.stage.invoice(worked.deals["300 lines"])
    assert len(large["LineItems"]) == LINES
    (text,) = (one["Description"] for one in worked.stage.invoice(worked.deals["long name"])["LineItems"])
    assert text.endswith(LONG_TEXT.strip())


def test_every_won_deal_is_either_invoiced_or_asked_about(worked: Worked) -> None:
    """No deal is lost: each has an invoice or an open item, and never both."""
    for name, deal_id in worked.deals.items():
        assert len(worked.stage.invoices(deal_id)) + len(worked.product.items(deal_id)) == 1, name

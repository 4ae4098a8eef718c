"""The vendors have trouble: whatever answer or silence comes, each deal ends with exactly one invoice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from closedwon.connectors import limits
from product import TENANT
from product import stage as open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from product import Product, Stage

NUMBERS = itertools.count(1)


class Playing(NamedTuple):
    """A stage with the product running on it."""

    stage: Stage
    product: Product


@pytest.fixture(scope="module", name="play")
def one_product_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playing]:
    """Run one product through every trouble of this module, one after the other."""
    with (
        pytest.MonkeyPatch.context() as patch,
        open_stage(tmp_path_factory.mktemp("trouble")) as stage,
        stage.product() as product,
    ):
        patch.setitem(limits.PAUSE_S, "app", 0.5)  # an app-wide minute is waited for elsewhere
        yield Playing(stage, product)


@pytest.fixture(autouse=True)
def _fresh_start(play: Playing) -> Iterator[None]:
    """Begin each trouble with a full budget of calls: what limits do is told elsewhere."""
    play.stage.simulators.limits("xero", minute=100_000, day=100_000)
    for connection in ("crm", "books"):
        play.product.app.tenants.change_budget(TENANT, connection, lambda _: ({}, None))
    yield
    play.stage.simulators.clear_faults()


def fault(system: str, match: str, do: str, **rule: Any) -> dict[str, Any]:
    """Describe a fault that hits the first call of an endpoint."""
    return {"system": system, "match": match, "do": do, **rule}


def second_batch(do: str, **rule: Any) -> dict[str, Any]:
    """Describe a fault that hits the write-back: the first batch creates the CRM invoice, the second writes on it."""
    return fault("dynamics", "POST $batch", do, when={"nth": 2}, **rule)


TROUBLES = [
    # throttled
    fault("xero", "PUT Invoices", "429", retry_after_s=1, kind="appminute"),
    fault("xero", "PUT Contacts", "429", retry_after_s=1, kind="concurrent"),
    fault("dynamics", "GET opportunities", "429", retry_after_s=1),
    fault("dynamics", "POST $batch", "429", retry_after_s=1),
    second_batch("429", retry_after_s=1),
    # faults of the vendor, before or after it did its work
    fault("dynamics", "GET opportunities", "500"),  # the feed's reading
    fault("dynamics", "GET opportunities", "503", when={"nth": 2}),  # the flow's own
    fault("xero", "GET Contacts", "500"),
    fault("xero", "GET Contacts", "503", when={"first": 2}),
    *(
        fault(system, match, do, commit=commit)
        for system, match in (("xero", "PUT Contacts"), ("xero", "PUT Invoices"), ("dynamics", "POST $batch"))
        for do, commit in (("500", True), ("503", False))
    ),
    second_batch("500", commit=True),
    second_batch("503"),
    # the line goes dead
    *(
        fault(system, match, do)
        for system, match in (("xero", "PUT Contacts"), ("xero", "PUT Invoices"), ("dynamics", "POST $batch"))
        for do in ("cut_before", "cut_after")
    ),
    second_batch("cut_after"),
    fault("dynamics", "GET opportunities", "cut_before"),
    fault("xero", "GET Contacts", "cut_after"),
    # answers that are none
    *(
        fault(system, match, do)
        for system, match in (
            ("xero", "GET Contacts"),
            ("xero", "PUT Contacts"),
            ("xero", "PUT Invoices"),
            ("dynamics", "POST $batch"),
        )
        for do in ("html", "truncate", "empty")
    ),
    *(
        fault("dynamics", "GET opportunities", do, when={"nth": nth})
        for do in ("html", "truncate", "empty")
        for nth in (1, 2)
    ),
    fault("xero", "PUT Invoices", "html", status=200, commit=True),
    second_batch("html"),
    second_batch("truncate"),
    second_batch("empty"),
]


def named(rule: dict[str, Any]) -> str:
    """Name a fault for people."""
    extras = [f"{key} {value}" for key, value in rule.items() if key not in {"system", "match", "do"}]
    return " ".join([rule["system"], rule["match"], rule["do"], *extras])


@pytest.mark.parametrize("rule", TROUBLES, ids=named)
def test_one_invoice_after_a_trouble(play: Playing, rule: dict[str, Any]) -> None:
    """After a trouble in the middle of a deal the work goes on by itself, to exactly one invoice the CRM shows."""
    stage, product = play
    customer = stage.new_customer(f"Troubled Customer {next(NUMBERS)} Ltd")
    deals = [stage.sell_to(customer), stage.sell_to(customer)]
    stage.simulators.fault(**rule)
    product.read_feeds()
    product.wait_settled()
    product.work_off()  # a fault may have hit the feed's own reading
    assert stage.simulators.faults()[0]["hits"] > 0, "the trouble did not come to pass"
    assert product.items() == []
    stage.assert_invoiced_once(deals)


def test_a_trouble_that_stays_is_parked_with_its_cause(play: Playing) -> None:
    """What fails again and again ends in review, naming the last answer; a retry later makes the one invoice."""
    stage, product = play
    stage.simulators.fault("xero", "503", match="PUT Invoices", when={"always": True})
    deal_id = stage.sell_to(stage.new_customer("Long Trouble Ltd"))
    product.work_off()
    item = product.item(deal_id)
    assert item["code"] == "exhausted"
    assert "Xero answered HTTP 503" in item["text"]
    assert stage.invoices(deal_id) == []
    stage.simulators.clear_faults()
    product.resolve(deal_id, retry=True)
    assert product.items() == []
    stage.assert_invoiced_once([deal_id])


def test_a_payment_shows_although_the_write_back_got_no_answer(play: Playing) -> None:
    """A lost answer while the CRM is told of a payment is made good by telling it again."""
    stage, product = play
    deal_id = stage.sell_to(stage.new_customer("Late Answer Ltd"))
    product.work_off()
    invoice = stage.invoice(deal_id)
    stage.simulators.fault("dynamics", "cut_after", match="POST $batch")
    stage.people.pay([(invoice["InvoiceID"], invoice["Total"])])
    product.work_off()
    assert stage.simulators.faults()[0]["hits"] == 1
    row = stage.shown(deal_id)
    assert (row["new_xerostatus"], row["statecode"]) == ("paid", 2)
    assert product.items() == []

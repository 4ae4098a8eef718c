"""A connection that does not work stops its deals with one visible cause, and lets them go on when it works again."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from product import TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from product import Product, Stage


def assert_goes_on_by_itself(stage: Stage, product: Product, deals: list[str]) -> None:
    """Judge that the deals go through once the connection is tried again, and that no item stays open."""
    product.app.reconnect()  # what a schedule does every 15 seconds
    product.work_off()
    assert product.desk.status(TENANT)["paused"] == {}
    assert product.items() == []
    stage.assert_invoiced_once(deals)


@pytest.mark.parametrize("system", ["dynamics", "xero"])
def test_a_wrong_secret_pauses_the_connection_with_one_item(stage: Stage, system: str) -> None:
    """Without a valid secret the connection pauses with one item for all deals; when it is valid again all go on."""
    settings: Any = getattr(stage.simulators, system)
    name = {"dynamics": "crm", "xero": "books"}[system]
    right, config = settings.client_secret, stage.configure()
    stage.change_secret(system, "another")
    deals = stage.win(*stage.clean_deals()[:3])
    with stage.product(config) as product:
        product.read_feeds()
        product.wait_until(product.items, "an item")
        (item,) = product.items()
        assert item["subject"] == f"connection:{name}"
        assert item["code"] in {"auth_expired", "misconfigured"}
        assert "secret" in f"{item['text']} {item['hint']}".lower()
        assert right not in str(item)
        assert list(product.desk.status(TENANT)["paused"]) == [name]
        product.app.reconnect()
        product.read_feeds()
        assert [one["number"] for one in product.items()] == [item["number"]]
        assert stage.books()["invoices"] == []
        stage.change_secret(system, right)
        assert_goes_on_by_itself(stage, product, deals)


def test_a_missing_privilege_pauses_the_connection_and_names_it(stage: Stage) -> None:
    """When the application user may not create invoices the item says so; nothing is invoiced twice afterwards."""
    deals = stage.win(*stage.clean_deals()[:2])
    stage.simulators.limits("dynamics", deny=["prvCreateInvoice"])
    with stage.product() as product:
        product.read_feeds()
        product.wait_until(product.items, "an item")
        (item,) = product.items()
        assert (item["subject"], item["code"]) == ("connection:crm", "permission_missing")
        assert "prvCreateInvoice" in item["text"]
        assert "security role" in item["hint"]
        product.app.reconnect()  # signing in works, so the work is tried again, and stops again
        product.wait_until(product.is_stopped, "stopped again")
        assert [one["number"] for one in product.items()] == [item["number"]]
        stage.simulators.limits("dynamics", deny=[])
        assert_goes_on_by_itself(stage, product, deals)


@pytest.fixture(name="nowhere")
def an_address_where_nobody_answers() -> Iterator[str]:
    """Reserve a port on which nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_an_unreachable_vendor_is_waited_for_and_then_asked_about(stage: Stage, nowhere: str) -> None:
    """Where nobody answers nothing is lost: the deal is parked with the address, and a retry invoices it."""
    deals = stage.win(stage.clean_deals()[0])
    config = stage.configure(lambda tenant: tenant["connections"]["books"].update(api_url=nowhere))
    with stage.product(config) as product:
        product.work_off()
        item = product.item(deals[0])
        assert item["code"] == "exhausted"
        assert nowhere.removeprefix("http://") in item["text"]
        assert item["hint"]
        found = {one.subject: one for one in product.desk.check(TENANT) if not one.ok}
        assert "demo.books" in found
    with stage.product(stage.configure()) as product:
        product.desk.retry(TENANT)
        product.work_off()
        assert product.items() == []
    stage.assert_invoiced_once(deals)

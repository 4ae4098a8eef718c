"""The main story with PostgreSQL as the store."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from product import Stage

SERVER = "postgresql://root@127.0.0.1:5432"


@pytest.fixture(name="store")
def own_database() -> Iterator[str]:
    """Make a database for this run; skips where no server answers."""
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server at 127.0.0.1:5432: {error}")
    name = f"closedwon_{uuid.uuid4().hex[:12]}"
    with server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{SERVER}/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_the_main_story_on_postgresql(stage: Stage, store: str) -> None:
    """Won, invoiced, paid and shown by webhooks; opened anew, the store knows everything and makes nothing."""
    config = stage.configure(store=store)
    with stage.product(config, hooks=True) as product:
        ids = stage.win(*stage.clean_deals()[:3])
        product.wait_until(lambda: len(stage.crm()["invoices"]) == len(ids), "CRM invoices")
        product.wait_settled()
        stage.assert_invoiced_once(ids)
        stage.people.pay([(stage.invoice(one)["InvoiceID"], stage.invoice(one)["Total"]) for one in ids])
        product.wait_until(lambda: all(stage.shown(one)["new_xerostatus"] == "paid" for one in ids), "paid")
        (parked,) = stage.win(stage.wrinkled_deal("archived_account"))
        product.wait_until(product.items, "an item")
    with stage.product(config) as product:
        product.work_off()
        product.resolve(parked, account_code="206")
        assert product.items() == []
    stage.assert_invoiced_once([*ids, parked])
    assert len(stage.books()["invoices"]) == len(ids) + 1

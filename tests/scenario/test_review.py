"""What a machine cannot settle is parked with a question; an answer, or the cure in CRM or books, lets it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from closedwon.kernel.errors import Misconfigured, NoMatch
from product import TENANT
from product import stage as open_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from product import Product, Stage


class Playing(NamedTuple):
    """A stage with the product running on it."""

    stage: Stage
    product: Product


@pytest.fixture(scope="module", name="play")
def one_product_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playing]:
    """Run one product through every question of this module; each is about deals of its own."""
    with open_stage(tmp_path_factory.mktemp("review")) as stage, stage.product() as product:
        yield Playing(stage, product)


def decisions(item: dict[str, Any]) -> list[dict[str, Any]]:
    """List what an item proposes to decide, best first."""
    return [one["decision"] for one in item["proposals"]]


def test_a_closed_account_is_asked_about_and_the_answer_makes_the_invoice(play: Playing) -> None:
    """A product whose account the books have closed parks its deal; the nearest accounts are proposed, one is taken."""
    stage, product = play
    (deal_id,) = stage.win(stage.wrinkled_deal("archived_account"))
    product.work_off()
    item = product.item(deal_id)
    assert "account 205" in item["text"]
    assert decisions(item)[0] == {"account_code": "206"}
    assert decisions(item)[-1] == {"retry": True}
    assert stage.invoices(deal_id) == []
    with pytest.raises(Misconfigured, match="unknown decision colour"):
        product.desk.resolve(TENANT, item["number"], {"colour": "blue"}, "Robin")
    product.resolve(deal_id, **decisions(item)[0])
    stage.assert_invoiced_once([deal_id])
    assert {line["AccountCode"] for line in stage.invoice(deal_id)["LineItems"]} == {"206"}
    assert product.items(deal_id) == []
    (decided,) = product.desk.show_item(TENANT, item["number"])["resolutions"]
    assert (decided["decision"], decided["decided_by"]) == ({"account_code": "206"}, "Robin")
    with pytest.raises(NoMatch, match="is closed"):
        product.desk.resolve(TENANT, item["number"], {"retry": True}, "Robin")


def look_alike(stage: Stage) -> tuple[str, str]:
    """Enter a contact into the books and a customer of its name but another e-mail into the CRM; return both ids."""
    name = f"Alike {datetime.now(UTC):%H%M%S%f} Ltd"
    contact = {"Name": name, "EmailAddress": "accounts@alike.example"}
    answer = stage.people.books.put("Contacts", json={"Contacts": [contact]})
    assert answer.status_code == 200, answer.text
    customer = stage.new_customer(name, emailaddress1="office@other.example", accountnumber="ALIKE-2")
    return answer.json()["Contacts"][0]["ContactID"], customer


def test_a_contact_that_only_looks_like_the_customer_can_be_linked(play: Playing) -> None:
    """Equal names with different e-mails are a question; linked, the invoice and all later ones go to that contact."""
    stage, product = play
    contact_id, customer_id = look_alike(stage)
    deal_id = stage.sell_to(customer_id)
    product.work_off()
    item = product.item(deal_id)
    assert item["code"] == "ambiguous_match"
    (candidate,) = item["details"]["candidates"]
    assert (candidate["id"], candidate["reasons"], candidate["against"]) == (
        contact_id,
        ["same name"],
        ["another e-mail"],
    )
    assert decisions(item)[0] == {"contact_id": contact_id}
    product.resolve(deal_id, contact_id=contact_id)
    next_id = stage.sell_to(customer_id)
    product.work_off()
    stage.assert_invoiced_once([deal_id, next_id])
    assert {stage.invoice(one)["ContactID"] for one in (deal_id, next_id)} == {contact_id}


def test_a_contact_that_only_looks_like_the_customer_can_be_left_alone(play: Playing) -> None:
    """Equal names with different e-mails are a question; the proposal to create makes a contact of another name."""
    stage, product = play
    contact_id, customer_id = look_alike(stage)
    deal_id = stage.sell_to(customer_id)
    product.work_off()
    create = next(one for one in decisions(product.item(deal_id)) if "create_contact" in one)
    assert "ALIKE-2" in create["create_contact"]
    product.resolve(deal_id, **create)
    stage.assert_invoiced_once([deal_id])
    invoice = stage.invoice(deal_id)
    assert invoice["ContactID"] != contact_id
    assert invoice["ContactName"] == create["create_contact"]


def test_a_currency_the_books_lack_parks_the_deal_until_it_is_added(play: Playing) -> None:
    """A deal in EUR is parked with what to do; once the books have the currency a retry makes the invoice."""
    stage, product = play
    (deal_id,) = stage.win(stage.wrinkled_deal("currency"))
    product.work_off()
    item = product.item(deal_id)
    assert item["text"] == "the books do not use the currency EUR"
    assert "add EUR" in item["hint"]
    answer = stage.people.books.put("Currencies", json={"Code": "EUR", "Description": "Euro"})
    assert answer.status_code == 200, answer.text
    assert product.desk.retry(TENANT, deal_id) == 1
    product.wait_settled()
    stage.assert_invoiced_once([deal_id])
    assert product.items(deal_id) == []


def test_a_deal_mended_in_the_crm_goes_on_by_itself(play: Playing) -> None:
    """A parked deal that changes in the CRM is tried again without anybody's answer, and its item closes."""
    stage, product = play
    deal_id = stage.sell_to(stage.new_customer("Mended Ltd"), won=False)
    (line,) = stage.people.crm.get(f"opportunityproducts?$filter=_opportunityid_value eq {deal_id}").json()["value"][:1]
    stage.mend(f"opportunityproducts({line['opportunityproductid']})", tax=Decimal("7.77"))
    stage.people.win(deal_id)
    product.work_off()
    item = product.item(deal_id)
    assert "the CRM has a tax of 7.77" in item["text"]
    net = Decimal(str(line["baseamount"])) - Decimal(str(line["manualdiscountamount"] or 0))
    reopen_and_mend(stage, deal_id, line["opportunityproductid"], (net * 15 / 100).quantize(Decimal("0.01")))
    product.work_off()
    stage.assert_invoiced_once([deal_id])
    assert product.items(deal_id) == []
    assert product.desk.show_item(TENANT, item["number"])["state"] == "resolved"


def reopen_and_mend(stage: Stage, deal_id: str, line_id: str, tax: Decimal) -> None:
    """Reopen a won deal, correct the tax of a line, win it again."""
    stage.mend(f"opportunities({deal_id})", statecode=0, statuscode=1)
    stage.mend(f"opportunityproducts({line_id})", tax=tax)
    stage.people.win(deal_id)


def test_dismissing_cancels_the_run_and_makes_no_invoice(play: Playing) -> None:
    """A dismissed item cancels its run; the deal gets no invoice."""
    stage, product = play
    _, customer_id = look_alike(stage)
    deal_id = stage.sell_to(customer_id)
    product.work_off()
    product.desk.dismiss(TENANT, product.item(deal_id)["number"], "a test deal", "Robin")
    product.work_off()
    assert product.items(deal_id) == []
    run = product.run_of(deal_id)
    assert run["state"] == "cancelled"
    assert "dismissed by Robin: a test deal" in run["reason"]
    assert stage.invoices(deal_id) == []

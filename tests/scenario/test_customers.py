"""New customers in one batch: one contact each, however many deals they have, and never two of one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from product import Stage


def contacts(stage: Stage, name: str) -> list[str]:
    """List the ids of the contacts of a name, and of names that begin with it."""
    return [one["ContactID"] for one in stage.books()["contacts"] if one["Name"].startswith(name)]


def test_two_deals_of_one_new_customer_share_one_contact(stage: Stage) -> None:
    """Two deals of a customer nobody knows, worked on together, make one contact and two invoices."""
    customer = stage.new_customer("Twofold Trading Ltd")
    deals = [stage.sell_to(customer), stage.sell_to(customer)]
    with stage.product() as product:
        product.work_off()
        assert product.items() == []
    stage.assert_invoiced_once(deals)
    assert len(contacts(stage, "Twofold")) == 1


def test_of_two_new_customers_with_one_name_the_second_is_asked_about(stage: Stage) -> None:
    """Two different new customers of one name in a batch: one gets the contact, a person names the other's."""
    customers = [stage.new_customer("Namesake Ltd", accountnumber=f"NS-{number}") for number in (1, 2)]
    deals = [stage.sell_to(customer) for customer in customers]
    with stage.product() as product:
        product.work_off()
        (item,) = product.items()
        assert item["code"] == "ambiguous_match"
        assert "Namesake Ltd" in item["text"]
        (invoiced,) = (one for one in deals if one != item["record_id"])
        assert len(contacts(stage, "Namesake")) == 1
        assert stage.invoices(item["record_id"]) == []
        product.resolve(item["record_id"], **item["proposals"][0]["decision"])
        assert product.items() == []
    stage.assert_invoiced_once(deals)
    assert len(contacts(stage, "Namesake")) == 2
    assert stage.invoice(invoiced)["ContactID"] != stage.invoice(item["record_id"])["ContactID"]

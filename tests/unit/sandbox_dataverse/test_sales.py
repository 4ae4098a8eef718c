"""Sales documents: prices, totals, currencies, states, winning, losing, generating."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon_sandbox.dataverse.rows.values import money
from closedwon_sandbox.dataverse.sales.pricing import price_line, total
from dataverse_in_memory import Crm, write_in

CENTS = st.decimals(min_value=0, max_value=10_000, places=2)


@given(st.lists(st.tuples(CENTS, CENTS, CENTS, CENTS), max_size=8), CENTS, CENTS)
def test_a_document_adds_up(rows: list[tuple[Decimal, ...]], discount: Decimal, freight: Decimal) -> None:
    """The total is what the lines come to, less the discount, plus freight and tax, to the cent."""
    lines = [price_line(price, quantity, manual_discount=cut, tax=tax) for price, quantity, cut, tax in rows]
    result = total(lines, discount, Decimal(0), freight)
    assert result.total == sum((line.extended for line in lines), Decimal(0)) - discount + freight
    assert result.total == result.less_freight + freight + result.tax


@pytest.mark.parametrize(
    ("exact", "rounded"), [("0.005", "0.01"), ("0.0049", "0.00"), ("2.675", "2.68"), ("-1.005", "-1.01")]
)
def test_amounts_round_half_up(exact: str, rounded: str) -> None:
    """To the precision of the currency; the scale stays that of the SQL type."""
    assert money(Decimal(exact)) == Decimal(rounded)
    assert money(Decimal(exact)).as_tuple().exponent == -4


def test_totals_follow_the_lines(crm: Crm) -> None:
    """Prices, line discounts, tax, header discounts and freight end up in the totals and the estimated value."""
    lines = [write_in(33.33, 3, manualdiscountamount=5, tax=14.25), write_in(10.005, 2)]
    deal = crm.deal(lines, discountamount=1.5, discountpercentage=10, freightamount=7)
    row = crm.get(f"opportunities({deal})?$expand=product_opportunities").document
    assert [line["baseamount"] for line in row["product_opportunities"]] == [Decimal("99.99"), Decimal("20.02")]
    assert row["product_opportunities"][0]["extendedamount"] == Decimal("109.24")
    assert row["totallineitemamount"] == Decimal("115.01")
    assert row["totallineitemdiscountamount"] == 5
    assert row["totaldiscountamount"] == Decimal("13.00")
    assert row["totalamountlessfreight"] == Decimal("102.01")
    assert row["totaltax"] == Decimal("14.25")
    assert row["totalamount"] == row["estimatedvalue"] == Decimal("123.26")


def test_adding_changing_and_deleting_lines_moves_the_totals(crm: Crm) -> None:
    """The header is worked out again in the same request."""
    deal = crm.deal([write_in(10)])
    line = crm.create("opportunityproducts", {**write_in(5, 2), "opportunityid@odata.bind": f"/opportunities({deal})"})

    def total_of() -> Any:
        return crm.get(f"opportunities({deal})?$select=totalamount").document["totalamount"]

    assert total_of() == 20
    crm.patch(f"opportunityproducts({line})", {"quantity": 3})
    assert total_of() == 25
    crm.patch(f"opportunities({deal})", {"freightamount": 1.25})
    assert total_of() == Decimal("26.25")
    crm.delete(f"opportunityproducts({line})")
    assert total_of() == Decimal("11.25")


def test_a_user_provided_value_is_left_alone(crm: Crm) -> None:
    """Without the system's calculation the estimated value is the seller's."""
    deal = crm.deal([write_in(10)], isrevenuesystemcalculated=False, estimatedvalue=99)
    row = crm.get(f"opportunities({deal})").document
    assert (row["totalamount"], row["estimatedvalue"]) == (10, 99)


def catalogue_line(crm: Crm, index: int = 0, **columns: Any) -> dict[str, Any]:
    """Describe a line of a product in the catalogue."""
    product = crm.world.products[index].id
    return {
        "productid@odata.bind": f"/products({product})",
        "uomid@odata.bind": f"/uoms({crm.unit()})",
        "quantity": 2,
        **columns,
    }


def test_a_catalogue_line_takes_its_price_from_the_price_list(crm: Crm) -> None:
    """A price that was sent is replaced unless it is overridden."""
    product = crm.world.products[0]
    lines = [catalogue_line(crm, priceperunit=1), catalogue_line(crm, priceperunit=1, ispriceoverridden=True)]
    deal = crm.deal(lines, code="AUD")
    found = crm.get(f"opportunities({deal})/product_opportunities?$orderby=sequencenumber").value
    assert [line["priceperunit"] for line in found] == [product.unit_price["AUD"], 1]
    assert found[0]["productname"] == found[0]["opportunityproductname"] == product.name
    assert found[0]["pricingerrorcode"] == 0


def test_a_price_that_cannot_be_found_sets_the_error_code(crm: Crm) -> None:
    """The request does not fail: line and header say what is wrong."""
    deal = crm.deal([{"quantity": 1, "isproductoverridden": False}])
    row = crm.get(f"opportunities({deal})?$expand=product_opportunities").document
    assert row["pricingerrorcode"] == 1
    assert row["product_opportunities"][0]["pricingerrorcode"] == 6


@pytest.mark.parametrize(
    ("extra", "code"),
    [({"productdescription": "x"}, "0x80043afb"), ({"uomid@odata.bind": None}, "0x80043b0d")],
)
def test_mixed_lines_are_refused(crm: Crm, extra: dict[str, Any], code: str) -> None:
    """A product and a description exclude each other; a product needs its unit."""
    line = {**catalogue_line(crm), **extra}
    body = {
        "name": "D",
        "pricelevelid@odata.bind": f"/pricelevels({crm.price_list('NZD')})",
        "product_opportunities": [line],
    }
    assert crm.post("opportunities", body).code == code


def test_only_active_products_can_be_sold(crm: Crm) -> None:
    """A new product is a draft until it is published."""
    body = {
        "name": "New",
        "productnumber": "NEW-1",
        "quantitydecimal": 2,
        "defaultuomid@odata.bind": f"/uoms({crm.unit()})",
        "defaultuomscheduleid@odata.bind": f"/uomschedules({crm.get('uomschedules').value[0]['uomscheduleid']})",
    }
    product = crm.create("products", body)
    assert crm.get(f"products({product})").document["statecode"] == 2
    line = {**catalogue_line(crm), "productid@odata.bind": f"/products({product})"}
    deal = crm.deal([])
    link = {"opportunityid@odata.bind": f"/opportunities({deal})"}
    assert crm.post("opportunityproducts", {**line, **link}).status == 400
    assert crm.patch(f"products({product})", {"statecode": 0, "statuscode": 1}).status == 204
    assert crm.post("opportunityproducts", {**line, **link}).status == 204
    assert crm.post("products", body).code == "0x80043b06"


def test_currencies_of_document_and_price_list_must_match(crm: Crm) -> None:
    """And the currency is fixed once there are lines."""
    price_list = {"pricelevelid@odata.bind": f"/pricelevels({crm.price_list('USD')})"}
    wrong = {
        "name": "D",
        **price_list,
        "transactioncurrencyid@odata.bind": f"/transactioncurrencies({crm.currency('NZD')})",
    }
    assert crm.post("opportunities", wrong).code == "0x80048cef"
    inherited = crm.create("opportunities", {"name": "D", **price_list})
    assert crm.get(f"opportunities({inherited})").document["_transactioncurrencyid_value"] == crm.currency("USD")
    deal = crm.deal([write_in(1)])
    change = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({crm.currency('USD')})", **price_list}
    assert crm.patch(f"opportunities({deal})", change).code == "0x80048479"


def test_invoices_and_orders_need_a_price_list_and_get_numbers(crm: Crm) -> None:
    """The number has the organization's prefix; a number that was sent is kept."""
    for entity_set, column, prefix in (("invoices", "invoicenumber", "INV-0"), ("salesorders", "ordernumber", "ORD-0")):
        assert crm.post(entity_set, {"name": "X"}).code == "0x80100010"
        price_list = {"pricelevelid@odata.bind": f"/pricelevels({crm.price_list('NZD')})"}
        made = crm.create(entity_set, {"name": "X", **price_list})
        assert crm.get(f"{entity_set}({made})").document[column].startswith(prefix)
        kept = crm.create(entity_set, {"name": "X", column: "MINE-1", **price_list})
        assert crm.get(f"{entity_set}({kept})").document[column] == "MINE-1"


def test_an_opportunity_may_lack_customer_lines_and_price_list(crm: Crm) -> None:
    """Business-required columns are the form's business, not the API's: whoever reads deals must cope."""
    made = crm.create("opportunities", {"name": "Bare"})
    row = crm.get(f"opportunities({made})").document
    assert row["_customerid_value"] is row["_pricelevelid_value"] is None


def test_the_customer_shows_in_the_helper_lookups(crm: Crm) -> None:
    """A polymorphic customer is also an account or a contact."""
    person = crm.world.people[0].id
    deal = crm.deal([])
    crm.patch(f"opportunities({deal})", {"customerid_contact@odata.bind": f"/contacts({person})"})
    row = crm.get(f"opportunities({deal})", prefer='odata.include-annotations="*"').document
    assert row["_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "contact"
    assert (row["_contactid_value"], row["_accountid_value"]) == (person, None)


def test_winning_closes_the_opportunity(crm: Crm) -> None:
    """State, actual value and date are set, and a completed close activity is there."""
    deal = crm.deal([write_in(10)])
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.opportunityclose",
        "subject": "Won",
        "actualrevenue": 12.5,
        "actualend": "2026-11-01",
        "opportunityid@odata.bind": f"/opportunities({deal})",
    }
    assert crm.post("WinOpportunity", {"Status": -1, "OpportunityClose": close}).status == 204
    row = crm.get(f"opportunities({deal})?$expand=Opportunity_OpportunityClose").document
    assert (row["statecode"], row["statuscode"], row["actualvalue"], row["actualclosedate"]) == (
        1,
        3,
        Decimal("12.5"),
        "2026-11-01",
    )
    (activity,) = row["Opportunity_OpportunityClose"]
    assert (activity["statecode"], activity["opportunitystatecode"], activity["actualrevenue"]) == (
        1,
        1,
        Decimal("12.5"),
    )


def test_a_closed_opportunity_must_be_reopened_first(crm: Crm) -> None:
    """Neither won again nor lost; lines are fixed, the header is not; reopening is an ordinary update."""
    deal = crm.deal([write_in(10)])
    assert crm.win(deal).status == 204
    assert crm.get(f"opportunities({deal})").document["actualvalue"] == 10
    again = crm.win(deal)
    assert (again.status, again.code) == (400, "0x80040515")
    line = crm.get(f"opportunities({deal})/product_opportunities").value[0]["opportunityproductid"]
    for refused in (
        crm.patch(f"opportunityproducts({line})", {"quantity": 2}),
        crm.delete(f"opportunityproducts({line})"),
    ):
        assert (refused.status, refused.code) == (400, "0x8004022e")
    assert crm.patch(f"opportunities({deal})", {"new_xerostatus": "AUTHORISED"}).status == 204
    assert crm.patch(f"opportunities({deal})", {"statecode": 0, "statuscode": 1}).status == 204
    assert crm.patch(f"opportunityproducts({line})", {"quantity": 2}).status == 204
    close = {"subject": "Lost", "opportunityid@odata.bind": f"/opportunities({deal})"}
    assert crm.post("LoseOpportunity", {"Status": 5, "OpportunityClose": close}).status == 204
    assert crm.get(f"opportunities({deal})").document["statecode"] == 2


@pytest.mark.parametrize(("state", "word", "name"), [(1, "Win", "Won"), (2, "Lose", "Lost")])
def test_a_patch_cannot_win_or_lose(crm: Crm, state: int, word: str, name: str) -> None:
    """There are messages for that."""
    deal = crm.deal([])
    refused = crm.patch(f"opportunities({deal})", {"statecode": state})
    assert (refused.status, refused.code) == (400, "0x80100005")
    assert f"use the {word} message instead" in refused.message
    assert f"state of opportunity to {name}" in refused.message
    assert crm.post("opportunities", {"name": "X", "statecode": state}).code == "0x80100005"


@pytest.mark.parametrize("body", [{"statuscode": 3}, {"statecode": 0, "statuscode": 4}])
def test_a_status_must_belong_to_its_state(crm: Crm, body: dict[str, int]) -> None:
    """A mismatch has its own code."""
    assert crm.patch(f"opportunities({crm.deal([])})", body).code == "0x80048408"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "0x80040203"),
        ({"OpportunityClose": {"subject": "x"}}, 400, "0x80043b15"),
        (
            {"OpportunityClose": {"opportunityid@odata.bind": "/opportunities(11111111-1111-1111-1111-111111111111)"}},
            404,
            "0x80040217",
        ),
    ],
)
def test_bad_closings_are_refused(crm: Crm, body: dict[str, Any], status: int, code: str) -> None:
    """Nothing to close, or nothing there."""
    refused = crm.post("WinOpportunity", body)
    assert (refused.status, refused.code) == (status, code)


def test_a_wrong_closing_status_is_refused_and_changes_nothing(crm: Crm) -> None:
    """Winning with the status of losing."""
    deal = crm.deal([])
    close = {"opportunityid@odata.bind": f"/opportunities({deal})"}
    assert crm.post("WinOpportunity", {"Status": 4, "OpportunityClose": close}).code == "0x80048408"
    assert crm.get(f"opportunities({deal})").document["statecode"] == 0
    assert crm.get("opportunitycloses/$count").body == b"0"


@pytest.mark.parametrize(
    ("action", "entity_set", "lines"),
    [
        ("GenerateInvoiceFromOpportunity", "invoices", "invoice_details"),
        ("GenerateSalesOrderFromOpportunity", "salesorders", "order_details"),
    ],
)
def test_documents_made_of_an_opportunity_have_its_lines_and_totals(
    crm: Crm, action: str, entity_set: str, lines: str
) -> None:
    """Customer, currency, price list, discounts, freight and lines are copied; the answer is the new record."""
    source = [
        catalogue_line(crm, tax=3.3),
        write_in(9.99, 3, manualdiscountamount=1),
        catalogue_line(crm, 1, ispriceoverridden=True, priceperunit=7),
    ]
    deal = crm.deal(source, discountamount=2, freightamount=4)
    made = crm.post(action, {"OpportunityId": deal, "ColumnSet": {"AllColumns": True}})
    assert made.status == 200
    key = next(name for name in ("invoiceid", "salesorderid") if made.document.get(name))
    old = crm.get(f"opportunities({deal})").document
    new = crm.get(f"{entity_set}({made.document[key]})?$expand={lines}").document
    same = (
        "totalamount",
        "totaltax",
        "totaldiscountamount",
        "_customerid_value",
        "_transactioncurrencyid_value",
        "name",
    )
    assert {name: new[name] for name in same} == {name: old[name] for name in same}
    assert new["_opportunityid_value"] == deal
    assert [line["productdescription"] for line in new[lines]] == [None, "Something", None]
    assert new["new_xeroinvoiceid"] is None


def test_the_columns_of_a_generated_record_can_be_chosen(crm: Crm) -> None:
    """By logical name, and only such as exist."""
    deal = crm.deal([write_in(1)])
    body = {"OpportunityId": deal, "ColumnSet": {"Columns": ["invoicenumber"]}}
    made = crm.post("GenerateInvoiceFromOpportunity", body).document
    assert {name for name in made if not name.startswith("@")} == {"invoiceid", "invoicenumber"}
    body["ColumnSet"] = {"Columns": ["nope"]}
    assert crm.post("GenerateInvoiceFromOpportunity", body).code == "0x80041103"
    assert crm.post("GenerateInvoiceFromOpportunity", {"OpportunityId": "x"}).code == "0x80040203"


def test_an_order_becomes_an_invoice(crm: Crm) -> None:
    """And is invoiced itself, hence read-only."""
    deal = crm.deal([write_in(10)])
    order = crm.post(
        "GenerateSalesOrderFromOpportunity", {"OpportunityId": deal, "ColumnSet": {"AllColumns": True}}
    ).document["salesorderid"]
    made = crm.post("ConvertSalesOrderToInvoice", {"SalesOrderId": order, "ColumnSet": {"AllColumns": True}}).document
    invoice = crm.get(f"invoices({made['invoiceid']})").document
    assert (invoice["totalamount"], invoice["_salesorderid_value"], invoice["_opportunityid_value"]) == (
        10,
        order,
        deal,
    )
    assert crm.get(f"salesorders({order})").document["statecode"] == 4
    assert crm.patch(f"salesorders({order})", {"description": "x"}).code == "0x8004022e"


def invoice_of(crm: Crm) -> str:
    """Make an active invoice."""
    deal = crm.deal([write_in(10)])
    made = crm.post("GenerateInvoiceFromOpportunity", {"OpportunityId": deal, "ColumnSet": {"AllColumns": True}})
    return str(made.document["invoiceid"])


def test_paying_an_invoice_locks_it_until_it_is_reopened(crm: Crm) -> None:
    """Values may come with the change of state, not after it."""
    path = f"invoices({invoice_of(crm)})"
    assert (
        crm.patch(
            path, {"new_xerostatus": "PAID", "new_xeroamountpaid": 10, "statecode": 2, "statuscode": 100001}
        ).status
        == 204
    )
    row = crm.get(path).document
    assert (row["statecode"], row["statuscode"], row["new_xeroamountpaid"]) == (2, 100001, 10)
    refused = crm.patch(path, {"new_xerostatus": "x"})
    assert (refused.status, refused.code) == (400, "0x8004022e")
    line = crm.get(f"{path}/invoice_details").value[0]["invoicedetailid"]
    assert crm.patch(f"invoicedetails({line})", {"quantity": 2}).code == "0x8004022e"
    assert crm.patch(path, {"statecode": 2, "statuscode": 100002}).code == "0x80100000"
    assert crm.patch(path, {"statecode": 0, "statuscode": 4}).status == 204
    assert crm.patch(path, {"new_xerostatus": "AUTHORISED"}).status == 204


def test_invoice_states(crm: Crm) -> None:
    """Active and paid invoices can be cancelled, cancelled ones not again; the old closed state is gone."""
    first, second = f"invoices({invoice_of(crm)})", f"invoices({invoice_of(crm)})"
    assert crm.patch(first, {"statecode": 3, "statuscode": 100003}).status == 204
    assert crm.patch(first, {"statecode": 3, "statuscode": 100003}).code == "0x80100001"
    assert crm.patch(first, {"statecode": 2, "statuscode": 100001}).code == "0x80100000"
    assert crm.patch(second, {"statecode": 2}).status == 204
    assert crm.get(second).document["statuscode"] == 100001
    assert crm.patch(second, {"statecode": 3}).status == 204
    assert crm.patch(f"invoices({invoice_of(crm)})", {"statecode": 1, "statuscode": 3}).status == 400


def test_an_inactive_customer_cannot_buy(crm: Crm) -> None:
    """But stays updatable."""
    company = crm.world.companies[0].id
    assert crm.patch(f"accounts({company})", {"statecode": 1}).status == 204
    assert crm.get(f"accounts({company})").document["statuscode"] == 2
    assert crm.patch(f"accounts({company})", {"description": "gone"}).status == 204
    refused = crm.post("opportunities", {"name": "D", "customerid_account@odata.bind": f"/accounts({company})"})
    assert refused.code == "0x80040517"


def test_locked_prices_stay(crm: Crm) -> None:
    """LockInvoicePricing keeps the prices when the price list's change."""
    deal = crm.deal([catalogue_line(crm)])
    invoice = crm.post(
        "GenerateInvoiceFromOpportunity", {"OpportunityId": deal, "ColumnSet": {"AllColumns": True}}
    ).document["invoiceid"]
    assert crm.post("LockInvoicePricing", {"InvoiceId": invoice}).status == 204
    assert crm.get(f"invoices({invoice})").document["ispricelocked"] is True


def test_the_seeded_deals_add_up(crm: Crm) -> None:
    """Every open deal's total is the sum of its lines, less discount, plus freight."""
    rows = {row["opportunityid"]: row for row in crm.get("opportunities?$expand=product_opportunities").value}
    for deal in crm.world.deals:
        row = rows[deal.id]
        lines = sum((line["extendedamount"] for line in row["product_opportunities"]), Decimal(0))
        assert row["totalamount"] == row["estimatedvalue"] == lines - deal.discount + deal.freight
        assert row["totaltax"] == sum((line.tax for line in deal.lines), Decimal(0))
        assert row["pricingerrorcode"] == 0
        assert row["new_ponumber"] == (deal.po_number or None)

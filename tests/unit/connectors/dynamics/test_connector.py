"""The port's methods on a scripted Dataverse: what they send, in how many calls, and what they make of the answers."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from closedwon.connectors.dynamics.connector import DYNAMICS
from closedwon.connectors.port import DocumentUpdate
from closedwon.kernel.errors import (
    ClosedwonError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
    VersionConflict,
)
from closedwon.model.opportunity import CrmDocument
from closedwon.model.payment import Settlement
from dynamics_vendor import HOST, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.connectors.dynamics.connector import DataverseCrm
    from dynamics_vendor import Vendor

API = f"{HOST}/api/data/v9.2"
LINKED: dict[str, Any] = {"books_number": "INV-1", "books_link": "https://x/1"}


def guid(number: int) -> str:
    """Return the same id for the same number."""
    return str(uuid.UUID(int=number, version=4))


def row(number: int, **members: Any) -> dict[str, Any]:
    """Return the smallest row of a deal."""
    return {"@odata.etag": f'W/"{number}"', "opportunityid": guid(number), "statecode": 1, **members}


def update(number: int, status: Any = "authorised", **document: Any) -> DocumentUpdate:
    """Return the wish to show an invoice on the invoice of this number."""
    record = CrmDocument(**{"kind": "invoice", "id": guid(number), "version": "1", **document})
    settlement = Settlement(status=status, amount_paid=Decimal(0), amount_due=Decimal("115.10"), paid_on=None)
    return DocumentUpdate(record, "x1", "INV-1", "https://x/1", settlement)


# --- fetching --------------------------------------------------------------------------------------------------------


def test_two_hundred_deals_are_one_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """Lines, products, customer, currency and CRM invoices come along; the address stays below the vendor's limit."""
    ids = [guid(number) for number in range(200)]
    vendor.says({"value": [row(number) for number in reversed(range(200))]})
    deals = crm.fetch_opportunities(ids)
    (request,) = vendor.asked
    address = str(request.url)
    assert len(address) < 32_768
    assert all(one in address for one in ids)
    for member in (
        "product_opportunities(",
        "productid(",
        "parentproductid(",
        "customerid_account(",
        "primarycontactid(",
        "customerid_contact(",
        "transactioncurrencyid(",
        "opportunity_invoices(",
        "new_xeroinvoiceid",
    ):
        assert member in address
    assert [deal.id for deal in deals] == ids


def test_more_ids_than_an_address_takes_are_more_calls(vendor: Vendor, crm: DataverseCrm) -> None:
    """A thousand ids are two calls, each below the limit, and no id is lost."""
    ids = [guid(number) for number in range(1000)]
    vendor.says({"value": []})
    vendor.says({"value": []})
    crm.fetch_opportunities(ids)
    addresses = [str(request.url) for request in vendor.asked]
    assert len(addresses) == 2
    assert max(len(address) for address in addresses) < 32_768
    assert all(sum(one in address for address in addresses) == 1 for one in ids)


def test_nothing_to_fetch_is_no_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """Texts that cannot be ids do not exist there and never reach the query."""
    assert crm.fetch_opportunities([]) == []
    assert crm.fetch_opportunities(["42", "x') or name ne ('", ""]) == []
    assert vendor.asked == []


def test_each_deal_comes_once_in_the_order_asked(vendor: Vendor, crm: DataverseCrm) -> None:
    """Ids may be repeated or in capitals; deals that do not exist are left out."""
    vendor.says({"value": [row(2), row(1)]})
    deals = crm.fetch_opportunities([guid(1).upper(), guid(2), guid(1), guid(3)])
    assert [deal.id for deal in deals] == [guid(1), guid(2)]


def test_long_collections_are_read_to_their_end(vendor: Vendor, crm: DataverseCrm) -> None:
    """A deal with more lines than a page has one call more for each page."""
    first = [{"opportunityproductid": "l1", "lineitemnumber": 1}]
    follow = {"product_opportunities": first, "product_opportunities@odata.nextLink": f"{API}/opportunityproducts?p=2"}
    vendor.says({"value": [row(1, **follow)], "@odata.nextLink": f"{API}/opportunities?p=2"})
    vendor.says({"value": [row(2)]})
    vendor.says({"value": [{"opportunityproductid": "l2", "lineitemnumber": 2}], "@odata.nextLink": f"{API}/more"})
    vendor.says({"value": [{"opportunityproductid": "l3", "lineitemnumber": 3}]})
    first_deal, _ = crm.fetch_opportunities([guid(1), guid(2)])
    assert [line.id for line in first_deal.lines] == ["l1", "l2", "l3"]
    assert len(vendor.asked) == 4


def test_the_record_that_shows_the_invoice_is_configured(vendor: Vendor, build: Callable[..., DataverseCrm]) -> None:
    """Orders come by their own collection; the deal's own columns with the deal."""
    vendor.says({"value": []})
    vendor.says({"value": []})
    order, deal = build(write_back="order"), build(write_back="opportunity", columns={"books_id": "acme_xero"})
    order.fetch_opportunities([guid(1)])
    deal.fetch_opportunities([guid(1)])
    assert "opportunity_sales_orders($select=salesorderid,ordernumber," in str(vendor.asked[0].url)
    assert "opportunity_invoices" not in str(vendor.asked[1].url)
    assert ",acme_xero," in str(vendor.asked[1].url)
    assert (order.document_kind, deal.document_kind) == ("order", "opportunity")


def test_a_missing_column_is_a_wrong_configuration(vendor: Vendor, crm: DataverseCrm) -> None:
    """The hint says where to look."""
    vendor.says(fault("0x0", "Could not find a property named 'new_xerolink'"), status=400)
    with pytest.raises(Misconfigured) as caught:
        crm.fetch_opportunities([guid(1)])
    assert "columns" in caught.value.hint


# --- creating --------------------------------------------------------------------------------------------------------


def test_invoices_are_generated_in_one_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """One batch that goes on after errors, marked as ours; each deal has its own result."""
    total = Decimal("115.1000")
    made = {"@odata.etag": 'W/"8"', "invoiceid": "i1", "invoicenumber": "INV-01", "statecode": 0, "totalamount": total}
    refusal = fault("0x80040217", "opportunity With Id = … Does Not Exist")
    vendor.answers_batch((200, made), (404, refusal), (500, fault("0x80044151")))
    created, missing, unknown = crm.create_invoices([guid(1), guid(2), guid(3)])
    (request,) = vendor.asked
    assert (request.method, str(request.url)) == ("POST", f"{API}/$batch")
    assert request.headers["prefer"] == "odata.continue-on-error"
    assert vendor.last.count("POST /api/data/v9.2/GenerateInvoiceFromOpportunity?tag=closedwon HTTP/1.1") == 3
    assert f'"OpportunityId":"{guid(2)}"' in vendor.last
    assert created.record == CrmDocument(kind="invoice", id="i1", number="INV-01", total=total, version="8")
    assert isinstance(missing.error, Rejected)
    assert missing.error.hint
    assert isinstance(unknown.error, OutcomeUnknown)


def test_orders_are_generated_where_they_show_the_invoice(vendor: Vendor, build: Callable[..., DataverseCrm]) -> None:
    """write_back: order makes orders."""
    vendor.answers_batch((200, {"salesorderid": "s1", "ordernumber": "ORD-1", "statecode": 0}))
    (written,) = build(write_back="order").create_invoices([guid(1)])
    assert "GenerateSalesOrderFromOpportunity" in vendor.last
    assert written.record is not None
    assert (written.record.kind, written.record.number) == ("order", "ORD-1")


def test_a_deal_that_is_its_own_record_is_never_created(vendor: Vendor, build: Callable[..., DataverseCrm]) -> None:
    """Asking for it is a mistake of the configuration."""
    with pytest.raises(Misconfigured):
        build(write_back="opportunity").create_invoices([guid(1)])
    assert vendor.asked == []


@pytest.mark.parametrize("document", [None, {}, {"statecode": 0}, {"invoiceid": "i", "statecode": 77}, []])
def test_a_created_invoice_that_is_not_named_is_looked_up(vendor: Vendor, crm: DataverseCrm, document: Any) -> None:
    """Success without a readable record means that there is one which we do not know."""
    vendor.answers_batch((200, document))
    (written,) = crm.create_invoices([guid(1)])
    assert isinstance(written.error, OutcomeUnknown)


def test_more_creates_than_the_limit_are_a_bug(vendor: Vendor, crm: DataverseCrm) -> None:
    """The ledger keeps one key per call, so the caller splits."""
    with pytest.raises(ValueError, match="200"):
        crm.create_invoices([guid(number) for number in range(201)])
    assert vendor.asked == []


def test_what_is_no_id_is_refused_without_a_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """A text that cannot be an id is an error of that element."""
    (written,) = crm.create_invoices(["42"])
    assert isinstance(written.error, Rejected)
    assert vendor.asked == []


def test_a_batch_that_stopped_early_is_unknown(vendor: Vendor, crm: DataverseCrm) -> None:
    """Fewer answers than requests leave open what happened to the rest."""
    vendor.answers_batch((200, {"invoiceid": "i1", "statecode": 0}))
    with pytest.raises(OutcomeUnknown):
        crm.create_invoices([guid(1), guid(2)])


# --- updating --------------------------------------------------------------------------------------------------------


def test_many_records_are_updated_in_one_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """Each record's writes are one change set when there are several; none can create a record."""
    shown = {"invoiceid": guid(1), "statecode": 0, "new_xeroinvoiceid": "x1", "@odata.etag": 'W/"12"'}
    vendor.answers_batch((200, shown), [(204, None), (200, {**shown, "invoiceid": guid(2), "statecode": 2})])
    first, second = crm.update_documents([update(1), update(2, "paid")])
    assert len(vendor.asked) == 1
    assert vendor.last.count("If-Match: *") == vendor.last.count("PATCH /api/data/v9.2/invoices(") == 3
    assert vendor.last.count("tag=closedwon") == 3
    assert '"new_xeroamountdue":115.10' in vendor.last
    assert '{"statecode":2,"statuscode":100001}' in vendor.last
    assert first.record is not None
    assert second.record is not None
    assert (first.record.version, first.record.books_id) == ("12", "x1")
    assert second.record.state == "paid"


def test_records_that_show_it_already_cost_no_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """The result is the record as it was known."""
    wish = update(1, books_id="x1", books_status="authorised", amount_due=Decimal("115.1"), **LINKED)
    (written,) = crm.update_documents([wish])
    assert written.record is wish.document
    assert written.error is None
    assert crm.update_documents([]) == []
    assert vendor.asked == []


def test_results_keep_the_order_given(vendor: Vendor, crm: DataverseCrm) -> None:
    """An unchanged record between two changed ones keeps its place."""
    same = update(2, books_id="x1", books_status="authorised", amount_due=Decimal("115.1"), **LINKED)
    vendor.answers_batch((204, None), (404, fault("0x80040217", "gone")))
    first, second, third = crm.update_documents([update(1), same, update(3)])
    assert first.record is not None
    assert (first.record.id, first.record.books_status, first.record.version) == (guid(1), "authorised", "")
    assert second.record is same.document
    assert isinstance(third.error, Rejected)
    assert "deleted" in third.error.hint


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "0x80044331", Rejected),
        (403, "0x80040220", PermissionMissing),
        (429, "0x80072326", Throttled),
        (500, "", Unavailable),
    ],
)
def test_a_refused_update_is_in_its_element(
    vendor: Vendor, crm: DataverseCrm, status: int, code: str, kind: type[ClosedwonError]
) -> None:
    """Writing facts twice does no harm, so a fault of the server is simply tried again."""
    vendor.answers_batch((status, fault(code)))
    (written,) = crm.update_documents([update(1, "paid")])
    assert type(written.error) is kind
    assert written.record is None


def test_a_record_in_another_state_is_read_and_written_again(vendor: Vendor, crm: DataverseCrm) -> None:
    """Somebody closed the record in the CRM: three calls later it shows the invoice, whatever we knew."""
    closed = {"invoiceid": guid(1), "statecode": 2, "new_xerostatus": "authorised"}
    vendor.answers_batch((400, fault("0x8004022e", "read only")), (204, None))
    vendor.answers_batch((200, closed))
    vendor.answers_batch([(204, None), (200, {**closed, "statecode": 0, "new_xeroinvoiceid": "x1"})])
    again, other = crm.update_documents([update(1), update(2)])
    assert len(vendor.asked) == 3
    assert vendor.last.count("invoices(") == 2
    assert vendor.last.index('{"statecode":0,"statuscode":4}') < vendor.last.index("new_xeroinvoiceid")
    assert again.record is not None
    assert (again.record.state, again.record.books_id) == ("active", "x1")
    assert other.record is not None


@pytest.mark.parametrize("status", [404, 412, 503])
def test_a_conflict_that_lasts_is_told(vendor: Vendor, crm: DataverseCrm, status: int) -> None:
    """The second refusal stands, and what was done to others is not lost when reading again fails."""
    vendor.answers_batch((412, fault("0x80060882")), (204, None))
    if status == 503:
        vendor.says(fault(""), status=status)
    else:
        vendor.answers_batch((200, {"invoiceid": guid(1), "statecode": 0}) if status == 412 else (404, fault("")))
        vendor.answers_batch((412, fault("0x80060882")))
    refused, done = crm.update_documents([update(1), update(2)])
    assert type(refused.error) is (Rejected if status == 404 else VersionConflict)
    assert done.record is not None


def test_a_thousand_writes_are_several_batches(vendor: Vendor, crm: DataverseCrm) -> None:
    """Members of change sets count too, so 600 paid records are two calls."""
    wishes = [update(number, "paid") for number in range(600)]
    vendor.answers_batch(*[[(204, None), (204, None)]] * 500)
    vendor.answers_batch(*[[(204, None), (204, None)]] * 100)
    results = crm.update_documents(wishes)
    assert len(vendor.asked) == 2
    assert [written.record.id for written in results if written.record] == [guid(number) for number in range(600)]


def test_a_preview_shows_the_writes_as_plain_json(crm: DataverseCrm, vendor: Vendor) -> None:
    """It can be stored and printed anywhere, amounts being text; nothing is sent."""
    wish = msgspec.structs.replace(update(1, "paid").settlement, paid_on=date(2026, 11, 22))
    shown = crm.render_update(DocumentUpdate(update(1).document, "x1", "INV-1", "https://x/1", wish))
    assert shown["record"] == f"invoices({guid(1)})"
    columns, state = shown["writes"]
    assert columns["body"]["new_xeroamountdue"] == "115.10"
    assert columns["body"]["new_xeropaidon"] == "2026-11-22"
    assert state == {"method": "PATCH", "body": {"statecode": 2, "statuscode": 100001}}
    assert vendor.asked == []


def test_the_registry_builds_the_connector() -> None:
    """The type names its side and its settings."""
    assert (DYNAMICS.name, DYNAMICS.side) == ("dynamics", "crm")

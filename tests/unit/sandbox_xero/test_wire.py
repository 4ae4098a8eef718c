"""Bodies and forms: what cannot be read, what is not implemented, XML, and reference data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from xero_desk import invoice, line

if TYPE_CHECKING:
    from xero_desk import Desk


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"Invoices":[}',
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'{"Invoices":{}}',
        b'{"Invoices":[1]}',
        b'{"Invoices":[{"Type":"ACCREC","Date":"the other day"}]}',
        b'{"Invoices":[{"Type":"ACCREC","Contact":[]}]}',
        b'{"Invoices":[{"Type":"ACCREC","Contact":{"ContactID":"x"}}]}',
        b'{"Invoices":[{"Type":"ACCREC","LineItems":{}}]}',
        b'{"Invoices":[{"Type":"ACCREC","LineItems":[{"Quantity":"many"}]}]}',
        b'{"Invoices":[{"Type":"ACCREC","LineItems":[{"Quantity":1e999999}]}]}',
        b'{"Invoices":[{"Type":true}]}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_unreadable_bodies_are_refused_as_such(desk: Desk, body: bytes) -> None:
    """Whatever is sent, the answer is a 400 that blames the body, and nothing is stored."""
    answer = desk.ask("PUT", "Invoices", body, status=400)
    assert (answer["ErrorNumber"], answer["Type"]) in {
        (14, "PostDataInvalidException"),
        (17, "NoDataProcessedException"),
    }
    assert desk.get("Invoices")["Invoices"] == []


def test_an_empty_wrapper_processes_nothing(desk: Desk) -> None:
    """No element, or the wrong wrapper, is its own error."""
    for body in ({"Invoices": []}, {}, {"Contacts": [{"Name": "x"}]}):
        answer = desk.ask("PUT", "Invoices", body, status=400)
        assert answer["ErrorNumber"] == 17
        assert answer["Message"].startswith("No data has been processed for this endpoint.")


def test_a_bare_object_is_as_good_as_the_wrapper(desk: Desk) -> None:
    """Both forms create."""
    desk.ask("PUT", "Contacts", {"Contacts": [{"Name": "A"}]})
    desk.ask("PUT", "Contacts", {"Name": "B"})


def test_dates_are_read_in_every_form(desk: Desk) -> None:
    """Plain, with a time, with a zone, and in the vendor's own milliseconds: the date is that of its own zone."""
    for sent in (
        "2026-09-14",
        "2026-09-14T00:00:00",
        "2026-09-14T23:59:00+13:00",
        "/Date(1789344000000+0000)/",
        "/Date(1789304400000+1300)/",
    ):
        assert desk.invoice(Date=sent)["DateString"] == "2026-09-14T00:00:00", sent


def test_numbers_may_be_texts_and_texts_numbers(desk: Desk) -> None:
    """Clients that quote their numbers are understood."""
    made = desk.invoice(line(UnitAmount="12.345", Quantity="2", AccountCode=200))
    assert (str(made["SubTotal"]), made["LineItems"][0]["AccountCode"]) == ("24.70", "200")


def test_other_media_types_are_refused(desk: Desk) -> None:
    """XML bodies are not read by this simulator."""
    assert desk.send("PUT", "Contacts", b"<Contact/>", content_type="text/xml").status == 415


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "Organisation"),
        ("DELETE", "Invoices"),
        ("PATCH", "Contacts"),
        ("PUT", "TaxRates"),
        ("DELETE", "Payments/x"),
    ],
)
def test_verbs_that_do_not_exist_are_501(desk: Desk, method: str, path: str) -> None:
    """The resource is there, the method is not."""
    answer = desk.ask(method, path, {}, status=501)
    assert answer == {
        "ErrorNumber": 20,
        "Type": "ApiMethodNotImplementedException",
        "Message": "The Api Method called is not implemented",
    }


def test_too_large_bodies_are_refused(desk: Desk) -> None:
    """Ten megabytes are the most."""
    assert desk.send("PUT", "Contacts", b" " * (10 * 1024 * 1024 + 1)).status == 413


def test_callers_who_do_not_ask_for_json_get_xml(desk: Desk) -> None:
    """The default form is XML, with ISO dates and no twin members."""
    made = desk.invoice()
    reply = desk.send("GET", f"Invoices/{made['InvoiceID']}", accept="*/*")
    assert reply.headers["Content-Type"] == "text/xml; charset=utf-8"
    tree = ET.fromstring(reply.body)  # noqa: S314 - our own answer
    assert (tree.tag, tree.findtext("Status")) == ("Response", "OK")
    shown = tree.find("Invoices/Invoice")
    assert shown is not None
    assert (shown.findtext("Date"), shown.findtext("Total")) == ("2026-09-14T00:00:00", "115.00")
    assert shown.find("DateString") is None
    assert shown.findtext("LineItems/LineItem/AccountCode") == "200"
    refused = desk.send("PUT", "Invoices", invoice(line(AccountCode="9")), accept="application/xml")
    error = ET.fromstring(refused.body)  # noqa: S314 - our own answer
    assert (error.tag, error.findtext("ErrorNumber")) == ("ApiException", "10")
    assert error.findtext("Elements/DataContractBase/ValidationErrors/ValidationError/Message")


def test_every_path_names_an_endpoint(desk: Desk) -> None:
    """Statistics see a bounded set of names."""
    from closedwon_sandbox.exchange import Request

    for method, path, name in (
        ("PUT", "/api.xro/2.0/invoices", "PUT Invoices"),
        ("GET", "/api.xro/2.0/Invoices/INV-1", "GET Invoices/{id}"),
        ("GET", "/api.xro/2.0/Organisation/Actions", "GET Organisation/Actions"),
        ("PUT", "/api.xro/2.0/CreditNotes/1/Allocations", "PUT CreditNotes/{id}/Allocations"),
        ("GET", "/api.xro/2.0/Nope", "GET unknown"),
        ("POST", "/connect/token", "POST token"),
        ("GET", "/Connections", "GET connections"),
        ("DELETE", "/connections/5", "DELETE connections/{id}"),
    ):
        assert desk.xero.endpoint(Request(method, path)) == name


# Reference data


def test_the_chart_of_accounts_is_new_zealands(desk: Desk) -> None:
    """Sales, a bank, system accounts, and one that has been archived."""
    rows = {row["Code"]: row for row in desk.get("Accounts")["Accounts"]}
    assert (rows["200"]["Type"], rows["200"]["TaxType"], rows["200"]["Class"]) == ("REVENUE", "OUTPUT2", "REVENUE")
    assert rows["090"]["Type"] == "BANK"
    assert rows["205"]["Status"] == "ARCHIVED"
    assert [rows[code]["SystemAccount"] for code in ("610", "820", "860")] == ["DEBTORS", "GST", "ROUNDING"]
    banks = desk.get("Accounts", where='Type=="BANK" AND Status=="ACTIVE"')["Accounts"]
    assert {row["Code"] for row in banks} == {"090", "091"}


def test_tax_rates_say_where_they_apply(desk: Desk) -> None:
    """The list, and one by its type."""
    rows = {row["TaxType"]: row for row in desk.get("TaxRates")["TaxRates"]}
    assert set(rows) == {"OUTPUT2", "INPUT2", "ZERORATED", "NONE", "GSTONIMPORTS"}
    assert (str(rows["OUTPUT2"]["EffectiveRate"]), rows["OUTPUT2"]["CanApplyToExpenses"]) == ("15.0000", False)
    assert desk.ask("GET", "TaxRates/INPUT2")["TaxRates"][0]["CanApplyToRevenue"] is False


def test_the_organisation_introduces_itself(desk: Desk) -> None:
    """Short code, base currency and country are there."""
    (row,) = desk.get("Organisation")["Organisations"]
    assert (row["OrganisationID"], row["BaseCurrency"], row["CountryCode"]) == (
        desk.settings.organisation_id,
        "NZD",
        "NZ",
    )
    assert row["ShortCode"].startswith("!")


def test_currencies_can_be_subscribed(desk: Desk) -> None:
    """After that, invoices in that currency are accepted."""
    assert {row["Code"] for row in desk.get("Currencies")["Currencies"]} == {"NZD", "AUD", "USD", "GBP"}
    desk.ask("PUT", "Currencies", {"Code": "EUR"})
    assert desk.invoice(CurrencyCode="EUR")["CurrencyCode"] == "EUR"
    assert desk.ask("PUT", "Currencies", {"Code": "XXX"}, status=400)["ErrorNumber"] == 10


def test_items_are_created_changed_and_removed(desk: Desk) -> None:
    """Codes are unique for PUT and the key for POST."""
    item: dict[str, Any] = {"Code": "X-1", "Name": "X", "SalesDetails": {"UnitPrice": 9.5, "AccountCode": "200"}}
    made = desk.ask("PUT", "Items", item)["Items"][0]
    assert (str(made["SalesDetails"]["UnitPrice"]), made["IsSold"]) == ("9.5000", True)
    assert desk.complaints("PUT", "Items", item) == ["Price List Item with Code 'X-1' already exists"]
    change = {"Code": "X-1", "Name": "Y", "SalesDetails": {"AccountCode": "260"}}
    changed = desk.ask("POST", "Items", change)["Items"][0]
    assert (changed["ItemID"], changed["Name"]) == (made["ItemID"], "Y")
    assert (str(changed["SalesDetails"]["UnitPrice"]), changed["SalesDetails"]["AccountCode"]) == ("9.5000", "260")
    assert desk.ask("GET", "Items/X-1")["Items"][0]["Name"] == "Y"
    assert desk.send("DELETE", f"Items/{made['ItemID']}").status == 204
    assert desk.send("GET", "Items/X-1").status == 404


def test_an_archived_account_stops_new_lines(desk: Desk) -> None:
    """Archiving is a change of status alone; system accounts stay."""
    rows = {row["Code"]: row["AccountID"] for row in desk.get("Accounts")["Accounts"]}
    desk.ask("POST", f"Accounts/{rows['260']}", {"Status": "ARCHIVED"})
    (text,) = desk.complaints("PUT", "Invoices", invoice(line(AccountCode="260")))
    assert text.startswith("Account code '260' has been archived")
    desk.ask("POST", f"Accounts/{rows['260']}", {"Status": "ACTIVE"})
    desk.invoice(line(AccountCode="260"))
    desk.ask("POST", f"Accounts/{rows['200']}", {"Status": "ARCHIVED", "Name": "x"}, status=400)
    desk.ask("POST", f"Accounts/{rows['610']}", {"Status": "ARCHIVED"}, status=400)


def test_accounts_are_added_with_unique_names_and_codes(desk: Desk) -> None:
    """And deleted only while nothing uses them."""
    body = {"Code": "299", "Name": "Shop", "Type": "REVENUE", "TaxType": "OUTPUT2"}
    made = desk.ask("PUT", "Accounts", body)["Accounts"][0]
    assert made["Class"] == "REVENUE"
    assert desk.complaints("PUT", "Accounts", body) == ["Please enter a unique Name.", "Please enter a unique Code."]
    desk.invoice(line(AccountCode="299"))
    desk.ask("DELETE", f"Accounts/{made['AccountID']}", status=400)


def test_tracking_has_two_active_categories_at_most(desk: Desk) -> None:
    """Options can be added, renamed and archived; an archived one is refused on lines."""
    rows = desk.get("TrackingCategories")["TrackingCategories"]
    assert [row["Name"] for row in rows] == ["Region", "Cost Centre"]
    desk.ask("PUT", "TrackingCategories", {"Name": "Third"}, status=400)
    path = f"TrackingCategories/{rows[0]['TrackingCategoryID']}/Options"
    (option,) = desk.ask("PUT", path, {"Name": "Mars"})["Options"]
    tracked = line(Tracking=[{"Name": "Region", "Option": "Mars"}])
    desk.invoice(tracked)
    desk.ask("POST", f"{path}/{option['TrackingOptionID']}", {"Status": "ARCHIVED"})
    assert len(desk.complaints("PUT", "Invoices", invoice(tracked))) == 1

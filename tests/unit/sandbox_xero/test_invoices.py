"""Invoices: what they need, which moves are legal, numbers, and what an edit may touch."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from xero_desk import invoice, line

if TYPE_CHECKING:
    from xero_desk import Desk

MODIFICATION = "Invoice not of valid status for modification"


def _status(desk: Desk, made: Any) -> str:
    return str(desk.ask("GET", f"Invoices/{made['InvoiceID']}")["Invoices"][0]["Status"])


def test_a_new_invoice_comes_back_complete(desk: Desk) -> None:
    """Number, dates in both forms, amounts, the default theme and the contact are there; empty members are not."""
    made = desk.invoice(Reference="PO 7", Url="https://crm.example/1")
    assert (made["InvoiceNumber"], made["Status"], made["Reference"]) == ("INV-0001", "AUTHORISED", "PO 7")
    assert (made["DateString"], made["Date"]) == ("2026-09-14T00:00:00", "/Date(1789344000000+0000)/")
    assert made["DueDateString"] == "2026-10-14T00:00:00"
    assert (str(made["AmountDue"]), str(made["AmountPaid"]), made["CurrencyCode"]) == ("115.00", "0.00", "NZD")
    assert made["UpdatedDateUTCString"] == "2026-09-21T14:13:20Z"
    assert made["Contact"]["Name"] == "Acme Ltd"
    assert "FullyPaidOnDate" not in made
    assert None not in made.values()


def test_a_draft_needs_little_and_is_the_default(desk: Desk) -> None:
    """Type, contact and a line make a draft; its date is today in New Zealand."""
    body = {"Type": "ACCREC", "Contact": {"Name": "Acme Ltd"}, "LineItems": [{"Description": "x"}]}
    made = desk.ask("PUT", "Invoices", body)["Invoices"][0]
    assert (made["Status"], made["DateString"]) == ("DRAFT", "2026-09-22T00:00:00")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"Type": "ACCRECCREDIT"}, "Invoice not of valid type for creation"),
        ({"Status": "PAID"}, "Invoice not of valid status for creation"),
        ({"Status": "VOIDED"}, "Invoice not of valid status for creation"),
        ({"Contact": None}, "A Contact must be specified for this type of transaction"),
        ({"LineItems": []}, "One or more line items must be specified"),
        ({"DueDate": None}, "The document DueDate field must be specified."),
        ({"CurrencyCode": "EUR"}, "Organisation is not subscribed to currency EUR"),
        ({"LineItems": [line(UnitAmount=-1)]}, "The total of this document must be greater than or equal to zero."),
        ({"SentToContact": True, "Status": "DRAFT"}, "SentToContact can only be set on an approved invoice."),
        ({"Reference": "x" * 256}, "The Reference field exceeds the maximum length of 255 characters."),
        (
            {"Type": "ACCPAY", "LineItems": [line(DiscountRate=5, TaxType="NONE")]},
            "Discounts may not be applied to ACCPAY",
        ),
    ],
)
def test_incomplete_or_wrong_invoices_are_refused(desk: Desk, members: dict[str, Any], text: str) -> None:
    """Each missing part and each wrong value has its text."""
    (found,) = desk.complaints("PUT", "Invoices", invoice() | members)
    assert found.startswith(text)


def test_an_unknown_name_makes_a_contact_and_a_known_one_links(desk: Desk) -> None:
    """The nested contact is created only when the invoice is."""
    desk.complaints("PUT", "Invoices", invoice(line(AccountCode="999")))
    assert desk.get("Contacts", where='Name=="Acme Ltd"')["Contacts"] == []
    first, second = desk.invoice(), desk.invoice(Contact={"Name": "ACME LTD"})
    assert first["Contact"]["ContactID"] == second["Contact"]["ContactID"]


def test_an_archived_contact_gets_no_invoice(desk: Desk) -> None:
    """New documents need an active contact."""
    made = desk.contact("Acme Ltd")
    desk.ask("POST", f"Contacts/{made['ContactID']}", {"ContactStatus": "ARCHIVED"})
    (text,) = desk.complaints("PUT", "Invoices", invoice(Contact={"ContactID": made["ContactID"]}))
    assert text.startswith("The contact with the specified contact details has been archived.")


def test_put_refuses_a_taken_number_and_post_updates_it(desk: Desk) -> None:
    """The same number is a mistake for PUT and an update for POST."""
    made = desk.invoice(InvoiceNumber="A-1")
    assert desk.complaints("PUT", "Invoices", invoice(InvoiceNumber="a-1")) == ["Invoice # must be unique."]
    again = desk.ask("POST", "Invoices", invoice(InvoiceNumber="A-1", Reference="new"))["Invoices"][0]
    assert (again["InvoiceID"], again["Reference"]) == (made["InvoiceID"], "new")


def test_a_deleted_drafts_number_stays_taken(desk: Desk) -> None:
    """POST with that number means the deleted invoice, and is refused."""
    made = desk.invoice(InvoiceNumber="A-1", Status="DRAFT")
    desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": "DELETED"})
    assert desk.complaints("POST", "Invoices", invoice(InvoiceNumber="A-1")) == [MODIFICATION]


def test_numbers_skip_what_is_taken_and_bills_have_none(desk: Desk) -> None:
    """Automatic numbers are free ones; a bill's number is the supplier's and need not be unique."""
    desk.invoice(InvoiceNumber="INV-0001")
    assert desk.invoice()["InvoiceNumber"] == "INV-0002"
    bill = {"Type": "ACCPAY", "InvoiceNumber": "S-1", "Reference": "dropped", "LineItems": [line(TaxType="NONE")]}
    first, second = desk.invoice(**bill), desk.invoice(**bill)
    assert first["InvoiceNumber"] == second["InvoiceNumber"] == "S-1"
    assert "Reference" not in first


@pytest.mark.parametrize("target", ["DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"])
def test_drafts_move_freely(desk: Desk, target: str) -> None:
    """From a draft, every status but VOIDED and PAID can be reached."""
    made = desk.invoice(Status="DRAFT")
    desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": target})
    assert _status(desk, made) == target


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ([], "DRAFT"),
        ([], "DELETED"),
        ([], "PAID"),
        (["VOIDED"], "AUTHORISED"),
        (["VOIDED"], "VOIDED"),
    ],
)
def test_illegal_moves_are_refused_and_change_nothing(desk: Desk, steps: list[str], target: str) -> None:
    """An approved invoice goes to VOIDED or stays; a voided one is the end."""
    made = desk.invoice()
    for step in steps:
        desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": step})
    before = _status(desk, made)
    assert desk.complaints("POST", f"Invoices/{made['InvoiceID']}", {"Status": target}) == [MODIFICATION]
    assert _status(desk, made) == before


def test_a_voided_invoice_owes_nothing_and_keeps_its_total(desk: Desk) -> None:
    """Voiding clears the amount due."""
    made = desk.invoice()
    voided = desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"})["Invoices"][0]
    assert (voided["Status"], str(voided["AmountDue"]), str(voided["Total"])) == ("VOIDED", "0.00", "115.00")


def test_an_invoice_with_payments_cannot_be_voided(desk: Desk) -> None:
    """The payment has to go first."""
    made = desk.invoice()
    paid = desk.pay(made, "15.00")
    path = f"Invoices/{made['InvoiceID']}"
    assert desk.complaints("POST", path, {"Status": "VOIDED"}) == [
        "The status VOIDED cannot be applied to the invoice because it has payments or credit notes allocated to it.",
    ]
    desk.ask("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    desk.ask("POST", path, {"Status": "VOIDED"})


def test_approving_asks_for_what_a_draft_may_lack(desk: Desk) -> None:
    """A due date, a description and an account are needed before AUTHORISED."""
    made = desk.invoice({"UnitAmount": 5}, Status="DRAFT", DueDate=None)
    assert desk.complaints("POST", f"Invoices/{made['InvoiceID']}", {"Status": "AUTHORISED"}) == [
        "The document DueDate field must be specified.",
        "The description field is mandatory for each line item.",
        "Account code must be specified",
    ]


def test_lines_are_updated_added_and_removed_by_their_ids(desk: Desk) -> None:
    """A line with its id changes, one without is new, one not listed goes; no LineItems leaves them alone."""
    made = desk.invoice(line(Description="one"), line(Description="two"), Status="DRAFT")
    kept = made["LineItems"][0]["LineItemID"]
    path = f"Invoices/{made['InvoiceID']}"
    rows = [{"LineItemID": kept, "Quantity": 3}, line(Description="three")]
    after = desk.ask("POST", path, {"LineItems": rows})["Invoices"][0]
    assert [(row["Description"], str(row["LineAmount"])) for row in after["LineItems"]] == [
        ("one", "300.00"),
        ("three", "100.00"),
    ]
    assert after["LineItems"][0]["LineItemID"] == kept
    assert len(desk.ask("POST", path, {"Reference": "r"})["Invoices"][0]["LineItems"]) == 2
    assert desk.complaints("POST", path, {"LineItems": []}) == ["One or more line items must be specified"]


def test_a_part_paid_invoice_can_only_be_edited_at_the_edges(desk: Desk) -> None:
    """Reference, due date, descriptions and accounts may change; amounts, currency and date may not."""
    made = desk.invoice()
    desk.pay(made, "15.00")
    path = f"Invoices/{made['InvoiceID']}"
    row = {"LineItemID": made["LineItems"][0]["LineItemID"], "Description": "better words", "AccountCode": "260"}
    edges = {"Reference": "r", "DueDate": "2026-11-01", "LineItems": [row]}
    after = desk.ask("POST", path, edges)["Invoices"][0]
    assert (after["LineItems"][0]["Description"], after["LineItems"][0]["AccountCode"]) == ("better words", "260")
    assert (str(after["Total"]), str(after["AmountDue"])) == ("115.00", "100.00")
    refused = "This document cannot be edited as it has a payment or credit note allocated to it."
    for change in ({"Date": "2026-09-15"}, {"CurrencyCode": "USD"}, {"LineItems": [line()]}):
        assert desk.complaints("POST", path, change) == [refused]


def test_a_due_date_of_a_part_paid_invoice_changes_unnoticed(desk: Desk) -> None:
    """Such a change leaves the stamp alone, so "modified since" does not show it; others do."""
    made = desk.invoice()
    desk.pay(made, "15.00")
    path = f"Invoices/{made['InvoiceID']}"
    before = desk.ask("GET", path)["Invoices"][0]
    after = desk.ask("POST", path, {"DueDate": "2026-12-01"})["Invoices"][0]
    assert after["DueDateString"] == "2026-12-01T00:00:00"
    assert after["UpdatedDateUTC"] == before["UpdatedDateUTC"]
    assert desk.ask("POST", path, {"Reference": "x"})["Invoices"][0]["UpdatedDateUTC"] > before["UpdatedDateUTC"]


def test_a_zero_invoice_is_paid_at_once(desk: Desk) -> None:
    """Nothing is due, so nothing is waited for."""
    assert desk.invoice(line(UnitAmount=0))["Status"] == "PAID"


def test_foreign_invoices_get_the_days_rate(desk: Desk) -> None:
    """The rate is units of the foreign currency per unit of base unless the caller sets one."""
    usd = next(row for row in desk.world.currencies if row.code == "USD")
    assert desk.invoice(CurrencyCode="USD")["CurrencyRate"] == usd.rate
    assert str(desk.invoice(CurrencyCode="USD", CurrencyRate=0.61)["CurrencyRate"]) == "0.610000"


def test_locked_periods_refuse_create_edit_and_void(desk: Desk) -> None:
    """Nothing with a date up to the lock date changes any more."""
    made = desk.invoice()
    books = desk.xero.organisations[desk.settings.organisation_id]
    books.profile["EndOfYearLockDate"] = date(2026, 9, 30)
    text = "The document date cannot be before the end of year lock date, currently set at 30-Sep-2026"
    assert desk.complaints("PUT", "Invoices", invoice()) == [text]
    assert desk.complaints("POST", f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"}) == [text]
    desk.invoice(Date="2026-10-01")


def test_a_batch_says_for_each_element_how_it_went(desk: Desk) -> None:
    """With summarizeErrors=false the answer is 200 and keeps the order of the elements."""
    batch = {"Invoices": [invoice(), invoice(line(AccountCode="999")), invoice()]}
    answer = desk.ask("PUT", "Invoices?summarizeErrors=false", batch)
    assert answer["Status"] == "OK"
    assert [row["StatusAttributeString"] for row in answer["Invoices"]] == ["OK", "ERROR", "OK"]
    assert answer["Invoices"][1]["InvoiceID"] == "00000000-0000-0000-0000-000000000000"
    assert answer["Invoices"][1]["HasErrors"] is True
    assert [row["Message"] for row in answer["Invoices"][1]["ValidationErrors"]] == [
        "Account code '999' is not a valid code for this document.",
    ]


def test_a_summarised_batch_is_a_400_that_shows_only_what_failed(desk: Desk) -> None:
    """The valid elements are kept all the same: the caller has to look before it repeats."""
    batch = {"Invoices": [invoice(), invoice(line(AccountCode="999"))]}
    answer = desk.ask("PUT", "Invoices", batch, status=400)
    assert len(answer["Elements"]) == 1
    assert len(desk.get("Invoices")["Invoices"]) == 1


def test_fifty_invoices_travel_in_one_call(desk: Desk) -> None:
    """A full batch is one call and numbers its documents in order."""
    answer = desk.ask("PUT", "Invoices?summarizeErrors=False", {"Invoices": [invoice() for _ in range(50)]})
    assert [row["InvoiceNumber"] for row in answer["Invoices"]] == [f"INV-{n:04d}" for n in range(1, 51)]
    stamps = [row["UpdatedDateUTC"] for row in answer["Invoices"]]
    assert len(set(stamps)) == 50
    assert stamps == sorted(stamps)


def test_an_unknown_invoice_is_refused_by_id(desk: Desk) -> None:
    """In a body it is a validation error, in the path a 404 in HTML."""
    nobody = "11111111-1111-4111-8111-111111111111"
    text = "An existing Invoice with the specified InvoiceID could not be found"
    assert desk.complaints("POST", "Invoices", {"InvoiceID": nobody, "Status": "VOIDED"}) == [text]
    reply = desk.send("POST", f"Invoices/{nobody}", {"Status": "VOIDED"})
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_emailing_marks_an_approved_sales_invoice_as_sent(desk: Desk) -> None:
    """Without an address there is nobody to send to."""
    made = desk.invoice(Contact={"Name": "Mailed Ltd", "EmailAddress": "m@mailed.example"})
    path = f"Invoices/{made['InvoiceID']}"
    assert desk.send("POST", f"{path}/Email", {}).status == 204
    assert desk.ask("GET", path)["Invoices"][0]["SentToContact"] is True
    assert desk.ask("POST", f"Invoices/{desk.invoice()['InvoiceID']}/Email", {}, status=400)["ErrorNumber"] == 10


def test_history_tells_what_happened_and_takes_notes(desk: Desk) -> None:
    """Creation is noted by Xero, callers add their own entries."""
    path = f"Invoices/{desk.invoice()['InvoiceID']}/History"
    desk.ask("PUT", path, {"HistoryRecords": [{"Details": "From deal 7"}]})
    rows = desk.ask("GET", path)["HistoryRecords"]
    assert [(row["Changes"], row["User"]) for row in rows] == [
        ("Note", "System Generated"),
        ("Created", "System Generated"),
    ]
    assert rows[0]["Details"] == "From deal 7"


def test_state_shows_invoices_with_money_as_text(desk: Desk) -> None:
    """Tools compare exact amounts without touching a float."""
    desk.invoice(line(Quantity=3, UnitAmount=33.35))
    (organisation,) = desk.xero.state()["organisations"]
    (shown,) = organisation["invoices"]
    assert (shown["Total"], shown["TotalTax"], shown["AmountDue"]) == ("115.06", "15.01", "115.06")
    assert shown["LineItems"][0]["Quantity"] == "3.0000"
    assert shown["ContactName"] == "Acme Ltd"

"""Payments, their removal, credit notes and allocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from xero_desk import invoice, line, payment

if TYPE_CHECKING:
    from xero_desk import Desk


def _read(desk: Desk, made: Any) -> Any:
    return desk.ask("GET", f"Invoices/{made['InvoiceID']}")["Invoices"][0]


def _note(desk: Desk, **members: Any) -> Any:
    body = invoice() | {"Type": "ACCRECCREDIT", **members}
    return desk.ask("PUT", "CreditNotes", body)["CreditNotes"][0]


def test_a_full_payment_makes_the_invoice_paid(desk: Desk) -> None:
    """Status, amounts, the date of the last payment and the payment itself show on the invoice."""
    made = desk.invoice()
    paid = desk.pay(made, "115.00", Reference="bank 1")
    assert (paid["PaymentType"], paid["Status"], paid["Account"]["Code"]) == ("ACCRECPAYMENT", "AUTHORISED", "090")
    assert paid["Invoice"]["InvoiceNumber"] == made["InvoiceNumber"]
    after = _read(desk, made)
    assert (after["Status"], str(after["AmountDue"]), str(after["AmountPaid"])) == ("PAID", "0.00", "115.00")
    assert after["FullyPaidOnDate"] == "/Date(1789862400000+0000)/"
    assert [(row["PaymentID"], str(row["Amount"])) for row in after["Payments"]] == [(paid["PaymentID"], "115.00")]


def test_a_part_payment_leaves_the_rest_due(desk: Desk) -> None:
    """The invoice stays AUTHORISED until the last cent."""
    made = desk.invoice()
    desk.pay(made, "115.00", Amount=100)
    after = _read(desk, made)
    assert (after["Status"], str(after["AmountDue"])) == ("AUTHORISED", "15.00")


def test_a_removed_payment_reopens_the_invoice_and_stays_listed(desk: Desk) -> None:
    """The payment keeps its row as DELETED with a newer stamp; the invoice owes again."""
    made = desk.invoice()
    paid = desk.pay(made, "115.00")
    gone = desk.ask("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})["Payments"][0]
    assert gone["Status"] == "DELETED"
    after = _read(desk, made)
    assert (after["Status"], str(after["AmountDue"]), after["Payments"]) == ("AUTHORISED", "115.00", [])
    assert "FullyPaidOnDate" not in after
    (listed,) = desk.get("Payments", where='Status=="DELETED"')["Payments"]
    assert listed["UpdatedDateUTC"] > paid["UpdatedDateUTC"]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"Amount": 115.01}, "Payment amount exceeds the amount outstanding on this document"),
        ({"Amount": 0}, "The payment amount must be greater than zero."),
        ({"Account": {"Code": "200"}}, "The payment account must be a bank account or have payments to it enabled."),
        ({"Account": {"Code": "nope"}}, "The payment account must be a bank account or have payments to it enabled."),
        ({"Date": None}, "The Date field must be specified."),
        ({"Invoice": None}, "A payment must be made against exactly one invoice or credit note."),
    ],
)
def test_payments_that_do_not_fit_are_refused(desk: Desk, members: dict[str, Any], text: str) -> None:
    """No overpayment, no odd account, no missing part."""
    made = desk.invoice()
    assert desk.complaints("PUT", "Payments", payment(made["InvoiceID"], "115.00") | members) == [text]


def test_only_approved_invoices_take_payments(desk: Desk) -> None:
    """A draft cannot be paid."""
    made = desk.invoice(Status="DRAFT")
    assert desk.complaints("PUT", "Payments", payment(made["InvoiceID"], "1.00")) == [
        "Payments can only be made against Authorised documents",
    ]


def test_a_payment_can_only_be_deleted_and_only_once(desk: Desk) -> None:
    """Edits are refused, reconciled payments stay."""
    path = f"Payments/{desk.pay(desk.invoice(), '115.00')['PaymentID']}"
    refused = ["Payment not of valid status for modification"]
    assert desk.complaints("POST", path, {"Reference": "x"}) == refused
    desk.ask("POST", path, {"Payments": [{"Status": "DELETED"}]})
    assert desk.complaints("POST", path, {"Status": "DELETED"}) == refused
    reconciled = desk.pay(desk.invoice(), "115.00", IsReconciled=True)
    assert desk.complaints("POST", f"Payments/{reconciled['PaymentID']}", {"Status": "DELETED"}) == [
        "The payment is reconciled and cannot be deleted.",
    ]


def test_foreign_payments_have_a_bank_amount(desk: Desk) -> None:
    """The bank amount gives the rate; without it the invoice's rate gives the bank amount."""
    made = desk.invoice(CurrencyCode="USD", CurrencyRate=0.5)
    assert str(desk.pay(made, "15.00")["BankAmount"]) == "30.00"
    assert str(desk.pay(made, "100.00", BankAmount=160)["CurrencyRate"]) == "0.625000"


def test_a_rate_of_nothing_is_refused(desk: Desk) -> None:
    """Neither an invoice nor a payment can have a rate that rounds to zero or is negative."""
    rate = ["The currency rate must be greater than zero."]
    assert desk.complaints("PUT", "Invoices", invoice(CurrencyCode="USD", CurrencyRate=1e-9)) == rate
    made = desk.invoice(CurrencyCode="USD")
    for sent in ({"CurrencyRate": 1e-9}, {"BankAmount": -5}):
        assert desk.complaints("PUT", "Payments", payment(made["InvoiceID"], "1.00") | sent) == rate


def test_payments_are_found_by_their_invoice(desk: Desk) -> None:
    """The filter on the invoice's id is the way to read an invoice's payments."""
    made = desk.invoice()
    desk.pay(made, "15.00")
    desk.pay(desk.invoice(), "15.00")
    found = desk.get("Payments", where=f'Invoice.InvoiceID==guid("{made["InvoiceID"]}")')["Payments"]
    assert [row["Invoice"]["InvoiceID"] for row in found] == [made["InvoiceID"]]


def test_a_batch_of_payments_reports_each(desk: Desk) -> None:
    """PUT takes several payments; with summarizeErrors=false each says how it fared."""
    made = desk.invoice()
    batch = {"Payments": [payment(made["InvoiceID"], "100.00"), payment(made["InvoiceID"], "100.00")]}
    rows = desk.ask("PUT", "Payments?summarizeErrors=false", batch)["Payments"]
    assert [row["StatusAttributeString"] for row in rows] == ["OK", "ERROR"]


def test_a_credit_note_is_allocated_and_taken_back(desk: Desk) -> None:
    """Allocating lowers what is due without a payment; un-allocating restores both sides."""
    made, note = desk.invoice(), _note(desk)
    assert (note["CreditNoteNumber"], str(note["RemainingCredit"])) == ("CN-0001", "115.00")
    assert "DueDate" not in note
    body = {"Allocations": [{"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 40, "Date": "2026-09-20"}]}
    path = f"CreditNotes/{note['CreditNoteID']}"
    (allocation,) = desk.ask("PUT", f"{path}/Allocations", body)["Allocations"]
    after = _read(desk, made)
    assert (str(after["AmountCredited"]), str(after["AmountDue"]), after["Payments"]) == ("40.00", "75.00", [])
    assert after["CreditNotes"][0]["CreditNoteNumber"] == "CN-0001"
    assert str(desk.ask("GET", path)["CreditNotes"][0]["RemainingCredit"]) == "75.00"
    removed = desk.ask("DELETE", f"{path}/Allocations/{allocation['AllocationID']}")
    assert (removed["IsDeleted"], removed["AllocationId"]) == (True, allocation["AllocationID"])
    assert str(_read(desk, made)["AmountDue"]) == "115.00"
    assert str(desk.ask("GET", path)["CreditNotes"][0]["RemainingCredit"]) == "115.00"


def test_full_allocation_pays_both_sides(desk: Desk) -> None:
    """Nothing open on either document means PAID on both."""
    made, note = desk.invoice(), _note(desk)
    body = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 115, "Date": "2026-09-20"}
    desk.ask("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", body)
    assert _read(desk, made)["Status"] == "PAID"
    assert desk.ask("GET", f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["Status"] == "PAID"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"Amount": 116}, "The amount exceeds the remaining credit or the amount outstanding on the invoice."),
        ({"Amount": None}, "An allocation needs an Invoice, an Amount greater than zero and a Date."),
        ({"Date": None}, "An allocation needs an Invoice, an Amount greater than zero and a Date."),
    ],
)
def test_allocations_that_do_not_fit_are_refused(desk: Desk, members: dict[str, Any], text: str) -> None:
    """Amount and date are needed, and both sides must have that much open."""
    made, note = desk.invoice(), _note(desk)
    body = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 1, "Date": "2026-09-20"} | members
    assert desk.complaints("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", body) == [text]


def test_another_customers_credit_cannot_be_used(desk: Desk) -> None:
    """Contact and currency of credit note and invoice must be the same."""
    made, note = desk.invoice(), _note(desk, Contact={"Name": "Other Ltd"})
    body = {"Invoice": {"InvoiceID": made["InvoiceID"]}, "Amount": 1, "Date": "2026-09-20"}
    (text,) = desk.complaints("PUT", f"CreditNotes/{note['CreditNoteID']}/Allocations", body)
    assert text.startswith("The invoice and the credit note must have the same contact")


def test_a_refund_is_a_payment_of_the_credit_note(desk: Desk) -> None:
    """The refund uses the credit up."""
    note = _note(desk)
    body = payment("", "115.00") | {"Invoice": None, "CreditNote": {"CreditNoteID": note["CreditNoteID"]}}
    (refund,) = desk.ask("PUT", "Payments", body)["Payments"]
    assert (refund["PaymentType"], refund["CreditNote"]["CreditNoteNumber"]) == ("ARCREDITPAYMENT", "CN-0001")
    assert desk.ask("GET", f"CreditNotes/{note['CreditNoteID']}")["CreditNotes"][0]["Status"] == "PAID"


def test_credit_notes_take_no_discount_and_no_invoice_type(desk: Desk) -> None:
    """Their rules are those of invoices, with these differences."""
    body = invoice(line(DiscountRate=5)) | {"Type": "ACCRECCREDIT"}
    assert desk.complaints("PUT", "CreditNotes", body) == ["Discounts may not be applied to credit notes."]
    assert desk.complaints("PUT", "CreditNotes", invoice()) == ["Credit Note not of valid type for creation"]
    nobody = {"CreditNoteID": "11111111-1111-4111-8111-111111111111", "Status": "VOIDED"}
    assert desk.complaints("POST", "CreditNotes", nobody) == [
        "An existing Credit Note with the specified CreditNoteID could not be found",
    ]

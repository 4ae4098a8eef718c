"""Payments and allocations: what settles a document, what takes that back, and what both do to its balance.

*Source*: developer.xero.com "Payments" and "Credit notes", read 2026-11-22.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.documents import CREDIT_NOTES, INVOICES, check_lock, find_number, settle
from closedwon_sandbox.xero.books.errors import MissingError, RefusedError
from closedwon_sandbox.xero.books.lines import to_cents, to_places
from closedwon_sandbox.xero.books.organisation import first
from closedwon_sandbox.xero.books.shapes import PAYMENT, overlong

if TYPE_CHECKING:
    from closedwon_sandbox.xero.books.documents import Family
    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record

_TYPES: Final = {
    "ACCREC": "ACCRECPAYMENT",
    "ACCPAY": "ACCPAYPAYMENT",
    "ACCRECCREDIT": "ARCREDITPAYMENT",
    "ACCPAYCREDIT": "APCREDITPAYMENT",
}


def create_payment(books: Books, element: Record) -> Record:
    """Pay an invoice or refund a credit note. *Raises* RefusedError."""
    family, document = _target(books, element)
    account = _payment_account(books, element)
    problems = overlong(element, PAYMENT)
    if account is None:
        problems.append(messages.PAYMENT_ACCOUNT)
    problems += _amount_problems(family, document, element.get("Amount"))
    problems += _date_problems(books, element)
    if problems:
        raise RefusedError(*problems)
    payment = _payment(books, element, document, account or {})
    payment[family.element] = document
    document["Payments"].append(payment)
    books.save(books.payments, payment)
    settle(books, family, document)
    return payment


def delete_payment(books: Books, payment: Record, element: Record) -> Record:
    """Take a payment back; that is the only change a payment allows. *Raises* RefusedError."""
    if element.get("Status") != "DELETED" or payment["Status"] == "DELETED":
        raise RefusedError(messages.PAYMENT_STATUS)
    if payment["IsReconciled"]:
        raise RefusedError(messages.PAYMENT_RECONCILED)
    if locked := check_lock(books, payment["Date"]):
        raise RefusedError(locked)
    family = INVOICES if "Invoice" in payment else CREDIT_NOTES
    document = payment[family.element]
    document["Payments"].remove(payment)
    payment["Status"] = "DELETED"
    books.save(books.payments, payment)
    settle(books, family, document)
    return payment


def allocate(books: Books, credit_note: Record, element: Record) -> Record:
    """Use a credit note against an invoice. *Raises* RefusedError."""
    amount, day = element.get("Amount"), element.get("Date")
    if "Invoice" not in element or not amount or amount <= 0 or not day:
        raise RefusedError(messages.ALLOCATION_INCOMPLETE)
    invoice = _document(books, INVOICES, element["Invoice"])
    if credit_note["Status"] != "AUTHORISED" or invoice["Status"] != "AUTHORISED":
        raise RefusedError(messages.PAYMENT_NEEDS_AUTHORISED)
    if _side(invoice, INVOICES) != _side(credit_note, CREDIT_NOTES):
        raise RefusedError(messages.ALLOCATION_MISFIT)
    amount = to_cents(amount)
    if amount > min(credit_note["RemainingCredit"], invoice["AmountDue"]):
        raise RefusedError(messages.ALLOCATION_TOO_HIGH)
    allocation: Record = {"AllocationID": books.new_id(), "Amount": amount, "Date": day}
    allocation |= {"Invoice": invoice, "CreditNote": credit_note}
    for family, document in ((CREDIT_NOTES, credit_note), (INVOICES, invoice)):
        document["Allocations"].append(allocation)
        settle(books, family, document)
    return allocation


def remove_allocation(books: Books, credit_note: Record, allocation_id: str) -> Record:
    """Take an allocation back. *Raises* MissingError."""
    held = (entry for entry in credit_note["Allocations"] if entry["AllocationID"] == allocation_id)
    allocation = first(held)
    if allocation is None:
        raise MissingError(allocation_id)
    for family, document in ((CREDIT_NOTES, credit_note), (INVOICES, allocation["Invoice"])):
        document["Allocations"].remove(allocation)
        settle(books, family, document)
    return allocation


def _side(document: Record, family: Family) -> tuple[str, str, bool]:
    return document["Contact"]["ContactID"], document["CurrencyCode"], family.sells(document["Type"])


def _target(books: Books, element: Record) -> tuple[Family, Record]:
    named: list[tuple[Family, Record]] = []
    for family in (INVOICES, CREDIT_NOTES):
        if family.element in element:
            named.append((family, element[family.element]))
        elif family.number_name in element:
            named.append((family, {family.number_name: element[family.number_name]}))
    if len(named) != 1 or {"Prepayment", "Overpayment"} & element.keys():
        raise RefusedError(messages.PAYMENT_TARGET)
    family, name = named[0]
    return family, _document(books, family, name)


def _document(books: Books, family: Family, name: Record) -> Record:
    if family.id_name in name:
        document = family.table(books).find(name[family.id_name])
    else:
        document = find_number(books, family, name.get(family.number_name, ""))
    if document is None:
        raise RefusedError(messages.DOCUMENT_UNKNOWN.format(family.title, family.id_name))
    return document


def _payment_account(books: Books, element: Record) -> Record | None:
    name = element.get("Account", {})
    account = books.accounts.find(name.get("AccountID"))
    code = name.get("Code") or element.get("Code")
    if account is None and code:
        account = first(books.accounts.having("Code", code))
    if account is None or account["Status"] != "ACTIVE":
        return None
    return account if account["Type"] == "BANK" or account.get("EnablePaymentsToAccount") else None


def _amount_problems(family: Family, document: Record, amount: Decimal | None) -> list[str]:
    if document["Status"] != "AUTHORISED":
        # A paid document is refused for its status too: nothing is outstanding on it.
        return [messages.PAYMENT_TOO_HIGH if document["Status"] == "PAID" else messages.PAYMENT_NEEDS_AUTHORISED]
    if amount is None or to_cents(amount) <= 0:
        return [messages.PAYMENT_POSITIVE]
    outstanding = document["AmountDue"] if family is INVOICES else document["RemainingCredit"]
    return [messages.PAYMENT_TOO_HIGH] if to_cents(amount) > outstanding else []


def _date_problems(books: Books, element: Record) -> list[str]:
    if "Date" not in element:
        return [messages.DATE_REQUIRED]
    locked = check_lock(books, element["Date"])
    return [locked] if locked else []


def _payment(books: Books, element: Record, document: Record, account: Record) -> Record:
    amount = to_cents(element["Amount"])
    rate = _rate(books, element, document, amount)
    if rate <= 0:
        raise RefusedError(messages.RATE_POSITIVE)
    payment: Record = {
        "PaymentID": books.new_id(),
        "Date": element["Date"],
        "Amount": amount,
        "BankAmount": to_cents(element.get("BankAmount", amount / rate)),
        "CurrencyRate": rate,
        "PaymentType": _TYPES[document["Type"]],
        "Status": "AUTHORISED",
        "IsReconciled": element.get("IsReconciled", False),
        "Account": account,
    }
    if "Reference" in element:
        payment["Reference"] = element["Reference"]
    return payment


def _rate(books: Books, element: Record, document: Record, amount: Decimal) -> Decimal:
    """Return the payment's rate: 1 in the base currency, else from the bank amount, the caller or the document."""
    if document["CurrencyCode"] == books.base_currency:
        return Decimal("1.000000")
    if element.get("BankAmount"):
        return to_places(amount / element["BankAmount"], 6)
    return to_places(element.get("CurrencyRate") or document["CurrencyRate"], 6)

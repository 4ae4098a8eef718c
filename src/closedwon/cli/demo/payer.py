"""Acts on Xero as a bookkeeper does when customers pay: enters payments, takes one back."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon.kernel.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.cli.demo.control import Sandbox

BANK_ACCOUNT = "090"
PAYMENTS_PER_CALL = 50


@dataclass(frozen=True, slots=True)
class Due:
    """An invoice and how much of it is paid now."""

    invoice_id: str
    amount: Decimal


class Payer:
    """The customers' money, arriving on the bank account."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def list_invoices(self) -> list[dict[str, Any]]:
        """List everything the books invoiced; amounts are texts."""
        state = self._sandbox.control("GET", "state?system=xero")
        return list(state["xero"]["organisations"][0]["invoices"])

    def pay(self, dues: Sequence[Due]) -> list[str]:
        """Enter payments; return their ids."""
        today = SystemClock().now().date().isoformat()
        ids = []
        for start in range(0, len(dues), PAYMENTS_PER_CALL):
            payments = [
                {
                    "Invoice": {"InvoiceID": due.invoice_id},
                    "Account": {"Code": BANK_ACCOUNT},
                    "Date": today,
                    "Amount": due.amount,
                }
                for due in dues[start : start + PAYMENTS_PER_CALL]
            ]
            answer = self._sandbox.books("PUT", "Payments", {"Payments": payments})
            ids += [str(one["PaymentID"]) for one in answer["Payments"]]
        return ids

    def pay_all(self) -> int:
        """Pay everything that is due; return how many invoices that were."""
        dues = [
            Due(one["InvoiceID"], Decimal(one["AmountDue"]))
            for one in self.list_invoices()
            if one["Status"] == "AUTHORISED" and Decimal(one["AmountDue"]) > 0
        ]
        self.pay(dues)
        return len(dues)

    def take_back(self, payment_id: str) -> None:
        """Remove a payment, as when it bounced."""
        self._sandbox.books("POST", f"Payments/{payment_id}", {"Status": "DELETED"})

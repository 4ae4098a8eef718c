"""Line items: which ones a document may have, and what Xero makes of their amounts and tax.

*Source*: developer.xero.com "Rounding in Xero" and "Invoices", read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.errors import RefusedError
from closedwon_sandbox.xero.books.organisation import first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record

ZERO: Final = Decimal("0.00")
_HUNDRED: Final = Decimal(100)
_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_UP)
_HIGHEST_LINE: Final = Decimal("9999999999.99")
_QUANTITY_PLACES: Final = 4
_TRACKING_PER_LINE: Final = 2
DEFAULT_QUANTITY: Final = Decimal("1.0000")  # [inferred] a line with a unit amount alone counts once
_ACCOUNTS_NOT_FOR_LINES: Final = frozenset({"BANK"})  # [inferred] besides system accounts
_SYSTEM_ACCOUNTS_FOR_LINES: Final = frozenset({"ROUNDING"})  # a line that makes up for cents goes there

_CLASS_FLAGS: Final = {
    "ASSET": "CanApplyToAssets",
    "EQUITY": "CanApplyToEquity",
    "EXPENSE": "CanApplyToExpenses",
    "LIABILITY": "CanApplyToLiabilities",
    "REVENUE": "CanApplyToRevenue",
}


def to_cents(amount: Decimal) -> Decimal:
    """Round half up to two places, away from zero for negative amounts."""
    return amount.quantize(_CENT, context=_EXACT)


def to_places(amount: Decimal, places: int) -> Decimal:
    """Round half up to that many places."""
    return amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a document asks of its lines. `unit_places` is 4 with unitdp=4, else 2."""

    sells: bool
    amount_types: str
    unit_places: int
    complete: bool
    no_discount: str | None


@dataclass(slots=True)
class Bill:
    """The lines of a document with the problems found in them and what they add up to."""

    lines: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def totals(self, amount_types: str) -> Record:
        """Add the lines up: sub-total, tax and total, by the rule of the document's amount type."""
        amount = sum((line["LineAmount"] for line in self.lines), ZERO)
        tax = sum((line["TaxAmount"] for line in self.lines), ZERO)
        total = amount if amount_types == "Inclusive" else amount + tax
        discount = sum((line["_Discount"] for line in self.lines), ZERO)
        return {"SubTotal": total - tax, "TotalTax": tax, "Total": total, "TotalDiscount": discount}


def build_lines(books: Books, sent: Sequence[Record], terms: Terms) -> Bill:
    """Work out all lines of a document; problems are collected, each text once."""
    bill = Bill()
    for element in sent:
        builder = _LineBuilder(books, element, terms)
        bill.lines.append(builder.build())
        bill.problems += [text for text in builder.problems if text not in bill.problems]
    return bill


def line_inputs(line: Record) -> Record:
    """Return what was said about a stored line, without what Xero worked out, so that it can be worked out anew."""
    kept = {name: line[name] for name in _INPUTS if name in line} | {_PLACES: _HIGHEST_PLACES}
    if line["_TaxOverridden"]:
        kept["TaxAmount"] = line["TaxAmount"]
    if line["_Derived"]:
        kept["LineAmount"] = line["LineAmount"]
        kept.pop("UnitAmount", None)
    return kept


_INPUTS: Final = (
    "LineItemID", "Description", "ItemCode", "AccountCode", "AccountID", "TaxType", "Quantity", "UnitAmount",
    "DiscountRate", "DiscountAmount", "Tracking",
)  # fmt: skip
_AMOUNTS: Final = frozenset({"Quantity", "UnitAmount", "LineAmount", "TaxType", "DiscountRate", "DiscountAmount"})
_PLACES: Final = "_Places"  # stored lines keep the decimals they have, whatever the caller's unitdp
_HIGHEST_PLACES: Final = 4


def overlay_line(line: Record, sent: Record) -> Record:
    """Return the inputs of a stored line with what an update sends about it laid over them."""
    kept = line_inputs(line)
    if _AMOUNTS & sent.keys():
        kept.pop("TaxAmount", None)
    if {"Quantity", "UnitAmount"} & sent.keys():
        kept.pop("LineAmount", None)
    elif "LineAmount" in sent:
        kept.pop("UnitAmount", None)
    if {"UnitAmount", "LineAmount"} & sent.keys():
        del kept[_PLACES]
    if "AccountCode" in sent:
        kept.pop("AccountID", None)
    return {**kept, **sent}


class _LineBuilder:
    def __init__(self, books: Books, sent: Record, terms: Terms) -> None:
        self._books = books
        self._sent = sent
        self._terms = terms
        self._places: int = sent.get(_PLACES, terms.unit_places)
        self._item: Record | None = None
        self.problems: list[str] = []

    def build(self) -> Record:
        self._item = self._find_item()
        line: Record = {"LineItemID": self._sent.get("LineItemID") or self._books.new_id()}
        if self._item:
            line["ItemCode"] = self._item["Code"]
        self._describe(line)
        self._price(line)
        account = self._find_account()
        if account:
            line["AccountCode"], line["AccountID"] = account.get("Code"), account["AccountID"]
        self._tax(line, account)
        line["Tracking"] = self._tracking()
        return line

    def _find_item(self) -> Record | None:
        code = self._sent.get("ItemCode")
        if not code:
            return None
        item = first(self._books.items.having("Code", code))
        if not item:
            self.problems.append(messages.ITEM_UNKNOWN.format(code))
        return item

    def _item_side(self) -> Record:
        details: Record = (self._item or {}).get("SalesDetails" if self._terms.sells else "PurchaseDetails", {})
        return details

    def _describe(self, line: Record) -> None:
        words = "Description" if self._terms.sells else "PurchaseDescription"
        description = self._sent.get("Description") or (self._item or {}).get(words)
        if description:
            line["Description"] = description
        elif self._terms.complete:
            self.problems.append(messages.DESCRIPTION_REQUIRED)

    def _price(self, line: Record) -> None:
        quantity, unit, wanted = (self._sent.get(name) for name in ("Quantity", "UnitAmount", "LineAmount"))
        if unit is None and wanted is None:
            unit = self._item_side().get("UnitPrice")
        if unit is not None:
            unit = to_places(unit, self._places)
        if quantity is not None:
            quantity = to_places(quantity, _QUANTITY_PLACES)
        quantity, unit = self._complete_pair(quantity, unit, wanted)
        if quantity is not None:
            line["Quantity"] = quantity
        if unit is not None:
            line["UnitAmount"] = unit
        self._amount(line, wanted)

    def _complete_pair(
        self,
        quantity: Decimal | None,
        unit: Decimal | None,
        wanted: Decimal | None,
    ) -> tuple[Decimal | None, Decimal | None]:
        if unit is None and wanted is None:
            return quantity, unit
        if unit is None and wanted is not None:
            quantity = DEFAULT_QUANTITY if quantity is None else quantity
            unit = to_places(_EXACT.divide(wanted, quantity), self._places) if quantity else ZERO
        elif quantity is None:
            derivable = wanted is not None and unit
            quantity = to_places(_EXACT.divide(wanted, unit), _QUANTITY_PLACES) if derivable else DEFAULT_QUANTITY  # type: ignore[arg-type]
        return quantity, unit

    def _amount(self, line: Record, wanted: Decimal | None) -> None:
        gross = _EXACT.multiply(line.get("Quantity", ZERO), line.get("UnitAmount", ZERO))
        discounted = self._discount(line, gross)
        derived = wanted is not None and not {"Quantity", "UnitAmount"} <= self._sent.keys()
        expected = to_cents(wanted) if derived and wanted is not None else discounted
        if wanted is not None and wanted != expected:
            self.problems.append(messages.LINE_TOTAL.format(wanted, expected))
        if abs(expected) > _HIGHEST_LINE:
            self.problems.append(messages.LINE_TOO_HIGH)
        line["LineAmount"], line["_Derived"] = expected, derived
        discounts = "DiscountRate" in line or "DiscountAmount" in line
        line["_Discount"] = to_cents(gross) - expected if discounts else ZERO

    def _discount(self, line: Record, gross: Decimal) -> Decimal:
        rate, amount = self._sent.get("DiscountRate"), self._sent.get("DiscountAmount")
        if (rate or amount) and self._terms.no_discount:
            self.problems.append(self._terms.no_discount)
        if rate:
            if not 0 <= rate <= _HUNDRED:
                self.problems.append(messages.DISCOUNT_RANGE)
            line["DiscountRate"] = to_places(rate, 4)
            return to_cents(_EXACT.divide(_EXACT.multiply(gross, _HUNDRED - line["DiscountRate"]), _HUNDRED))
        if amount:
            line["DiscountAmount"] = to_cents(amount)
            return to_cents(gross - line["DiscountAmount"])
        return to_cents(gross)

    def _find_account(self) -> Record | None:
        code = self._sent.get("AccountCode")
        if not code and "AccountID" in self._sent:
            code = (self._books.accounts.find(self._sent["AccountID"]) or {}).get("Code", self._sent["AccountID"])
        code = code or self._item_side().get("AccountCode")
        if not code:
            if self._terms.complete and not self._is_remark():
                self.problems.append(messages.ACCOUNT_REQUIRED)
            return None
        account = first(self._books.accounts.having("Code", code))
        try:
            return usable_account(account, code)
        except RefusedError as refusal:
            self.problems += refusal.messages
            return None

    def _is_remark(self) -> bool:
        """Say whether the line is only a text: without amounts it needs no account."""
        return not {"Quantity", "UnitAmount", "LineAmount", "ItemCode"} & self._sent.keys()

    def _tax(self, line: Record, account: Record | None) -> None:
        line["TaxAmount"], line["_TaxOverridden"] = ZERO, False
        if self._terms.amount_types == "NoTax":
            line["TaxType"] = "NONE"
            return
        tax_type = self._sent.get("TaxType") or self._item_side().get("TaxType") or (account or {}).get("TaxType")
        if not tax_type:
            if self._terms.complete and account:
                self.problems.append(messages.TAX_TYPE_REQUIRED)
            return
        rate = self._books.tax_rates.find(tax_type)
        if not rate or rate["Status"] != "ACTIVE":
            self.problems.append(messages.TAX_TYPE_UNKNOWN.format(tax_type))
            return
        if account and not rate[_CLASS_FLAGS[account["Class"]]]:
            self.problems.append(messages.TAX_TYPE_MISFIT.format(tax_type, account["Code"]))
        line["TaxType"] = tax_type
        override = self._sent.get("TaxAmount")
        line["_TaxOverridden"] = override is not None
        line["TaxAmount"] = tax_on(line["LineAmount"], rate["EffectiveRate"], self._terms.amount_types)
        if override is not None:
            line["TaxAmount"] = to_cents(override)

    def _tracking(self) -> list[Record]:
        found: list[Record] = []
        for entry in self._sent.get("Tracking", ()):
            resolved = find_tracking(self._books, entry)
            if resolved:
                found.append(resolved)
            else:
                shown = entry.get("Option") or entry.get("Name") or entry.get("TrackingOptionID", "")
                self.problems.append(messages.TRACKING_UNKNOWN.format(shown))
        categories = {entry["TrackingCategoryID"] for entry in found}
        if len(found) > _TRACKING_PER_LINE or len(categories) < len(found):
            self.problems.append(messages.TOO_MUCH_TRACKING)
        return found


def tax_on(amount: Decimal, rate_pct: Decimal, amount_types: str) -> Decimal:
    """Return the tax of one line, rounded half up to cents on its own."""
    if amount_types == "Inclusive":
        net = _EXACT.divide(_EXACT.multiply(amount, _HUNDRED), _HUNDRED + rate_pct)
        return to_cents(_EXACT.subtract(amount, net))
    return to_cents(_EXACT.divide(_EXACT.multiply(amount, rate_pct), _HUNDRED))


def usable_account(account: Record | None, code: str) -> Record:
    """Return an account that a line may be posted to. *Raises* RefusedError."""
    if account is None:
        raise RefusedError(messages.ACCOUNT_UNKNOWN.format(code))
    if account["Status"] != "ACTIVE":
        raise RefusedError(messages.ACCOUNT_ARCHIVED.format(code))
    system = account.get("SystemAccount")
    if account["Type"] in _ACCOUNTS_NOT_FOR_LINES or (system and system not in _SYSTEM_ACCOUNTS_FOR_LINES):
        raise RefusedError(messages.ACCOUNT_UNKNOWN.format(code))
    return account


def find_tracking(books: Books, entry: Record) -> Record | None:
    """Find an active category and option by ids or by names; None when either is unknown or archived."""
    category = books.tracking.find(entry.get("TrackingCategoryID"))
    if category is None and "Name" in entry:
        category = first(books.tracking.having("Name", entry["Name"]))
    if category is None or category["Status"] != "ACTIVE":
        return None
    for option in category["Options"]:
        named = option["Name"].lower() == entry.get("Option", "").lower()
        if option["Status"] == "ACTIVE" and (option["TrackingOptionID"] == entry.get("TrackingOptionID") or named):
            return {
                "Name": category["Name"],
                "Option": option["Name"],
                "TrackingCategoryID": category["TrackingCategoryID"],
                "TrackingOptionID": option["TrackingOptionID"],
            }
    return None

"""Reference data that callers may change: items, accounts, tracking categories and currencies.

*Source*: Xero's OpenAPI description 16.1.0 and its pages on items, accounts and tracking, read 2026-11-22.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.errors import MissingError, RefusedError
from closedwon_sandbox.xero.books.lines import to_places, usable_account
from closedwon_sandbox.xero.books.organisation import first
from closedwon_sandbox.xero.books.shapes import ACCOUNT, CATEGORY, ITEM, OPTION, overlong

if TYPE_CHECKING:
    from closedwon_sandbox.xero.books.organisation import Books
    from closedwon_sandbox.xero.books.shapes import Record

ACTIVE_CATEGORIES: Final = 2
ALL_CATEGORIES: Final = 4
PRICE_PLACES: Final = 4
ISO_CURRENCIES: Final = {
    "AUD": "Australian Dollar", "CAD": "Canadian Dollar", "CHF": "Swiss Franc", "CNY": "Chinese Yuan Renminbi",
    "DKK": "Danish Krone", "EUR": "Euro", "FJD": "Fiji Dollar", "GBP": "British Pound", "HKD": "Hong Kong Dollar",
    "INR": "Indian Rupee", "JPY": "Japanese Yen", "NOK": "Norwegian Krone", "NZD": "New Zealand Dollar",
    "SEK": "Swedish Krona", "SGD": "Singapore Dollar", "USD": "United States Dollar", "ZAR": "South African Rand",
}  # fmt: skip
CLASSES: Final = {
    "BANK": "ASSET", "CURRENT": "ASSET", "FIXED": "ASSET", "INVENTORY": "ASSET", "NONCURRENT": "ASSET",
    "PREPAYMENT": "ASSET", "CURRLIAB": "LIABILITY", "LIABILITY": "LIABILITY", "TERMLIAB": "LIABILITY",
    "PAYG": "LIABILITY", "EQUITY": "EQUITY", "DEPRECIATN": "EXPENSE", "DIRECTCOSTS": "EXPENSE", "EXPENSE": "EXPENSE",
    "OVERHEADS": "EXPENSE", "OTHERINCOME": "REVENUE", "REVENUE": "REVENUE", "SALES": "REVENUE",
}  # fmt: skip


# Items


def create_item(books: Books, element: Record) -> Record:
    """Create an item. *Raises* RefusedError when its code is missing or taken, or an account cannot be used."""
    if not element.get("Code"):
        raise RefusedError(messages.FIELD_REQUIRED.format("Code"))
    if books.items.having("Code", element["Code"]):
        raise RefusedError(messages.ITEM_CODE_TAKEN.format(element["Code"]))
    _check_item(books, element)
    item: Record = {"ItemID": books.new_id(), "IsTrackedAsInventory": False, "IsSold": True, "IsPurchased": True}
    return _save_item(books, item, element)


def update_item(books: Books, item: Record, element: Record) -> Record:
    """Change an item. *Raises* RefusedError."""
    holders = books.items.having("Code", element.get("Code", ""))
    if any(holder is not item for holder in holders):
        raise RefusedError(messages.ITEM_CODE_TAKEN.format(element["Code"]))
    _check_item(books, element)
    return _save_item(books, item, element)


def create_or_update_item(books: Books, element: Record) -> Record:
    """Update the item that the element means by id or code, or create one. *Raises* RefusedError."""
    item = books.items.find(element.get("ItemID")) or first(books.items.having("Code", element.get("Code", "")))
    if item is None and "ItemID" in element:
        raise RefusedError(messages.DOCUMENT_UNKNOWN.format("Item", "ItemID"))
    return update_item(books, item, element) if item else create_item(books, element)


def delete_item(books: Books, item: Record) -> None:
    """Remove an item; documents keep its code."""
    books.items.remove(item["ItemID"])


def _check_item(books: Books, element: Record) -> None:
    problems = overlong(element, ITEM)
    for details in (element.get("SalesDetails", {}), element.get("PurchaseDetails", {})):
        problems += _price_problems(books, details)
    if problems:
        raise RefusedError(*problems)


def _price_problems(books: Books, details: Record) -> list[str]:
    code, tax_type = details.get("AccountCode"), details.get("TaxType")
    problems: list[str] = []
    if code:
        try:
            usable_account(first(books.accounts.having("Code", code)), code)
        except RefusedError as refusal:
            problems += refusal.messages
    if tax_type and not books.tax_rates.find(tax_type):
        problems.append(messages.TAX_TYPE_UNKNOWN.format(tax_type))
    return problems


def _save_item(books: Books, item: Record, element: Record) -> Record:
    sides = {"SalesDetails": "IsSold", "PurchaseDetails": "IsPurchased"}
    item |= {name: value for name, value in element.items() if name != "ItemID" and name not in sides}
    for side, flag in sides.items():
        details = {**item.get(side, {}), **element.get(side, {})} if item[flag] else {}
        if "UnitPrice" in details:
            details["UnitPrice"] = to_places(details["UnitPrice"], PRICE_PLACES)
        item[side] = details
    books.save(books.items, item)
    return item


# Accounts


def create_account(books: Books, element: Record) -> Record:
    """Add an account to the chart. *Raises* RefusedError."""
    problems = overlong(element, ACCOUNT)
    problems += [messages.FIELD_REQUIRED.format(name) for name in ("Name", "Type") if not element.get(name)]
    if element.get("Type") and element["Type"] not in CLASSES:
        problems.append(messages.ACCOUNT_TYPE_UNKNOWN.format(element["Type"]))
    if element.get("Type") != "BANK" and not element.get("Code"):
        problems.append(messages.FIELD_REQUIRED.format("Code"))
    problems += _account_twins(books, element, None)
    if problems:
        raise RefusedError(*problems)
    account: Record = {"AccountID": books.new_id(), "Status": "ACTIVE", "TaxType": "NONE"}
    account |= {"EnablePaymentsToAccount": False, "ShowInExpenseClaims": False, "AddToWatchlist": False}
    account |= element | {"Class": CLASSES[element["Type"]]}
    books.save(books.accounts, account)
    return account


def update_account(books: Books, account: Record, element: Record) -> Record:
    """Change or archive an account. *Raises* RefusedError."""
    changes = {name: value for name, value in element.items() if name != "AccountID"}
    if "Status" in changes and len(changes) > 1:
        raise RefusedError(messages.ACCOUNT_ARCHIVE_ALONE)
    if changes.get("Status", "ACTIVE") not in {"ACTIVE", "ARCHIVED"} or account["Status"] == "DELETED":
        raise RefusedError(messages.ACCOUNT_PROTECTED)
    if account.get("SystemAccount") and {"Status", "Type"} & changes.keys():
        raise RefusedError(messages.ACCOUNT_PROTECTED)
    problems = overlong(changes, ACCOUNT) + _account_twins(books, changes, account)
    if changes.get("Type", account["Type"]) not in CLASSES:
        problems.append(messages.ACCOUNT_TYPE_UNKNOWN.format(changes["Type"]))
    if problems:
        raise RefusedError(*problems)
    account |= changes
    account["Class"] = CLASSES[account["Type"]]
    books.save(books.accounts, account)
    return account


def delete_account(books: Books, account: Record) -> Record:
    """Delete an account that no line, payment or item uses. *Raises* RefusedError."""
    if account.get("SystemAccount") or _in_use(books, account):
        raise RefusedError(messages.ACCOUNT_PROTECTED)
    account["Status"] = "DELETED"
    books.save(books.accounts, account)
    return account


def _in_use(books: Books, account: Record) -> bool:
    documents = (*books.invoices, *books.credit_notes)
    on_lines = any(line.get("AccountID") == account["AccountID"] for row in documents for line in row["LineItems"])
    return on_lines or any(payment["Account"] is account for payment in books.payments)


def _account_twins(books: Books, element: Record, owner: Record | None) -> list[str]:
    taken = (("Name", messages.ACCOUNT_NAME_TAKEN), ("Code", messages.ACCOUNT_CODE_TAKEN))
    problems: list[str] = []
    for name, text in taken:
        holders = books.accounts.having(name, element[name]) if element.get(name) else []
        if any(holder is not owner and holder["Status"] != "DELETED" for holder in holders):
            problems.append(text)
    return problems


# Tracking


def create_category(books: Books, element: Record) -> Record:
    """Add a tracking category. *Raises* RefusedError when the name is taken or there are too many."""
    _check_tracking_name(element, books.tracking.having("Name", element.get("Name", "")))
    counted = [row["Status"] for row in books.tracking if row["Status"] != "DELETED"]
    if counted.count("ACTIVE") >= ACTIVE_CATEGORIES or len(counted) >= ALL_CATEGORIES:
        raise RefusedError(messages.TOO_MANY_CATEGORIES)
    if problems := overlong(element, CATEGORY):
        raise RefusedError(*problems)
    category: Record = {
        "Name": element["Name"],
        "Status": "ACTIVE",
        "TrackingCategoryID": books.new_id(),
        "Options": [],
    }
    books.tracking.save(category)
    return category


def update_category(books: Books, category: Record, element: Record) -> Record:
    """Rename or archive a tracking category. *Raises* RefusedError."""
    if "Name" in element:
        others = [row for row in books.tracking.having("Name", element["Name"]) if row is not category]
        _check_tracking_name(element, others)
    category |= {name: element[name] for name in ("Name", "Status") if name in element}
    books.tracking.save(category)
    return category


def create_option(category: Record, books: Books, element: Record) -> Record:
    """Add an option to a tracking category. *Raises* RefusedError."""
    wanted = element.get("Name", "").lower()
    _check_tracking_name(element, [row for row in category["Options"] if row["Name"].lower() == wanted])
    if problems := overlong(element, OPTION):
        raise RefusedError(*problems)
    option: Record = {"TrackingOptionID": books.new_id(), "Name": element["Name"], "Status": "ACTIVE"}
    category["Options"].append(option)
    return option


def update_option(category: Record, option_id: str, element: Record) -> Record:
    """Rename or archive an option. *Raises* MissingError or RefusedError."""
    option = first(row for row in category["Options"] if row["TrackingOptionID"] == option_id)
    if option is None:
        raise MissingError(option_id)
    if "Name" in element:
        wanted = element["Name"].lower()
        _check_tracking_name(
            element, [row for row in category["Options"] if row is not option and row["Name"].lower() == wanted]
        )
    option |= {name: element[name] for name in ("Name", "Status") if name in element}
    return option


def _check_tracking_name(element: Record, holders: list[Record]) -> None:
    if not element.get("Name"):
        raise RefusedError(messages.FIELD_REQUIRED.format("Name"))
    if any(holder["Status"] != "DELETED" for holder in holders):
        raise RefusedError(messages.TRACKING_NAME_TAKEN.format(element["Name"]))


# Currencies


def create_currency(books: Books, element: Record) -> Record:
    """Subscribe the organisation to a currency. *Raises* RefusedError for a code that is none."""
    code = element.get("Code", "").upper()
    if code not in ISO_CURRENCIES:
        raise RefusedError(messages.CURRENCY_UNKNOWN.format(code))
    currency: Record = {"Code": code, "Description": ISO_CURRENCIES[code]}
    books.currencies.save(currency)
    return currency

"""What the organisation holds at the start: a New Zealand chart of accounts and tax table, and the world's customers.

*Source*: Xero's OpenAPI description 16.1.0 for tax flags and members, read 2026-11-22;
account codes are those of a New Zealand organisation.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from closedwon_sandbox.xero.books.contacts import name_is_free
from closedwon_sandbox.xero.books.lines import to_places
from closedwon_sandbox.xero.books.organisation import Books
from closedwon_sandbox.xero.books.reference import CLASSES, PRICE_PLACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.world import Company, Person, Product, World
    from closedwon_sandbox.xero.books.organisation import Table
    from closedwon_sandbox.xero.books.shapes import Record

SHORT_CODE: Final = "!c10sw"
_FOUNDED: Final = datetime(2020, 4, 1, tzinfo=UTC)
_SEEDED_AGO: Final = timedelta(days=1)  # what was always there is older than anything a caller asks "since"

# code, name, type, tax type, system account, status
_ACCOUNTS: Final = (
    ("090", "Business Bank Account", "BANK", "NONE", None, "ACTIVE"),
    ("091", "Business Savings Account", "BANK", "NONE", None, "ACTIVE"),
    ("200", "Sales", "REVENUE", "OUTPUT2", None, "ACTIVE"),
    ("205", "Training Income (closed)", "REVENUE", "OUTPUT2", None, "ARCHIVED"),
    ("206", "Training Income", "REVENUE", "OUTPUT2", None, "ACTIVE"),
    ("260", "Other Revenue", "REVENUE", "OUTPUT2", None, "ACTIVE"),
    ("270", "Interest Income", "REVENUE", "NONE", None, "ACTIVE"),
    ("310", "Cost of Goods Sold", "DIRECTCOSTS", "INPUT2", None, "ACTIVE"),
    ("400", "Advertising", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("404", "Bank Fees", "EXPENSE", "NONE", None, "ACTIVE"),
    ("412", "Consulting & Accounting", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("425", "Freight & Courier", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("429", "General Expenses", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("453", "Office Expenses", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("469", "Rent", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("477", "Wages & Salaries", "EXPENSE", "NONE", None, "ACTIVE"),
    ("489", "Telephone & Internet", "EXPENSE", "INPUT2", None, "ACTIVE"),
    ("497", "Bank Revaluations", "EXPENSE", "NONE", "BANKCURRENCYGAIN", "ACTIVE"),
    ("498", "Unrealised Currency Gains", "EXPENSE", "NONE", "UNREALISEDCURRENCYGAIN", "ACTIVE"),
    ("499", "Realised Currency Gains", "EXPENSE", "NONE", "REALISEDCURRENCYGAIN", "ACTIVE"),
    ("610", "Accounts Receivable", "CURRENT", "NONE", "DEBTORS", "ACTIVE"),
    ("620", "Prepayments", "CURRENT", "NONE", None, "ACTIVE"),
    ("630", "Inventory", "INVENTORY", "NONE", None, "ACTIVE"),
    ("710", "Office Equipment", "FIXED", "INPUT2", None, "ACTIVE"),
    ("800", "Accounts Payable", "CURRLIAB", "NONE", "CREDITORS", "ACTIVE"),
    ("801", "Unpaid Expense Claims", "CURRLIAB", "NONE", "UNPAIDEXPCLM", "ACTIVE"),
    ("820", "GST", "CURRLIAB", "NONE", "GST", "ACTIVE"),
    ("840", "Historical Adjustment", "CURRLIAB", "NONE", "HISTORICAL", "ACTIVE"),
    ("850", "Suspense", "CURRLIAB", "NONE", None, "ACTIVE"),
    ("860", "Rounding", "CURRLIAB", "NONE", "ROUNDING", "ACTIVE"),
    ("877", "Tracking Transfers", "CURRLIAB", "NONE", "TRACKINGTRANSFERS", "ACTIVE"),
    ("881", "Owner A Funds Introduced", "EQUITY", "NONE", None, "ACTIVE"),
    ("960", "Retained Earnings", "EQUITY", "NONE", "RETAINEDEARNINGS", "ACTIVE"),
    ("970", "Owner A Share Capital", "EQUITY", "NONE", None, "ACTIVE"),
)
_PAYABLE_TO: Final = frozenset({"881"})  # accounts that take payments besides banks
_BANK_NUMBERS: Final = {"090": "0209087654321050", "091": "0209087654321051"}

# tax type, name, rate, and where it applies: assets, equity, expenses, liabilities, revenue
_TAX_RATES: Final = (
    ("OUTPUT2", "15% GST on Income", "15", "AE-LR"),
    ("INPUT2", "15% GST on Expenses", "15", "AEXL-"),
    ("ZERORATED", "Zero Rated", "0", "---LR"),
    ("NONE", "No GST", "0", "AEXLR"),
    ("GSTONIMPORTS", "GST on Imports", "0", "---L-"),
)
_REPORT_TYPES: Final = {"OUTPUT2": "OUTPUT", "INPUT2": "INPUT", "ZERORATED": "ZERORATEDOUTPUT"}
_TAX_FLAGS: Final = tuple(f"CanApplyTo{name}" for name in ("Assets", "Equity", "Expenses", "Liabilities", "Revenue"))


def seed_books(world: World, organisation_id: str, clock: Clock) -> Books:
    """Make the organisation of a world: reference data, items and the customers Xero knows from the start."""
    books = Books(_profile(world, organisation_id), clock)
    keep = _keeper(clock)
    _seed_money(books, world)
    for row in _ACCOUNTS:
        keep(books.accounts, _account(books, *row))
    for tax_type, name, rate, applies in _TAX_RATES:
        books.tax_rates.save(_tax_rate(tax_type, name, Decimal(rate), applies))
    for name, options in (("Region", world.regions), ("Cost Centre", world.cost_centres)):
        books.tracking.save(_category(books, name, options))
    for product in world.products:
        keep(books.items, _item(books, product))
    for company in world.companies:
        if company.in_books and name_is_free(books, company.name):
            keep(books.contacts, _company(books, company))
    for person in world.people:
        if person.in_books and name_is_free(books, f"{person.first_name} {person.last_name}"):
            keep(books.contacts, _person(books, person))
    return books


def _keeper(clock: Clock) -> Callable[[Table, Record], None]:
    """Return a function that keeps records as changed one after the other, all of them long enough ago."""
    start = clock.now().replace(microsecond=0) - _SEEDED_AGO
    order = itertools.count()

    def keep(table: Table, record: Record) -> None:
        record["UpdatedDateUTC"] = start + timedelta(milliseconds=next(order))
        table.save(record)

    return keep


def _seed_money(books: Books, world: World) -> None:
    for currency in world.currencies:
        books.exchange_rates[currency.code] = currency.rate
        if currency.in_books:
            books.currencies.save({"Code": currency.code, "Description": currency.name})
    books.themes.save(
        {
            "BrandingThemeID": _id(books, "theme Standard"),
            "Name": "Standard",
            "Type": "INVOICE",
            "SortOrder": 0,
            "CreatedDateUTC": _FOUNDED,
        },
    )


def _id(books: Books, name: str) -> str:
    """Seeded records keep their ids for a seed, so that scripts can name them."""
    return str(uuid5(UUID(books.organisation_id), name))


def _profile(world: World, organisation_id: str) -> Record:
    return {
        "OrganisationID": organisation_id,
        "APIKey": uuid5(UUID(organisation_id), "api key").hex.upper()[:30],
        "Name": world.organisation_name,
        "LegalName": world.organisation_name,
        "PaysTax": True,
        "Version": world.country,
        "OrganisationType": "COMPANY",
        "OrganisationEntityType": "COMPANY",
        "BaseCurrency": world.base_currency,
        "CountryCode": world.country,
        "IsDemoCompany": True,
        "OrganisationStatus": "ACTIVE",
        "TaxNumber": "123-456-789",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 3,
        "SalesTaxBasis": "PAYMENTS",
        "SalesTaxPeriod": "TWOMONTHS",
        "DefaultSalesTax": "Tax Exclusive",
        "DefaultPurchasesTax": "Tax Exclusive",
        "CreatedDateUTC": _FOUNDED,
        "Timezone": "NEWZEALANDSTANDARDTIME",
        "ShortCode": SHORT_CODE,
        "Class": "DEMO",
        "Edition": "BUSINESS",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }


def _account(books: Books, code: str, name: str, kind: str, *rest: str | None) -> Record:
    tax_type, system, status = rest
    account: Record = {
        "AccountID": _id(books, f"account {code}"),
        "Code": code,
        "Name": name,
        "Status": status,
        "Type": kind,
        "TaxType": tax_type,
        "Class": CLASSES[kind],
        "EnablePaymentsToAccount": code in _PAYABLE_TO,
        "ShowInExpenseClaims": False,
        "AddToWatchlist": False,
    }
    if system:
        account["SystemAccount"] = system
    if kind == "BANK":
        account |= {"BankAccountNumber": _BANK_NUMBERS[code], "BankAccountType": "BANK"}
        account["CurrencyCode"] = books.base_currency
    return account


def _tax_rate(tax_type: str, name: str, rate: Decimal, applies: str) -> Record:
    shown = to_places(rate, 4)
    return {
        "Name": name,
        "TaxType": tax_type,
        "ReportTaxType": _REPORT_TYPES.get(tax_type, tax_type),
        **{flag: mark != "-" for flag, mark in zip(_TAX_FLAGS, applies, strict=True)},
        "DisplayTaxRate": shown,
        "EffectiveRate": shown,
        "Status": "ACTIVE",
        "TaxComponents": [{"Name": "GST", "Rate": shown, "IsCompound": False, "IsNonRecoverable": False}],
    }


def _category(books: Books, name: str, options: tuple[str, ...]) -> Record:
    return {
        "Name": name,
        "Status": "ACTIVE",
        "TrackingCategoryID": _id(books, f"tracking {name}"),
        "Options": [
            {"TrackingOptionID": _id(books, f"tracking {name} {option}"), "Name": option, "Status": "ACTIVE"}
            for option in options
        ],
    }


def _item(books: Books, product: Product) -> Record:
    prices = product.unit_price
    price = prices.get(books.base_currency, Decimal(0))
    return {
        "ItemID": _id(books, f"item {product.number}"),
        "Code": product.number,
        "Name": product.name[:50],
        "Description": product.description or product.name,
        "SalesDetails": {
            "UnitPrice": to_places(price, PRICE_PLACES),
            "AccountCode": product.account_code,
            "TaxType": product.tax_type,
        },
        "PurchaseDetails": {},
        "IsTrackedAsInventory": False,
        "IsSold": True,
        "IsPurchased": False,
    }


def _contact(books: Books, identity: str, **members: Any) -> Record:
    return {
        "ContactID": _id(books, f"contact {identity}"),
        "ContactStatus": "ACTIVE",
        "Addresses": {},
        "Phones": {},
        "ContactPersons": [],
        "IsSupplier": False,
        "IsCustomer": False,
        **members,
    }


def _company(books: Books, company: Company) -> Record:
    street = {
        "AddressType": "STREET",
        "AddressLine1": company.line1,
        "City": company.city,
        "Region": company.region,
        "PostalCode": company.postal_code,
        "Country": company.country,
    }
    return _contact(
        books,
        company.id,
        Name=company.name,
        AccountNumber=company.account_number,
        EmailAddress=company.email,
        Addresses={"STREET": street},
        Phones=_phone(company.phone),
    )


def _person(books: Books, person: Person) -> Record:
    return _contact(
        books,
        person.id,
        Name=f"{person.first_name} {person.last_name}",
        FirstName=person.first_name,
        LastName=person.last_name,
        EmailAddress=person.email,
        Phones=_phone(person.phone),
    )


def _phone(number: str) -> Record:
    return {"DEFAULT": {"PhoneType": "DEFAULT", "PhoneNumber": number}} if number else {}

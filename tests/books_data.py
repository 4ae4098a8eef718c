"""A small organisation and deals to invoice in it, for tests of the flows' rules."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from closedwon.connectors.port import Account, Organisation, Reference, TaxRate
from closedwon.model.customer import Customer
from closedwon.model.opportunity import Opportunity, OpportunityLine
from closedwon.model.product import Product

DEAL_ID = "0bb11111-1111-4111-8111-111111111111"
TODAY = date(2026, 9, 20)
ALL = ("ASSET", "EQUITY", "EXPENSE", "LIABILITY", "REVENUE")

ACCOUNTS = (
    Account(code="090", name="Bank", kind="ASSET", usable=False),
    Account(code="200", name="Sales", kind="REVENUE", tax_type="OUTPUT2"),
    Account(code="205", name="Training Income (closed)", kind="REVENUE", tax_type="OUTPUT2", active=False),
    Account(code="206", name="Training Income", kind="REVENUE", tax_type="OUTPUT2"),
    Account(code="260", name="Other Revenue", kind="REVENUE", tax_type="OUTPUT2"),
    Account(code="270", name="Interest Income", kind="REVENUE", tax_type="NONE"),
    Account(code="860", name="Rounding", kind="LIABILITY", tax_type="NONE", role="ROUNDING"),
)
TAX_RATES = (
    TaxRate(
        tax_type="OUTPUT2",
        name="15% GST on Income",
        rate_pct=Decimal(15),
        kinds=("ASSET", "EQUITY", "LIABILITY", "REVENUE"),
    ),
    TaxRate(tax_type="INPUT2", name="15% GST on Expenses", rate_pct=Decimal(15), kinds=("ASSET", "EXPENSE")),
    TaxRate(tax_type="ZERORATED", name="Zero Rated", rate_pct=Decimal(0), kinds=("LIABILITY", "REVENUE")),
    TaxRate(tax_type="OLD", name="12.5% GST", rate_pct=Decimal("12.5"), active=False, kinds=ALL),
    TaxRate(tax_type="NONE", name="No GST", rate_pct=Decimal(0), kinds=ALL),
)
ITEMS = (
    Product(id="i1", code="SRV-01", name="Service", account_code="260", tax_type="OUTPUT2"),
    Product(id="i2", code="OLD-01", name="Old training", account_code="205"),
    Product(id="i3", code="BUY-01", name="Only bought", sold=False),
)


def reference(**changes: Any) -> Reference:
    """Return the organisation's reference data, with these members changed."""
    members: dict[str, Any] = {
        "organisation": Organisation(id="o", name="Acme NZ", base_currency="NZD"),
        "accounts": ACCOUNTS,
        "tax_rates": TAX_RATES,
        "items": ITEMS,
        "currencies": ("NZD", "USD"),
        "fetched_at": datetime(2026, 9, 20, tzinfo=UTC),
    }
    return Reference(**members | changes)


def line(price: str = "100", quantity: str = "1", tax: str | None = None, **members: Any) -> OpportunityLine:
    """Return one line of a deal."""
    return OpportunityLine(
        id="line",
        description=members.pop("description", "Work"),
        quantity=Decimal(quantity),
        unit_price=Decimal(price),
        tax=None if tax is None else Decimal(tax),
        **members,
    )


def product(code: str = "", category: str = "") -> Product:
    """Return a product of the CRM."""
    return Product(id="p", code=code, name=code, category=category)


def deal(*lines: OpportunityLine, **members: Any) -> Opportunity:
    """Return a won deal whose total is what its lines come to, unless told otherwise."""
    net = sum((one.quantity * one.unit_price - one.discount for one in lines), Decimal(0))
    net += members.get("freight", Decimal(0)) - members.get("discount", Decimal(0))
    taxes = sum((one.tax or Decimal(0) for one in lines), Decimal(0))
    usual: dict[str, Any] = {
        "id": DEAL_ID,
        "name": "A deal",
        "state": "won",
        "currency": "NZD",
        "customer": Customer(id="c1", kind="company", name="Acme Ltd"),
        "total_tax": taxes,
        "total": net + taxes,
        "url": f"https://acme.crm.dynamics.com/main.aspx?id={DEAL_ID}",
    }
    return Opportunity(lines=lines, **usual | members)

"""Xero's rows to documents. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closedwon.connectors.port import Account, Change, Organisation, TaxRate
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.mappings.payloads import contact_name
from closedwon.connectors.xero.mappings.wire import milliseconds, parse_date, parse_moment
from closedwon.model.customer import Address, Customer
from closedwon.model.invoice import BooksInvoice, InvoiceStatus
from closedwon.model.product import Product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.connectors.xero.mappings.wire import (
        AccountRow,
        AddressRow,
        ContactRow,
        InvoiceRow,
        ItemRow,
        OrganisationRow,
        PhoneRow,
        TaxRateRow,
    )

STATUSES: Mapping[str, InvoiceStatus] = {
    "DRAFT": "draft",
    "SUBMITTED": "submitted",
    "AUTHORISED": "authorised",
    "PAID": "paid",
    "VOIDED": "voided",
    "DELETED": "deleted",
}


def parse_contact(row: ContactRow) -> Customer:
    """Read a contact as a customer; one whose name is first and last name is a person."""
    full_name = f"{row.first_name} {row.last_name}".strip()
    is_person = bool(row.last_name) and contact_name(full_name).casefold() == contact_name(row.name).casefold()
    return Customer(
        id=row.id,
        kind="person" if is_person else "company",
        name=row.name,
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email_address,
        phone=_phone(row.phones),
        number=row.account_number,
        address=_address(row.addresses),
        currency=row.default_currency,
        active=row.contact_status in {"", "ACTIVE"},
        external_id=row.contact_number,
        version=milliseconds(row.updated),
    )


def parse_invoice(row: InvoiceRow) -> BooksInvoice:
    """Read an invoice."""
    return BooksInvoice(
        id=row.id,
        number=row.invoice_number,
        status=invoice_status(row),
        currency=row.currency_code,
        contact_id=row.contact.id,
        reference=row.reference,
        source_url=row.url,
        sub_total=row.sub_total,
        total_tax=row.total_tax,
        total=row.total,
        amount_paid=row.amount_paid,
        amount_credited=row.amount_credited,
        amount_due=row.amount_due,
        paid_on=parse_date(row.fully_paid_on_date),
        due_date=parse_date(row.due_date),
        updated_at=parse_moment(row.updated),
        version=milliseconds(row.updated),
    )


def invoice_status(row: InvoiceRow) -> InvoiceStatus:
    """Return our status; partly paid is what Xero only shows by its amounts. An unknown status counts as draft."""
    status = STATUSES.get(row.status, "draft")
    if status == "authorised" and row.amount_due > 0 and row.amount_paid + row.amount_credited > 0:
        return "partially_paid"
    return status


def parse_change(row: InvoiceRow) -> Change:
    """Read a row of the invoice feed."""
    return Change(record_id=row.id, version=milliseconds(row.updated), state=invoice_status(row))


def parse_organisation(row: OrganisationRow) -> Organisation:
    """Read the organisation; the later of its lock dates counts."""
    locks = [lock for text in (row.period_lock_date, row.end_of_year_lock_date) if (lock := parse_date(text))]
    return Organisation(
        id=row.id,
        name=row.name,
        base_currency=row.base_currency,
        country=row.country_code,
        short_code=row.short_code,
        timezone=row.timezone,
        lock_date=max(locks, default=None),
    )


def parse_account(row: AccountRow) -> Account:
    """Read an account; bank and system accounts cannot stand on an invoice line."""
    active = row.status in {"", "ACTIVE"}
    free = not row.system_account or row.system_account in manifest().line_system_accounts
    return Account(
        code=row.code,
        name=row.name,
        kind=row.account_class,
        tax_type=row.tax_type,
        active=active,
        usable=active and bool(row.code) and row.type != "BANK" and free,
        role=row.system_account,
    )


def parse_tax_rate(row: TaxRateRow) -> TaxRate:
    """Read a tax rate with the kinds of account it may be used for."""
    flags = {
        "ASSET": row.can_apply_to_assets,
        "EQUITY": row.can_apply_to_equity,
        "EXPENSE": row.can_apply_to_expenses,
        "LIABILITY": row.can_apply_to_liabilities,
        "REVENUE": row.can_apply_to_revenue,
    }
    return TaxRate(
        tax_type=row.tax_type,
        name=row.name,
        rate_pct=row.effective_rate,
        active=row.status in {"", "ACTIVE"},
        kinds=tuple(kind for kind, applies in flags.items() if applies),
    )


def parse_item(row: ItemRow) -> Product:
    """Read an item with what it says about its sales."""
    return Product(
        id=row.id,
        code=row.code,
        name=row.name or row.code,
        account_code=row.sales_details.account_code,
        tax_type=row.sales_details.tax_type,
        sold=row.is_sold,
    )


def _phone(phones: list[PhoneRow]) -> str:
    """Join the parts of the default number, else of the first one that has any."""
    ranked = sorted(phones, key=lambda phone: phone.phone_type != "DEFAULT")
    texts = (" ".join(filter(None, (p.phone_country_code, p.phone_area_code, p.phone_number))) for p in ranked)
    return next(filter(None, texts), "")


def _address(addresses: list[AddressRow]) -> Address:
    """Read the postal address, else the first one that holds anything."""
    ranked = sorted(addresses, key=lambda address: address.address_type != "POBOX")
    found = (
        Address(
            line1=row.address_line1,
            line2=row.address_line2,
            city=row.city,
            region=row.region,
            postal_code=row.postal_code,
            country=row.country,
        )
        for row in ranked
    )
    return next((address for address in found if address != Address()), Address())

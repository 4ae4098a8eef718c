"""A Dataverse row becomes an opportunity, and a row that shows an invoice becomes a CRM document."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon.connectors.dynamics.mappings.rows import OpportunityRow, row_version
from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.model.customer import Address, Customer
from closedwon.model.money import ZERO, round_half_up
from closedwon.model.opportunity import CrmDocument, Opportunity, OpportunityLine
from closedwon.model.product import Product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.connectors.dynamics.mappings.rows import AccountRow, AddressedRow, ContactRow, LineRow, ProductRow
    from closedwon.connectors.dynamics.settings import Columns, DocumentKind

LAST = 2**31  # stands behind every line number, for lines that have none


def parse_opportunity(raw: Mapping[str, Any], kind: DocumentKind, columns: Columns, base_url: str) -> Opportunity:
    """Map one row with its expansions. *Raises* ValueError when a member is not of the type the vendor promises."""
    row = msgspec.convert(raw, OpportunityRow)
    state = MANIFEST.opportunity.states.get(row.statecode)
    if state is None:
        raise ValueError(f"an opportunity in state {row.statecode}, which we do not know")
    currency = row.transactioncurrencyid.isocurrencycode if row.transactioncurrencyid else None
    return Opportunity(
        id=row.opportunityid,
        name=row.name or "",
        state=state,
        currency=currency or "",
        customer=_customer(row),
        lines=tuple(_line(line) for line in sorted(row.product_opportunities, key=_line_order)),
        discount=row.totaldiscountamount or ZERO,
        freight=row.freightamount or ZERO,
        total_tax=row.totaltax or ZERO,
        total=row.totalamount or ZERO,
        estimated_value=row.estimatedvalue,
        closed_on=parse_day(row.actualclosedate),
        description=row.description or "",
        version=row.version,
        url=record_url(base_url, "opportunity", row.opportunityid),
        documents=_documents(raw, kind, columns),
    )


def record_url(base_url: str, table: str, record_id: str) -> str:
    """Return the address that opens a record in the CRM."""
    return f"{base_url}/main.aspx?pagetype=entityrecord&etn={table}&id={record_id}"


def parse_document(raw: Mapping[str, Any], kind: DocumentKind, columns: Columns) -> CrmDocument:
    """Map a row that shows an invoice. *Raises* ValueError when a member is not of the type the vendor promises."""
    facts = MANIFEST.documents[kind]
    state = facts.states.get(raw.get("statecode", 0))
    if state is None:
        raise ValueError(f"an {kind} in state {raw.get('statecode')}, which we do not know")
    return CrmDocument(
        kind=kind,
        id=_text(raw[facts.key]) if facts.key in raw else "",
        number=_text(raw.get(facts.number)),
        state=state,
        total=_amount(raw.get("totalamount")),
        version=row_version(_text(raw.get("@odata.etag"))),
        books_id=_text(raw.get(columns.books_id)),
        books_number=_text(raw.get(columns.books_number)),
        books_status=_text(raw.get(columns.books_status)),
        books_link=_text(raw.get(columns.books_link)),
        amount_paid=_amount(raw.get(columns.amount_paid)),
        amount_due=_amount(raw.get(columns.amount_due)),
        paid_on=parse_day(_text(raw.get(columns.paid_on))),
    )


def parse_day(text: str | None) -> date | None:
    """Read a date column; what follows the date, as in a date with time, is left out."""
    return date.fromisoformat(text[:10]) if text else None


def _documents(raw: Mapping[str, Any], kind: DocumentKind, columns: Columns) -> tuple[CrmDocument, ...]:
    navigation = MANIFEST.documents[kind].navigation
    if not navigation:
        return (parse_document(raw, kind, columns),)
    rows = msgspec.convert(raw.get(navigation) or [], list[dict[str, Any]])
    rows = sorted(rows, key=lambda row: (_text(row.get("createdon")), _text(row.get(MANIFEST.documents[kind].key))))
    return tuple(parse_document(row, kind, columns) for row in rows)


def _customer(row: OpportunityRow) -> Customer | None:
    if row.customerid_account:
        return _company(row.customerid_account)
    return _person(row.customerid_contact) if row.customerid_contact else None


def _company(row: AccountRow) -> Customer:
    contact = row.primarycontactid
    return Customer(
        id=row.accountid,
        kind="company",
        name=_line_of_text(row.name),
        email=(row.emailaddress1 or (contact.emailaddress1 if contact else "") or "").strip(),
        phone=row.telephone1 or "",
        number=row.accountnumber or "",
        address=_address(row),
        active=row.statecode == 0,
        version=row.version,
    )


def _person(row: ContactRow) -> Customer:
    first, last = _line_of_text(row.firstname), _line_of_text(row.lastname)
    return Customer(
        id=row.contactid,
        kind="person",
        name=f"{first} {last}".strip() or _line_of_text(row.fullname),
        first_name=first,
        last_name=last,
        email=(row.emailaddress1 or "").strip(),
        phone=row.telephone1 or row.mobilephone or "",
        address=_address(row),
        active=row.statecode == 0,
        version=row.version,
    )


def _address(row: AddressedRow) -> Address:
    rest = [part.strip() for part in (row.address1_line2, row.address1_line3) if part and part.strip()]
    return Address(
        line1=row.address1_line1 or "",
        line2=", ".join(rest),
        city=row.address1_city or "",
        region=row.address1_stateorprovince or "",
        postal_code=row.address1_postalcode or "",
        country=row.address1_country or "",
    )


def _line_order(row: LineRow) -> tuple[int, int, str]:
    number, sequence = row.lineitemnumber, row.sequencenumber
    return (LAST if number is None else number, LAST if sequence is None else sequence, row.opportunityproductid)


def _line(row: LineRow) -> OpportunityLine:
    quantity = _short(row.quantity or ZERO)
    return OpportunityLine(
        id=row.opportunityproductid,
        description=_description(row),
        quantity=quantity,
        unit_price=row.priceperunit or ZERO,
        discount=_discount(row, quantity),
        tax=row.tax,
        product=_product(row.productid) if row.productid else None,
    )


def _discount(row: LineRow, quantity: Decimal) -> Decimal:
    """Return what is taken off the whole line.

    An organisation may read the manual discount as per unit; the line's own sums tell which of both it was.
    """
    manual = row.manualdiscountamount or ZERO
    if row.baseamount is not None and row.extendedamount is not None:
        taken = row.baseamount + (row.tax or ZERO) - row.extendedamount
        if taken != manual and taken == round_half_up(manual * quantity):
            manual = taken
    return _short(manual + (row.volumediscountamount or ZERO) * quantity)


def _description(row: LineRow) -> str:
    product = row.productid.name if row.productid else None
    name = row.productdescription if row.isproductoverridden else (row.opportunityproductname or product)
    parts = [name or row.productdescription or row.opportunityproductname or product or "", row.description or ""]
    return "\n".join(part.strip() for part in parts if part.strip())


def _product(row: ProductRow) -> Product:
    return Product(
        id=row.productid,
        code=(row.productnumber or "").strip(),
        name=row.name or "",
        category=(row.parentproductid.name or "") if row.parentproductid else "",
    )


def _short(number: Decimal) -> Decimal:
    """Return the same number without the ten decimals that the vendor fills up with zeros."""
    text = format(number, "f")
    return Decimal(text.rstrip("0").rstrip(".")) if "." in text else number


def _line_of_text(text: str | None) -> str:
    return " ".join((text or "").split())


def _text(value: Any) -> str:
    return msgspec.convert(value, str | None) or ""


def _amount(value: Any) -> Decimal:
    return msgspec.convert(value, Decimal | None) or ZERO

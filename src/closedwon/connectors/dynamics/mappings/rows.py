"""The rows we read: their columns, their types, and the query that asks for exactly these.

Types are checked when an answer is read, so the mappings work on what the vendor promised and nothing else.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import msgspec

from closedwon.connectors.dynamics.settings import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.connectors.dynamics.settings import Columns, DocumentKind

GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
ETAG = re.compile(r'(?:W/)?"?([^"]*)"?')
NEXT_LINK = "@odata.nextLink"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table; `navigations` are the members that come by `$expand`, not by `$select`."""

    navigations: ClassVar[tuple[str, ...]] = ()
    etag: str = msgspec.field(name="@odata.etag", default="")

    @property
    def version(self) -> str:
        """Return the row version out of the ETag; it grows with every change in the environment."""
        return row_version(self.etag)


class CurrencyRow(Row, frozen=True, kw_only=True):
    """transactioncurrency."""

    isocurrencycode: str | None = None


class FamilyRow(Row, frozen=True, kw_only=True):
    """product, as the family another product belongs to."""

    name: str | None = None


class ProductRow(Row, frozen=True, kw_only=True):
    """product."""

    navigations: ClassVar[tuple[str, ...]] = ("parentproductid",)
    productid: str
    name: str | None = None
    productnumber: str | None = None
    parentproductid: FamilyRow | None = None


class LineRow(Row, frozen=True, kw_only=True):
    """opportunityproduct."""

    navigations: ClassVar[tuple[str, ...]] = ("productid",)
    opportunityproductid: str
    opportunityproductname: str | None = None
    productdescription: str | None = None
    description: str | None = None
    isproductoverridden: bool | None = None
    quantity: Decimal | None = None
    priceperunit: Decimal | None = None
    manualdiscountamount: Decimal | None = None
    volumediscountamount: Decimal | None = None
    baseamount: Decimal | None = None
    extendedamount: Decimal | None = None
    tax: Decimal | None = None
    lineitemnumber: int | None = None
    sequencenumber: int | None = None
    productid: ProductRow | None = None


class AddressedRow(Row, frozen=True, kw_only=True):
    """What account and contact have in common."""

    emailaddress1: str | None = None
    telephone1: str | None = None
    address1_line1: str | None = None
    address1_line2: str | None = None
    address1_line3: str | None = None
    address1_city: str | None = None
    address1_stateorprovince: str | None = None
    address1_postalcode: str | None = None
    address1_country: str | None = None
    statecode: int = 0


class PrimaryContactRow(Row, frozen=True, kw_only=True):
    """contact, as the person an account is reached by."""

    emailaddress1: str | None = None


class AccountRow(AddressedRow, frozen=True, kw_only=True):
    """account."""

    navigations: ClassVar[tuple[str, ...]] = ("primarycontactid",)
    accountid: str
    name: str | None = None
    accountnumber: str | None = None
    primarycontactid: PrimaryContactRow | None = None


class ContactRow(AddressedRow, frozen=True, kw_only=True):
    """contact."""

    contactid: str
    firstname: str | None = None
    lastname: str | None = None
    fullname: str | None = None
    mobilephone: str | None = None


class OpportunityRow(Row, frozen=True, kw_only=True):
    """opportunity with all that is needed to invoice it; the records that show the invoice are read apart."""

    navigations: ClassVar[tuple[str, ...]] = (
        "product_opportunities",
        "customerid_account",
        "customerid_contact",
        "transactioncurrencyid",
    )
    opportunityid: str
    statecode: int
    name: str | None = None
    description: str | None = None
    actualclosedate: str | None = None
    estimatedvalue: Decimal | None = None
    totaldiscountamount: Decimal | None = None
    freightamount: Decimal | None = None
    totaltax: Decimal | None = None
    totalamount: Decimal | None = None
    product_opportunities: list[LineRow] = []
    customerid_account: AccountRow | None = None
    customerid_contact: ContactRow | None = None
    transactioncurrencyid: CurrencyRow | None = None


def row_version(etag: str) -> str:
    """Return what stands between the quotes of an ETag."""
    match = ETAG.fullmatch(etag)
    return match[1] if match else etag


def select(row: type[Row]) -> str:
    """Return the columns of a row for `$select`."""
    names = [member.encode_name for member in msgspec.structs.fields(row)]
    return ",".join(name for name in names if "@" not in name and name not in row.navigations)


def document_columns(kind: DocumentKind, columns: Columns) -> list[str]:
    """Return the columns of a record that shows the invoice."""
    facts = MANIFEST.documents[kind]
    return [facts.key, *([facts.number] if facts.number else []), "statecode", "totalamount", *columns.names()]


def opportunity_options(kind: DocumentKind, columns: Columns) -> str:
    """Return `$select` and `$expand` that bring a deal with lines, customer and the records showing its invoice."""
    product = f"productid($select={select(ProductRow)};$expand=parentproductid($select={select(FamilyRow)}))"
    account = f"primarycontactid($select={select(PrimaryContactRow)})"
    expansions = [
        f"product_opportunities($select={select(LineRow)};$expand={product})",
        f"customerid_account($select={select(AccountRow)};$expand={account})",
        f"customerid_contact($select={select(ContactRow)})",
        f"transactioncurrencyid($select={select(CurrencyRow)})",
    ]
    columns_wanted = select(OpportunityRow).split(",")
    names = document_columns(kind, columns)
    if navigation := MANIFEST.documents[kind].navigation:
        expansions.append(f"{navigation}($select={','.join([*names, 'createdon'])})")
    else:
        columns_wanted += [name for name in names if name not in columns_wanted]
    return f"$select={','.join(columns_wanted)}&$expand={','.join(expansions)}"


def opportunity_queries(ids: Sequence[str], kind: DocumentKind, columns: Columns, room: int) -> list[str]:
    """Return the queries that read these deals, each short enough for a URL with `room` characters left."""
    options = quote_query(opportunity_options(kind, columns))
    head = quote_query("$filter=Microsoft.Dynamics.CRM.In(PropertyName='opportunityid',PropertyValues=[")
    each = len(quote_query("'',")) + 36
    at_most = max(1, (room - len(options) - len(head) - len("opportunities?&") - 10) // each)
    groups = [ids[start : start + at_most] for start in range(0, len(ids), at_most)]
    return [f"opportunities?{options}&{head}{quote_query(_quoted(group) + '])')}" for group in groups]


def _quoted(ids: Sequence[str]) -> str:
    return ",".join(f"'{one}'" for one in ids)


def quote_query(text: str) -> str:
    """Quote a query option for a URL, leaving readable what may stay."""
    return quote(text, safe="$&=,;:()'/*@!-._~")


def known_ids(ids: Sequence[str]) -> list[str]:
    """Return those that can be ids of records, in lower case, each once."""
    return list(dict.fromkeys(one.lower() for one in ids if GUID.fullmatch(one)))


def nested_links(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the collections of a row that go on elsewhere: member and link."""
    ends = [name for name in row if name.endswith(NEXT_LINK) and name != NEXT_LINK]
    return [(name.removesuffix(NEXT_LINK), str(row[name])) for name in ends if row[name]]

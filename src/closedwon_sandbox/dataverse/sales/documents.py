"""Sales documents and their lines: defaults, currencies, line prices from price lists, totals kept up to date."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.dataverse.rows.values import decimal, money
from closedwon_sandbox.dataverse.sales import pricing, states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.environment import Call, Environment, Event
    from closedwon_sandbox.dataverse.rows.schema import Table

ONE = Decimal(1)
FIRST_NUMBER = 1000
NO_ERROR, DETAIL_ERROR, MISSING_PRICE_LIST, MISSING_QUANTITY, MISSING_PRODUCT, NOT_IN_PRICE_LIST, CALCULATION_ERROR = (
    0, 1, 2, 4, 6, 11, 25,
)  # fmt: skip
CURRENCY_AMOUNT, PERCENT_OF_LIST = 1, 2
PRODUCT_ACTIVE = 0
PRICE_TERMS = frozenset(
    {"discountamount", "discountpercentage", "freightamount", "pricelevelid", "isrevenuesystemcalculated"}
)


@dataclass(frozen=True, slots=True)
class Document:
    """A table whose rows have priced lines. `number` is its automatic number, with the organization's prefix column."""

    table: str
    lines: str
    parent: str
    line_name: str
    number: str | None = None
    prefix: str | None = None
    needs_price_list: bool = True


DOCUMENTS = {
    "opportunity": Document(
        "opportunity", "opportunityproduct", "opportunityid", "opportunityproductname", needs_price_list=False
    ),
    "salesorder": Document(
        "salesorder", "salesorderdetail", "salesorderid", "salesorderdetailname", "ordernumber", "orderprefix"
    ),
    "invoice": Document("invoice", "invoicedetail", "invoiceid", "invoicedetailname", "invoicenumber", "invoiceprefix"),
}
LINES = {document.lines: document for document in DOCUMENTS.values()}


def prepare(env: Environment, table: Table, row: Row, before: Row | None, sent: Mapping[str, Any]) -> None:
    """Complete a row of a sales table before it is stored. *Raises* DataverseError for what the vendor refuses."""
    if table.name in LINES:
        _prepare_line(env, LINES[table.name], row, before)
        return
    if table.money:
        _set_currency(env, table, row, before, sent)
    if table.name in DOCUMENTS:
        _prepare_document(env, DOCUMENTS[table.name], row, before)


def _set_currency(env: Environment, table: Table, row: Row, before: Row | None, sent: Mapping[str, Any]) -> None:
    if row.get("transactioncurrencyid") is None:
        price_list = env.store.follow(row.get("pricelevelid"))
        inherited = (price_list or {}).get("transactioncurrencyid")
        row["transactioncurrencyid"] = inherited or Ref("transactioncurrency", env.base_currency_id)
    if before is not None and before.get("transactioncurrencyid") != row["transactioncurrencyid"]:
        _refuse_currency_change(env, table, row)
    moved = before is None or any((column := table.columns.get(name)) and column.kind == "money" for name in sent)
    if moved or "exchangerate" not in row or "transactioncurrencyid" in sent:
        row["exchangerate"] = decimal(env.rate_of(row))


def _refuse_currency_change(env: Environment, table: Table, row: Row) -> None:
    document = DOCUMENTS.get(table.name)
    if document is not None and env.store.pointing_at(document.lines, document.parent, row[table.key]):
        raise errors.DataverseError(
            400, "0x80048479", f"The currency of the {table.name} cannot be changed while it has products."
        )


def _prepare_document(env: Environment, document: Document, row: Row, before: Row | None) -> None:
    customer = row.get("customerid")
    for column, kind in (("accountid", "account"), ("contactid", "contact")):
        row[column] = customer if customer is not None and customer.table == kind else None
    price_list = env.store.follow(row.get("pricelevelid"))
    if price_list is None and document.needs_price_list and env.organization.get("ispricelistmandatory"):
        raise errors.DataverseError(400, "0x80100010", f"A price list is mandatory for creating the {document.table}.")
    if price_list is not None and price_list["transactioncurrencyid"] != row["transactioncurrencyid"]:
        code = "0x80048cef" if document.table == "opportunity" else "0x80048cee"
        text = f"The currency of the {document.table} does not match the currency of the price list."
        raise errors.DataverseError(400, code, text)
    if before is None:
        _start_document(env, document, row, customer)


def _start_document(env: Environment, document: Document, row: Row, customer: Ref | None) -> None:
    holder = env.store.follow(customer)
    if holder is not None and holder.get("statecode") == 1:
        raise errors.DataverseError(400, "0x80040517", "The customer is inactive and cannot be set as the parent.")
    if document.number and document.prefix and row.get(document.number) is None:
        row[document.number] = f"{env.organization[document.prefix]}-{_sequence(env, document):05}-{_suffix()}"
    if document.table == "opportunity" and customer is not None:
        column = "parentaccountid" if customer.table == "account" else "parentcontactid"
        row.setdefault(column, customer)


def _sequence(env: Environment, document: Document) -> int:
    held = env.store.tables[document.table]
    return FIRST_NUMBER + len(held.rows) + len(held.deletions)


def _suffix() -> str:
    return "".join(secrets.choice("ABCDEFGHJKLMNPQRSTVWXYZ0123456789") for _ in range(6))


def _prepare_line(env: Environment, document: Document, row: Row, before: Row | None) -> None:
    header = env.store.follow(row.get(document.parent))
    if header is None:
        raise errors.DataverseError(400, "0x80043b15", f"The {document.parent} of the {document.lines} is missing.")
    states.refuse_locked_lines(env.schema.get(document.table), header)
    _refuse_mixed_line(env, row)
    row["transactioncurrencyid"], row["exchangerate"] = header["transactioncurrencyid"], header["exchangerate"]
    product = env.store.follow(row.get("productid"))
    name = (product or {}).get("name") or row.get("productdescription")
    row["productname"] = name
    if before is None or row.get(document.line_name) is None:
        row[document.line_name] = row.get(document.line_name) or name or "-"
    if "productnumber" in env.schema.get(document.lines).columns:
        row["productnumber"] = (product or {}).get("productnumber")
    if before is None:
        lines = len(env.store.pointing_at(document.lines, document.parent, row[document.parent].id))
        row.setdefault("lineitemnumber", lines + 1)
        row.setdefault("sequencenumber", lines + 1)
    if env.organization.get("oobpricecalculationenabled"):
        price(env, row, header)


def _refuse_mixed_line(env: Environment, row: Row) -> None:
    described = row.get("productdescription") is not None
    if described and row.get("productid") is not None:
        raise errors.DataverseError(400, "0x80043afb", "The product and the product description cannot both be set.")
    if described and row.get("uomid") is not None:
        raise errors.DataverseError(400, "0x80043afa", "The unit and the product description cannot both be set.")
    if row.get("isproductoverridden"):
        if not env.organization.get("iswriteinproductsallowed"):
            raise errors.invalid_argument("Write-in products are not allowed in this organization.")
        return
    product = env.store.follow(row.get("productid"))
    if product is None:
        return
    if product.get("statecode") != PRODUCT_ACTIVE:
        raise errors.invalid_argument(f"The product {product.get('productnumber')} is not active and cannot be added.")
    if row.get("uomid") is None:
        raise errors.DataverseError(400, "0x80043b0d", "The unit id is missing.")


def price(env: Environment, row: Row, header: Row) -> None:
    """Set a line's price and amounts. A price that cannot be found does not fail: it sets `pricingerrorcode`."""
    precision = env.precision_of(header)
    found, problem = _unit_price(env, row, header)
    if found is not None:
        row["priceperunit"] = money(found, precision)
    amounts = pricing.price_line(
        row.get("priceperunit") or pricing.ZERO,
        row.get("quantity") or pricing.ZERO,
        volume_discount=row.get("volumediscountamount") or pricing.ZERO,
        manual_discount=row.get("manualdiscountamount") or pricing.ZERO,
        tax=row.get("tax") or pricing.ZERO,
        discount_per_unit=env.organization.get("discountcalculationmethod") == 1,
        precision=precision,
    )
    row["baseamount"], row["extendedamount"] = amounts.base, amounts.extended
    row["pricingerrorcode"] = problem or (NO_ERROR if row.get("quantity") is not None else MISSING_QUANTITY)


def _unit_price(env: Environment, row: Row, header: Row) -> tuple[Decimal | None, int]:
    if row.get("isproductoverridden") or row.get("ispriceoverridden") or header.get("ispricelocked"):
        return None, NO_ERROR
    product = env.store.follow(row.get("productid"))
    if product is None:
        return None, MISSING_PRODUCT
    price_list = row_price_list(header)
    if price_list is None:
        return None, MISSING_PRICE_LIST
    for item in env.store.pointing_at("productpricelevel", "productid", product["productid"]):
        if item["pricelevelid"] == price_list and item["uomid"] == row.get("uomid"):
            return _item_price(item, product)
    return None, NOT_IN_PRICE_LIST


def row_price_list(header: Row) -> Ref | None:
    """Return the price list of a document."""
    found: Ref | None = header.get("pricelevelid")
    return found


def _item_price(item: Row, product: Row) -> tuple[Decimal | None, int]:
    method = item.get("pricingmethodcode", CURRENCY_AMOUNT)
    if method == CURRENCY_AMOUNT:
        return item.get("amount"), NO_ERROR
    if method == PERCENT_OF_LIST and product.get("price") is not None:
        return product["price"] * item.get("percentage", pricing.ZERO) / pricing.HUNDRED, NO_ERROR
    return None, CALCULATION_ERROR


def note(env: Environment, table: Table, event: Event) -> None:
    """Remember a document whose totals must be worked out again because of an event."""
    row = event.after or event.before or {}
    if table.name in LINES:
        document = LINES[table.name]
        env.unpriced[document.table, row[document.parent].id] = event
    elif table.name in DOCUMENTS and (event.message == "Create" or PRICE_TERMS & event.target.keys()):
        env.unpriced[table.name, event.row_id] = event


def settle(env: Environment) -> None:
    """Work out the totals of all documents that an operation touched: once, however many lines changed."""
    while env.unpriced:
        (name, row_id), event = env.unpriced.popitem()
        header = env.store.find(name, row_id)
        if header is None or event is None or not env.organization.get("oobpricecalculationenabled"):
            continue
        if "pricelevelid" in event.target and event.message == "Update" and event.table == name:
            _reprice_lines(env, event.call, DOCUMENTS[name], header)
        changed = {
            column: value
            for column, value in totals(env, DOCUMENTS[name], header).items()
            if header.get(column) != value
        }
        if changed:
            env.change(event.call, env.schema.get(name), header, changed, parent=event)


def _reprice_lines(env: Environment, call: Call, document: Document, header: Row) -> None:
    table = env.schema.get(document.lines)
    for line in env.store.pointing_at(document.lines, document.parent, header[env.schema.get(document.table).key]):
        row = dict(line)
        price(env, row, header)
        if row != line:
            env.change(call, table, line, {name: value for name, value in row.items() if line.get(name) != value})


def totals(env: Environment, document: Document, header: Row) -> Row:
    """Compute the columns that a document's lines decide."""
    precision = env.precision_of(header)
    lines = env.store.pointing_at(document.lines, document.parent, header[env.schema.get(document.table).key])
    per_unit = env.organization.get("discountcalculationmethod") == 1
    amounts = [
        pricing.LineAmounts(
            line["baseamount"],
            money(
                (line.get("manualdiscountamount") or pricing.ZERO) * (line.get("quantity") or ONE if per_unit else ONE),
                precision,
            ),
            line.get("tax") or pricing.ZERO,
            line["extendedamount"],
        )
        for line in lines
        if "baseamount" in line
    ]
    result = pricing.total(
        amounts,
        header.get("discountamount") or pricing.ZERO,
        header.get("discountpercentage") or pricing.ZERO,
        header.get("freightamount") or pricing.ZERO,
        precision,
    )
    row: Row = {
        "totallineitemamount": result.line_items,
        "totallineitemdiscountamount": result.line_discounts,
        "totaltax": result.tax,
        "totaldiscountamount": result.discount,
        "totalamountlessfreight": result.less_freight,
        "totalamount": result.total,
        "pricingerrorcode": DETAIL_ERROR if any(line.get("pricingerrorcode") for line in lines) else NO_ERROR,
    }
    if document.table == "opportunity" and header.get("isrevenuesystemcalculated"):
        row["estimatedvalue"] = result.total
    return row

"""Unbound actions and functions: win, lose, generate orders and invoices, who am I. Source: reference section 15."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors, payloads, records
from closedwon_sandbox.dataverse.environment import BUSINESS_UNIT_ID, VERSION, Event
from closedwon_sandbox.dataverse.rows import values
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.dataverse.sales import documents, states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.rows.schema import Table

    Body = Mapping[str, Any]

DEFAULT_STATUS = -1
_HEADER_COPIES = (
    "name", "description", "emailaddress", "discountamount", "discountpercentage", "freightamount", "customerid",
    "pricelevelid", "transactioncurrencyid", "ownerid", "paymenttermscode", "shippingmethodcode",
)  # fmt: skip
_LINE_COPIES = (
    "productid", "uomid", "productdescription", "description", "quantity", "priceperunit", "ispriceoverridden",
    "isproductoverridden", "manualdiscountamount", "tax", "lineitemnumber", "sequencenumber", "producttypecode",
)  # fmt: skip


def win_opportunity(env: Environment, call: Call, body: Body) -> None:
    """Close an open opportunity as won."""
    _close(env, call, body, "Win", states.OPPORTUNITY_WON)


def lose_opportunity(env: Environment, call: Call, body: Body) -> None:
    """Close an open opportunity as lost."""
    _close(env, call, body, "Lose", states.OPPORTUNITY_LOST)


def _close(env: Environment, call: Call, body: Body, message: str, state: int) -> None:
    table, close_table = env.schema.get("opportunity"), env.schema.get("opportunityclose")
    records.require(env, call, "Write", table)
    given = body.get("OpportunityClose")
    if not isinstance(given, dict):
        raise errors.invalid_argument("The parameter 'OpportunityClose' is missing.")
    draft = payloads.parse(env, close_table, given)
    ref = draft.values.get("opportunityid")
    if ref is None:
        raise errors.DataverseError(400, "0x80043b15", "The opportunity id is missing.")
    row = env.store.get("opportunity", ref.id)
    if row["statecode"] != states.OPPORTUNITY_OPEN:
        raise errors.DataverseError(400, "0x80040515", "The opportunity has already been closed.")
    status = _closing_status(table, body.get("Status", DEFAULT_STATUS), state)
    event = Event(
        message, "opportunity", ref.id, call, {}, row, row, env.now(),
        inputs={"OpportunityClose": draft.values, "Status": status},
    )  # fmt: skip
    env.tell(event)
    close = {**draft.values, "opportunitystatecode": state, "opportunitystatuscode": status}
    records.create(env, call, close_table, {}, given=close, parent=event)
    _finish(env, call, row, draft.values, {"statecode": state, "statuscode": status}, event)


def _closing_status(table: Table, status: Any, state: int) -> int:
    if status == DEFAULT_STATUS:
        return table.default_status(state)
    if not isinstance(status, int) or table.columns["statuscode"].states.get(status) != state:
        text = f"{status} is not a valid status code for state code OpportunityState.{state} on opportunity."
        raise errors.DataverseError(400, "0x80048408", text)
    return status


def _finish(
    env: Environment, call: Call, row: Row, close: Mapping[str, Any], moved: Mapping[str, int], event: Event
) -> None:
    ended = close.get("actualend")
    revenue = close.get("actualrevenue")
    sent = {
        **moved,
        "actualclosedate": (ended or env.now()).date(),
        "actualvalue": revenue if revenue is not None else row.get("estimatedvalue", values.money(Decimal(0))),
    }
    env.change(call, env.schema.get("opportunity"), row, sent, parent=event)


def invoice_from_opportunity(env: Environment, call: Call, body: Body) -> Body:
    """Make an invoice of an opportunity, with its lines."""
    return _generate(env, call, body, "opportunity", "invoice")


def order_from_opportunity(env: Environment, call: Call, body: Body) -> Body:
    """Make a sales order of an opportunity, with its lines."""
    return _generate(env, call, body, "opportunity", "salesorder")


def invoice_from_order(env: Environment, call: Call, body: Body) -> Body:
    """Make an invoice of a sales order, which becomes Invoiced."""
    made = _generate(env, call, body, "salesorder", "invoice")
    order = env.store.get("salesorder", _row_id(body, "SalesOrderId"))
    moved = {"statecode": states.ORDER_INVOICED, "statuscode": states.ORDER_INVOICED_STATUS}
    if order["statecode"] != states.ORDER_INVOICED:
        records.change(env, call, env.schema.get("salesorder"), order, moved)
    return made


def _row_id(body: Body, name: str) -> str:
    row_id = values.parse_guid(body.get(name))
    if row_id is None:
        raise errors.invalid_argument(f"The parameter '{name}' is not a GUID.")
    return row_id


def _generate(env: Environment, call: Call, body: Body, source: str, target: str) -> Body:
    parameter = "OpportunityId" if source == "opportunity" else "SalesOrderId"
    row = env.store.get(source, _row_id(body, parameter))
    table, document = env.schema.get(target), documents.DOCUMENTS[target]
    copies = {name: row[name] for name in _HEADER_COPIES if name in row and name in table.columns}
    copies[documents.DOCUMENTS[source].parent] = Ref(source, row[env.schema.get(source).key])
    if source == "salesorder" and "opportunityid" in row:
        copies["opportunityid"] = row["opportunityid"]
    made = records.create(env, call, table, {}, given=copies)
    lines = env.store.pointing_at(
        documents.DOCUMENTS[source].lines, documents.DOCUMENTS[source].parent, copies_id(row, env, source)
    )
    for line in lines:
        given = {name: line[name] for name in _LINE_COPIES if name in line}
        given[document.parent] = Ref(target, made[table.key])
        records.create(env, call, env.schema.get(document.lines), {}, given=given)
    return {"row": (table, made[table.key]), "columns": _columns(table, body.get("ColumnSet"))}


def copies_id(row: Row, env: Environment, table: str) -> str:
    """Return the id of a row of a table."""
    row_id: str = row[env.schema.get(table).key]
    return row_id


def _columns(table: Table, column_set: Any) -> tuple[str, ...] | None:
    if not isinstance(column_set, dict) or column_set.get("AllColumns"):
        return None
    names = column_set.get("Columns") or []
    found = [table.columns.get(name) for name in names]
    if None in found:
        missing = next(name for name, column in zip(names, found, strict=True) if column is None)
        text = f"'{table.name}' entity doesn't contain attribute with Name = '{missing}'."
        raise errors.DataverseError(400, "0x80041103", text)
    return tuple(column.wire for column in found if column is not None)


def lock_pricing(table_name: str, parameter: str, *, locked: bool) -> Callable[[Environment, Call, Body], None]:
    """Return the action that locks or unlocks the prices of a document."""

    def act(env: Environment, call: Call, body: Body) -> None:
        table = env.schema.get(table_name)
        row = env.store.get(table_name, _row_id(body, parameter))
        records.change(env, call, table, row, {"ispricelocked": locked})

    return act


def nothing(env: Environment, call: Call, body: Body) -> None:
    """Accept an action that has nothing to do here."""
    _ = env, call, body


ACTIONS: Mapping[str, Callable[[Environment, Call, Body], Body | None]] = {
    "WinOpportunity": win_opportunity,
    "LoseOpportunity": lose_opportunity,
    "GenerateInvoiceFromOpportunity": invoice_from_opportunity,
    "GenerateSalesOrderFromOpportunity": order_from_opportunity,
    "ConvertSalesOrderToInvoice": invoice_from_order,
    "LockInvoicePricing": lock_pricing("invoice", "InvoiceId", locked=True),
    "UnlockInvoicePricing": lock_pricing("invoice", "InvoiceId", locked=False),
    "LockSalesOrderPricing": lock_pricing("salesorder", "SalesOrderId", locked=True),
    "UnlockSalesOrderPricing": lock_pricing("salesorder", "SalesOrderId", locked=False),
    "PublishXml": nothing,
    "PublishAllXml": nothing,
}


def who_am_i(env: Environment, call: Call, _: Mapping[str, str]) -> Body:
    """Tell the caller who it is."""
    return {"BusinessUnitId": BUSINESS_UNIT_ID, "UserId": call.user_id, "OrganizationId": env.settings.organization_id}


def retrieve_version(_: Environment, __: Call, ___: Mapping[str, str]) -> Body:
    """Tell the platform's version."""
    return {"Version": VERSION}


def current_organization(env: Environment, call: Call, _: Mapping[str, str]) -> Body:
    """Tell what the environment is and where its endpoints are."""
    endpoints = {
        "WebApplication": f"{call.base_url}/",
        "OrganizationDataService": f"{call.base_url}/XRMServices/2011/OrganizationData.svc",
    }
    return {
        "Detail": {
            "OrganizationId": env.settings.organization_id,
            "FriendlyName": env.organization.get("name"),
            "OrganizationVersion": VERSION,
            "EnvironmentId": env.settings.organization_id,
            "DatacenterId": "00000000-0000-0000-0000-000000000000",
            "Geo": "OCE",
            "TenantId": env.settings.directory,
            "UrlName": env.settings.organization_host.partition(".")[0],
            "UniqueName": f"unq{env.settings.organization_id.replace('-', '')[:24]}",
            "SchemaType": "Full",
            "State": "Enabled",
            "Endpoints": {
                "Count": len(endpoints),
                "IsReadOnly": False,
                "Keys": [*endpoints],
                "Values": [*endpoints.values()],
            },
        }
    }


def total_record_count(env: Environment, _: Call, parameters: Mapping[str, str]) -> Body:
    """Tell how many rows some tables have."""
    text = parameters.get("EntityNames", "[]").strip("[]")
    names = [name.strip().strip("\"'") for name in text.split(",") if name.strip()]
    for name in names:
        if name not in env.schema.tables:
            raise errors.DataverseError(
                400, "0x80041102", f"The entity with a name = '{name}' was not found in the MetadataCache."
            )
    counts = [len(env.store.tables[name].rows) for name in names]
    return {"EntityRecordCountCollection": {"Count": len(names), "IsReadOnly": False, "Keys": names, "Values": counts}}


FUNCTIONS: Mapping[str, tuple[str, Callable[[Environment, Call, Mapping[str, str]], Body]]] = {
    "WhoAmI": ("WhoAmIResponse", who_am_i),
    "RetrieveVersion": ("RetrieveVersionResponse", retrieve_version),
    "RetrieveCurrentOrganization": ("RetrieveCurrentOrganizationResponse", current_organization),
    "RetrieveTotalRecordCount": ("RetrieveTotalRecordCountResponse", total_record_count),
}

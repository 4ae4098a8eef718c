"""The body of a webhook: an execution context as data-contract JSON. Source: reference sections 13.3 and 13.4."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse.environment import BUSINESS_UNIT_ID
from closedwon_sandbox.dataverse.odata.filters import as_moment
from closedwon_sandbox.dataverse.rows.store import Ref
from closedwon_sandbox.dataverse.rows.values import formatted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from closedwon_sandbox.dataverse.environment import Environment, Event
    from closedwon_sandbox.dataverse.rows.schema import Column, Table
    from closedwon_sandbox.dataverse.rows.store import Row

CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"
NO_ID = "00000000-0000-0000-0000-000000000000"
POST_OPERATION, MAIN_OPERATION = 40, 30
_HIDDEN = frozenset({"versionnumber", "authvalue"})


def execution_context(
    env: Environment, event: Event, step: Row, images: Mapping[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    """Render an event for one registered step."""
    extension = _reference(Ref("sdkmessageprocessingstep", step["sdkmessageprocessingstepid"]))
    return {
        **_context(env, event, MAIN_OPERATION if event.parent else POST_OPERATION),
        "Stage": POST_OPERATION,
        "Mode": 1,
        "IsInTransaction": False,
        "OperationId": str(uuid.uuid4()),
        "OwningExtension": {**extension, "Name": step.get("name")},
        "ParentContext": _context(env, event.parent or event, MAIN_OPERATION),
        "PreEntityImages": images.get("pre", []),
        "PostEntityImages": images.get("post", []),
    }


def _context(env: Environment, event: Event, stage: int) -> dict[str, Any]:
    happened = json_date(event.happened)
    return {
        "BusinessUnitId": BUSINESS_UNIT_ID,
        "CorrelationId": event.call.correlation_id,
        "Depth": event.depth,
        "InitiatingUserAgent": event.call.user_agent,
        "InitiatingUserAzureActiveDirectoryObjectId": NO_ID,
        "InitiatingUserId": event.call.user_id,
        "InputParameters": _inputs(env, event),
        "IsExecutingOffline": False,
        "IsInTransaction": True,
        "IsOfflinePlayback": False,
        "IsolationMode": 1,
        "MessageName": event.message,
        "Mode": 0,
        "OperationCreatedOn": happened,
        "OperationId": NO_ID,
        "OrganizationId": env.settings.organization_id,
        "OrganizationName": f"unq{env.settings.organization_id.replace('-', '')[:24]}",
        "OutputParameters": [{"key": "id", "value": event.row_id}] if event.message == "Create" else [],
        "OwningExtension": None,
        "ParentContext": None,
        "PostEntityImages": [],
        "PreEntityImages": [],
        "PrimaryEntityId": event.row_id,
        "PrimaryEntityName": event.table,
        "RequestId": event.call.correlation_id,
        "SecondaryEntityName": "none",
        "SharedVariables": _shared(event),
        "Stage": stage,
        "UserAzureActiveDirectoryObjectId": NO_ID,
        "UserId": event.call.user_id,
    }


def _shared(event: Event) -> list[dict[str, Any]]:
    """Put the tag with what the client asked for itself; what followed from that has it in the parent's context."""
    variables: list[dict[str, Any]] = [
        {"key": "IsAutoTransact", "value": True},
        {"key": "AcceptLang", "value": "en-US"},
    ]
    if event.call.tag is not None and event.parent is None:
        variables.insert(0, {"key": "tag", "value": event.call.tag})
    return variables


def _inputs(env: Environment, event: Event) -> list[dict[str, Any]]:
    table = env.schema.get(event.table)
    if event.message == "Delete":
        return [{"key": "Target", "value": _reference(Ref(event.table, event.row_id))}]
    if event.inputs:
        close = env.schema.get("opportunityclose")
        closing = entity(close, event.inputs["OpportunityClose"], NO_ID)
        return [
            {"key": "OpportunityClose", "value": closing},
            {"key": "Status", "value": _option(event.inputs["Status"])},
        ]
    target = {"key": "Target", "value": entity(table, event.target, event.row_id)}
    if event.message == "Update":
        return [target, {"key": "ConcurrencyBehavior", "value": 0}]
    return [target, {"key": "SuppressDuplicateDetection", "value": False}]


def entity(table: Table, values: Mapping[str, Any], row_id: str, only: Iterable[str] | None = None) -> dict[str, Any]:
    """Render columns of a row as an Entity; `only` restricts it to some of them and the key."""
    names = set(only) | {table.key} if only is not None else set(values)
    shown = [
        (name, table.columns[name], values[name])
        for name in values
        if name in names and name in table.columns and name not in _HIDDEN
    ]
    labels = [(name, formatted(column, value)) for name, column, value in shown]
    return {
        "__type": f"Entity:{CONTRACTS}",
        "Attributes": [{"key": name, "value": _value(column, value)} for name, column, value in shown],
        "EntityState": None,
        "FormattedValues": [{"key": name, "value": text} for name, text in labels if text is not None],
        "Id": row_id,
        "KeyAttributes": [],
        "LogicalName": table.name,
        "RelatedEntities": [],
        "RowVersion": None,
    }


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Ref):
        return _reference(value)
    if column.kind == "money":
        return {"__type": f"Money:{CONTRACTS}", "Value": value}
    if column.kind in {"choice", "state", "status"}:
        return _option(value)
    if isinstance(value, date | datetime):
        return json_date(as_moment(value))
    return value.normalize() + 0 if isinstance(value, Decimal) else value


def _option(value: int) -> dict[str, Any]:
    return {"__type": f"OptionSetValue:{CONTRACTS}", "Value": value}


def _reference(ref: Ref) -> dict[str, Any]:
    return {
        "__type": f"EntityReference:{CONTRACTS}",
        "Id": ref.id,
        "KeyAttributes": [],
        "LogicalName": ref.table,
        "Name": None,
        "RowVersion": None,
    }


def json_date(moment: datetime) -> str:
    """Render a moment the way data-contract JSON does."""
    return f"/Date({int(moment.timestamp() * 1000)})/"

"""The simulator's own data as plain JSON, for tests and tools: sales records with lines, webhooks and what failed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse.rows.store import Ref
from closedwon_sandbox.dataverse.sales.documents import DOCUMENTS

if TYPE_CHECKING:
    from closedwon_sandbox.dataverse.environment import Environment
    from closedwon_sandbox.dataverse.rows.store import Row

_HIDDEN = frozenset({"authvalue"})
_FAILED_STATUS = 31


def report(env: Environment) -> dict[str, Any]:
    """Return everything the simulator holds about sales and webhooks. Money is text, a lookup is {"table", "id"}."""
    return {
        "accounts": _rows(env, "account"),
        "contacts": _rows(env, "contact"),
        "opportunities": _documents(env, "opportunity"),
        "invoices": _documents(env, "invoice"),
        "salesorders": _documents(env, "salesorder"),
        "currencies": _rows(env, "transactioncurrency"),
        "products": _rows(env, "product"),
        "webhooks": [_registration(env, step) for step in env.store.all("sdkmessageprocessingstep")],
        "failed_deliveries": [
            plain(row) for row in env.store.all("asyncoperation") if row.get("statuscode") == _FAILED_STATUS
        ],
    }


def _rows(env: Environment, table: str) -> list[dict[str, Any]]:
    return [plain(row) for row in env.store.all(table)]


def _documents(env: Environment, table: str) -> list[dict[str, Any]]:
    document = DOCUMENTS[table]
    key = env.schema.get(table).key
    return [
        {
            **plain(row),
            "lines": [plain(line) for line in env.store.pointing_at(document.lines, document.parent, row[key])],
        }
        for row in env.store.all(table)
    ]


def _registration(env: Environment, step: Row) -> dict[str, Any]:
    endpoint = env.store.follow(step.get("eventhandler")) or {}
    message = env.store.follow(step.get("sdkmessageid")) or {}
    table = env.store.follow(step.get("sdkmessagefilterid")) or {}
    return {
        "id": step["sdkmessageprocessingstepid"],
        "name": step.get("name"),
        "message": message.get("name"),
        "table": table.get("primaryobjecttypecode"),
        "filteringattributes": step.get("filteringattributes"),
        "enabled": step.get("statecode") == 0,
        "url": endpoint.get("url"),
        "authtype": endpoint.get("authtype"),
    }


def plain(row: Row) -> dict[str, Any]:
    """Render a stored row as plain JSON values."""
    return {name: _plain(value) for name, value in row.items() if name not in _HIDDEN}


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"table": value.table, "id": value.id}
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date | datetime) else value

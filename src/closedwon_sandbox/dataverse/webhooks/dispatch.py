"""Which registered steps an event concerns, and handing it to their endpoints: once more at most, failures kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from closedwon_sandbox.dataverse.api.wire import encode
from closedwon_sandbox.dataverse.rows.store import Ref
from closedwon_sandbox.dataverse.webhooks.messages import entity, execution_context
from closedwon_sandbox.exchange import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.environment import Environment, Event
    from closedwon_sandbox.dataverse.rows.store import Row
    from closedwon_sandbox.exchange import Postman

DELAY_S = 0.05
"""Sandbox seconds between a commit and its webhooks. The vendor's queue takes seconds as a rule. [inferred]"""

RETRY_DELAY_S = 1.0
TIMEOUT_S = 60.0
MAX_BODY_BYTES = 256 * 1024
WEBHOOK_CONTRACT = 8
KEY, HEADER, QUERY = 4, 5, 6
_RETRIED = frozenset({502, 503, 504})
_SUCCESS = range(200, 300)
_TRIMMED = ("ParentContext", "InputParameters", "PreEntityImages", "PostEntityImages")
_FAILED_STATE, _FAILED_STATUS, _SUCCEEDED_STATUS = 3, 31, 30
_STATUS_CODE, _TIMEOUT_CODE, _HEADERS_CODE, _QUERY_CODE = -2147155455, -2147155454, -2147155453, -2147155452
_TEXTS = {
    _STATUS_CODE: "Webhook call failed because the http request didn't have a success code. HTTP status: {}.",
    _TIMEOUT_CODE: "Webhook call failed because the http request timed out at client side.",
    _HEADERS_CODE: "Webhook call failed because of invalid http headers in authValue. Check its format.",
    _QUERY_CODE: "Webhook call failed because of invalid http query params in authValue. Check its format.",
}


class InvalidAuthValueError(ValueError):
    """An endpoint's authvalue cannot be read; `code` is what the failed job says."""

    def __init__(self, code: int) -> None:
        super().__init__(_TEXTS[code])
        self.code = code


class Dispatcher:
    """Turns committed events into deliveries."""

    def __init__(self, env: Environment, postman: Postman) -> None:
        self._env = env
        self._postman = postman

    def publish(self, events: list[Event]) -> None:
        """Send each event to every enabled step that it concerns, a moment later."""
        if not self._env.store.tables["sdkmessageprocessingstep"].rows:
            return
        for event in events:
            for step in self._concerned(event):
                self._send_later(event, step)

    def _concerned(self, event: Event) -> list[Row]:
        store = self._env.store
        return [step for step in store.all("sdkmessageprocessingstep") if self._fits(event, step)]

    def _fits(self, event: Event, step: Row) -> bool:
        store = self._env.store
        message = store.follow(step.get("sdkmessageid"))
        endpoint = store.follow(step.get("eventhandler"))
        table = store.follow(step.get("sdkmessagefilterid"))
        if step.get("statecode") != 0 or message is None or message["name"] != event.message or endpoint is None:
            return False
        if table is not None and table["primaryobjecttypecode"] != event.table:
            return False
        wanted = {name.strip() for name in (step.get("filteringattributes") or "").split(",") if name.strip()}
        return not (event.message == "Update" and wanted) or bool(wanted & event.target.keys())

    def _send_later(self, event: Event, step: Row) -> None:
        body = execution_context(self._env, event, step, self._images(event, step))
        self._env.clock.call_later(DELAY_S, lambda: self._send(event, step, body, attempt=1))

    def _images(self, event: Event, step: Row) -> Mapping[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {"pre": [], "post": []}
        table = self._env.schema.get(event.table)
        for image in self._env.store.pointing_at(
            "sdkmessageprocessingstepimage", "sdkmessageprocessingstepid", step["sdkmessageprocessingstepid"]
        ):
            only = [name.strip() for name in image["attributes"].split(",")] if image.get("attributes") else None
            kinds = {0: ("pre",), 1: ("post",), 2: ("pre", "post")}[image.get("imagetype", 0)]
            for kind in kinds:
                row = event.before if kind == "pre" else event.after
                if row is not None and event.message in {"Create", "Update", "Delete"}:
                    found[kind].append(
                        {"key": image.get("entityalias"), "value": entity(table, row, event.row_id, only)}
                    )
        return found

    def _send(self, event: Event, step: Row, body: dict[str, Any], attempt: int) -> None:
        endpoint = self._env.store.follow(step.get("eventhandler"))
        if endpoint is None:
            return
        try:
            url, headers = address(endpoint)
        except InvalidAuthValueError as error:
            self._finish(event, step, error.code, None)
            return
        headers |= self._headers(event)
        content = encode(body)
        if len(content) > MAX_BODY_BYTES:
            content = encode({name: value for name, value in body.items() if name not in _TRIMMED})
            headers["x-ms-dynamics-msg-size-exceeded"] = "True"

        def answered(status: int | None) -> None:
            self._answered(event, step, body, attempt, status)

        self._postman.post(Delivery(url, headers, content, TIMEOUT_S, answered, f"{event.message} {event.table}"))

    def _headers(self, event: Event) -> dict[str, str]:
        return {
            "Content-Type": "application/json; charset=utf-8",
            "x-ms-dynamics-organization": self._env.settings.organization_host,
            "x-ms-dynamics-entity-name": event.table,
            "x-ms-dynamics-request-name": event.message,
            "x-ms-correlation-request-id": event.call.correlation_id,
        }

    def _answered(self, event: Event, step: Row, body: dict[str, Any], attempt: int, status: int | None) -> None:
        if status in _RETRIED and attempt == 1:
            self._env.clock.call_later(RETRY_DELAY_S, lambda: self._send(event, step, body, attempt=2))
            return
        if status is not None and status in _SUCCESS:
            if not step.get("asyncautodelete"):
                self._finish(event, step, None, status)
            return
        self._finish(event, step, _TIMEOUT_CODE if status is None else _STATUS_CODE, status)

    def _finish(self, event: Event, step: Row, code: int | None, status: int | None) -> None:
        """Keep the system job: of a failure always, of a success unless the step deletes it."""
        now = self._env.now()
        user = Ref("systemuser", event.call.user_id)
        row: Row = {
            "asyncoperationid": str(uuid.uuid4()),
            "name": step.get("name"),
            "messagename": event.message,
            "primaryentitytype": event.table,
            "operationtype": 1,
            "statecode": _FAILED_STATE,
            "statuscode": _SUCCEEDED_STATUS if code is None else _FAILED_STATUS,
            "owningextensionid": Ref("sdkmessageprocessingstep", step["sdkmessageprocessingstepid"]),
            "regardingobjectid": Ref(event.table, event.row_id),
            "correlationid": event.call.correlation_id,
            "completedon": now,
            "createdon": now,
            "modifiedon": now,
            "createdby": user,
            "modifiedby": user,
            "ownerid": user,
        }
        if code is not None:
            row |= {"errorcode": code, "message": _TEXTS[code].format(status)}
        self._env.store.put("asyncoperation", row)


def address(endpoint: Row) -> tuple[str, dict[str, str]]:
    """Return where to post for an endpoint and the headers its secret needs. *Raises* InvalidAuthValueError."""
    url, secret = endpoint.get("url") or "", endpoint.get("authvalue") or ""
    kind = endpoint.get("authtype")
    if kind == KEY:
        return _with_query(url, {"code": secret}), {}
    if kind == HEADER:
        return url, _settings(secret, _HEADERS_CODE)
    if kind == QUERY:
        return _with_query(url, _settings(secret, _QUERY_CODE)), {}
    return url, {}


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{pairs}" if pairs else url


def _settings(text: str, code: int) -> dict[str, str]:
    if "<!" in text:
        raise InvalidAuthValueError(code)
    try:
        root = ET.fromstring(text)  # noqa: S314 - declarations of entities are refused above
    except ET.ParseError:
        raise InvalidAuthValueError(code) from None
    if root.tag != "settings" or any(not setting.get("name") or setting.get("value") is None for setting in root):
        raise InvalidAuthValueError(code)
    return {setting.get("name", ""): setting.get("value", "") for setting in root}

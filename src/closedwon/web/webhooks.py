"""Webhooks of both systems: verify, store, answer, nothing else. An event is durable before it is acknowledged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog
from litestar import Request, Response, post
from litestar.exceptions import ClientException

from closedwon.events.event import Event, webhook_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.app.settings import ConnectionSettings, Settings
    from closedwon.connectors.port import Hint
    from closedwon.engine.intake import Intake

LARGEST_BODY = 1_000_000  # bytes; the vendors' largest are 256 kB
STORE_TIMEOUT_S = 4.0  # Xero gives up after 5

log = structlog.get_logger(__name__)


class HookDesk:
    """Judges one webhook call. Answers are status codes alone; the vendors read nothing else."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self._intake = intake
        self._connections = {(one.connector.name, one.reference): one for one in settings.connections.values()}

    async def receive(self, connector: str, reference: str, request: Request[Any, Any, Any]) -> int:
        """Take one call in; return the status to answer."""
        connection = self._connections.get((connector, reference))
        if connection is None:
            return 404
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415
        try:
            body = await request.body()
        except ClientException as error:
            return error.status_code
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not connection.webhook_secret or not connection.connector.webhooks.verify(
            headers, body, connection.webhook_secret
        ):
            log.warning("webhook refused: wrong signature or key", connection=reference)
            return 401
        try:
            hints = connection.connector.webhooks.parse(body)
        except ValueError as error:
            log.warning("webhook not understood", connection=reference, error=str(error))
            return 400
        return await self._store(connection, hints)

    async def _store(self, connection: ConnectionSettings, hints: Sequence[Hint]) -> int:
        events = [
            Event(
                tenant=connection.tenant,
                connection=connection.name,
                source="webhook",
                record_type=hint.record_type,
                record_id=hint.record_id,
                name=hint.name,
                dedupe_key=webhook_key(connection.name, hint.key),
                occurred_at=hint.occurred_at,
                echo=hint.own,
            )
            for hint in hints
        ]
        if not events:
            return 200  # a test call, such as Xero's intent to receive
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._intake.submit(events)), STORE_TIMEOUT_S)
        except Exception:  # noqa: BLE001 - whatever it was, the event is not stored: have it sent again
            return 503
        return 200


def build_hooks(settings: Settings, intake: Intake) -> list[object]:
    """Build the webhook routes."""
    desk = HookDesk(settings, intake)

    @post(
        "/hooks/{connector:str}/{reference:str}",
        status_code=200,
        request_max_body_size=LARGEST_BODY,
        include_in_schema=False,
    )
    async def receive(request: Request[Any, Any, Any]) -> Response[None]:
        named = request.path_params
        return Response(None, status_code=await desk.receive(named["connector"], named["reference"], request))

    return [receive]

"""The simulator as the sandbox's server sees it: who calls, what it is called, limits, and the answer."""

from __future__ import annotations

import re
import sys
import time
import traceback
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors, report
from closedwon_sandbox.dataverse.api.service import WebApi
from closedwon_sandbox.dataverse.api.wire import json_reply
from closedwon_sandbox.dataverse.environment import API_PATH, HUMAN_ID, Call, Environment
from closedwon_sandbox.dataverse.gateway.batch import Batch
from closedwon_sandbox.dataverse.gateway.entra import Entra
from closedwon_sandbox.dataverse.gateway.limits import ServiceProtection
from closedwon_sandbox.dataverse.odata.options import parse_query
from closedwon_sandbox.dataverse.sales import documents
from closedwon_sandbox.dataverse.seed import seed
from closedwon_sandbox.dataverse.webhooks.dispatch import Dispatcher
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Postman, Request
    from closedwon_sandbox.settings import DataverseSettings
    from closedwon_sandbox.world import World

_API = re.compile(r"/api/data/v9\.[0-2](?:/|$)")
_SEGMENT = re.compile(r"([^(/]*)")


class DataverseSimulator:
    """One Dataverse environment with the sign-in service of its directory."""

    name = "dynamics"

    def __init__(self, clock: Clock, postman: Postman, world: World, settings: DataverseSettings) -> None:
        self.settings = settings
        self.env = Environment(clock, settings)
        self._entra = Entra(clock, settings)
        self._protection = ServiceProtection(clock, settings)
        self._api = WebApi(self.env)
        seed(self.env, world)
        self.env.on_commit = Dispatcher(self.env, postman).publish
        self.env.on_settle = lambda: documents.settle(self.env)

    def handle(self, request: Request) -> Reply:
        """Answer one request; it never raises for anything a client can send."""
        if self._entra.is_ours(request.raw_path):
            return self._entra.answer(request)
        if not _API.match(request.raw_path):
            return _refused(errors.no_resource(request.base_url + request.raw_path))
        caller = self.caller(request)
        if caller == "anonymous":
            return self._unauthorized(request)
        started = time.perf_counter()
        reply = self._answer(request, self.settings.app_user_id if caller == "app" else HUMAN_ID)
        if caller == "app":
            self._protection.spend((time.perf_counter() - started) * 1000)
        request_id = str(uuid.uuid4())
        added = {"x-ms-service-request-id": request_id, "REQ_ID": request_id, **self._protection.headers()}
        return replace(reply, headers={**added, **reply.headers})

    def _answer(self, request: Request, user_id: str) -> Reply:
        segment = _first_segment(request.raw_path)
        if segment != "$batch":
            return self._single(request, user_id)
        try:
            return Batch(self.env, request, lambda part: self._part(part, user_id)).answer()
        except errors.DataverseError as error:
            return _refused(error)

    def _part(self, request: Request, user_id: str) -> Reply:
        if _first_segment(request.raw_path) == "$batch":
            return _refused(
                errors.DataverseError(400, "0x80060888", "A batch request cannot contain another batch request.")
            )
        return self._single(request, user_id)

    def _single(self, request: Request, user_id: str) -> Reply:
        agent = request.headers.get("user-agent", "")
        call = Call(user_id, request.base_url, parse_query(request.query).get("tag"), agent)
        try:
            return self._api.handle(request, call)
        except errors.DataverseError as error:
            return _refused(error)
        except RecursionError:
            return _refused(errors.bad_query("The query is too deeply nested."))
        except Exception:  # noqa: BLE001 - a bug of ours becomes the vendor's kind of failure, and shows on stderr
            traceback.print_exc(file=sys.stderr)
            return _refused(errors.DataverseError(500, "0x80040216", "An unexpected error occurred."))

    def endpoint(self, request: Request) -> str:
        """Name a request: the verb and the first segment without its key."""
        if self._entra.is_ours(request.raw_path):
            return "POST token" if request.method == "POST" else "GET discovery"
        return f"{request.method} {_first_segment(request.raw_path)}".strip()

    def caller(self, request: Request) -> str:
        """Say who calls: "app", "tools" or "anonymous"."""
        if self._entra.is_ours(request.raw_path):
            return "app" if self._entra.knows_client(request) else "anonymous"
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return "anonymous"
        if token == self.settings.token:
            return "tools"
        return "app" if self._entra.is_valid(token) else "anonymous"

    def throttled(self, request: Request, in_flight: int) -> Reply | None:
        """Count a request of the application user; return the vendor's 429 when it is too much."""
        if self._entra.is_ours(request.raw_path) or self.caller(request) != "app":
            return None
        broken = self._protection.count(in_flight)
        return None if broken is None else self._protection.refusal(broken)

    def limit_reply(self, kind: str, request: Request) -> Reply:
        """Build the 429 of one kind for a fault script."""
        _ = request
        return self._protection.refusal(kind)

    def state(self) -> dict[str, Any]:
        """Return what the environment holds, as plain JSON values."""
        return report.report(self.env)

    def _unauthorized(self, request: Request) -> Reply:
        authority = f"{request.base_url}/{self.settings.directory}/oauth2/authorize"
        challenge = f"Bearer authorization_uri={authority}, resource_id={request.base_url}/"
        return Reply(401, b"", {"WWW-Authenticate": challenge})


def _first_segment(path: str) -> str:
    rest = path.removeprefix("/").removeprefix("http://").removeprefix("https://")
    below = rest.partition(API_PATH.strip("/")[:-4])[2] if "api/data/" in rest else rest
    below = re.sub(r"^/?v9\.[0-2]/?", "", below)
    match = _SEGMENT.match(below.lstrip("/"))
    return match[1].replace("%24", "$") if match else ""


def _refused(error: errors.DataverseError) -> Reply:
    return json_reply(error.status, error.envelope())

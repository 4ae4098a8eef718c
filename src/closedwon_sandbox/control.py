"""The control plane under `/_sandbox/`: counters, state, clock, limits, faults and webhook settings of both systems."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from closedwon_sandbox.exchange import Reply
from closedwon_sandbox.faults import SYSTEMS, InvalidRuleError, System
from closedwon_sandbox.settings import InvalidSettingError, change_limits, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Request, Simulator
    from closedwon_sandbox.faults import Faults
    from closedwon_sandbox.postman import HttpPostman
    from closedwon_sandbox.stats import Stats

PREFIX = "/_sandbox"
T = TypeVar("T")


class _BadRequestError(Exception):
    """What was asked of the control plane makes no sense; the text says why."""


class _ClockMove(msgspec.Struct, forbid_unknown_fields=True):
    advance_s: float | None = None
    now: datetime | None = None


class _WebhookTarget(msgspec.Struct, forbid_unknown_fields=True):
    url: str
    key: str


class ControlPlane:
    """Answers `/_sandbox/...` on every port for both systems; needs no sign-in, for it only listens on this machine."""

    def __init__(self, clock: Clock, stats: Stats, faults: Faults, postmen: Mapping[System, HttpPostman]) -> None:
        self._clock = clock
        self._stats = stats
        self._faults = faults
        self._simulators: dict[str, Simulator] = {}
        self._portals: dict[str, Callable[[str, str], object]] = {}
        self._routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "stats"): lambda _: {system: stats.of(system) for system in self._simulators},
            ("DELETE", "stats"): lambda _: stats.reset(),
            ("GET", "state"): self._state,
            ("GET", "clock"): lambda _: self._now(),
            ("POST", "clock"): self._move_clock,
            ("GET", "limits"): lambda _: self._limits(),
            ("POST", "limits"): self._set_limits,
            ("GET", "faults"): lambda _: faults.list(),
            ("POST", "faults"): lambda request: faults.add(_document(request, object)),
            ("DELETE", "faults"): lambda _: faults.clear(),
            ("GET", "webhooks"): lambda _: {system: postman.counts() for system, postman in postmen.items()},
            ("POST", "webhooks/xero"): self._set_webhook,
        }

    def add(self, system: str, simulator: Simulator, portal: Callable[[str, str], object] | None = None) -> None:
        """Answer for one more system; `portal` sets its webhook's URL and key as the vendor's portal would."""
        self._simulators[system] = simulator
        if portal is not None:
            self._portals[system] = portal

    def handle(self, request: Request) -> Reply:
        """Answer one request below `PREFIX`: 200 with JSON, 204 where there is nothing to say, 400, 404 or 405."""
        name = request.raw_path.removeprefix(PREFIX).strip("/")
        route = self._routes.get((request.method, name))
        if route is None:
            return self._unknown(request.method, name)
        try:
            answer = route(request)
        except (_BadRequestError, InvalidRuleError, InvalidSettingError) as error:
            return Reply.json(400, {"error": str(error)})
        return Reply(204) if answer is None else Reply.json(200, answer)

    def _unknown(self, method: str, name: str) -> Reply:
        methods = sorted(known for known, path in self._routes if path == name)
        if methods:
            text = f"{PREFIX}/{name} does not take {method}, only {', '.join(methods)}"
            return Reply.json(405, {"error": text}, {"Allow": ", ".join(methods)})
        known = sorted({f"{PREFIX}/{path}" for _, path in self._routes})
        return Reply.json(404, {"error": f"there is no {PREFIX}/{name}", "paths": known})

    def _state(self, request: Request) -> dict[str, Any]:
        wanted = parse_qs(request.query).get("system", list(self._simulators))
        unknown = [system for system in wanted if system not in self._simulators]
        if unknown:
            raise _BadRequestError(f"there is no system {unknown[0]!r}, only {', '.join(self._simulators)}")
        return {system: self._simulators[system].state() for system in wanted}

    def _now(self) -> dict[str, str]:
        return {"now": self._clock.now().isoformat()}

    def _move_clock(self, request: Request) -> dict[str, str]:
        move = _document(request, _ClockMove)
        if (move.advance_s is None) == (move.now is None):
            raise _BadRequestError('say either "advance_s" or "now"')
        if move.now is not None and move.now.tzinfo is None:
            raise _BadRequestError('"now" needs a time zone, such as a Z at its end')
        try:
            if move.now is not None:
                self._clock.set(move.now)
            else:
                self._clock.advance(move.advance_s or 0)
        except ValueError as error:
            raise _BadRequestError(str(error)) from None
        self._clock.tick()
        return self._now()

    def _limits(self) -> dict[str, Any]:
        return {system: limits(simulator.settings) for system, simulator in self._simulators.items()}

    def _set_limits(self, request: Request) -> dict[str, Any]:
        wanted = _document(request, dict[str, Any])
        system = wanted.pop("system", None)
        if system not in self._simulators:
            raise _BadRequestError(f'"system" is one of {", ".join(SYSTEMS)}')
        change_limits(self._simulators[system].settings, wanted)
        return self._limits()

    def _set_webhook(self, request: Request) -> dict[str, Any]:
        system: System = "xero"
        target = _document(request, _WebhookTarget)
        if not target.url.startswith(("http://", "https://")):
            raise _BadRequestError('"url" begins with http:// or https://')
        if system not in self._portals:
            raise _BadRequestError("this sandbox has no Xero whose webhook could be set")
        self._portals[system](target.url, target.key)
        return {"url": target.url}


def _document(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(request.body, type=kind)
    except msgspec.DecodeError as error:  # also what fits the syntax but not the type
        raise _BadRequestError(f"the body is not what is expected here: {error}") from None

"""Delivers webhooks in the background, in order, and plays the delivery faults."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import traceback
from collections import Counter
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Delivery
    from closedwon_sandbox.faults import Faults

MAX_IN_FLIGHT = 10
_SUCCESS = range(200, 300)


class HttpPostman:
    """Posts one simulator's webhooks: started in the order they came, ten under way at a time, never in the way.

    A lost webhook looks delivered to the simulator, as it does to a vendor whose answer came from a proxy.
    """

    def __init__(self, system: str, clock: Clock, faults: Faults) -> None:
        self._system = system
        self._clock = clock
        self._faults = faults
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()
        self._client: httpx2.AsyncClient | None = None

    def post(self, delivery: Delivery) -> None:
        """Queue one delivery; returns at once."""
        self._counts["posted"] += 1
        fault = self._faults.for_webhook(self._system, delivery.label)
        if fault is None:
            self._start(delivery)
        elif fault.do == "webhook_lose":
            self._counts["lost"] += 1
            asyncio.get_running_loop().call_soon(delivery.answered, 200)
        elif fault.do == "webhook_delay":
            self._counts["delayed"] += 1
            self._clock.call_later(fault.seconds or 0, lambda: self._start(delivery))
        else:
            self._counts["doubled"] += 1
            self._start(delivery)
            self._start(dataclasses.replace(delivery, answered=_ignore))

    def counts(self) -> dict[str, int]:
        """Return how many webhooks were posted, delivered, refused, unanswered, lost, delayed and doubled."""
        names = ("posted", "delivered", "refused", "unanswered", "lost", "delayed", "doubled")
        return {**{name: self._counts[name] for name in names}, "under_way": len(self._under_way)}

    async def close(self) -> None:
        """Drop what is under way and close the connections."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        async with self._slots:
            status = await self._send(delivery)
        if status is None:
            self._counts["unanswered"] += 1
        else:
            self._counts["delivered" if status in _SUCCESS else "refused"] += 1
        try:
            delivery.answered(status)
        except Exception:  # noqa: BLE001 - a simulator's bug must not end the postman; it shows on stderr
            traceback.print_exc(file=sys.stderr)

    async def _send(self, delivery: Delivery) -> int | None:
        try:
            async with asyncio.timeout(delivery.timeout_s):
                answer = await self._http().post(delivery.url, content=delivery.body, headers=dict(delivery.headers))
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
            return None
        return answer.status_code

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            # made-up data goes to a receiver on this machine: its certificate may be its own, no proxy is asked, and
            # the time-out of the delivery bounds the whole call
            self._client = httpx2.AsyncClient(verify=False, trust_env=False, timeout=None)
        return self._client


def _ignore(_status: int | None) -> None:
    """Take no notice of how the second copy fared."""

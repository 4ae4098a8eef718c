"""Idempotency keys: the same write with the same key is answered from memory, good or bad, for a few minutes.

*Source*: developer.xero.com "Idempotent requests", read 2026-11-22.
Keys belong to the app, not to the organisation: the same key and request for another organisation replays the first
one's answer, which is why callers put the organisation into the key.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from closedwon_sandbox.xero.books import messages
from closedwon_sandbox.xero.books.errors import RefusedError

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Reply, Request

KEY_LIFE_S: Final = 360
KEY_LENGTH: Final = 128
_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})


class Memory:
    """The first answers to keyed writes. A key's life starts with its first use; a replay does not prolong it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], tuple[float, bytes, Reply]] = OrderedDict()

    def recall(self, app: str, request: Request) -> Reply | None:
        """Return the stored answer to this very request, None when the key is new.

        *Raises* RefusedError when the key was used for another request, or is too long.
        """
        key = _key(request)
        if key is None:
            return None
        if len(key) > KEY_LENGTH:
            raise RefusedError(messages.IDEMPOTENCY_TOO_LONG)
        self._forget_old()
        kept = self._kept.get((app, key))
        if kept is None:
            return None
        if kept[1] != _fingerprint(request):
            raise RefusedError(messages.IDEMPOTENCY_MISMATCH.format(key))
        return kept[2]

    def keep(self, app: str, request: Request, reply: Reply) -> None:
        """Store the answer to a keyed write."""
        key = _key(request)
        if key is not None and len(key) <= KEY_LENGTH:
            self._kept.setdefault((app, key), (self._clock.timestamp(), _fingerprint(request), reply))

    def _forget_old(self) -> None:
        oldest_s = self._clock.timestamp() - KEY_LIFE_S
        while self._kept and next(iter(self._kept.values()))[0] <= oldest_s:
            self._kept.popitem(last=False)


def _key(request: Request) -> str | None:
    return request.headers.get("idempotency-key") if request.method in _METHODS else None


def _fingerprint(request: Request) -> bytes:
    parts = (request.method.encode(), request.raw_path.encode(), request.query.encode(), request.body)
    return hashlib.sha256(b"\0".join(parts)).digest()

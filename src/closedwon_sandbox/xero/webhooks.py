"""Webhooks: one subscription of the app, its intent-to-receive test, deliveries in batches, retries and disabling.

*Source*: developer.xero.com "Webhooks" and Xero's OpenAPI description of them, read 2026-11-22.
There is no API for the subscription at the vendor; `configure` stands for the portal.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from closedwon_sandbox.exchange import Delivery
from closedwon_sandbox.xero.wire import encode

if TYPE_CHECKING:
    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Postman
    from closedwon_sandbox.xero.books.organisation import Change

BATCH_WINDOW_S: Final = 0.2  # events this close together travel together; the vendor's window is not known
BATCH_SIZE: Final = 100  # the vendor's batch size is not known
TIMEOUT_S: Final = 5.0
RETRY_EVERY_S: Final = 900
DISABLE_AFTER_S: Final = 86_400
HIGHEST_SEQUENCE: Final = 2_147_483_647
INTENT_SIGNATURES: Final = (True, False, False, False)  # which of the test calls are signed right
_SUCCESS: Final = range(200, 300)
_ENTROPY: Final = string.ascii_uppercase
_COLLECTIONS: Final = {"CONTACT": "Contacts", "INVOICE": "Invoices", "CREDITNOTE": "CreditNotes"}


@dataclass(slots=True)
class _Parcel:
    """A batch of events on its way. `due_by` is when the vendor gives up on the subscription because of it."""

    body: bytes
    label: str
    due_by: float
    tries: int = 0


class Webhooks:
    """The app's subscription. `status` is none, validating, active, failed (the test) or disabled (by the vendor)."""

    def __init__(self, clock: Clock, postman: Postman) -> None:
        self._clock = clock
        self._postman = postman
        self._url = ""
        self._key = ""
        self._round = 0
        self._sequence = 0
        self._pending: list[Change] = []
        self._flush_planned = False
        self._counts = {"delivered": 0, "refused": 0, "waiting": 0, "dropped": 0}
        self.status = "none"
        self.api_url = "https://api.xero.com"

    def configure(self, url: str, key: str) -> None:
        """Set where events go and their key, then test the receiver: a right signature wants 200, a wrong one 401."""
        self._url, self._key = url, key
        self._round += 1
        self.status = "validating"
        self._counts["waiting"] = 0
        answers: list[bool] = []
        for right in INTENT_SIGNATURES:
            self._test_intent(right, answers, self._round)

    def publish(self, changes: list[Change]) -> None:
        """Queue changes for the next batch; while the subscription is not active they are lost, as at the vendor."""
        if self.status != "active":
            self._counts["dropped"] += len(changes)
            return
        self._pending += changes
        if self._pending and not self._flush_planned:
            self._flush_planned = True
            self._clock.call_later(BATCH_WINDOW_S, self._flush)

    def state(self) -> dict[str, Any]:
        """Return the subscription as the portal would show it."""
        counts = {**self._counts, "pending": len(self._pending)}
        return {"url": self._url, "status": self.status, "last_sequence": self._sequence, **counts}

    def _test_intent(self, right: bool, answers: list[bool], test_round: int) -> None:  # noqa: FBT001 - a table's column
        body = _body([], 0, 0)
        signature = _sign(self._key if right else secrets.token_hex(32), body)

        def answered(status: int | None) -> None:
            if test_round != self._round:
                return
            answers.append(status in _SUCCESS if right else status == 401)  # noqa: PLR2004 - the number is the name
            if len(answers) == len(INTENT_SIGNATURES):
                self.status = "active" if all(answers) else "failed"

        self._postman.post(Delivery(self._url, _headers(signature), body, TIMEOUT_S, answered, "INTENT TO RECEIVE"))

    def _flush(self) -> None:
        self._flush_planned = False
        pending, self._pending = self._pending, []
        for start in range(0, len(pending), BATCH_SIZE):
            self._send(self._parcel(pending[start : start + BATCH_SIZE]))

    def _parcel(self, changes: list[Change]) -> _Parcel:
        first, last = self._next_sequences(len(changes))
        body = _body([self._event(change) for change in changes], first, last)
        labels = dict.fromkeys(f"{change.category} {change.kind}" for change in changes)
        return _Parcel(body, ", ".join(labels), self._clock.timestamp() + DISABLE_AFTER_S)

    def _next_sequences(self, count: int) -> tuple[int, int]:
        if self._sequence + count > HIGHEST_SEQUENCE:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count
        return first, self._sequence

    def _event(self, change: Change) -> dict[str, Any]:
        resource = f"{self.api_url}/api.xro/2.0/{_COLLECTIONS[change.category]}/{change.record_id}"
        event = {
            "resourceUrl": resource,
            "resourceId": change.record_id,
            "tenantId": change.organisation_id,
            "tenantType": "ORGANISATION",
            "eventCategory": change.category,
            "eventType": change.kind,
            "eventDateUtc": f"{change.moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3],
        }
        return event | {"data": dict(change.data)} if change.data else event

    def _send(self, parcel: _Parcel) -> None:
        test_round = self._round
        parcel.tries += 1

        def answered(status: int | None) -> None:
            if test_round == self._round and self.status == "active":
                self._settle(parcel, delivered=status in _SUCCESS)

        signature = _sign(self._key, parcel.body)
        self._postman.post(Delivery(self._url, _headers(signature), parcel.body, TIMEOUT_S, answered, parcel.label))

    def _settle(self, parcel: _Parcel, *, delivered: bool) -> None:
        self._counts["waiting"] -= parcel.tries > 1
        if delivered:
            self._counts["delivered"] += 1
            return
        self._counts["refused"] += 1
        if self._clock.timestamp() >= parcel.due_by:
            self.status = "disabled"
            self._counts["dropped"] += len(self._pending)
            self._pending = []
            return
        self._counts["waiting"] += 1
        test_round = self._round
        delay_s = 0 if parcel.tries == 1 else RETRY_EVERY_S
        self._clock.call_later(delay_s, lambda: self._retry(parcel, test_round))

    def _retry(self, parcel: _Parcel, test_round: int) -> None:
        if test_round == self._round and self.status == "active":
            self._send(parcel)


def _body(events: list[dict[str, Any]], first: int, last: int) -> bytes:
    entropy = "".join(secrets.choice(_ENTROPY) for _ in range(20))
    return encode({"events": events, "firstEventSequence": first, "lastEventSequence": last, "entropy": entropy})


def _sign(key: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def _headers(signature: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "x-xero-signature": signature}

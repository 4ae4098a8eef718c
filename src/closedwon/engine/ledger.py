"""The ledger: every remote write is promised in the store before it is sent, and receipted before anything else.

Intent, send, receipt. If we die or the answer is lost in between, the intent stays open, and whoever comes next looks
the record up in the remote system before doing anything (see resolver.py). The idempotency key of a call follows from
its intents, so that sending the same call again within the vendor's memory cannot double it either.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from closedwon.kernel.errors import ClosedwonError, NotConnected, OutcomeUnknown, Retryable, Unavailable
from closedwon.kernel.ids import fingerprint, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

INTERNAL_ERROR = 500  # a vendor remembers this failure under the call's key; what a gateway says it never saw

Payload = TypeVar("Payload")
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Intent:
    """A remote write we promised to ourselves: which record, which operation, in which call, under which key."""

    tenant: str
    id: str
    lane: str
    connection: str
    run_id: str
    operation: str
    record_id: str
    call_id: str
    position: int
    request_hash: str
    idempotency_key: str
    epoch: int = 0
    created_at: str = ""
    state: str = "open"
    error: Any = None


@dataclass(frozen=True, slots=True)
class Element(Generic[Payload]):
    """One record to write: for which run, under which id of ours, what to send, and how that looks as JSON."""

    run_id: str
    record_id: str
    payload: Payload
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation(Generic[Payload, Record]):
    """One kind of remote write.

    `send` writes up to `limit` payloads in one call. `find` looks up, by our record ids, which of some uncertain writes
    have happened; None says the write may simply be repeated. `save` keeps what was written (the link) in the same
    transaction as the receipt. `identify` reads remote id and version off a written record.
    """

    name: str
    connection: str
    limit: int
    send: Callable[[Sequence[Payload], str], Sequence[Any]]
    find: Callable[[Sequence[Intent]], Mapping[str, Record]] | None
    save: Callable[[Any, str, Record], None]
    identify: Callable[[Record], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Result(Generic[Record]):
    """What became of one element: the record, or the error."""

    record: Record | None = None
    error: ClosedwonError | None = None


class LedgerStore(Protocol):
    """Where intents and receipts are kept."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a write transaction."""

    def open_intents(self, intents: Sequence[Intent]) -> None:
        """Commit intents."""

    def settle_intent(
        self, tx: Any, one: Intent, state: str, remote_id: str = "", version: str = "", error: Any = None
    ) -> None:
        """Write a receipt."""

    def mark_answered(self, tx: Any, intents: Sequence[Intent], error: Any) -> None:
        """Note that the vendor answered with a failure."""

    def list_last_intents(self, tenant: str, operation: str, record_ids: Sequence[str]) -> dict[str, Intent]:
        """Return the latest settled intent of each record."""


@dataclass(slots=True)
class Ledger:
    """Writes elements through one lane's ledger."""

    store: LedgerStore
    tenant: str
    lane: str

    def write(
        self, operation: Operation[Payload, Record], elements: Sequence[Element[Payload]]
    ) -> list[Result[Record]]:
        """Write every element once; return one result per element, in order.

        *Raises* NotConnected and Misconfigured, after voiding the intents of the call that met them.
        """
        results: dict[str, Result[Record]] = {}
        broken: ClosedwonError | None = None
        last = self.store.list_last_intents(self.tenant, operation.name, [one.record_id for one in elements])
        for chunk in _calls(operation.limit, elements, last):
            if broken is not None:
                results |= {one.record_id: Result(error=broken) for one in chunk}
                continue
            answered, broken = self._send(operation, self._promise(operation, chunk, last), chunk)
            results |= answered
        return [results[one.record_id] for one in elements]

    def _promise(
        self, operation: Operation[Payload, Record], chunk: Sequence[Element[Payload]], last: Mapping[str, Intent]
    ) -> list[Intent]:
        hashes = [fingerprint(one.request) for one in chunk]
        epoch = max((_next_epoch(last[one.record_id]) for one in chunk if one.record_id in last), default=0)
        members = [[one.record_id, digest] for one, digest in zip(chunk, hashes, strict=True)]
        key = fingerprint(self.tenant, operation.connection, operation.name, members, epoch)
        call_id = new_id()
        intents = [
            Intent(
                tenant=self.tenant,
                id=new_id(),
                lane=self.lane,
                connection=operation.connection,
                run_id=one.run_id,
                operation=operation.name,
                record_id=one.record_id,
                call_id=call_id,
                position=position,
                request_hash=digest,
                idempotency_key=key,
                epoch=epoch,
            )
            for position, (one, digest) in enumerate(zip(chunk, hashes, strict=True))
        ]
        self.store.open_intents(intents)
        return intents

    def _send(
        self, operation: Operation[Payload, Record], intents: Sequence[Intent], chunk: Sequence[Element[Payload]]
    ) -> tuple[dict[str, Result[Record]], ClosedwonError | None]:
        """Make one call. The second value says why no further call should be made now."""
        try:
            written = operation.send([one.payload for one in chunk], intents[0].idempotency_key)
        except OutcomeUnknown as error:
            if error.details.get("answered") or error.details.get("status") == INTERNAL_ERROR:
                with self.store.transaction() as tx:
                    self.store.mark_answered(tx, intents, error.as_dict())
            later = Unavailable("an earlier call of this batch got no answer", hint="it is tried again by itself")
            return {one.record_id: Result(error=error) for one in chunk}, later
        except ClosedwonError as error:
            self._void(intents, error)
            if isinstance(error, Retryable):
                return {one.record_id: Result(error=error) for one in chunk}, error
            raise
        for one in written:
            if isinstance(one.error, NotConnected):  # it pauses this connection, whoever raises it later
                one.error.details.setdefault("connection", operation.connection)
        return self._receipt(operation, intents, [Result(one.record, one.error) for one in written]), None

    def _receipt(
        self, operation: Operation[Payload, Record], intents: Sequence[Intent], results: Sequence[Result[Record]]
    ) -> dict[str, Result[Record]]:
        with self.store.transaction() as tx:
            for intent, result in zip(intents, results, strict=True):
                self.settle(tx, operation, intent, result)
        return {intent.record_id: result for intent, result in zip(intents, results, strict=True)}

    def settle(self, tx: Any, operation: Operation[Payload, Record], intent: Intent, result: Result[Record]) -> None:
        """Write one receipt and, if the write happened, what follows from it, in one transaction."""
        if result.record is not None:
            remote_id, version = operation.identify(result.record)
            self.store.settle_intent(tx, intent, "confirmed", remote_id, version)
            operation.save(tx, intent.record_id, result.record)
        elif isinstance(result.error, OutcomeUnknown):
            return
        elif isinstance(result.error, Retryable):
            self.store.settle_intent(tx, intent, "void", error=result.error.as_dict())
        elif result.error is not None:
            self.store.settle_intent(tx, intent, "rejected", error=result.error.as_dict())

    def _void(self, intents: Sequence[Intent], error: ClosedwonError) -> None:
        with self.store.transaction() as tx:
            for intent in intents:
                self.store.settle_intent(tx, intent, "void", error=error.as_dict())


def _calls(
    limit: int, elements: Sequence[Element[Payload]], last: Mapping[str, Intent]
) -> Iterator[list[Element[Payload]]]:
    """Split elements into calls. Elements whose call got lost before go together again, so its key is the same."""

    def former(one: Element[Payload]) -> tuple[str, int]:
        intent = last.get(one.record_id)
        return (intent.call_id, intent.position) if intent and intent.state == "void" else ("", 0)

    for _, group in groupby(sorted(elements, key=former), key=lambda one: former(one)[0]):
        members = list(group)
        for start in range(0, len(members), limit):
            yield members[start : start + limit]


def _next_epoch(last: Intent) -> int:
    """Return the epoch of a record's next intent: a refusal must not be answered from the vendor's memory again."""
    return last.epoch + (last.state == "rejected")

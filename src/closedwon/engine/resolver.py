"""Decides what became of writes whose answer was lost, before anything else is done in their lane."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from closedwon.engine.ledger import Result
from closedwon.engine.retry import SETTLE_S
from closedwon.kernel.clock import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.engine.ledger import Intent, Ledger, Operation
    from closedwon.kernel.clock import Clock


def resolve(
    ledger: Ledger, intents: Sequence[Intent], operations: Mapping[str, Operation[Any, Any]], clock: Clock
) -> dict[str, str]:
    """Settle open intents: confirmed when the remote system has the record, void when it has not.

    Waits until the youngest write has had time to arrive, so that "not there" can be believed. Costs one look-up call
    per operation. Returns what was found out, by record id, for the story.
    """
    if not intents:
        return {}
    _let_settle(intents, clock)
    told: dict[str, str] = {}
    for name, group in groupby(sorted(intents, key=lambda one: one.operation), key=lambda one: one.operation):
        members = list(group)
        operation = operations[name]
        found = operation.find(members) if operation.find is not None else {}
        with ledger.store.transaction() as tx:
            for intent in members:
                record = found.get(intent.record_id)
                if record is not None:
                    ledger.settle(tx, operation, intent, Result(record))
                    told[intent.record_id] = f"{name}: it had happened"
                else:
                    ledger.store.settle_intent(tx, intent, "void", error=intent.error)
                    told[intent.record_id] = f"{name}: it had not happened"
    return told


def _let_settle(intents: Sequence[Intent], clock: Clock) -> None:
    youngest = max(parse_instant(one.created_at) for one in intents)
    rest_s = SETTLE_S - (clock.now() - youngest).total_seconds()
    if rest_s > 0:
        clock.sleep(min(rest_s, SETTLE_S))

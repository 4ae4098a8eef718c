"""The resolver: what became of writes whose answer was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.engine.ledger import Ledger
from closedwon.engine.resolver import resolve
from closedwon.engine.retry import SETTLE_S
from closedwon.kernel.errors import OutcomeUnknown
from engine_parts import LANE, TENANT, elements

if TYPE_CHECKING:
    from closedwon.engine.store import EngineStore
    from engine_parts import Vendor
    from stores import SetClock


@pytest.fixture
def ledger(store: EngineStore, vendor: Vendor) -> Ledger:
    """Return a ledger with one call lost on its way."""
    ledger = Ledger(store, TENANT, LANE)
    vendor.script = [OutcomeUnknown("no answer came")]
    ledger.write(vendor.operation(), elements("a", "b"))
    return ledger


def told(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> dict[str, str]:
    """Resolve what is open."""
    return resolve(ledger, store.list_open_intents(TENANT, LANE), {"create": vendor.operation()}, clock)


def test_found_writes_are_confirmed_and_linked(
    ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock
) -> None:
    """What the other side has is receipted as if the answer had come."""
    vendor.has = {"a": "remote-a"}
    story = told(ledger, vendor, store, clock)
    assert [row.state for row in vendor.intents()] == ["confirmed", "void"]
    assert vendor.saved == ["a"]
    assert story == {"a": "create: it had happened", "b": "create: it had not happened"}


def test_the_look_up_is_one_call_for_all(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> None:
    """However many writes are uncertain, they are looked up together."""
    told(ledger, vendor, store, clock)
    assert vendor.looked_up == [["a", "b"]]


def test_it_waits_until_the_write_must_have_arrived(
    ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock
) -> None:
    """Half a second after the call it waits for the rest of the time a write may be on its way."""
    clock.advance(0.5)
    told(ledger, vendor, store, clock)
    assert clock.slept_s == [SETTLE_S - 0.5]


def test_it_does_not_wait_for_old_writes(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> None:
    """An hour later there is nothing to wait for."""
    clock.advance(3600)
    told(ledger, vendor, store, clock)
    assert clock.slept_s == []


def test_repeatable_writes_need_no_look_up(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> None:
    """An operation that may be repeated is voided without asking."""
    resolve(ledger, store.list_open_intents(TENANT, LANE), {"create": vendor.operation(findable=False)}, clock)
    assert vendor.looked_up == []
    assert {row.state for row in vendor.intents()} == {"void"}


def test_nothing_open_costs_nothing(store: EngineStore, vendor: Vendor, clock: SetClock) -> None:
    """Without intents there is no waiting and no call."""
    assert resolve(Ledger(store, TENANT, LANE), [], {}, clock) == {}
    assert clock.slept_s == []

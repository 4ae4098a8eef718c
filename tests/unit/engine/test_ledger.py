"""The ledger: promised before it is sent, receipted with its link, never sent blindly twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from closedwon.connectors.port import Written
from closedwon.engine.ledger import Ledger
from closedwon.engine.resolver import resolve
from closedwon.kernel.errors import AuthExpired, OutcomeUnknown, Rejected, Throttled, Unavailable
from engine_parts import LANE, TENANT, elements

if TYPE_CHECKING:
    from closedwon.engine.store import EngineStore
    from engine_parts import Vendor
    from stores import SetClock


@pytest.fixture
def ledger(store: EngineStore) -> Ledger:
    """Return a lane's ledger."""
    return Ledger(store, TENANT, LANE)


def states(vendor: Vendor) -> list[str]:
    """Return the states of all intents, oldest call first."""
    return [row.state for row in vendor.intents()]


def settle_open(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> None:
    """Let the resolver settle what is open."""
    resolve(ledger, store.list_open_intents(TENANT, LANE), {"create": vendor.operation()}, clock)


def test_intents_are_committed_before_anything_is_sent(ledger: Ledger, vendor: Vendor) -> None:
    """While the vendor works on the call, another connection sees both promises."""
    ledger.write(vendor.operation(), elements("a", "b"))
    assert vendor.open_at_call == [2]


def test_a_confirmed_write_leaves_receipt_and_link(ledger: Ledger, vendor: Vendor) -> None:
    """The receipt holds remote id and version, and the link was saved."""
    results = ledger.write(vendor.operation(), elements("a"))
    (row,) = vendor.intents()
    assert (row.state, row.remote_id, row.version) == ("confirmed", "remote-a", "v1")
    assert vendor.saved == ["a"]
    assert results[0].record == "remote-a"


def test_receipt_and_link_are_one_transaction(ledger: Ledger, vendor: Vendor) -> None:
    """When the link cannot be saved there is no receipt either: the write stays uncertain and is looked up."""
    vendor.fail_saving = True
    with pytest.raises(RuntimeError):
        ledger.write(vendor.operation(), elements("a"))
    assert states(vendor) == ["open"]


def test_results_come_in_the_order_of_the_elements(ledger: Ledger, vendor: Vendor) -> None:
    """However the calls were split, each result is its element's."""
    results = ledger.write(vendor.operation(limit=2), elements("c", "a", "b"))
    assert [one.record for one in results] == ["remote-c", "remote-a", "remote-b"]
    assert [len(payloads) for payloads, _ in vendor.calls] == [2, 1]


def test_nothing_to_write_makes_no_call(ledger: Ledger, vendor: Vendor) -> None:
    """No element, no call, no intent."""
    assert ledger.write(vendor.operation(), []) == []
    assert vendor.calls == []


def test_a_lost_answer_leaves_its_intents_open(ledger: Ledger, vendor: Vendor) -> None:
    """After a time-out nobody knows, so nothing is settled and both elements say so."""
    vendor.script = [OutcomeUnknown("no answer came")]
    results = ledger.write(vendor.operation(), elements("a", "b"))
    assert states(vendor) == ["open", "open"]
    assert all(isinstance(one.error, OutcomeUnknown) for one in results)


def test_after_a_lost_answer_no_other_call_is_promised_or_made(ledger: Ledger, vendor: Vendor) -> None:
    """The elements of later calls wait, without an intent that somebody would have to look up."""
    vendor.script = [OutcomeUnknown("no answer came")]
    results = ledger.write(vendor.operation(limit=1), elements("a", "b", "c"))
    assert len(vendor.calls) == 1
    assert len(vendor.intents()) == 1
    assert [type(one.error) for one in results] == [OutcomeUnknown, Unavailable, Unavailable]


def test_the_same_call_again_has_the_same_key(
    ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock
) -> None:
    """A lost call of two is sent again as it was, though other work came in between, so the vendor knows it."""
    vendor.script = [OutcomeUnknown("no answer came")]
    ledger.write(vendor.operation(), elements("b", "a"))
    settle_open(ledger, vendor, store, clock)
    ledger.write(vendor.operation(), elements("a", "new", "b"))
    first, *later = vendor.calls
    assert first in later
    assert sorted(payloads for payloads, _ in later) == [("b", "a"), ("new",)]


def test_another_composition_has_another_key(ledger: Ledger, vendor: Vendor) -> None:
    """A key stands for exactly what is in the call."""
    ledger.write(vendor.operation(), elements("a", "b"))
    ledger.write(vendor.operation(), elements("a"))
    assert len({key for _, key in vendor.calls}) == 2


@pytest.mark.parametrize("details", [{"answered": True}, {"status": 500}])
def test_an_answered_failure_gets_a_new_key(
    ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock, details: dict[str, object]
) -> None:
    """The vendor's memory would repeat a failure it has answered, so the next try has a key of its own."""
    vendor.script = [OutcomeUnknown("HTTP 500", details=details)]
    ledger.write(vendor.operation(), elements("a"))
    settle_open(ledger, vendor, store, clock)
    ledger.write(vendor.operation(), elements("a"))
    (_, first), (_, second) = vendor.calls
    assert first != second


def test_a_gateways_failure_keeps_the_key(ledger: Ledger, vendor: Vendor, store: EngineStore, clock: SetClock) -> None:
    """Behind a gateway's 504 the vendor may still be at work; under the same key it cannot do it twice."""
    vendor.script = [OutcomeUnknown("HTTP 504", details={"status": 504})]
    ledger.write(vendor.operation(), elements("a"))
    settle_open(ledger, vendor, store, clock)
    ledger.write(vendor.operation(), elements("a"))
    (_, first), (_, second) = vendor.calls
    assert first == second


def test_a_refused_element_tried_again_gets_a_new_key(ledger: Ledger, vendor: Vendor) -> None:
    """Once the cause is mended in the books the same request must not be answered with the old refusal."""
    vendor.script = [[Written(error=Rejected("account 200 is archived"))]]
    ledger.write(vendor.operation(), elements("a"))
    ledger.write(vendor.operation(), elements("a"))
    (_, first), (_, second) = vendor.calls
    assert first != second
    assert states(vendor) == ["rejected", "confirmed"]


def test_old_losses_do_not_split_later_calls(ledger: Ledger, vendor: Vendor) -> None:
    """Records whose calls were throttled one by one, and then written, go together in one call the next time."""
    for name in ("a", "b", "c"):
        vendor.script = [Throttled("wait")]
        ledger.write(vendor.operation(), elements(name))
        ledger.write(vendor.operation(), elements(name))
    vendor.calls.clear()
    ledger.write(vendor.operation(), elements("a", "b", "c"))
    assert [payloads for payloads, _ in vendor.calls] == [("a", "b", "c")]


def test_one_uncertain_element_stays_open_alone(ledger: Ledger, vendor: Vendor) -> None:
    """In an answered call only the element of which the vendor says nothing stays uncertain."""
    vendor.script = [[Written("remote-a"), Written(error=OutcomeUnknown("it does not say"))]]
    ledger.write(vendor.operation(), elements("a", "b"))
    assert states(vendor) == ["confirmed", "open"]


def test_one_refused_element_does_not_touch_the_others(ledger: Ledger, vendor: Vendor) -> None:
    """A refusal is a receipt too; its neighbour is confirmed."""
    vendor.script = [[Written(error=Rejected("no such account")), Written("remote-b")]]
    results = ledger.write(vendor.operation(), elements("a", "b"))
    assert states(vendor) == ["rejected", "confirmed"]
    assert isinstance(results[0].error, Rejected)
    assert vendor.saved == ["b"]


def test_throttling_voids_the_promise_and_stops_later_calls(ledger: Ledger, vendor: Vendor) -> None:
    """What was not let in did not happen; there is nothing to look up, and no call is wasted on the rest."""
    vendor.script = [Throttled("wait", retry_after_s=30)]
    results = ledger.write(vendor.operation(limit=1), elements("a", "b"))
    assert states(vendor) == ["void"]
    assert len(vendor.calls) == 1
    assert all(isinstance(one.error, Throttled) for one in results)


def test_a_lost_connection_is_raised_with_its_promise_voided(ledger: Ledger, vendor: Vendor) -> None:
    """Expired credentials stop the whole batch; the call was refused, so its intent is void."""
    vendor.script = [AuthExpired("signed out")]
    with pytest.raises(AuthExpired):
        ledger.write(vendor.operation(limit=1), elements("a", "b"))
    assert states(vendor) == ["void"]

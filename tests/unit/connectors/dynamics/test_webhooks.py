"""What a webhook of Dataverse tells, and whether it is one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedwon.connectors.dynamics.webhooks import DynamicsWebhooks

HOOKS = DynamicsWebhooks()
DEAL = "0bb11111-1111-4111-8111-111111111111"
CLOSE = "c1050000-1111-4111-8111-111111111111"
OPERATION = "9e000000-2222-4222-8222-222222222222"
NO_ID = "00000000-0000-0000-0000-000000000000"
CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"


def context(**members: Any) -> dict[str, Any]:
    """Return the context of a deal that was won, with these members set."""
    return {
        "BusinessUnitId": "1b0f0c2e-0000-4000-8000-000000000001",
        "CorrelationId": "2a5d0000-0000-4000-8000-000000000001",
        "Depth": 1,
        "InputParameters": [
            {"key": "OpportunityClose", "value": entity("opportunityclose", NO_ID)},
            {"key": "Status", "value": {"__type": f"OptionSetValue:{CONTRACTS}", "Value": 3}},
        ],
        "MessageName": "Win",
        "Mode": 1,
        "OperationCreatedOn": "/Date(1697398446012)/",
        "OperationId": OPERATION,
        "ParentContext": None,
        "PrimaryEntityId": DEAL,
        "PrimaryEntityName": "opportunity",
        "SharedVariables": [{"key": "IsAutoTransact", "value": True}],
        "Stage": 40,
        **members,
    }


def entity(table: str, row_id: str, deal: Any = None) -> dict[str, Any]:
    """Return an opportunityclose in the vendor's notation."""
    reference = {"__type": f"EntityReference:{CONTRACTS}", "Id": deal or DEAL, "LogicalName": "opportunity"}
    return {
        "__type": f"Entity:{CONTRACTS}",
        "LogicalName": table,
        "Id": row_id,
        "Attributes": [{"key": "subject", "value": "Won"}, {"key": "opportunityid", "value": reference}],
    }


def parse(**members: Any) -> Any:
    """Parse the context with these members set."""
    return HOOKS.parse(json.dumps(context(**members)).encode())


def test_the_header_must_hold_the_secret() -> None:
    """Only the exact secret passes, and an empty secret never does."""
    assert HOOKS.verify({"x-closedwon-key": "hush"}, b"", "hush")
    assert not HOOKS.verify({"x-closedwon-key": "Hush"}, b"", "hush")
    assert not HOOKS.verify({"x-closedwon-key": ""}, b"", "")
    assert not HOOKS.verify({}, b"", "")
    assert not HOOKS.verify({}, b"", "hush")
    assert not HOOKS.verify({"x-closedwon-key": "hüsh\udcff"}, b"", "hush")


def test_a_won_deal_becomes_a_hint() -> None:
    """Record, name, time and key are in our words."""
    (hint,) = parse()
    assert (hint.record_type, hint.record_id, hint.name, hint.key) == ("opportunity", DEAL, "Win", OPERATION)
    assert hint.occurred_at == datetime(2023, 10, 15, 19, 34, 6, 12000, tzinfo=UTC)
    assert not hint.own


def test_two_deliveries_of_one_event_have_one_key() -> None:
    """The key is the job's id, or else made of what identifies the operation; other events have other keys."""
    assert parse()[0].key == parse(Depth=2)[0].key
    nameless = parse(OperationId=NO_ID)[0].key
    assert nameless == parse(OperationId=None)[0].key
    assert nameless not in {parse(OperationId=None, MessageName="Update")[0].key, OPERATION}


def test_a_close_activity_names_its_deal() -> None:
    """The creation of an opportunityclose is a hint about the deal in it."""
    inputs = [{"key": "Target", "value": entity("opportunityclose", CLOSE)}]
    (hint,) = parse(
        MessageName="Create", PrimaryEntityName="opportunityclose", PrimaryEntityId=CLOSE, InputParameters=inputs
    )
    assert (hint.record_type, hint.record_id, hint.name) == ("opportunity", DEAL, "Create")


def test_a_win_without_primary_id_is_read_from_its_parameters() -> None:
    """The deal also stands in the OpportunityClose of the message."""
    assert parse(PrimaryEntityId=NO_ID)[0].record_id == DEAL


def test_a_shortened_body_still_names_the_deal() -> None:
    """Above 256 KB the vendor leaves out parameters, images and parent."""
    shortened = {
        name: value
        for name, value in context().items()
        if name not in {"ParentContext", "InputParameters", "PreEntityImages", "PostEntityImages"}
    }
    assert HOOKS.parse(json.dumps(shortened).encode())[0].record_id == DEAL


def test_a_shortened_close_activity_tells_nothing() -> None:
    """Without parameters its deal is unknown; the events of the deal itself cover it."""
    assert parse(PrimaryEntityName="opportunityclose", InputParameters=None) == []


def test_other_tables_are_no_hint() -> None:
    """What nobody asked for is acknowledged and ignored."""
    assert parse(PrimaryEntityName="account") == []


def test_our_own_write_is_recognised_in_the_whole_chain() -> None:
    """The tag of our writes stands in the variables of the operation or of one that caused it."""
    tag = [{"key": "tag", "value": "closedwon"}]
    assert parse(SharedVariables=tag)[0].own
    assert parse(ParentContext=context(ParentContext=context(SharedVariables=tag)))[0].own
    assert not parse(SharedVariables=[{"key": "tag", "value": "other"}])[0].own
    assert not parse(SharedVariables=None)[0].own


@pytest.mark.parametrize("text", [None, "", "2026-01-01", "/Date(x)/", "/Date(999999999999999)/"])
def test_a_time_that_cannot_be_read_is_left_out(text: str | None) -> None:
    """The time is a side remark and stops nothing."""
    assert parse(OperationCreatedOn=text)[0].occurred_at is None


def test_a_time_may_have_an_offset() -> None:
    """The milliseconds are UTC already; the offset only informs."""
    assert parse(OperationCreatedOn="/Date(0-0700)/")[0].occurred_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'"text"',
        b'{"MessageName":5}',
        b'{"MessageName":"Win","PrimaryEntityName":"opportunity","PrimaryEntityId":"42"}',
        b'{"MessageName":"Win","PrimaryEntityName":"opportunity","PrimaryEntityId":"../../x"}',
        b'{"MessageName":"Win","InputParameters":{"key":"Target"}}',
        b'{"MessageName":"Win","SharedVariables":[5]}',
        b'{"MessageName":"\xff"}',
        b'{"MessageName":"Win"',
        b"[" * 1_000_000,
        b'{"ParentContext":' * 10_000,
        b'{"MessageName":"Win","X":' + b'{"a":' * 10_000,
        b'{"MessageName":"Win","PrimaryEntityName":"opportunity","SharedVariables":[{"key":"a","value":' + b"[" * 9999,
    ],
)
def test_anything_else_is_a_value_error(body: bytes) -> None:
    """Whatever arrives, nothing but ValueError leaves the parser."""
    with pytest.raises(ValueError, match=r"."):
        HOOKS.parse(body)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "Id"]), inner),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(context())), value=JSON)
def test_any_member_may_hold_anything(name: str, value: Any) -> None:
    """A body with one odd member is a hint, none, or a ValueError, and nothing else."""
    try:
        hints = parse(**{name: value})
    except ValueError:
        return
    assert all(hint.record_id == DEAL for hint in hints)


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, {"Attributes": None}, {"Attributes": [5, {"key": "a"}]}])
def test_odd_parameters_are_no_hint(value: Any) -> None:
    """A close activity whose target is not what we know tells nothing."""
    inputs = [{"key": "Target", "value": value}]
    assert parse(PrimaryEntityName="opportunityclose", InputParameters=inputs) == []

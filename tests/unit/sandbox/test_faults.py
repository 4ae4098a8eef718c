"""The fault script: what rules match, when they hit, and what the client then gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from closedwon_sandbox.faults import Faults, InvalidRuleError

if TYPE_CHECKING:
    from sandbox_house import House


def hits(rule: dict[str, Any], calls: int = 10, endpoint: str = "PUT Invoices") -> list[int]:
    """Return which of so many calls, counted from 1, the rule hits."""
    faults = Faults()
    faults.add({"system": "xero", "do": "500", **rule})
    return [call for call in range(1, calls + 1) if faults.for_request("xero", endpoint)]


def test_a_rule_without_conditions_hits_once() -> None:
    """The default is the first matching call."""
    assert hits({}) == [1]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"when": {"nth": 3}}, [3]),
        ({"when": {"first": 2}}, [1, 2]),
        ({"when": {"always": True}, "times": 4}, [1, 2, 3, 4]),
        ({"when": {"always": True}, "match": "PUT *", "times": 1}, [1]),
        ({"when": {"always": True}, "match": "GET *"}, []),
    ],
)
def test_conditions_choose_the_calls(rule: dict[str, Any], expected: list[int]) -> None:
    """The n-th, the first n, all up to a number of times, and only those that match the glob."""
    assert hits(rule) == expected


def test_a_rate_repeats_with_its_seed() -> None:
    """The same seed hits the same calls, another seed others, and about the asked share of them."""
    rule = {"when": {"rate": 0.3, "seed": 7}}
    assert hits(rule, 1_000) == hits(rule, 1_000) != hits({"when": {"rate": 0.3, "seed": 8}}, 1_000)
    assert 230 < len(hits(rule, 1_000)) < 370


def test_a_rule_of_the_other_system_does_not_hit() -> None:
    """Rules are for one system."""
    faults = Faults()
    faults.add({"system": "dynamics", "do": "500"})
    assert faults.for_request("xero", "GET x") is None


def test_only_the_first_due_rule_hits_and_all_count() -> None:
    """Two rules never spoil the same call, yet both have seen it."""
    faults = Faults()
    faults.add([{"system": "xero", "do": "500"}, {"system": "xero", "do": "503", "when": {"nth": 2}}])
    played = [rule.do if (rule := faults.for_request("xero", "GET x")) else None for _ in range(3)]
    assert played == ["500", "503", None]
    assert [(rule["seen"], rule["hits"]) for rule in faults.list()] == [(3, 1), (3, 1)]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"do": "500"}, "system"),
        ({"system": "sap", "do": "500"}, "sap"),
        ({"system": "xero", "do": "explode"}, "explode"),
        ({"system": "xero", "do": "500", "colour": "red"}, "colour"),
        ({"system": "xero", "do": "500", "when": {}}, "exactly one"),
        ({"system": "xero", "do": "500", "when": {"nth": 1, "first": 1}}, "exactly one"),
        ({"system": "xero", "do": "500", "when": {"rate": 1.5}}, "share"),
        ({"system": "xero", "do": "500", "when": {"nth": 0}}, "count from 1"),
        ({"system": "xero", "do": "500", "when": {"always": False}}, "always"),
        ({"system": "xero", "do": "500", "times": 0}, "times"),
        ({"system": "xero", "do": "slow"}, "seconds"),
        ({"system": "xero", "do": "500", "seconds": 1}, "seconds"),
        ({"system": "xero", "do": "cut_before", "status": 500}, "status"),
        ({"system": "xero", "do": "500", "status": 20}, "status"),
        ({"system": "xero", "do": "500", "kind": "minute"}, "kind"),
        ({"system": "xero", "do": "429", "kind": "week"}, "appminute"),
        ({"system": "xero", "do": "429", "commit": True}, "commit"),
        ({"system": "xero", "do": "429", "retry_after_s": -1}, "retry_after_s"),
        ("500", "object"),
    ],
)
def test_a_senseless_rule_is_refused_with_the_reason(rule: object, complaint: str) -> None:
    """The text names the rule's place in the list and what is wrong; none of the list is armed."""
    faults = Faults()
    with pytest.raises(InvalidRuleError, match="rule 2: ") as caught:
        faults.add([{"system": "xero", "do": "500"}, rule])
    assert complaint in str(caught.value)
    assert faults.list() == []


def test_429_is_the_vendors_own(house: House) -> None:
    """The simulator words the refusal; the rule chooses the limit and the wait."""
    house.control.fault("xero", "429", kind="day", retry_after_s=7)
    answer = house.client.put("/Invoices", content=b"one")
    assert answer.status_code == 429
    assert answer.headers["x-rate-limit-problem"] == "day"
    assert answer.headers["retry-after"] == "7"
    assert house.fake.rows == []
    assert house.control.stats()["xero"]["anonymous"]["throttled"] == 1


@pytest.mark.parametrize(("do", "status"), [("500", 500), ("503", 503), ("html", 502)])
def test_failures_happen_instead_of_the_work(house: House, do: str, status: int) -> None:
    """The vendor did nothing; the next call goes through."""
    house.control.fault("xero", do)
    assert house.client.put("/Invoices", content=b"one").status_code == status
    assert house.fake.rows == []
    assert house.client.put("/Invoices", content=b"two").status_code == 200


def test_a_failure_can_come_after_the_work(house: House) -> None:
    """With "commit" the vendor has done its work although it says 504."""
    house.control.fault("xero", "500", commit=True, status=504)
    assert house.client.put("/Invoices", content=b"one").status_code == 504
    assert house.fake.rows == ["one"]


def test_html_is_html(house: House) -> None:
    """A proxy's page comes with its content type."""
    house.control.fault("xero", "html", status=200)
    answer = house.client.get("/Invoices")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(("do", "rows"), [("cut_before", []), ("cut_after", ["one"])])
def test_a_cut_connection_gives_no_answer(house: House, do: str, rows: list[str]) -> None:
    """The client hears nothing; only "cut_after" has done the work; the server lives on."""
    house.control.fault("xero", do)
    with pytest.raises(httpx2.RemoteProtocolError):
        house.client.put("/Invoices", content=b"one")
    assert house.fake.rows == rows
    assert house.client.get("/Invoices").json() == {"rows": rows}


def test_a_truncated_answer_is_half_of_the_json(house: House) -> None:
    """The answer is well-formed HTTP whose JSON ends in the middle; the work is done."""
    house.control.fault("xero", "truncate")
    answer = house.client.put("/Invoices", content=b"one")
    assert answer.status_code == 200
    assert answer.text == '{"rows":'
    assert house.fake.rows == ["one"]


def test_an_empty_answer_is_empty(house: House) -> None:
    """Status and headers without a body; the work is done."""
    house.control.fault("xero", "empty")
    answer = house.client.put("/Invoices", content=b"one")
    assert (answer.status_code, answer.content) == (200, b"")
    assert house.fake.rows == ["one"]


def test_a_slow_answer_comes_late_and_the_work_is_done(house: House) -> None:
    """A client that gives up has still caused the work."""
    house.control.fault("xero", "slow", seconds=0.3)
    with pytest.raises(httpx2.ReadTimeout):
        house.client.put("/Invoices", content=b"one", timeout=0.05)
    house.control.fault("xero", "slow", seconds=0.4)
    assert house.client.get("/Invoices").json() == {"rows": ["one"]}

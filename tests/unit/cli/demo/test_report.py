"""The demo's report: figures out of counters, JSON for machines."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console

from closedwon.cli.demo.judge import Verdict
from closedwon.cli.demo.report import Report, count_calls, percentiles, show_report


def _stats(**callers: dict[str, Any]) -> dict[str, Any]:
    empty = {"total": 0, "endpoints": {}, "throttled": 0}
    one = {"app": empty, "anonymous": empty, "tools": {"total": 99, "endpoints": {"GET x": 99}, "throttled": 0}}
    return {"dynamics": one | callers, "xero": one}


def test_percentiles_are_values_that_occurred() -> None:
    """By the nearest rank; without values there is none."""
    assert percentiles([0.1 * n for n in range(1, 101)]) == {"p50": 5.0, "p95": 9.5, "p99": 9.9}
    assert percentiles([2.0]) == {"p50": 2.0, "p95": 2.0, "p99": 2.0}
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}


def test_sign_ins_are_the_products_calls_and_tools_are_not() -> None:
    """A token request carries no token yet, so it is counted as anonymous."""
    app = {"total": 3, "endpoints": {"POST $batch": 3}, "throttled": 1}
    anonymous = {"total": 1, "endpoints": {"POST token": 1}, "throttled": 0}
    calls = count_calls("set-up", _stats(app=app, anonymous=anonymous))
    assert (calls.total("dynamics"), calls.total("xero"), calls.throttled) == (4, 0, 1)
    assert calls.systems["dynamics"]["endpoints"] == {"POST $batch": 3, "POST token": 1}


def test_a_report_without_verdicts_proves_nothing() -> None:
    """Nor does one with a verdict that does not hold."""
    fine, not_fine = Verdict("fine"), Verdict("not fine", ("because",))
    found = [Report("headless", 1, verdicts=verdicts).holds for verdicts in ([], [fine], [fine, not_fine])]
    assert found == [False, True, False]


def test_the_report_is_json_with_what_the_bars_need() -> None:
    """Deals, invoices, payments, calls, seconds, latency, verdicts."""
    report = Report("headless", 7, deals=2, invoices=2, payments=1, latencies_s=[0.25], verdicts=[Verdict("fine")])
    report.calls.append(count_calls("set-up", _stats()))
    report.seconds["altogether"] = 1.23456
    found = json.loads(report.to_json())
    assert (found["ok"], found["deals"], found["invoices"], found["payments"], found["seed"]) == (True, 2, 2, 1, 7)
    assert found["calls"]["set-up"]["xero"] == {"total": 0, "throttled": 0, "endpoints": {}}
    assert found["latency_s"]["p99"] == 0.25
    assert found["seconds"] == {"altogether": 1.235}


def test_people_see_what_is_wrong_and_how_much() -> None:
    """Three findings of a verdict are printed, the rest is counted; square brackets are text."""
    report = Report("story", 1, verdicts=[Verdict("fine"), Verdict("bad", ("[a]", "b", "c", "d", "e"))])
    report.calls.append(count_calls("story", _stats()))
    out = io.StringIO()
    show_report(Console(file=out, width=100), report)
    text = out.getvalue()
    assert "✓ fine" in text
    assert "✗ bad" in text
    assert "[a]" in text
    assert "… and 2 more" in text
    assert max(map(len, text.splitlines())) <= 100

"""What the demo found out: figures and verdicts, as JSON for machines and as a table for people."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from closedwon.cli.demo.judge import Verdict

SYSTEMS = {"dynamics": "Dynamics CRM", "xero": "Xero"}
PERCENTILES = (50, 95, 99)


@dataclass(slots=True)
class Calls:
    """How often the product called each system in one part of the demo, sign-in included, and how often in vain."""

    phase: str
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)

    def total(self, system: str) -> int:
        """Return the calls to a system."""
        return int(self.systems[system]["total"])

    @property
    def throttled(self) -> int:
        """Return how often a system said: too many."""
        return sum(int(one["throttled"]) for one in self.systems.values())


@dataclass(slots=True)
class Report:
    """Everything worth knowing afterwards. *Units*: seconds."""

    kind: str
    seed: int
    deals: int = 0
    invoices: int = 0
    payments: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    latency_meaning: str = ""
    calls: list[Calls] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Tell whether all is as it should be."""
        return bool(self.verdicts) and all(verdict.holds for verdict in self.verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "kind": self.kind,
            "seed": self.seed,
            "ok": self.holds,
            "deals": self.deals,
            "invoices": self.invoices,
            "payments": self.payments,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "latency_s": {**percentiles(self.latencies_s), "meaning": self.latency_meaning},
            "calls": {one.phase: one.systems for one in self.calls},
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
        }

    def to_json(self) -> bytes:
        """Render the report for a file."""
        return msgspec.json.format(msgspec.json.encode(self.as_dict()), indent=2) + b"\n"


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Return p50, p95 and p99 by the nearest rank; None without values."""
    ranked = sorted(values)
    return {
        f"p{pct}": round(ranked[math.ceil(len(ranked) * pct / 100) - 1], 3) if ranked else None for pct in PERCENTILES
    }


def count_calls(phase: str, stats: dict[str, Any]) -> Calls:
    """Take the product's calls out of the sandbox's counters: what it asked signed in, and its sign-ins."""
    systems = {}
    for system in SYSTEMS:
        app, anonymous = stats[system]["app"], stats[system]["anonymous"]
        endpoints = {**app["endpoints"]}
        for name, count in anonymous["endpoints"].items():
            endpoints[name] = endpoints.get(name, 0) + count
        systems[system] = {
            "total": app["total"] + anonymous["total"],
            "throttled": app["throttled"] + anonymous["throttled"],
            "endpoints": endpoints,
        }
    return Calls(phase, systems)


def show_report(console: Console, report: Report) -> None:
    """Print figures and verdicts."""
    figures = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    figures.add_column(style="dim")
    figures.add_column(justify="right")
    for name, value in _figures(report):
        figures.add_row(name, value)
    console.print(figures)
    calls = Table(box=box.SIMPLE, pad_edge=False)
    calls.add_column("calls the product made")
    for title in SYSTEMS.values():
        calls.add_column(title, justify="right")
    calls.add_column("throttled", justify="right")
    for one in report.calls:
        calls.add_row(one.phase, *(str(one.total(system)) for system in SYSTEMS), str(one.throttled))
    console.print(calls)
    for verdict in report.verdicts:
        show_verdict(console, verdict)


def show_verdict(console: Console, verdict: Verdict) -> None:
    """Print one verdict, and what speaks against it."""
    mark = "[green]✓[/]" if verdict.holds else "[red]✗[/]"
    console.print(f"  {mark} {verdict.statement}", highlight=False)
    for text in verdict.wrong[:3]:
        console.print(f"      {text}", style="red", highlight=False, markup=False)
    if len(verdict.wrong) > 3:  # noqa: PLR2004 - the three above
        console.print(f"      … and {len(verdict.wrong) - 3} more", style="red")


def _figures(report: Report) -> list[tuple[str, str]]:
    latency = percentiles(report.latencies_s)
    times = " / ".join(f"{value:.2f} s" if value is not None else "-" for value in latency.values())
    return [
        ("deals won", str(report.deals)),
        ("invoices in the books", str(report.invoices)),
        ("payments in the books", str(report.payments)),
        ("deal won → invoice, p50 / p95 / p99", times),
        *((name, f"{value:.1f} s") for name, value in report.seconds.items()),
    ]

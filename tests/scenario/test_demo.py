"""The demo as people start it: it ends by itself, proves its point, and leaves nothing running."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 240
COMMAND = [sys.executable, "-m", "closedwon.cli.main", "demo"]


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _calls(report: dict[str, Any], phase: str) -> tuple[int, int]:
    return report["calls"][phase]["dynamics"]["total"], report["calls"][phase]["xero"]["total"]


def test_the_headless_demo_proves_the_main_job(tmp_path: Path) -> None:
    """Twenty deals become twenty paid invoices in few calls; exit code and report say so."""
    file = tmp_path / "report.json"
    ended = _demo("--headless", "--deals", "20", "--seed", "5", "--report", str(file))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    report = json.loads(file.read_text())
    assert report["ok"] is True
    assert (report["deals"], report["invoices"], report["payments"]) == (20, 20, 20)
    assert max(_calls(report, "backlog with payments")) <= 12
    assert all(system["throttled"] == 0 for phase in report["calls"].values() for system in phase.values())
    assert all(verdict["holds"] for verdict in report["verdicts"])
    assert {verdict["statement"] for verdict in report["verdicts"]} >= {
        "every won deal has exactly one invoice",
        "a second run creates nothing",
        "a run with an empty store creates nothing",
    }
    assert 0 < report["latency_s"]["p50"] <= report["latency_s"]["p95"] <= report["latency_s"]["p99"]


def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    """Every chapter is told in lines that fit a pipe, and the simulators agree in the end."""
    file = tmp_path / "report.json"
    ended = _demo("--fast", "--report", str(file), "--dir", str(tmp_path / "demo"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert max(map(len, ended.stdout.splitlines())) <= 100
    for words in ("is won", "shows partially paid", "review resolve 1 --account 206", "is killed", "What next"):
        assert words in ended.stdout
    assert "none twice, none missing" in ended.stdout
    report = json.loads(file.read_text())
    assert report["ok"] is True
    assert report["deals"] == report["invoices"]
    assert report["calls"]["story"]["xero"]["throttled"] == 0


def _hear_interrupts() -> None:
    """Undo what a shell does to jobs in the background: they are told to ignore Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path, number: int) -> None:
    """Ctrl+C or a termination in the middle ends both children too."""
    folder = tmp_path / "demo"
    command = [*COMMAND, "--fast", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=_hear_interrupts)  # noqa: PLW1509 - no threads
    try:
        children = _await_children(process.pid, 2)
        process.send_signal(number)
        assert process.wait(60) != 0
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == []
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    """The store of an earlier run knows records of a sandbox that is gone; the message names the way out."""
    (tmp_path / "closedwon.db").touch()
    ended = _demo("--headless", "--deals", "1", "--dir", str(tmp_path))
    assert ended.returncode != 0
    assert "--dir" in ended.stderr


def test_a_report_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    """Not after the demo has run."""
    ended = _demo("--headless", "--report", str(tmp_path / "nowhere" / "report.json"))
    assert ended.returncode == 2
    assert "nowhere" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def _await_children(pid: int, count: int) -> list[psutil.Process]:
    ends = time.monotonic() + 90
    while time.monotonic() < ends:
        children = psutil.Process(pid).children(recursive=True)
        if len(children) >= count:
            return children
        time.sleep(0.05)
    raise AssertionError("the demo started no children")

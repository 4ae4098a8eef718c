"""Measures the product against the sandbox, prints a table, writes JSON. `make bench` runs it.

    python tests/bench/run.py [--out FILE] [--seconds 60] [--only NAME …]

Each measurement starts the sandbox and the product as processes of their own, as a user would.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx2
import psutil

from deals import People
from sandbox_process import Sandbox, running_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

READY_TIMEOUT_S = 30
BACKLOG_TIMEOUT_S = 300
MEGABYTE = 1_000_000


@dataclass
class Product:
    """The product as a running process, and its store."""

    process: subprocess.Popen[str]
    url: str
    store: Path
    ready_after_s: float
    peak_mb: float = 0.0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Note the highest memory use, until stopped."""
        process = psutil.Process(self.process.pid)
        while not self._stopped.wait(0.1):
            with contextlib.suppress(psutil.NoSuchProcess):
                self.peak_mb = max(self.peak_mb, self.memory_mb(process))

    def memory_mb(self, process: psutil.Process | None = None) -> float:
        """Return the resident memory now."""
        return float((process or psutil.Process(self.process.pid)).memory_info().rss) / MEGABYTE

    def rows(self, query: str) -> list[Any]:
        """Read from the product's own store, beside it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def shown(self) -> int:
        """Count the invoices that the CRM shows."""
        query = "SELECT count(*) FROM link WHERE record_type = 'invoice' AND snapshot IS NOT NULL"
        return int(self.rows(query)[0][0])


@contextlib.contextmanager
def running_product(sandbox: Sandbox, **changes: str) -> Iterator[Product]:
    """Run `closedwon run` against a sandbox; `changes` replace texts of its configuration."""
    text = sandbox.config_file.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    config = sandbox.folder / "bench.yaml"
    config.write_text(text)
    command = [sys.executable, "-m", "closedwon.cli.main", "run", "-c", str(config), "--port", "0", "--json"]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    announcement = ""
    while "}" not in announcement or announcement.count("{") != announcement.count("}"):
        line = process.stdout.readline()
        assert line, "the product ended before it was ready"
        announcement += line
    ready = time.monotonic() - started
    product = Product(process, json.loads(announcement)["url"], sandbox.folder / "closedwon.db", ready)
    watcher = threading.Thread(target=product.watch)
    watcher.start()
    try:
        yield product
    finally:
        product._stopped.set()
        watcher.join()
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99, rounded to milliseconds where seconds came in."""
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 4), "p95": round(cuts[94], 4), "p99": round(cuts[98], 4)}


def overheads(product: Product) -> list[float]:
    """Return, per deal, seconds from the first event's receipt to the moment its invoice is sent."""
    rows = product.rows(
        "SELECT min(e.received_at), i.created_at FROM intent i JOIN event e ON e.record_id = i.record_id "
        "WHERE i.operation = 'create_invoice' GROUP BY i.record_id, i.created_at"
    )
    return [(_instant(sent) - _instant(received)).total_seconds() for received, sent in rows]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def calls(sandbox: Sandbox) -> dict[str, Any]:
    """Return the product's calls per system, with how many were throttled."""
    stats = sandbox.stats()
    return {
        system: {"calls": stats[system]["app"]["total"], "throttled": stats[system]["app"]["throttled"]}
        for system in ("dynamics", "xero")
    }


def bench_startup(folder: Path, _seconds: int) -> dict[str, Any]:
    """Measure how long until ready, and the memory of an idle product."""
    with running_sandbox(folder) as sandbox:
        times = []
        for _ in range(3):
            with running_product(sandbox) as product:
                times.append(product.ready_after_s)
                time.sleep(3)
                memory = product.memory_mb()
    return {"ready_s": round(min(times), 2), "idle_mb": round(memory)}


def bench_backlog(folder: Path, _seconds: int, deals: int = 200) -> dict[str, Any]:
    """Measure a backlog under the vendor's limits: deals won before the start, invoiced, paid, shown as paid."""
    with running_sandbox(folder) as sandbox, People(sandbox.info) as people:
        people.sell(deals)
        sandbox.reset_stats()
        started = time.monotonic()
        with running_product(
            sandbox, **{"invoice_status: {}": "invoice_status: {}\n        feed_every_s: 5"}
        ) as product:
            _until(lambda: product.shown() == deals)
            invoiced = time.monotonic() - started
            books = sandbox.state("xero")["organisations"][0]["invoices"]
            people.pay([(one["InvoiceID"], Decimal(one["AmountDue"])) for one in books])
            _until(lambda: sum(one["statecode"] == 2 for one in sandbox.state("dynamics")["invoices"]) == deals)
            paid = time.monotonic() - started
            made = calls(sandbox)
            peak = product.peak_mb
    return {
        "deals": deals,
        "invoiced_s": round(invoiced, 2),
        "paid_s": round(paid, 2),
        "deals_per_minute": round(deals * 60 / invoiced),
        "calls": made,
        "peak_mb": round(peak),
    }


def bench_live(folder: Path, seconds: int, per_second: int = 10, *, limited: bool = False) -> dict[str, Any]:
    """Measure live work: deals won one after another, each told by a webhook."""
    with (
        running_sandbox(folder, "--hooks-url", f"http://127.0.0.1:{_free_port()}") as sandbox,
        People(sandbox.info) as people,
    ):
        ids = people.sell(seconds * per_second, won=False)
        changes = {}
        if not limited:
            sandbox.limits("xero", concurrent=50, minute=100_000, day=1_000_000, app_minute=1_000_000)
            changes["webhook_key:"] = "limits: {concurrent: 50, minute: 100000, day: 1000000}\n        webhook_key:"
        port = int(re.findall(r":(\d+)", sandbox.info["hooks"]["public_url"])[0])
        with _product_at(sandbox, port, changes) as product:
            _win_steadily(people, ids, per_second)
            _until(lambda: product.shown() == len(ids))
            measured = overheads(product)
            made = calls(sandbox)
            peak = product.peak_mb
    return {
        "deals": len(ids),
        "per_second": per_second,
        "overhead_s": percentiles(measured),
        "calls": made,
        "peak_mb": round(peak),
    }


@contextlib.contextmanager
def _product_at(sandbox: Sandbox, port: int, changes: dict[str, str]) -> Iterator[Product]:
    """Connect (registers webhooks), then run on a known port."""
    text = sandbox.config_file.read_text()
    for old, new in changes.items():
        text = text.replace(old, new)
    sandbox.config_file.write_text(text)
    connect = [sys.executable, "-m", "closedwon.cli.main", "connect", "-c", str(sandbox.config_file)]
    subprocess.run(connect, check=True, stdout=subprocess.DEVNULL)
    config = sandbox.folder / "bench.yaml"
    config.write_text(text)
    with running_product_on(sandbox, config, port) as product:
        yield product


@contextlib.contextmanager
def running_product_on(sandbox: Sandbox, config: Path, port: int) -> Iterator[Product]:
    """Run the product on a port with a configuration."""
    command = [sys.executable, "-m", "closedwon.cli.main", "run", "-c", str(config), "--port", str(port), "--json"]
    started = time.monotonic()
    with (sandbox.folder / "product.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    url = f"http://127.0.0.1:{port}"
    _until(lambda: _ready(url), READY_TIMEOUT_S)
    product = Product(process, url, sandbox.folder / "closedwon.db", time.monotonic() - started)
    watcher = threading.Thread(target=product.watch)
    watcher.start()
    try:
        yield product
    finally:
        product._stopped.set()
        watcher.join()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _win_steadily(people: People, ids: list[str], per_second: int) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        for number, deal in enumerate(ids):
            pause = begun + number / per_second - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            pool.submit(people.win, deal)


def bench_webhooks(folder: Path, seconds: int, per_second: int = 300) -> dict[str, Any]:
    """Measure how fast a Xero webhook is acknowledged, each durable first, at a steady rate."""
    with running_sandbox(folder) as sandbox:
        port = _free_port()
        with running_product_on(sandbox, sandbox.config_file, port) as product:
            key, organisation = sandbox.info["hooks"]["xero_key"], sandbox.info["xero"]["organisations"][0]["id"]
            url = f"{product.url}/hooks/xero/demo.books"
            times = _post_steadily(url, key, organisation, per_second, seconds)
            stored = product.rows("SELECT count(*) FROM event")[0][0]
    return {
        "sent": len(times),
        "stored": stored,
        "per_second": per_second,
        "acknowledged_ms": {name: round(value * 1000, 1) for name, value in percentiles(times).items()},
    }


def _post_steadily(url: str, key: str, organisation: str, per_second: int, seconds: int) -> list[float]:
    times: list[float] = []
    with httpx2.Client(trust_env=False, timeout=10, limits=httpx2.Limits(max_connections=32)) as client:

        def post() -> None:
            body = _hook_body(organisation)
            signature = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
            started = time.perf_counter()
            answer = client.post(
                url, content=body, headers={"x-xero-signature": signature, "Content-Type": "application/json"}
            )
            times.append(time.perf_counter() - started)
            assert answer.status_code == 200, answer.status_code

        begun = time.monotonic()
        with ThreadPoolExecutor(16) as pool:
            sent = []
            for number in range(per_second * seconds):
                pause = begun + number / per_second - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                sent.append(pool.submit(post))
            for one in sent:
                one.result()
    return times


def _hook_body(organisation: str) -> bytes:
    invoice = str(uuid.uuid4())
    event = {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{invoice}",
        "resourceId": invoice,
        "eventDateUtc": datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00"),
        "eventType": "UPDATE",
        "eventCategory": "INVOICE",
        "tenantId": organisation,
        "tenantType": "ORGANISATION",
    }
    return json.dumps({"events": [event], "firstEventSequence": 1, "lastEventSequence": 1, "entropy": "BENCH"}).encode()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(url: str) -> bool:
    try:
        return bool(httpx2.get(f"{url}/readyz", trust_env=False).is_success)
    except httpx2.HTTPError:
        return False


def _until(condition: Any, timeout_s: float = BACKLOG_TIMEOUT_S) -> None:
    ends = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(sqlite3.OperationalError):
            if condition():
                return
        if time.monotonic() > ends:
            raise TimeoutError("the benchmark did not get there in time")
        time.sleep(0.05)


BENCHES = {
    "start-up": bench_startup,
    "backlog 200": bench_backlog,
    "backlog 1000": lambda folder, seconds: bench_backlog(folder, seconds, 1000),
    "live, own limits off": bench_live,
    "live, vendor limits": lambda folder, seconds: bench_live(folder, seconds, limited=True),
    "webhooks": lambda folder, seconds: bench_webhooks(folder, min(seconds, 20)),
}


def main() -> None:
    """Run the benchmarks and print what they found."""
    parser = argparse.ArgumentParser(description="Measures the product against the sandbox.")
    parser.add_argument("--out", type=Path, default=Path("bench-results/latest.json"))
    parser.add_argument("--seconds", type=int, default=60, help="length of the live measurements")
    parser.add_argument("--only", nargs="*", choices=sorted(BENCHES), help="run these alone")
    options = parser.parse_args()
    results: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "python": sys.version.split()[0]}
    for name, bench in BENCHES.items():
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[name] = bench(Path(folder) / "sandbox", options.seconds)
        _print(name, results[name])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")
    sys.stdout.write(f"\nwritten to {options.out}\n")


def _print(name: str, figures: dict[str, Any], indent: str = "") -> None:
    sys.stdout.write(f"{indent}{name}\n")
    for key, value in figures.items():
        if isinstance(value, dict):
            text = "  ".join(f"{inner} {one}" for inner, one in value.items())
            sys.stdout.write(f"{indent}  {key:<20}{text}\n")
        else:
            sys.stdout.write(f"{indent}  {key:<20}{value}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""The store has trouble: the message says what to do, and afterwards nothing is lost and nothing doubled."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from closedwon.app.compose import open_app
from closedwon.db import connect
from closedwon.kernel.errors import Misconfigured, Unavailable
from product import running_product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from closedwon.app.compose import App
    from product import Stage

WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")
FULL_S = 1.5


def store_file(config: Path) -> Path:
    """Name the store's file."""
    return config.parent / "closedwon.db"


def test_a_file_that_is_no_database_is_refused_and_left_alone(stage: Stage) -> None:
    """The message names the file, and its content stays as it was."""
    config = stage.configure()
    store_file(config).write_bytes(b"the year's accounts" * 1000)
    with pytest.raises(Misconfigured, match="is not a database") as caught:
        open_app(config)
    assert str(store_file(config)) in caught.value.text
    assert caught.value.hint
    assert store_file(config).read_bytes() == b"the year's accounts" * 1000


def test_a_store_of_a_newer_version_is_refused_and_left_alone(stage: Stage) -> None:
    """A store that a newer version has migrated is not touched; the next step is named."""
    config = stage.configure()
    open_app(config).close()
    with sqlite3.connect(store_file(config)) as store:
        store.execute("UPDATE closedwon_version SET version_num = '9999'")
    store.close()
    with pytest.raises(Misconfigured, match="newer version") as caught:
        open_app(config)
    assert "run that version" in caught.value.hint
    with sqlite3.connect(store_file(config)) as store:
        assert store.execute("SELECT version_num FROM closedwon_version").fetchone() == ("9999",)
    store.close()


def test_a_read_only_store_is_refused(stage: Stage) -> None:
    """Where the file cannot be written the product does not start, and says which file and what to do."""
    config = stage.configure()
    open_app(config).close()
    with sqlite3.connect(store_file(config)) as store:
        store.execute("PRAGMA journal_mode=DELETE")
    store.close()
    store_file(config).chmod(0o444)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv, to be a user whom file permissions hold back")
    script = (
        "import sys; from pathlib import Path; from closedwon.app.compose import open_app; open_app(Path(sys.argv[1]))"
    )
    limited = [setpriv, "--bounding-set=-dac_override", sys.executable, "-c", script, str(config)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "Misconfigured" in last
    assert f"{store_file(config)} is read-only" in last


@contextmanager
def held_by_another_process(config: Path) -> Iterator[None]:
    """Have another process hold the store's write lock."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(1); input()"
    command = [sys.executable, "-u", "-c", script, str(store_file(config))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"1\n"
        try:
            yield
        finally:
            holder.stdin.write(b"\n")
            holder.stdin.flush()


def test_a_store_locked_by_another_process_is_waited_for_and_then_reported(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that holds the store's lock too long is named as the cause; once it lets go all is well."""
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 200)
    config = stage.configure()
    (deal_id,) = stage.win(stage.clean_deals()[0])
    with running_product(config) as product:
        with held_by_another_process(config), pytest.raises(Unavailable, match="locked by another process"):
            product.desk.check_store()
        product.work_off()
    stage.assert_invoiced_once([deal_id])


def test_two_processes_never_work_on_one_store(stage: Stage) -> None:
    """The second product on a SQLite store is told which process works there already."""
    config = stage.configure()
    with running_product(config):
        second = open_app(config)
        try:
            with pytest.raises(Misconfigured, match="works on the store"):
                second._lock.take()
        finally:
            second.http.close()
            second.database.close()
            second._runner_database.close()


@contextmanager
def full_disk_from(app: App, statement_start: str) -> Iterator[dict[str, Any]]:
    """Let every write fail from the first statement that starts so, until the returned "full" is set to False."""
    disk: dict[str, Any] = {"full": None, "refused": 0}

    def refuse(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        if disk["full"] is None and statement.startswith(statement_start):
            disk["full"] = True
        if disk["full"] and statement.lstrip().upper().startswith(WRITES):
            disk["refused"] += 1
            raise sa.exc.OperationalError(statement, parameters, sqlite3.OperationalError("database or disk is full"))

    engines = (app.database.engine, app._runner_database.engine)
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield disk
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", refuse)


@pytest.mark.parametrize("receipt", ["contact", "invoice"])
def test_a_disk_that_is_full_when_a_receipt_is_committed_doubles_nothing(stage: Stage, receipt: str) -> None:
    """The books have the record, our receipt finds no space: with space again each deal has exactly one invoice."""
    customer = stage.new_customer("Full Disk Ltd")
    deals = [stage.sell_to(customer)]
    with running_product(stage.configure()) as product:
        if receipt == "invoice":
            product.work_off()  # the customer has its contact, so the next receipt is an invoice's
        deals += [stage.sell_to(customer) for _ in range(3)]
        with full_disk_from(product.app, "UPDATE intent") as disk:
            product.read_feeds()
            product.wait_until(lambda: disk["refused"] > 0, "the disk is full")
            ends = time.monotonic() + FULL_S
            product.wait_until(lambda: time.monotonic() > ends, "it stays full for a while")
            made = [one["Reference"] for one in stage.books()["invoices"] if one["Reference"] in deals[1:]]
            assert len(made) == (3 if receipt == "invoice" else 0)
            disk["full"] = False
            product.wait_settled()
        assert product.items() == []
        stage.assert_invoiced_once(deals)


def test_an_event_that_finds_no_space_is_not_acknowledged(stage: Stage) -> None:
    """While the disk is full a webhook is answered 503, so that it is sent again; with space it is taken in."""
    with stage.product(hooks=True) as product:
        with full_disk_from(product.app, "INSERT INTO event") as disk:
            (deal_id,) = stage.win(stage.clean_deals()[0])
            product.wait_until(lambda: stage.simulators.webhooks()["dynamics"]["refused"] > 0, "a webhook refused")
            assert disk["refused"] > 0
            disk["full"] = False
        product.wait_until(lambda: stage.crm()["invoices"], "a CRM invoice")
        product.wait_settled()
        stage.assert_invoiced_once([deal_id])

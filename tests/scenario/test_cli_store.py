"""Stores that cannot be used: each gets its message, its exit code, and is left as it was."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from closedwon.db import connect
from command_line import execute

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
store: sqlite:///closedwon.db
tenants:
  acme:
    connections:
      crm:
        connector: dynamics
        url: http://127.0.0.1:9
        auth: {kind: client_credentials, directory: d, client_id: c, client_secret: s, authority_url: "http://127.0.0.1:9"}
      books:
        connector: xero
        api_url: http://127.0.0.1:9
        identity_url: http://127.0.0.1:9
        auth: {kind: custom_connection, client_id: c, client_secret: s}
    integrations:
      sales: {crm: crm, books: books, flows: {opportunity_won: {}, invoice_status: {}}}
"""
WRITE_VERSION_AT = 18  # a byte of SQLite's file header: above 2, the file must be treated as read-only


@pytest.fixture
def config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a configuration whose store is there."""
    path = tmp_path / "closedwon.yaml"
    path.write_text(CONFIG)
    assert execute(["status", "-c", str(path)]) == 0
    capsys.readouterr()
    return path


def _fail(config: Path, capsys: pytest.CaptureFixture[str], command: str, code: int) -> dict[str, str]:
    assert execute([command, "--json", "-c", str(config)]) == code
    captured = capsys.readouterr()
    document = json.loads(captured.out or captured.err)
    if command == "check":
        (found,) = (one for one in document["findings"] if not one["ok"])
        return dict(found)
    return dict(document["error"])


@pytest.mark.parametrize("command", ["status", "retry", "check", "run"])
def test_a_read_only_store(command: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says that it cannot be written, and who has to be given the right."""
    store = config.with_name("closedwon.db")
    with store.open("r+b") as file:
        file.seek(WRITE_VERSION_AT)
        file.write(b"\x03")
    error = _fail(config, capsys, command, 2)
    assert "closedwon.db is read-only" in error["text"]
    assert "write access" in error["hint"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everything")
def test_a_store_without_the_right_to_write(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, by the file system's own rights."""
    for file in config.parent.glob("closedwon.db*"):
        file.chmod(0o400)
    assert "is read-only" in _fail(config, capsys, "status", 2)["text"]


@pytest.mark.parametrize("command", ["status", "check", "run"])
def test_a_store_from_a_newer_version(command: str, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not touched; the message names both versions."""
    with closing(sqlite3.connect(config.with_name("closedwon.db"))) as store, store:
        store.execute("UPDATE closedwon_version SET version_num = '9999'")
    error = _fail(config, capsys, command, 2)
    assert "newer version of Closedwon (its tables are 9999" in error["text"]
    assert "run that version" in error["hint"]


@pytest.mark.parametrize("command", ["status", "check"])
def test_a_locked_store(
    command: str, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After waiting its turn the command says who is in the way, and works again when the lock is gone."""
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 20)
    other = connect.Database(f"sqlite:///{config.with_name('closedwon.db')}")
    with other.begin():
        error = _fail(config, capsys, command, 3)
    other.close()
    assert "is locked by another process" in error["text"]
    assert error["hint"]
    assert execute(["status", "-c", str(config)]) == 0


def test_a_file_that_is_no_database(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is left as it was."""
    store = config.with_name("closedwon.db")
    for file in config.parent.glob("closedwon.db*"):
        file.unlink()
    store.write_bytes(b"something else" * 1000)
    assert "is not a database" in _fail(config, capsys, "status", 2)["text"]
    assert store.read_bytes() == b"something else" * 1000


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says what to create or change."""
    path = tmp_path / "closedwon.yaml"
    path.write_text(CONFIG.replace("closedwon.db", "none/closedwon.db"))
    error = _fail(path, capsys, "status", 2)
    assert "cannot be opened" in error["text"]
    assert "create its folder" in error["hint"]


def test_another_products_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is created among a stranger's tables."""
    with closing(sqlite3.connect(tmp_path / "closedwon.db")) as store, store:
        store.execute("CREATE TABLE customers (id INTEGER)")
    path = tmp_path / "closedwon.yaml"
    path.write_text(CONFIG)
    assert "another product's tables (customers)" in _fail(path, capsys, "status", 2)["text"]


def test_a_wrong_key(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key file that was damaged is named."""
    config.with_name("closedwon.key").write_text("not a key")
    error = _fail(config, capsys, "status", 2)
    assert "closedwon.key is not a key" in error["text"]


def test_a_key_that_others_may_read_is_found(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check names the command that mends it."""
    key = config.with_name("closedwon.key")
    key.chmod(0o644)
    execute(["check", "--json", "-c", str(config)])
    findings = json.loads(capsys.readouterr().out)["findings"]
    (found,) = (one for one in findings if one["subject"] == "key file")
    assert found["hint"] == f"chmod 600 {key}"

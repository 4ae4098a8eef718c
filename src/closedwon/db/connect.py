"""Opens the store, SQLite by default or PostgreSQL, so that both keep the same promises.

SQLite gets write-ahead logging, writers that queue instead of failing (`BEGIN IMMEDIATE`), and `synchronous=FULL`,
because a receipt that is lost in a power cut could double an invoice. *Source*: SQLite's pages on WAL and
transactions, read 2026-11-22.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from closedwon.kernel.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST_SQLITE = (3, 42)  # the engine below us uses unixepoch('subsec')
BUSY_TIMEOUT_MS = 30_000
HOLDS_TURN = "closedwon_turn"

# Writers of this process take turns here: SQLite's own waiting is sleeping and trying again, which costs up to 100 ms.
_TURNS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def use_current_sqlite() -> None:
    """Put the bundled SQLite in the place of a system's that is too old, before anything opens a file with it."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        import pysqlite3  # noqa: PLC0415 - only where needed; there is no wheel for every platform

        sys.modules["sqlite3"] = pysqlite3


class Database:
    """One store and how to begin transactions on it. Thread-safe.

    *Raises*, from `begin` and `read`: Unavailable when the store cannot be used now (locked, full, gone), Misconfigured
    when it never can (read-only, not a database).
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self.url = url
        self.engine = _create_engine(url, durable=durable)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Begin a write transaction; it commits at the end of the block and rolls back on an exception."""
        with _translated(self.url), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Begin a read transaction that never waits for a writer."""
        reader = self.engine.execution_options(closedwon_read=True)
        with _translated(self.url), reader.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that knows ON CONFLICT, for the connection's kind of database."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _create_engine(url: str, *, durable: bool) -> sa.Engine:
    if url.startswith("sqlite"):
        use_current_sqlite()
        engine = sa.create_engine(url, pool_size=20, max_overflow=10)
        _set_up_sqlite(engine, durable=durable)
        return engine
    if url.startswith("postgresql"):
        address = sa.make_url(url).set(drivername="postgresql+psycopg")
        return sa.create_engine(address, pool_size=10, max_overflow=20, pool_pre_ping=True)
    raise Misconfigured(f"store: {url!r} is neither sqlite:/// nor postgresql://", hint="correct `store`")


def _set_up_sqlite(engine: sa.Engine, *, durable: bool) -> None:
    pragmas = (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        f"synchronous={'FULL' if durable else 'NORMAL'}",
        "foreign_keys=ON",
    )

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    turn = _TURNS[engine.url.database or ""]

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("closedwon_read", False)
        if not reading and not connection.info.get(HOLDS_TURN):
            # After the time-out SQLite's own lock decides, which also guards against other processes.
            connection.info[HOLDS_TURN] = turn.acquire(timeout=BUSY_TIMEOUT_MS / 1000)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    @sa.event.listens_for(engine, "checkin")
    def _returned(_connection: Any, record: Any) -> None:
        if record.info.pop(HOLDS_TURN, False):
            turn.release()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the driver's errors into ours, with the next step."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _translate(error, url) from error


def _translate(error: sa.exc.DBAPIError, url: str) -> Exception:
    text = str(error.orig)
    where = sa.make_url(url).render_as_string(hide_password=True)
    if "readonly" in text or "read-only" in text:
        return Misconfigured(f"the store {where} is read-only", hint="give the process write access to file and folder")
    if "not a database" in text or "malformed" in text:
        return Misconfigured(f"the store {where} is not a database: {text}", hint="restore a backup or change `store`")
    if "unable to open" in text:
        return Misconfigured(f"the store {where} cannot be opened: {text}", hint="create its folder or change `store`")
    if "is full" in text or "No space left" in text:
        return Unavailable(f"the disk of the store {where} is full", hint="free space; work goes on by itself")
    if "locked" in text or "busy" in text:
        return Unavailable(f"the store {where} is locked by another process", hint="end the process that holds it")
    if isinstance(error, sa.exc.OperationalError):
        return Unavailable(f"the store {where} cannot be used: {text}", hint="check that it runs and accepts logins")
    return error

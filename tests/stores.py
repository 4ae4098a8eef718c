"""Stores for tests: a SQLite file, and a PostgreSQL database of the test session's own where a server listens."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from closedwon.db.connect import Database
from closedwon.db.migrate import migrate
from closedwon.db.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "postgresql://root@127.0.0.1:5432"
START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class SetClock:
    """A clock that moves only when it is told to, or waited on."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        """Return the moment it is set to."""
        return self.moment

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return (self.moment - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept_s.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> SetClock:
    """Return a clock that stands still."""
    return SetClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Open a migrated SQLite store."""
    opened = Database(f"sqlite:///{tmp_path / 'closedwon.db'}", durable=False)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Make a database of our own on the server of this machine, and drop it in the end."""
    server = sa.create_engine(SERVER.replace("postgresql", "postgresql+psycopg") + "/postgres", poolclass=sa.NullPool)
    name = f"closedwon_test_{uuid.uuid4().hex[:12]}"
    try:
        _execute(server, f"CREATE DATABASE {name}")
    except sa.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL listens on 127.0.0.1:5432: {error.orig}")
    yield f"{SERVER}/{name}"
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Open a migrated, empty store of each kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'any.db'}" if sqlite else request.getfixturevalue("postgres_url")
    opened = Database(url, durable=False)
    migrate(opened)
    with opened.begin() as tx:
        for table in metadata.sorted_tables:
            tx.execute(sa.delete(table))
    yield opened
    opened.close()


@pytest.fixture
def blank_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Open a store without any table, of the kind that a test names by indirect parameter."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'blank.db'}" if sqlite else request.getfixturevalue("postgres_url")
    opened = Database(url, durable=False)
    with opened.begin() as tx:
        found = sa.MetaData()
        found.reflect(tx)
        found.drop_all(tx)
    yield opened
    opened.close()


def _execute(server: sa.Engine, statement: str) -> None:
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(statement))

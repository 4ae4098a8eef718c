"""The wrapper around the durable runner's library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from dbos._utils import retriable_sqlite_exception

from closedwon.db.connect import Database
from closedwon.engine.runner import PlainJson, wait_out_a_full_disk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    """What SQLite says of a full disk reaches the library as something to try again; other errors stay as they are."""
    database = Database(f"sqlite:///{tmp_path / 'small.db'}")
    wait_out_a_full_disk(database.engine)
    try:
        with database.engine.begin() as tx:
            tx.exec_driver_sql("CREATE TABLE pile (thing TEXT)")
            tx.exec_driver_sql("PRAGMA max_page_count = 3")
        with pytest.raises(sa.exc.OperationalError) as full, database.engine.begin() as tx:
            tx.exec_driver_sql("INSERT INTO pile VALUES (?)", ("x" * 100_000,))
        with pytest.raises(sa.exc.OperationalError) as other, database.engine.begin() as tx:
            tx.exec_driver_sql("SELECT * FROM nothing")
    finally:
        database.close()
    assert retriable_sqlite_exception(full.value)
    assert not retriable_sqlite_exception(other.value)


def test_what_steps_exchange_is_json() -> None:
    """Plain values come back as they were; an exception comes back as its text, never as a live object."""
    plain = {"runs": 3, "names": ["a", None], "done": True}
    serializer = PlainJson()
    assert serializer.deserialize(serializer.serialize(plain)) == plain
    assert serializer.deserialize(serializer.serialize(ValueError("no"))) == "no"

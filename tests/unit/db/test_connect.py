"""The store's promises, and its errors in words."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from closedwon.db import connect
from closedwon.db.connect import Database, insert
from closedwon.db.migrate import migrate
from closedwon.db.schema import Json, executor
from closedwon.kernel.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2026-11-22T12:00:00.000Z"


def names(database: Database) -> set[str]:
    """Return what is stored."""
    with database.read() as tx:
        return set(tx.execute(sa.select(executor.c.id)).scalars())


def test_a_transaction_is_whole_or_nothing(any_database: Database) -> None:
    """An exception takes everything back and is passed on as it is."""
    with pytest.raises(ZeroDivisionError), any_database.begin() as tx:
        tx.execute(sa.insert(executor).values(id="a", beat_at=str(1 / len(names(any_database)))))
    assert names(any_database) == set()


def test_an_upsert_works_on_both(any_database: Database) -> None:
    """The second insert of a key updates."""
    for moment in ("1", "2"):
        with any_database.begin() as tx:
            statement = insert(tx, executor).values(id="a", beat_at=moment)
            tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"beat_at": moment}))
    with any_database.read() as tx:
        assert tx.execute(sa.select(executor.c.beat_at)).scalar_one() == "2"


def test_readers_do_not_wait_for_a_writer(any_database: Database) -> None:
    """And do not see what is not committed."""
    with any_database.begin() as tx:
        tx.execute(sa.insert(executor).values(id="a", beat_at=NOW))
        assert names(any_database) == set()
    assert names(any_database) == {"a"}


def test_writers_queue_instead_of_failing(database: Database) -> None:
    """Eight threads that read and then write lose nothing."""

    def count() -> None:
        with database.begin() as tx:
            beat = tx.execute(sa.select(executor.c.beat_at)).scalar()
            statement = insert(tx, executor).values(id="n", beat_at=str(int(beat or 0) + 1))
            tx.execute(
                statement.on_conflict_do_update(index_elements=["id"], set_={"beat_at": statement.excluded.beat_at})
            )

    def count_ten() -> None:
        for _ in range(10):
            count()

    threads = [threading.Thread(target=count_ten) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert tx.execute(sa.select(executor.c.beat_at)).scalar_one() == "80"


def test_receipts_outlive_a_power_cut(tmp_path: Path) -> None:
    """Write-ahead log and full synchronisation where it is not told otherwise."""
    durable = Database(f"sqlite:///{tmp_path / 'd.db'}")
    with durable.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert tx.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    durable.close()


def test_a_locked_store_is_unavailable(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may be free again in a moment."""
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 10)
    other = Database(database.url)
    with database.begin(), pytest.raises(Unavailable, match="locked"), other.begin():
        pass
    other.close()


def test_a_full_disk_is_unavailable_and_nothing_is_half_done(database: Database) -> None:
    """What was committed before stays; once there is space, work goes on."""
    with database.begin() as tx:
        tx.execute(sa.insert(executor).values(id="before", beat_at=NOW))
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(Unavailable, match=r"disk .* is full"), database.begin() as tx:
        tx.execute(sa.insert(executor), [{"id": f"{n}-{'x' * 180}", "beat_at": NOW} for n in range(5000)])
    assert names(database) == {"before"}
    with database.begin() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count=100000")
        tx.execute(sa.insert(executor).values(id="after", beat_at=NOW))
    assert names(database) == {"before", "after"}


def test_a_read_only_store_is_misconfigured(database: Database) -> None:
    """Trying again would not help."""
    with database.engine.connect() as warm:
        warm.exec_driver_sql("PRAGMA query_only=ON")
    with pytest.raises(Misconfigured, match="read-only"), database.begin() as tx:
        tx.execute(sa.insert(executor).values(id="a", beat_at=NOW))


def test_a_file_that_is_no_database_is_misconfigured(tmp_path: Path) -> None:
    """Its content is left alone."""
    path = tmp_path / "text.db"
    path.write_text("this is a letter, not a database\n" * 50)
    wrong = Database(f"sqlite:///{path}")
    with pytest.raises(Misconfigured, match="not a database"):
        migrate(wrong)
    wrong.close()
    assert path.read_text().startswith("this is a letter")


def test_a_folder_that_is_not_there_is_misconfigured(tmp_path: Path) -> None:
    """With the next step."""
    wrong = Database(f"sqlite:///{tmp_path / 'none' / 'x.db'}")
    with pytest.raises(Misconfigured, match="cannot be opened") as caught:
        migrate(wrong)
    assert "create its folder" in caught.value.hint
    wrong.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    """Its password is not shown."""
    gone = Database("postgresql://me:s3cr3t@127.0.0.1:1/none")
    with pytest.raises(Unavailable) as caught, gone.begin():
        pass
    assert "s3cr3t" not in str(caught.value.as_dict())
    gone.close()


def test_another_kind_of_store_is_refused() -> None:
    """Only two are known."""
    with pytest.raises(Misconfigured, match="neither"):
        Database("mysql://localhost/x")


def test_amounts_never_become_floats_in_the_store() -> None:
    """Decimals are kept as texts."""
    from decimal import Decimal

    column = Json()
    kept = column.process_bind_param({"total": Decimal("0.10")}, None)  # type: ignore[arg-type]
    assert kept == '{"total":"0.10"}'
    assert column.process_result_value(kept, None) == {"total": "0.10"}  # type: ignore[arg-type]

"""Migrations, up and down on both kinds of database, and the stores that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from closedwon.db import schema
from closedwon.db.migrate import HEAD, VERSION_TABLE, downgrade, find_version, migrate, upgrade
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from closedwon.db.connect import Database

BOTH = pytest.mark.parametrize("blank_database", ["sqlite", "postgresql"], indirect=True)


def tables(database: Database) -> set[str]:
    """Return the names of all tables."""
    with database.read() as tx:
        return set(sa.inspect(tx).get_table_names())


@BOTH
def test_up_down_and_up_again(blank_database: Database) -> None:
    """Every table comes, goes and comes again."""
    migrate(blank_database)
    ours = set(schema.metadata.tables)
    assert tables(blank_database) == ours | {VERSION_TABLE}
    assert find_version(blank_database) == HEAD
    downgrade(blank_database, "base")
    assert tables(blank_database) & ours == set()
    upgrade(blank_database, "head")
    assert tables(blank_database) >= ours


@BOTH
def test_the_migrated_tables_are_those_of_the_schema(blank_database: Database) -> None:
    """Column by column, nullability, keys and indexes: the migration and the code agree."""
    migrate(blank_database)
    with blank_database.read() as tx:
        inspector = sa.inspect(tx)
        for name, table in schema.metadata.tables.items():
            there = {one["name"]: one["nullable"] for one in inspector.get_columns(name)}
            assert there == {one.name: one.nullable for one in table.columns}, name
            assert set(inspector.get_pk_constraint(name)["constrained_columns"]) == {
                one.name for one in table.primary_key.columns
            }, name
            unique = {one["name"] for one in inspector.get_indexes(name) if not one.get("duplicates_constraint")}
            assert unique == {one.name for one in table.indexes}, name


@BOTH
def test_migrating_twice_changes_nothing(blank_database: Database) -> None:
    """What is stored stays."""
    migrate(blank_database)
    with blank_database.begin() as tx:
        tx.execute(sa.insert(schema.executor).values(id="one", beat_at="2026-11-22T12:00:00.000Z"))
    migrate(blank_database)
    with blank_database.read() as tx:
        assert tx.execute(sa.select(schema.executor.c.id)).scalar_one() == "one"


@BOTH
def test_a_newer_versions_store_is_refused(blank_database: Database) -> None:
    """With the way back."""
    migrate(blank_database)
    with blank_database.begin() as tx:
        tx.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608 - our constant
    with pytest.raises(Misconfigured, match="newer version") as caught:
        migrate(blank_database)
    assert "backup" in caught.value.hint


@BOTH
def test_another_products_store_is_refused_and_left_alone(blank_database: Database) -> None:
    """Nothing is created in it."""
    with blank_database.begin() as tx:
        tx.execute(sa.text("CREATE TABLE customers (id integer)"))
    with pytest.raises(Misconfigured, match="customers"):
        migrate(blank_database)
    assert tables(blank_database) == {"customers"}

"""Brings a store to this version's tables, and refuses stores that are not ours or from a newer version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from alembic.config import Config

    from closedwon.db.connect import Database

HEAD = "0001"
VERSION_TABLE = "closedwon_version"
FOLDER = Path(__file__).with_name("migrations")


def migrate(database: Database) -> None:
    """Create or upgrade the tables. Nothing happens, quickly, when they are up to date.

    *Raises* Misconfigured for another product's database, for one that a newer version has migrated and for one that
    cannot be written.
    """
    found = find_version(database)
    if found == HEAD:
        _prove_writable(database)
        return
    if found is None:
        _refuse_strangers(database)
    elif found not in _known_versions():
        raise Misconfigured(
            f"the store was migrated by a newer version of Closedwon (its tables are {found}, ours {HEAD})",
            hint="run that version, or restore the backup made before the upgrade",
        )
    upgrade(database, "head")


def find_version(database: Database) -> str | None:
    """Return the version of the tables, None for a store without ours."""
    with database.read() as tx:
        if not sa.inspect(tx).has_table(VERSION_TABLE):
            return None
        return tx.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant


def upgrade(database: Database, target: str) -> None:
    """Migrate up to a version."""
    from alembic import command  # noqa: PLC0415 - slow to import, rarely needed

    with database.begin() as tx:
        command.upgrade(_config(tx), target)


def downgrade(database: Database, target: str) -> None:
    """Migrate down to a version; "base" removes every table of ours."""
    from alembic import command  # noqa: PLC0415

    with database.begin() as tx:
        command.downgrade(_config(tx), target)


def _config(tx: sa.Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = tx
    return config


def _known_versions() -> set[str]:
    return {path.name.split("_", 1)[0] for path in (FOLDER / "versions").glob("*.py")}


def _prove_writable(database: Database) -> None:
    """Write something that changes nothing: a store that is read-only is refused here, in our words."""
    with database.begin() as tx:
        tx.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = version_num"))  # noqa: S608 - our constant


def _refuse_strangers(database: Database) -> None:
    """Refuse a store that has tables but none of ours; the durable runner's count as ours."""
    with database.read() as tx:
        tables = [name for name in sa.inspect(tx).get_table_names() if not name.startswith("dbos")]
    ours = {"workflow_status", "operation_outputs", "application_versions"}
    if tables and VERSION_TABLE not in tables and not ours & set(tables):
        raise Misconfigured(
            f"the store holds another product's tables ({', '.join(sorted(tables)[:5])})",
            hint="give Closedwon a database of its own in `store`",
        )

"""Alembic's entry: runs the migrations on the connection that closedwon.db.migrate hands over."""

from alembic import context

from closedwon.db.migrate import VERSION_TABLE
from closedwon.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

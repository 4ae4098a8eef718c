"""The database: connections, tables, migrations. SQL itself lives in each folder's store.py.

Reading order: connect, schema, migrate.
"""

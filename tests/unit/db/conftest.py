"""Stores with and without tables."""

from stores import any_database, blank_database, database, postgres_url

__all__ = ["any_database", "blank_database", "database", "postgres_url"]

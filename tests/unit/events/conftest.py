"""Stores on both kinds of database."""

from stores import any_database, clock, postgres_url

__all__ = ["any_database", "clock", "postgres_url"]

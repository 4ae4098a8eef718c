"""Runs the command line inside a test process and leaves that process as it was."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import structlog

from closedwon.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGGERS = (None, "dbos")  # the root, and the one that the durable runner's library sets up for itself


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; its logging, bound to a captured stream, ends with it."""
    before = {name: logging.getLogger(name).handlers[:] for name in LOGGERS}
    try:
        return main.execute(arguments)
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers[:] = handlers
        structlog.reset_defaults()

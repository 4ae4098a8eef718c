"""Tests stay on this machine."""

from __future__ import annotations

import socket

import pytest


def test_no_test_reaches_another_machine() -> None:
    """A connection to any address but this machine's fails the test that tries it."""
    with socket.socket() as connection, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        connection.connect(("192.0.2.1", 80))

"""Rules for every test: the network ends at this machine, and nobody's terminal width counts."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_network_beyond_this_machine() -> Any:
    """Refuse connections to other machines, so that no test depends on one or tells it anything."""
    with pytest.MonkeyPatch.context() as patch:
        connect = socket.socket.connect

        def connect_here(self: socket.socket, address: Any) -> None:
            if isinstance(address, tuple) and not _is_here(str(address[0])):
                raise AssertionError(f"a test wants to connect to {address[0]}")
            connect(self, address)

        patch.setattr(socket.socket, "connect", connect_here)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_width_from_outside() -> Any:
    """Forget the width that parallel workers are given, so that what is printed is the same however tests are run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"

"""A sandbox with one fake simulator in the place of Xero, served on a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from closedwon_sandbox.server import Sandbox
from sandbox_house import FakeSimulator, House
from sandbox_process import Control, on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def house() -> Iterator[House]:
    """Serve a fake Xero."""
    sandbox, fake = Sandbox(), FakeSimulator()
    sandbox.add("xero", fake, portal=fake.configure_webhook)
    with on_a_thread(sandbox, "xero") as urls, httpx2.Client(base_url=urls["xero"], trust_env=False) as client:
        control = Control(urls["xero"])
        with control.client:
            yield House(urls["xero"], sandbox, fake, control, client)

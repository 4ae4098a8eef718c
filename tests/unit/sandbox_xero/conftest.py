"""Every test of the Xero simulator gets a desk of its own."""

from __future__ import annotations

import pytest

from xero_desk import Desk


@pytest.fixture
def desk() -> Desk:
    """Open a fresh simulator, spoken to with the tools token."""
    return Desk()

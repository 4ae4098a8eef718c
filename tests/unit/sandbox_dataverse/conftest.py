"""A Dataverse simulator of its own for each test."""

from __future__ import annotations

import pytest

from closedwon_sandbox.world import World, generate
from dataverse_in_memory import Crm


@pytest.fixture(scope="session")
def world() -> World:
    """Give the small world of seed 1."""
    return generate(1, "small")


@pytest.fixture
def crm(world: World) -> Crm:
    """Give a fresh simulator."""
    return Crm(world)

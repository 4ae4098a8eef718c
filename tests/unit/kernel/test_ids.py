"""Identifiers and fingerprints."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

from closedwon.kernel.ids import fingerprint, new_id

if TYPE_CHECKING:
    import pytest

MOMENT_NS = 1_795_348_800_000_000_000


def test_an_id_is_a_version_7_uuid() -> None:
    """With the standard's variant."""
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_ids_are_unique() -> None:
    """Also those of one moment."""
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_ids_sort_by_time_of_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A microsecond later is later, though the rest is random."""
    born = []
    for moment in range(0, 5_000_000, 1_000):
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: MOMENT_NS + moment)
        born.append(new_id())
    assert born == sorted(born)


def test_an_id_begins_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds since 1970 in the first 48 bits."""
    monkeypatch.setattr(time, "time_ns", lambda: MOMENT_NS)
    assert uuid.UUID(new_id()).int >> 80 == MOMENT_NS // 1_000_000


def test_equal_parts_have_one_fingerprint() -> None:
    """The order of keys does not matter, that of lists does."""
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])


def test_parts_do_not_run_together() -> None:
    """Two texts are not one longer text."""
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_amounts_have_fingerprints() -> None:
    """By their digits, in 32 hex digits."""
    assert fingerprint(Decimal("1.10")) == fingerprint(Decimal("1.10")) != fingerprint(Decimal("1.11"))
    assert len(fingerprint(None)) == 32

"""Identifiers: sortable ids for our rows, fingerprints for what we send."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from typing import Any


def new_id() -> str:
    """Return a fresh UUID version 7 as text: unique, and sorted by time of birth to a fraction of a millisecond.

    *Source*: RFC 9562, section 6.2, method 3 (the 12 bits after the version hold the fraction).
    """
    milliseconds, rest_ns = divmod(time.time_ns(), 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return str(uuid.UUID(int=(milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random))


def fingerprint(*parts: Any) -> str:
    """Return 32 hex digits that are equal exactly when the parts are equal as JSON (key order does not matter)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

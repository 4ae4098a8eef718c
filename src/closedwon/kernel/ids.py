"""Identifiers: sortable ids for our rows, fingerprints for what we send."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from typing import Any


def new_id() -> str:
    """Return a fresh UUID version 7 as text: unique, and sorted by time of birth."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def fingerprint(*parts: Any) -> str:
    """Return 32 hex digits that are equal exactly when the parts are equal as JSON (key order does not matter)."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]

"""JSON as we speak it: amounts are Decimals on both ways and never pass through a float."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def decode(body: bytes) -> Any:
    """Parse JSON; numbers with a fraction become Decimals. *Raises* ValueError for anything else or nested too deep."""
    try:
        return _DECODER.decode(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error) or "nested too deep") from None


def encode(document: Any) -> bytes:
    """Render compact UTF-8 JSON; Decimals become numbers, digit for digit."""
    return _ENCODER.encode(document)

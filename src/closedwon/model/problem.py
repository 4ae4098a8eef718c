"""Problems: what is wrong with data, collected as values and shown all at once."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One finding about data: where (`field`), which rule, a sentence for people, and what to do about it."""

    field: str
    rule: str
    text: str
    hint: str = ""

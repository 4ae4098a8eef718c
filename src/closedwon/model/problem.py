"""Problems: what is wrong with data, collected as values and shown all at once."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True):
    """One finding about data: where (`field`), which rule, a sentence for people, and what to do about it."""

    field: str
    rule: str
    text: str
    hint: str = ""
    severity: Severity = "error"


def has_errors(problems: tuple[Problem, ...] | list[Problem]) -> bool:
    """Tell whether any finding forbids going on."""
    return any(problem.severity == "error" for problem in problems)

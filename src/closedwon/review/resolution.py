"""What people may decide, and what it means for a run. Pure rules."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

# decision → what it does to the run. Every one of them puts the run back into its lane.
DECISIONS = {
    "account_code": "use this ledger account instead of the ones that were refused",
    "tax_type": "use this tax type instead of the ones that were refused",
    "contact_id": "link the customer to this contact",
    "create_contact": "create a new contact, under this name",
    "accept_total": "invoice although the totals differ, with a rounding line",
    "date": "issue the invoice on this date",
    "retry": "try again as it is",
}


def check_decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision if it is one we know. *Raises* Misconfigured, naming the ones there are."""
    unknown = sorted(set(decision) - set(DECISIONS))
    if unknown or not decision:
        known = "; ".join(f"{name}: {meaning}" for name, meaning in DECISIONS.items())
        what = f"unknown decision {', '.join(unknown)}" if unknown else "no decision given"
        raise Misconfigured(what, hint=f"decide one of: {known}")
    if "date" in decision:
        _check_date(decision["date"])
    return dict(decision)


def _check_date(value: Any) -> None:
    try:
        date.fromisoformat(str(value))
    except ValueError:
        raise Misconfigured(f"{value!r} is not a date", hint="give it as YYYY-MM-DD") from None

"""Which state may follow which, and what a closed record still takes. Source: reference sections 14.0 and 15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.rows.schema import Table
    from closedwon_sandbox.dataverse.rows.store import Row

OPPORTUNITY_OPEN, OPPORTUNITY_WON, OPPORTUNITY_LOST = 0, 1, 2
INVOICE_ACTIVE, INVOICE_CLOSED, INVOICE_PAID, INVOICE_CANCELED = 0, 1, 2, 3
ORDER_ACTIVE = 0
ORDER_INVOICED, ORDER_INVOICED_STATUS = 4, 100_003

INVOICE_CAN_REOPEN = True
"""A paid or cancelled invoice goes back to Active by an ordinary update. [inferred]"""

_LOCKED = {
    "invoice": frozenset({INVOICE_CLOSED, INVOICE_PAID, INVOICE_CANCELED}),
    "salesorder": frozenset({1, 2, 3, 4}),
}
_LINES_LOCKED = {**_LOCKED, "opportunity": frozenset({OPPORTUNITY_WON, OPPORTUNITY_LOST})}
_STATE_NAMES = {OPPORTUNITY_WON: "Win", OPPORTUNITY_LOST: "Lose"}


def refuse_locked(table: Table, row: Row, sent: Mapping[str, Any]) -> None:
    """Refuse to change a closed document, unless its state is what changes. *Raises* DataverseError (400)."""
    if row.get("statecode") in _LOCKED.get(table.name, ()) and "statecode" not in sent:
        raise errors.read_only(table.name)


def refuse_locked_lines(table: Table, header: Row) -> None:
    """Refuse to change the lines of a closed document. *Raises* DataverseError (400)."""
    if header.get("statecode") in _LINES_LOCKED.get(table.name, ()):
        raise errors.read_only(table.name)


def next_state(table: Table, row: Row, sent: Mapping[str, Any]) -> dict[str, int]:
    """Complete and check the state that an update asks for: both codes, or nothing when it asks for none.

    *Raises* DataverseError: a status of another state, a move that needs an action, a move that does not exist.
    """
    if "statecode" not in table.columns or not {"statecode", "statuscode"} & sent.keys():
        return {}
    state = sent.get("statecode", row.get("statecode"))
    if state is None:
        raise errors.invalid_argument("The state code cannot be null.")
    status = sent.get("statuscode")
    if status is None:
        status = (
            row["statuscode"]
            if state == row.get("statecode") and "statecode" not in sent
            else table.default_status(state)
        )
    if table.columns["statuscode"].states.get(status) != state:
        where = f"{table.name}State.{state} on {table.name} with Id {row[table.key]}"
        text = f"{status} is not a valid status code for state code {where}."
        raise errors.DataverseError(400, "0x80048408", text)
    if "statecode" in sent:
        _check_move(table, row, state)
    return {"statecode": state, "statuscode": status}


def _check_move(table: Table, row: Row, state: int) -> None:
    if table.name == "opportunity" and state in _STATE_NAMES:
        label = table.columns["statecode"].options[state]
        text = (
            f"This message can not be used to set the state of opportunity to {label}. In order to set state of "
            f"opportunity to {label}, use the {_STATE_NAMES[state]} message instead."
        )
        raise errors.DataverseError(400, "0x80100005", text)
    if table.name == "invoice":
        _check_invoice(row["statecode"], state)
    if table.name == "salesorder" and row["statecode"] != state == ORDER_ACTIVE:
        raise errors.read_only(table.name)


def _check_invoice(now: int, wanted: int) -> None:
    if wanted == INVOICE_PAID and now != INVOICE_ACTIVE:
        raise errors.DataverseError(
            400, "0x80100000", "The invoice cannot be paid because it is not in the active state."
        )
    if wanted == INVOICE_CANCELED and now not in {INVOICE_ACTIVE, INVOICE_PAID}:
        text = "The invoice cannot be canceled because it is neither in the active nor in the paid state."
        raise errors.DataverseError(400, "0x80100001", text)
    if wanted == INVOICE_CLOSED:
        raise errors.DataverseError(400, "0x80043b25", "The closed state of an invoice is deprecated.")
    if wanted == INVOICE_ACTIVE and now != INVOICE_ACTIVE and not INVOICE_CAN_REOPEN:
        raise errors.read_only("invoice")

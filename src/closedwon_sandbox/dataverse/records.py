"""Creating, updating, deleting rows: privileges, defaults, rules, events; one function per verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors, payloads
from closedwon_sandbox.dataverse.environment import BUSINESS_UNIT_ID, Event
from closedwon_sandbox.dataverse.rows import values
from closedwon_sandbox.dataverse.rows.store import Ref, Row
from closedwon_sandbox.dataverse.sales import documents, states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.dataverse.rows.schema import Relationship, Table

_MOST_NESTED = 8


def require(env: Environment, call: Call, verb: str, table: Table) -> None:
    """Refuse the application user what its roles lack. *Raises* DataverseError (403)."""
    privilege = f"prv{verb}{table.schema_name}"
    if privilege in env.settings.deny and call.user_id == env.settings.app_user_id:
        errors.privilege_denied(call.user_id, privilege, table.code, table.name)


def create(
    env: Environment,
    call: Call,
    table: Table,
    body: Mapping[str, Any],
    *,
    row_id: str | None = None,
    given: Mapping[str, Any] | None = None,
    parent: Event | None = None,
    depth: int = 0,
) -> Row:
    """Create a record with everything nested in its body; `given` are column values that the address brings.

    *Raises* DataverseError.
    """
    require(env, call, "Create", table)
    if depth > _MOST_NESTED:
        raise errors.invalid_argument("The nested records are too deep.")
    draft = payloads.parse(env, table, body)
    for navigation, inner in draft.nested:
        target = env.schema.get(navigation.target or "systemuser")
        made = create(env, call, target, inner, parent=parent, depth=depth + 1)
        draft.values[navigation.column] = Ref(target.name, made[target.key])
    row = {name: value for name, value in {**draft.values, **(given or {})}.items() if value is not None}
    row[table.key] = row_id or row.get(table.key) or values.new_id()
    if env.store.find(table.name, row[table.key]) is not None:
        raise errors.duplicate_row()
    _set_defaults(env, call, table, row, draft.values)
    documents.prepare(env, table, row, None, row)
    _check_unique(env, table, row)
    row = {name: value for name, value in row.items() if value is not None}
    event = env.insert(call, table, row, parent)
    documents.note(env, table, event)
    for relationship, bodies in draft.members:
        _create_members(env, call, (table, row[table.key]), relationship, bodies, event, depth)
    return row


def _create_members(
    env: Environment,
    call: Call,
    owner: tuple[Table, str],
    relationship: Relationship,
    bodies: list[Mapping[str, Any]],
    parent: Event,
    depth: int,
) -> None:
    table, row_id = owner
    for body in bodies:
        if not isinstance(body, dict):
            raise errors.bad_payload(table.set_name, "A nested record must be an object.")
        given = {relationship.column: Ref(table.name, row_id)}
        create(env, call, env.schema.get(relationship.table), body, given=given, parent=parent, depth=depth + 1)


def _set_defaults(env: Environment, call: Call, table: Table, row: Row, sent: Mapping[str, Any]) -> None:
    if "statecode" in table.columns:
        _start_state(table, row)
    if table.owner == "user":
        row.setdefault("ownerid", Ref("systemuser", call.user_id))
        row["owningbusinessunit"] = Ref("businessunit", BUSINESS_UNIT_ID)
    if table.owner == "organization" and table.name != "systemuser":
        row["organizationid"] = Ref("organization", env.settings.organization_id)
    for column in table.columns.values():
        if column.default is not None:
            row.setdefault(column.name, column.default)
    if (created := sent.get("overriddencreatedon")) is not None:
        row["createdon"] = created
    set_full_name(table, row)
    if table.name == "sdkmessageprocessingstep" and row.get("mode") == 0:
        raise errors.not_simulated("A synchronous webhook step")
    if table.name == "productpricelevel":
        product = env.store.follow(row.get("productid")) or {}
        row["productidname"], row["productnumber"] = product.get("name"), product.get("productnumber")


def _start_state(table: Table, row: Row) -> None:
    start, status = table.starts or (0, table.default_status(0))
    wanted = row.get("statecode", start)
    if table.name == "opportunity" and wanted != start:
        states.next_state(
            table, {table.key: row[table.key], "statecode": start, "statuscode": status}, {"statecode": wanted}
        )
    row["statecode"] = start
    if table.columns["statuscode"].states.get(row.get("statuscode", -1)) != start:
        row["statuscode"] = status


def set_full_name(table: Table, row: Row) -> None:
    """Keep the full name of a person."""
    if "fullname" in table.columns:
        row["fullname"] = (
            " ".join(part for name in ("firstname", "middlename", "lastname") if (part := row.get(name))) or None
        )


def _check_unique(env: Environment, table: Table, row: Row) -> None:
    if table.name == "product" and (number := row.get("productnumber")) is not None:
        for other in env.store.tables["product"].rows.values():
            if other.get("productnumber") == number and other["productid"] != row["productid"]:
                raise errors.DataverseError(
                    400, "0x80043b06", "A product with the specified product number already exists."
                )


def update(env: Environment, call: Call, table: Table, row: Row, body: Mapping[str, Any]) -> Row:
    """Change the columns that a body names, even to the values they have. *Raises* DataverseError."""
    require(env, call, "Write", table)
    draft = payloads.parse(env, table, body, row)
    draft.values.pop(table.key, None)
    draft.values.pop("overriddencreatedon", None)
    for navigation, inner in draft.nested:
        target = env.schema.get(navigation.target or "systemuser")
        made = create(env, call, target, inner)
        draft.values[navigation.column] = Ref(target.name, made[target.key])
    if draft.members:
        raise errors.bad_payload(table.set_name, "Collections of related records cannot be set by an update.")
    return change(env, call, table, row, draft.values)


def change(
    env: Environment, call: Call, table: Table, row: Row, sent: Mapping[str, Any], parent: Event | None = None
) -> Row:
    """Apply checked column values to a row under the rules of its table. *Raises* DataverseError."""
    states.refuse_locked(table, row, sent)
    moved = states.next_state(table, row, sent)
    after = {**row, **sent, **moved}
    set_full_name(table, after)
    documents.prepare(env, table, after, row, sent)
    if table.name == "product" and "productnumber" in sent:
        _check_unique(env, table, after)
    computed = {name: value for name, value in after.items() if row.get(name) != value}
    event = env.change(call, table, row, {**sent, **moved, **computed}, parent)
    documents.note(env, table, event)
    return event.after or {}


def delete(env: Environment, call: Call, table: Table, row_id: str, parent: Event | None = None) -> None:
    """Delete a row and what belongs to it. *Raises* DataverseError: 404, or 405 where other rows hold on to it."""
    require(env, call, "Delete", table)
    row = env.store.get(table.name, row_id)
    if parent is None and table.name in documents.LINES:
        _refuse_locked_line(env, table, row)
    if table.name in documents.DOCUMENTS:
        states.refuse_locked(table, row, {})
    for relationship in table.children:
        _release(env, call, table, relationship, row_id, parent)
    event = env.remove(call, table, row_id, parent)
    if parent is None:
        documents.note(env, table, event)


def _refuse_locked_line(env: Environment, table: Table, row: Row) -> None:
    document = documents.LINES[table.name]
    header = env.store.follow(row.get(document.parent))
    if header is not None:
        states.refuse_locked_lines(env.schema.get(document.table), header)


def _release(
    env: Environment, call: Call, table: Table, relationship: Relationship, row_id: str, parent: Event | None
) -> None:
    if relationship.column not in env.store.tables[relationship.table].pointing:
        return
    child = env.schema.get(relationship.table)
    for row in env.store.pointing_at(relationship.table, relationship.column, row_id):
        if row[relationship.column].table != table.name:
            continue
        if relationship.on_delete == "restrict":
            text = f"The {table.name} you tried to delete is associated with another object and cannot be deleted."
            raise errors.DataverseError(405, "0x80040227", text)
        if relationship.on_delete == "cascade":
            delete(env, call, child, row[child.key], parent or _deletion_of(env, call, table, row_id))
        else:
            env.change(call, child, row, {relationship.column: None}, parent)


def _deletion_of(env: Environment, call: Call, table: Table, row_id: str) -> Event:
    """Return the event that a cascade belongs to; the deletion itself is told once, when it is done."""
    before = env.store.get(table.name, row_id)
    return Event("Delete", table.name, row_id, call, {}, before, None, env.now())

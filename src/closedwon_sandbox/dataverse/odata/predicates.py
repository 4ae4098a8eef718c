"""Filters at work: the syntax tree becomes a predicate, and indexes narrow what must be looked at."""

from __future__ import annotations

import operator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.odata.filters import (
    Call,
    Compare,
    Every,
    Literal,
    Negation,
    Node,
    Path,
    Quantified,
    as_moment,
    comparable,
)
from closedwon_sandbox.dataverse.rows.store import UNINDEXED
from closedwon_sandbox.dataverse.rows.values import edm_type, parse_guid, parse_moment, to_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.odata.scopes import Getter, Scope
    from closedwon_sandbox.dataverse.rows.schema import Column, Table
    from closedwon_sandbox.dataverse.rows.store import Row

    Predicate = Callable[[Row], bool]
    Builder = Callable[[Getter, Column | None, list[Literal], Scope], Predicate]

MOST_UNITS = 10_000
NOT_EQUAL_FINDS_NULL = True
"""`ne` also finds rows without a value, as the query engine adds "or is null". [inferred]"""

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le,
}  # fmt: skip
_KINDS = {
    "eq": "Equal", "ne": "NotEqual", "gt": "GreaterThan", "ge": "GreaterThanOrEqual", "lt": "LessThan",
    "le": "LessThanOrEqual",
}  # fmt: skip
FAMILIES = {
    "text": "string", "memo": "string", "money": "number", "decimal": "number", "double": "number", "int": "number",
    "bigint": "number", "choice": "number", "state": "number", "status": "number", "bool": "bool", "date": "moment",
    "datetime": "moment", "localdate": "moment", "guid": "guid", "lookup": "guid", "managed": "managed",
}  # fmt: skip
_LITERAL_FAMILIES = {
    "string": "string",
    "enum": "string",
    "number": "number",
    "bool": "bool",
    "guid": "guid",
    "moment": "moment",
    "date": "moment",
}
_LITERAL_TYPES = {
    "string": "Edm.String",
    "number": "Edm.Decimal",
    "bool": "Edm.Boolean",
    "guid": "Edm.Guid",
    "moment": "Edm.DateTimeOffset",
}


def predicate(node: Node, scope: Scope) -> Predicate:
    """Compile a filter for rows of a scope. *Raises* DataverseError (400) for names, types and functions it has not."""
    if isinstance(node, Every):
        parts = [predicate(part, scope) for part in node.parts]
        if node.word == "and":
            return lambda row: all(part(row) for part in parts)
        return lambda row: any(part(row) for part in parts)
    if isinstance(node, Negation):
        inner = predicate(node.part, scope)
        return lambda row: not inner(row)
    if isinstance(node, Compare):
        return _comparison(node, scope)
    if isinstance(node, Call):
        return _function(node, scope)
    if isinstance(node, Quantified):
        return _quantified(node, scope)
    return _truth(node, scope)


def _truth(node: Node, scope: Scope) -> Predicate:
    if isinstance(node, Path):
        read, column = scope.getter(node.names)
        if column is None or column.kind == "bool":
            return lambda row: read(row) is True
    raise errors.bad_query("The $filter expression must evaluate to a single boolean value.")


def _comparison(node: Compare, scope: Scope) -> Predicate:
    if isinstance(node.left, Literal) and not isinstance(node.right, Literal):
        mirrored = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge"}.get(node.operator, node.operator)
        return _comparison(Compare(mirrored, node.right, node.left), scope)
    left, column = _operand(node.left, scope)
    if isinstance(node.right, Literal):
        _check_types(column, node.right, node.operator)
        return _against(left, node.operator, _folded(node.right, column))
    right, other = _operand(node.right, scope)
    if column is not None and other is not None and FAMILIES[column.kind] != FAMILIES[other.kind]:
        raise _incompatible(edm_type(column), edm_type(other), node.operator)
    return lambda row: _holds(node.operator, _seen(left(row)), _seen(right(row)))


def _operand(node: Node, scope: Scope) -> tuple[Getter, Column | None]:
    if isinstance(node, Path):
        return scope.getter(node.names)
    if isinstance(node, Call):
        inner = predicate(node, scope)
        return inner, None
    raise errors.bad_query("Only properties, literals and functions can be compared.")


def _check_types(column: Column | None, literal: Literal, word: str) -> None:
    if column is None or literal.type == "null":
        return
    wanted, given = FAMILIES[column.kind], _LITERAL_FAMILIES[literal.type]
    if wanted != given:
        raise _incompatible(edm_type(column), _LITERAL_TYPES[given], word)


def _incompatible(left: str, right: str, word: str) -> errors.DataverseError:
    return errors.bad_query(
        f"A binary operator with incompatible types was detected. Found operand types '{left}' and '{right}' for "
        f"operator kind '{_KINDS[word]}'."
    )


def _folded(literal: Literal, column: Column | None) -> Any:
    value = as_moment(literal.value)
    return comparable(value) if column is None or column.kind not in {"guid", "lookup"} else value


def _seen(value: Any) -> Any:
    return comparable(as_moment(value))


def _against(read: Getter, word: str, wanted: Any) -> Predicate:
    if word == "eq":
        return lambda row: _seen(read(row)) == wanted
    if word == "ne":
        if wanted is None or NOT_EQUAL_FINDS_NULL:
            return lambda row: _seen(read(row)) != wanted
        return lambda row: (value := _seen(read(row))) is not None and value != wanted
    if wanted is None:
        return lambda _: False
    compare = _OPERATORS[word]
    return lambda row: (value := _seen(read(row))) is not None and compare(value, wanted)


def _holds(word: str, left: Any, right: Any) -> bool:
    if word in {"eq", "ne"}:
        return bool((left == right) is (word == "eq"))
    return left is not None and right is not None and _OPERATORS[word](left, right)


def _quantified(node: Quantified, scope: Scope) -> Predicate:
    members, inner_scope = scope.collection(node.path)
    if node.body is None:
        return lambda row: bool(members(row))
    inner = predicate(_without_variable(node.body, node.variable or ""), inner_scope)
    decide = any if node.word == "any" else all
    return lambda row: decide(inner(member) for member in members(row))


def _without_variable(node: Any, variable: str) -> Any:
    if isinstance(node, Path):
        return Path(node.names[1:]) if node.names[0] == variable and len(node.names) > 1 else node
    if isinstance(node, Compare):
        return Compare(node.operator, _without_variable(node.left, variable), _without_variable(node.right, variable))
    if isinstance(node, Every):
        return Every(node.word, tuple(_without_variable(part, variable) for part in node.parts))
    if isinstance(node, Negation):
        return Negation(_without_variable(node.part, variable))
    if isinstance(node, Call):
        return Call(node.name, tuple(_without_variable(part, variable) for part in node.arguments), node.named)
    return node


_TEXT_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": lambda text, part: text.startswith(part),
    "endswith": lambda text, part: text.endswith(part),
}


def _function(node: Call, scope: Scope) -> Predicate:
    if node.name in _TEXT_TESTS:
        return _text_test(node, scope)
    short = node.name.rpartition(".")[2]
    if "." not in node.name or short not in _CRM_FUNCTIONS:
        raise errors.bad_query(f"An unknown function with name '{node.name}' was found.")
    name = node.named.get("PropertyName")
    if not isinstance(name, Literal) or name.type != "string":
        raise errors.bad_query(f"The function '{node.name}' needs PropertyName.")
    wire = tuple(_wire(name.value, scope).split("/"))
    read, column = scope.getter(wire)
    return _CRM_FUNCTIONS[short](read, column, _values(node), scope)


def _wire(name: str, scope: Scope) -> str:
    """Accept a lookup by its logical name too, as the vendor's functions do."""
    table = getattr(scope, "table", None)
    column = table.columns.get(name) if table is not None else None
    return column.wire if column is not None else name


def _values(node: Call) -> list[Literal]:
    found = node.named.get("PropertyValues", node.named.get("PropertyValue"))
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _text_test(node: Call, scope: Scope) -> Predicate:
    if len(node.arguments) != 2 or not isinstance(node.arguments[1], Literal):  # noqa: PLR2004 - a text and a part of it
        raise errors.bad_query(
            f"No function signature for the function with name '{node.name}' matches the specified arguments."
        )
    read, column = _operand(node.arguments[0], scope)
    _check_types(column, node.arguments[1], "eq")
    test, part = _TEXT_TESTS[node.name], str(node.arguments[1].value or "").casefold()
    return lambda row: isinstance(value := read(row), str) and test(value.casefold(), part)


def cast(literal: Literal, column: Column | None) -> Any:
    """Read a function's text argument as the type of its column. *Raises* DataverseError (400) when it is none."""
    value = literal.value
    if column is None or value is None or not isinstance(value, str):
        _check_types(column, literal, "eq")
        return comparable(as_moment(value))
    family = FAMILIES[column.kind]
    readers: dict[str, Callable[[str], Any]] = {
        "guid": parse_guid,
        "number": to_number,
        "moment": parse_moment,
        "string": str.casefold,
    }
    result = readers[family](value) if family in readers else value.lower() == "true"
    if result is None:
        raise errors.bad_query(f"Cannot convert the literal '{value}' to the expected type '{edm_type(column)}'.")
    return result


def _in(read: Getter, column: Column | None, values: list[Literal], _: Scope) -> Predicate:
    wanted = {cast(value, column) for value in values}
    return lambda row: _seen(read(row)) in wanted


def _not_in(read: Getter, column: Column | None, values: list[Literal], scope: Scope) -> Predicate:
    inside = _in(read, column, values, scope)
    return lambda row: not inside(row)


def _between(read: Getter, column: Column | None, values: list[Literal], _: Scope) -> Predicate:
    if len(values) != 2:  # noqa: PLR2004 - from and to
        raise errors.bad_query("Between needs two values.")
    low, high = (cast(value, column) for value in values)
    if low is None or high is None or type(low) is not type(high):
        raise errors.bad_query("Between needs two values of the column's type.")
    return lambda row: (value := _seen(read(row))) is not None and low <= value <= high


def _since(unit: timedelta) -> Builder:
    def build(read: Getter, column: Column | None, values: list[Literal], scope: Scope) -> Predicate:
        _needs_dates(column)
        start, end = scope.now() - unit * _amount(values), scope.now()
        return lambda row: (value := as_moment(read(row))) is not None and start <= value <= end

    return build


def _day(shift: int) -> Builder:
    def build(read: Getter, column: Column | None, _: list[Literal], scope: Scope) -> Predicate:
        _needs_dates(column)
        wanted = (scope.now() + timedelta(days=shift)).date()
        return lambda row: (value := as_moment(read(row))) is not None and value.date() == wanted

    return build


def _on(compare: Callable[[Any, Any], bool]) -> Builder:
    def build(read: Getter, column: Column | None, values: list[Literal], _: Scope) -> Predicate:
        _needs_dates(column)
        moment = cast(values[0], column) if values else None
        if moment is None:
            raise errors.bad_query("The function needs a date as its PropertyValue.")
        wanted = moment.date()
        return lambda row: (value := as_moment(read(row))) is not None and compare(value.date(), wanted)

    return build


def _needs_dates(column: Column | None) -> None:
    if column is None or FAMILIES[column.kind] != "moment":
        raise errors.bad_query("The function can be used with columns that hold dates only.")


def _amount(values: list[Literal]) -> int:
    text = str(values[0].value) if values else ""
    if not text.isdigit() or not 0 < int(text) <= MOST_UNITS:
        raise errors.bad_query(f"The function needs a whole number from 1 to {MOST_UNITS} as its PropertyValue.")
    return int(text)


def _equal_user(read: Getter, _: Column | None, __: list[Literal], scope: Scope) -> Predicate:
    return lambda row: read(row) == scope.user_id()


def _null(*, wanted: bool) -> Builder:
    return lambda read, _column, _values, _scope: lambda row: (read(row) is None) is wanted


_CRM_FUNCTIONS: Mapping[str, Builder] = {
    "In": _in, "NotIn": _not_in, "Between": _between, "LastXDays": _since(timedelta(days=1)),
    "LastXHours": _since(timedelta(hours=1)), "LastXWeeks": _since(timedelta(weeks=1)), "Today": _day(0),
    "Yesterday": _day(-1), "Tomorrow": _day(1), "On": _on(operator.eq), "OnOrAfter": _on(operator.ge),
    "OnOrBefore": _on(operator.le), "EqualUserId": _equal_user, "Null": _null(wanted=True),
    "NotNull": _null(wanted=False),
}  # fmt: skip


def wanted_ids(node: Node, table: Table) -> tuple[Column, list[str]] | None:
    """Find a part of the filter that an index answers: the primary key or a lookup equal to one of some ids."""
    if isinstance(node, Every) and node.word == "and":
        found = [ids for part in node.parts if (ids := wanted_ids(part, table)) is not None]
        return min(found, key=lambda entry: len(entry[1])) if found else None
    if isinstance(node, Every):
        parts = [wanted_ids(part, table) for part in node.parts]
        columns = {entry[0].name if entry else None for entry in parts}
        if len(columns) != 1 or parts[0] is None:
            return None
        return parts[0][0], [row_id for entry in parts if entry for row_id in entry[1]]
    if (
        isinstance(node, Compare)
        and node.operator == "eq"
        and isinstance(node.left, Path)
        and isinstance(node.right, Literal)
    ):
        column = table.wires.get(node.left.names[0]) if len(node.left.names) == 1 else None
        return (
            (column, [node.right.value]) if _indexed(column, table) and node.right.type == "guid" and column else None
        )
    if (
        isinstance(node, Call)
        and node.name.endswith(".In")
        and isinstance(name := node.named.get("PropertyName"), Literal)
    ):
        column = table.columns.get(name.value) or table.wires.get(name.value)
        return (
            (column, [cast(value, column) for value in _values(node)]) if column and _indexed(column, table) else None
        )
    return None


def _indexed(column: Column | None, table: Table) -> bool:
    return column is not None and (
        column.name == table.key or (column.kind == "lookup" and column.name not in UNINDEXED)
    )

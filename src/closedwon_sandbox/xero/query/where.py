"""The filter language of lists: `where` becomes a predicate, `order` a list of sort keys.

The language is what .NET's dynamic LINQ makes of C# expressions; there is no library for it, so it is parsed here:

    or    := and (("OR" | "||") and)*          and     := not (("AND" | "&&") not)*
    not   := "!" not | "(" or ")" | test       test    := operand (sign operand)?
    sign  := "==" | "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    operand := (literal | path) ("." method "(" operand? ")")*

*Source*: developer.xero.com "Requests and responses", read 2026-11-22.
Texts compare without regard to case, a guid never compares with a bare text.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from closedwon_sandbox.xero.books.errors import BadQueryError
from closedwon_sandbox.xero.books.organisation import fold
from closedwon_sandbox.xero.books.shapes import Kind, kind_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon_sandbox.xero.books.shapes import Record, Shape

    Predicate: TypeAlias = Callable[[Record], bool]

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"]|"")*") | (?P<number>-?\d+(?:\.\d+)?)[mMdDfF]? | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>==|!=|<=|>=|<>|&&|\|\||[=<>!().,]) )""",
    re.VERBOSE,
)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq, "=": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_EQUAL: Final = frozenset({"==", "="})
_ORDERLESS: Final = frozenset({Kind.BOOLEAN, Kind.GUID})
_MAX_DEPTH: Final = 50
_MAX_LENGTH: Final = 20_000
_DATE_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed filter. `equals` are texts that paths must have for the filter to hold: they let an index narrow it."""

    holds: Predicate
    equals: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Operand:
    kind: Kind | None  # None is the null literal
    value: Callable[[Record], Any]
    path: str | None = None
    literal: bool = False


def parse_where(text: str, shape: Shape) -> Where:
    """Parse a filter over records of that shape. *Raises* BadQueryError."""
    parser = _Parser(_tokens(text), shape)
    where = parser.disjunction()
    parser.expect_end()
    return where


def parse_order(text: str, shape: Shape) -> list[tuple[Callable[[Record], Any], bool]]:
    """Parse "Name ASC, Date DESC" into pairs of a sort key and whether it runs down. *Raises* BadQueryError."""
    keys: list[tuple[Callable[[Record], Any], bool]] = []
    for clause in text.split(","):
        path, *direction = clause.split()[:3] or [""]
        spelled = _spelling(shape, path)
        if spelled is None or len(direction) > 1 or [word.upper() for word in direction] not in (["ASC"], ["DESC"], []):
            raise BadQueryError(f"No property or field '{path}' exists" if spelled is None else "Syntax error")
        keys.append((_sort_key(spelled), bool(direction) and direction[0].upper() == "DESC"))
    return keys


def _sort_key(path: str) -> Callable[[Record], Any]:
    def key(record: Record) -> Any:
        value = reach(record, path)
        if value is None:
            return (0, "")
        return (1, fold(value) if isinstance(value, str) else value)

    return key


def reach(record: Record, path: str) -> Any:
    """Return the value at a dotted path, None where anything on the way is missing."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if value else None
    return value


def _spelling(shape: Shape, path: str) -> str | None:
    """Return the path in our spelling: `InvoiceId` and `InvoiceID` are one name to the vendor."""
    spelled: list[str] = []
    for name in path.split("."):
        found = next((known for known in shape if known.lower() == name.lower()), None)
        if found is None:
            return None
        spelled.append(found)
        shape = getattr(shape[found], "shape", {})
    return ".".join(spelled)


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > _MAX_LENGTH:
        raise BadQueryError("The filter is too long")
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadQueryError(f"Syntax error '{text[place:].strip()[:1]}' (at index {place})")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        place = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], shape: Shape) -> None:
        self._tokens = tokens
        self._shape = shape
        self._place = 0
        self._depth = 0

    def expect_end(self) -> None:
        """Refuse whatever follows a complete filter."""
        if self._place < len(self._tokens):
            raise BadQueryError(f"Syntax error at '{self._tokens[self._place][1]}'")

    def disjunction(self) -> Where:
        """Parse a chain of OR."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadQueryError("The filter is nested too deeply")
        parts = [self._conjunction()]
        while self._take_word("or") or self._take("||"):
            parts.append(self._conjunction())
        self._depth -= 1
        if len(parts) == 1:
            return parts[0]
        tests = tuple(part.holds for part in parts)
        return Where(lambda record: any(test(record) for test in tests))

    def _conjunction(self) -> Where:
        parts = [self._negation()]
        while self._take_word("and") or self._take("&&"):
            parts.append(self._negation())
        if len(parts) == 1:
            return parts[0]
        tests = tuple(part.holds for part in parts)
        equals = tuple(pair for part in parts for pair in part.equals)
        return Where(lambda record: all(test(record) for test in tests), equals)

    def _negation(self) -> Where:
        negated = False
        while self._take("!") or self._take_word("not"):
            negated = not negated
        if self._take("("):
            where = self.disjunction()
            self._expect(")")
        else:
            where = self._test()
        holds = where.holds
        return Where(lambda record: not holds(record)) if negated else where

    def _test(self) -> Where:
        left = self._operand()
        token = self._tokens[self._place] if self._place < len(self._tokens) else ("", "")
        if token[0] != "mark" or token[1] not in _COMPARE:
            if left.kind is not Kind.BOOLEAN:
                raise BadQueryError("Expression of type 'Boolean' expected")
            value = left.value
            return Where(lambda record: bool(value(record)))
        self._place += 1
        return _comparison(token[1], left, self._operand())

    def _operand(self) -> _Operand:
        kind, text = self._next()
        if kind == "string":
            operand = _constant(Kind.TEXT, text[1:-1].replace('""', '"'))
        elif kind == "number":
            operand = _constant(Kind.NUMBER, Decimal(text))
        elif kind == "name":
            operand = self._named(text)
        else:
            raise BadQueryError(f"Expression expected at '{text}'")
        while self._take("."):
            operand = self._method(operand)
        return operand

    def _named(self, name: str) -> _Operand:
        word = name.lower()
        if word in {"true", "false"}:
            return _constant(Kind.BOOLEAN, word == "true")
        if word == "null":
            return _constant(None, None)
        if self._peek("("):
            return self._function(word)
        return self._path(name)

    def _path(self, name: str) -> _Operand:
        path = name
        while self._peek(".") and self._place + 1 < len(self._tokens) and not self._peek("(", ahead=2):
            self._place += 1
            path = f"{path}.{self._next()[1]}"
        spelled = _spelling(self._shape, path)
        kind = kind_at(self._shape, spelled) if spelled else None
        if spelled is None or kind is None:
            raise BadQueryError(f"No property or field '{path}' exists in type")
        return _Operand(kind, lambda record: reach(record, spelled), spelled)

    def _function(self, word: str) -> _Operand:
        self._expect("(")
        values = self._arguments()
        try:
            if (
                word == "datetime"
                and len(values) >= _DATE_PARTS
                and all(isinstance(value, Decimal) for value in values)
            ):
                parts = [f"{int(value):02d}" for value in values]
                return _constant(Kind.INSTANT, _moment(*parts))
            if word == "guid" and len(values) == 1:
                return _constant(Kind.GUID, str(UUID(values[0])))
        except (ValueError, TypeError, AttributeError, OverflowError):
            raise BadQueryError(f"The arguments of {word} cannot be read") from None
        raise BadQueryError(f"No applicable method '{word}' exists")

    def _arguments(self) -> list[Any]:
        values: list[Any] = []
        while not self._take(")"):
            if values:
                self._expect(",")
            operand = self._operand()
            if not operand.literal:
                raise BadQueryError("A constant is expected")
            values.append(operand.value({}))
        return values

    def _method(self, target: _Operand) -> _Operand:
        name = self._next()[1].lower()
        self._expect("(")
        values = self._arguments()
        if target.kind is not Kind.TEXT:
            raise BadQueryError(f"No applicable method '{name}' exists in this type")
        value = target.value
        if name in {"tolower", "toupper"} and not values:
            change = str.lower if name == "tolower" else str.upper
            return _Operand(Kind.TEXT, lambda record: change(value(record) or ""))
        if name not in _TEXT_TESTS or len(values) != 1 or not isinstance(values[0], str):
            raise BadQueryError(f"No applicable method '{name}' exists in type 'String'")
        test, part = _TEXT_TESTS[name], fold(values[0])
        return _Operand(Kind.BOOLEAN, lambda record: test(fold(value(record) or ""), part))

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise BadQueryError("Expression expected")
        self._place += 1
        return self._tokens[self._place - 1]

    def _peek(self, mark: str, ahead: int = 0) -> bool:
        place = self._place + ahead
        return place < len(self._tokens) and self._tokens[place] == ("mark", mark)

    def _take(self, mark: str) -> bool:
        if self._peek(mark):
            self._place += 1
            return True
        return False

    def _take_word(self, word: str) -> bool:
        if self._place < len(self._tokens) and self._tokens[self._place][0] == "name":
            found = self._tokens[self._place][1].lower() == word
            self._place += found
            return found
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise BadQueryError(f"'{mark}' expected")


_TEXT_TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "equals": operator.eq,
}


def _moment(year: str, month: str, day: str, hour: str = "00", minute: str = "00", second: str = "00") -> datetime:
    return datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}+00:00")


def _constant(kind: Kind | None, value: Any) -> _Operand:
    return _Operand(kind, lambda _: value, literal=True)


def _comparison(sign: str, left: _Operand, right: _Operand) -> Where:
    compare = _COMPARE[sign]
    plain, other = left.value, right.value
    if left.kind is None or right.kind is None:
        if sign not in {*_EQUAL, "!=", "<>"}:
            raise BadQueryError(f"Operator '{sign}' incompatible with operand types")
        return Where(lambda record: compare(_or_null(plain(record)), _or_null(other(record))))
    kind = _common_kind(sign, left.kind, right.kind)
    bring = _BRING.get(kind, _as_is)
    equals: tuple[tuple[str, str], ...] = ()
    if sign in _EQUAL and kind in {Kind.TEXT, Kind.GUID}:
        pairs = ((left, right), (right, left))
        equals = tuple((a.path, b.value({})) for a, b in pairs if a.path and b.literal)

    def holds(record: Record) -> bool:
        first, second = plain(record), other(record)
        if first is None or second is None:
            return sign in {"!=", "<>"} and first is not second
        return compare(bring(first), bring(second))

    return Where(holds, equals)


def _common_kind(sign: str, left: Kind, right: Kind) -> Kind:
    days = {Kind.DATE, Kind.INSTANT}
    kind = Kind.INSTANT if {left, right} <= days else left
    if (left is not right and kind is not Kind.INSTANT) or (kind in _ORDERLESS and sign[0] in "<>" and sign != "<>"):
        names = {Kind.TEXT: "String", Kind.GUID: "Guid", Kind.NUMBER: "Decimal", Kind.BOOLEAN: "Boolean"}
        shown = " and ".join(f"'{names.get(side, 'DateTime')}'" for side in (left, right))
        raise BadQueryError(f"Operator '{sign}' incompatible with operand types {shown}")
    return kind


def _as_instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)


def _or_null(value: Any) -> Any:
    """Take an empty text for a missing one, as null tests do."""
    return None if value == "" else value


def _as_is(value: Any) -> Any:
    return value


_BRING: Final[dict[Kind, Callable[[Any], Any]]] = {Kind.TEXT: fold, Kind.INSTANT: _as_instant}

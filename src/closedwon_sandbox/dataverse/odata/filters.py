"""`$filter`: a grammar of what the vendor takes of OData's filter language, and its syntax tree.

The grammar is ours, on a maintained parser generator: the OData filter parsers of the package index know neither
bracketed lists nor the vendor's functions with named arguments. Source: reference section 6.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote_plus

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, VisitError

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.rows.values import parse_moment

if TYPE_CHECKING:
    from collections.abc import Mapping

_GRAMMAR = r"""
    ?start: or_expr
    ?or_expr: and_expr ("or" and_expr)*
    ?and_expr: unary ("and" unary)*
    ?unary: "not" unary -> negation
          | comparison
    ?comparison: operand OPERATOR operand -> compare
               | operand
               | "(" or_expr ")"
    ?operand: literal | path | call | quantified
    path: NAME ("/" NAME)*
    call: (NAME | QUALIFIED) "(" [argument ("," argument)*] ")"
    ?argument: NAME "=" (literal | array) -> named
             | operand
    array: "[" [literal ("," literal)*] "]"
    quantified: NAME ("/" NAME)* "/" QUANTIFIER "(" [NAME ":" or_expr] ")"
    literal: STRING -> string
           | QUOTED -> quoted
           | GUID -> guid
           | MOMENT -> moment
           | DATE -> date
           | NUMBER -> number
           | "true" -> true
           | "false" -> false
           | "null" -> null
           | QUALIFIED STRING -> enum
           | ALIAS -> alias

    OPERATOR: /(eq|ne|gt|ge|lt|le)(?=[\s(@'"])/
    QUANTIFIER.2: /(any|all)(?=\()/
    QUALIFIED.3: /(Microsoft\.Dynamics\.CRM|mscrm)\.\w+/
    GUID.6: /[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}/
    MOMENT.5: /\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?/
    DATE.4: /\d{4}-\d\d-\d\d/
    NUMBER: /[+-]?\d+(\.\d+)?([eE][+-]?\d+)?/
    STRING: /'([^']|'')*'/
    QUOTED: /"([^"\\]|\\.)*"/
    ALIAS: /@\w+/
    NAME: /[A-Za-z_]\w*/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `type` is string, guid, moment, date, number, bool, null or enum."""

    type: str
    value: Any


@dataclass(frozen=True, slots=True)
class Alias:
    """A parameter alias such as `@p1`, to be replaced by its literal."""

    name: str


@dataclass(frozen=True, slots=True)
class Path:
    """A property, possibly of a record that a lookup points to."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """`left operator right`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold (`and`) or one of them does (`or`)."""

    word: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The part does not hold."""

    part: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function with positional and named arguments."""

    name: str
    arguments: tuple[Node, ...]
    named: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quantified:
    """A lambda over a collection: `any` or `all`; `body` is None for a bare `any()`."""

    path: tuple[str, ...]
    word: str
    variable: str | None
    body: Node | None


Node: TypeAlias = Literal | Alias | Path | Compare | Every | Negation | Call | Quantified


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
    value: Any


class _Build(Transformer[Token, Node]):
    """Builds the syntax tree while parsing, so a deep expression costs no recursion."""

    def or_expr(self, parts: list[Node]) -> Node:
        return Every("or", tuple(parts))

    def and_expr(self, parts: list[Node]) -> Node:
        return Every("and", tuple(parts))

    def negation(self, parts: list[Node]) -> Node:
        return Negation(parts[0])

    @v_args(inline=True)
    def compare(self, left: Node, operator: Token, right: Node) -> Node:
        return Compare(str(operator), left, right)

    def path(self, names: list[Token]) -> Node:
        return Path(tuple(str(name) for name in names))

    def call(self, parts: list[Any]) -> Node:
        arguments = [part for part in parts[1:] if part is not None]
        named = {part.name: part.value for part in arguments if isinstance(part, _Named)}
        return Call(str(parts[0]), tuple(part for part in arguments if not isinstance(part, _Named)), named)

    @v_args(inline=True)
    def named(self, name: Token, value: Any) -> _Named:
        return _Named(str(name), value)

    def array(self, parts: list[Any]) -> list[Any]:
        return [part for part in parts if part is not None]

    def quantified(self, parts: list[Any]) -> Node:
        word = next(index for index, part in enumerate(parts) if isinstance(part, Token) and part.type == "QUANTIFIER")
        variable, body = [*parts[word + 1 : word + 3], None, None][:2]
        path = tuple(str(name) for name in parts[:word])
        return Quantified(path, str(parts[word]), None if variable is None else str(variable), body)

    @v_args(inline=True)
    def string(self, token: Token) -> Node:
        return Literal("string", token[1:-1].replace("''", "'"))

    @v_args(inline=True)
    def quoted(self, token: Token) -> Node:
        return Literal("string", token[1:-1].replace('\\"', '"'))

    @v_args(inline=True)
    def guid(self, token: Token) -> Node:
        return Literal("guid", token.lower())

    @v_args(inline=True)
    def moment(self, token: Token) -> Node:
        return Literal("moment", _checked(parse_moment(token), token))

    @v_args(inline=True)
    def date(self, token: Token) -> Node:
        moment = parse_moment(token)
        return Literal("date", _checked(moment, token).date())

    @v_args(inline=True)
    def number(self, token: Token) -> Node:
        return Literal("number", Decimal(token))

    def true(self, _: list[Any]) -> Node:
        return Literal("bool", value=True)

    def false(self, _: list[Any]) -> Node:
        return Literal("bool", value=False)

    def null(self, _: list[Any]) -> Node:
        return Literal("null", None)

    @v_args(inline=True)
    def enum(self, _: Token, token: Token) -> Node:
        return Literal("enum", token[1:-1])

    @v_args(inline=True)
    def alias(self, token: Token) -> Node:
        return Alias(str(token))


def _checked(moment: datetime | None, text: str) -> datetime:
    if moment is None:
        raise ValueError(f"Unrecognized 'Edm.DateTimeOffset' literal '{text}'.")
    return moment


@functools.cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=_Build(), maybe_placeholders=False)


@functools.lru_cache(maxsize=512)
def parse_filter(text: str) -> Node:
    """Parse a filter. *Raises* DataverseError (400) with the position of the first fault."""
    try:
        node: Any = _parser().parse(text)
    except UnexpectedInput as fault:
        kind = "Syntax error"
        if isinstance(fault, UnexpectedCharacters):
            kind = f"Syntax error: character '{fault.char}' is not valid"
        raise errors.bad_query(f"{kind} at position {fault.pos_in_stream} in '{text}'.") from None
    except VisitError as fault:
        raise errors.bad_query(str(fault.orig_exc)) from None
    return node  # type: ignore[no-any-return]


def parse_literal(text: str) -> Literal:
    """Parse the value of a parameter alias. *Raises* DataverseError when it is no literal."""
    node = parse_filter(unquote_plus(text))
    if not isinstance(node, Literal):
        raise errors.bad_query(f"The parameter alias value '{text}' is not a literal.")
    return node


def substitute(node: Any, aliases: Mapping[str, str]) -> Any:
    """Return the tree with every alias replaced by its literal. *Raises* DataverseError for one that is not given."""
    if isinstance(node, Alias):
        if node.name not in aliases:
            return Literal("null", None)
        return parse_literal(aliases[node.name])
    if isinstance(node, Compare):
        return Compare(node.operator, substitute(node.left, aliases), substitute(node.right, aliases))
    if isinstance(node, Every):
        return Every(node.word, tuple(substitute(part, aliases) for part in node.parts))
    if isinstance(node, Negation):
        return Negation(substitute(node.part, aliases))
    if isinstance(node, Call):
        named = {name: substitute(value, aliases) for name, value in node.named.items()}
        return Call(node.name, tuple(substitute(part, aliases) for part in node.arguments), named)
    return node


def comparable(value: Any) -> Any:
    """Fold a value the way the database compares it: texts ignore case."""
    return value.casefold() if isinstance(value, str) else value


def as_moment(value: Any) -> Any:
    """Lift a date to the moment of its midnight, so that dates and moments compare."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return parse_moment(value.isoformat())
    return value

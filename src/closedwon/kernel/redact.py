"""Takes secrets out of texts and values before anybody sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

MASK = "***"

# Compared in lower case with "-" read as "_".
SECRET_NAMES = frozenset(
    {
        "access_token",
        "api_key",
        "assertion",
        "authorization",
        "authvalue",
        "client_assertion",
        "client_secret",
        "code_verifier",
        "cookie",
        "id_token",
        "password",
        "proxy_authorization",
        "refresh_token",
        "secret",
        "set_cookie",
        "token",
        "webhook_key",
        "webhook_secret",
        "x_closedwon_key",
        "x_xero_signature",
    }
)

_NAMES = "|".join(sorted((name.replace("_", "[-_]") for name in SECRET_NAMES), key=len, reverse=True))
_RULES = (
    # a quoted name and its quoted value, as JSON or as Python prints it
    (
        re.compile(rf"""(["'](?:{_NAMES})["']\s*:\s*)(["'])(?:\\.|(?!\2).)*(?:\2|$)""", re.IGNORECASE),
        r"\1\2" + MASK + r"\2",
    ),
    # a header, to the end of its line
    (re.compile(rf"(?<![\w-])((?:{_NAMES})\s*:\s*)(?![\s\"'{{\[])[^\r\n]+", re.IGNORECASE), r"\1" + MASK),
    # a parameter of a query or form
    (re.compile(rf"(?<![\w-])((?:{_NAMES})=)[^&\s\"'<>#]+", re.IGNORECASE), r"\1" + MASK),
    # an authorization code, only where it is a parameter, since "code" is a common word
    (re.compile(r"((?:^|[?&])code=)[^&\s\"'<>#]+", re.IGNORECASE), r"\1" + MASK),
    # a bare bearer token or basic credential
    (re.compile(r"\b(Bearer|Basic) +(?!error=|realm=)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1 " + MASK),
    # a signed token anywhere
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    # user:password@ in an address
    (re.compile(r"(://)[^/\s@\"']+@"), r"\1" + MASK + "@"),
)

Value = TypeVar("Value")


def redact(value: Value) -> Value:
    """Return the same text, mapping or list with everything secret replaced by ***; other values unchanged."""
    return cast("Value", _redact(value))


def is_secret(name: str) -> bool:
    """Tell whether a header, parameter or key of this name holds a secret."""
    return name.lower().replace("-", "_") in SECRET_NAMES


def _redact(value: Any) -> Any:
    if isinstance(value, str):
        for pattern, replacement in _RULES:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: MASK if isinstance(key, str) and is_secret(key) else _redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_redact(item) for item in value)
    return value

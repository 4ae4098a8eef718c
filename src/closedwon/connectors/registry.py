"""The connectors there are, by the name used in configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from closedwon.connectors.limits import Limits
    from closedwon.connectors.port import Books, Budget, Crm, TokenStore, Webhooks
    from closedwon.kernel.clock import Clock
    from closedwon.kernel.http import HttpClient


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the composition root hands to every connector."""

    http: HttpClient
    clock: Clock
    tokens: TokenStore
    budget: Budget


@dataclass(frozen=True, slots=True)
class ConnectorType:
    """One kind of system: which side it can be, its settings, how to build it, how it reads webhooks.

    `settings` is a msgspec.Struct with forbid_unknown_fields; its docstrings and types are the reference of the keys.
    `limits` says, from the settings, how many calls a connection may make.
    """

    name: str
    side: Literal["crm", "books"]
    settings: type[msgspec.Struct]
    build: Callable[[msgspec.Struct, Equipment], Crm | Books]
    webhooks: Webhooks
    limits: Callable[[Any], Limits]

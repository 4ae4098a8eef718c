"""`closedwon.yaml` as typed values: tenants, their connections and integrations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from closedwon.connectors.dynamics.connector import DYNAMICS
from closedwon.connectors.xero.connector import XERO
from closedwon.flows.registry import SETTINGS
from closedwon.kernel.config import ConfigFile, read_config
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from closedwon.connectors.registry import ConnectorType

CONNECTORS: dict[str, ConnectorType] = {one.name: one for one in (DYNAMICS, XERO)}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", re.ASCII)
TOP_KEYS = ("store", "public_url", "ca_file", "tenants")
DEFAULT_STORE = "sqlite:///closedwon.db"
FEED_EVERY_S = 60
FEED_STEPS_S = (5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800)


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One authorised link to a system: its connector and that connector's settings."""

    tenant: str
    name: str
    connector: ConnectorType
    settings: Any
    webhook_secret: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """Name the connection where tenants share one space, as in webhook addresses."""
        return f"{self.tenant}.{self.name}"


@dataclass(frozen=True, slots=True)
class IntegrationSettings:
    """Two connections with their enabled flows. `feed_every_s` is how often the change feeds are read, in seconds."""

    tenant: str
    name: str
    crm: str
    books: str
    flows: dict[str, Any]
    feed_every_s: int = FEED_EVERY_S


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration. `store` is absolute; `public_url` is where webhooks reach us, "" when they cannot."""

    path: Path
    store: str
    public_url: str
    ca_file: str | None
    connections: dict[tuple[str, str], ConnectionSettings]
    integrations: dict[tuple[str, str], IntegrationSettings]

    @property
    def tenants(self) -> list[str]:
        """List the tenants' names."""
        return sorted({tenant for tenant, _ in self.integrations} | {tenant for tenant, _ in self.connections})

    def hook_url(self, connection: ConnectionSettings) -> str:
        """Return the address at which a connection's webhooks reach us, "" without a public address."""
        if not self.public_url:
            return ""
        return f"{self.public_url.rstrip('/')}/hooks/{connection.connector.name}/{connection.reference}"


class _Integration(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The keys of an integration."""

    crm: str
    books: str
    flows: dict[str, Any]
    feed_every_s: int = FEED_EVERY_S


def load_settings(path: Path) -> Settings:
    """Read a configuration. *Raises* Misconfigured with every problem and its line."""
    config = read_config(path.absolute())
    for key in config.data:
        if key not in TOP_KEYS:
            config.object((key,), "is not a setting", f"known are {', '.join(TOP_KEYS)}")
    connections: dict[tuple[str, str], ConnectionSettings] = {}
    integrations: dict[tuple[str, str], IntegrationSettings] = {}
    for tenant in config.mapping(("tenants",)):
        place = ("tenants", tenant)
        _check_name(config, place)
        for key in config.mapping(place):
            if key not in {"connections", "integrations"}:
                config.object((*place, key), "is not a setting", "a tenant has connections and integrations")
        connections |= {(tenant, one.name): one for one in _connections(config, tenant)}
        integrations |= {(tenant, one.name): one for one in _integrations(config, tenant, connections)}
    settings = Settings(
        path=config.path,
        store=_store(config),
        public_url=_text(config, "public_url"),
        ca_file=_ca_file(config),
        connections=connections,
        integrations=integrations,
    )
    config.refuse_if_problems()
    return settings


def _check_name(config: ConfigFile, place: tuple[str, ...]) -> None:
    """Names become parts of addresses and lanes, where other signs would make two of them one."""
    if not NAME.fullmatch(place[-1]):
        config.object(place, "is not a name here", "use letters, digits, - and _, at most 60 of them")


def _connections(config: ConfigFile, tenant: str) -> Iterator[ConnectionSettings]:
    for name in config.mapping(("tenants", tenant, "connections")):
        place = ("tenants", tenant, "connections", name)
        _check_name(config, place)
        data = dict(config.mapping(place))
        connector = CONNECTORS.get(str(data.pop("connector", "")))
        if connector is None:
            config.object((*place, "connector"), f"must be one of {', '.join(sorted(CONNECTORS))}")
            continue
        settings = config.struct(connector.settings, place, data)
        if settings is not None:
            secret = getattr(settings, "webhook_secret", "") or getattr(settings, "webhook_key", "")
            yield ConnectionSettings(tenant, name, connector, settings, secret)


def _integrations(
    config: ConfigFile, tenant: str, connections: dict[tuple[str, str], ConnectionSettings]
) -> Iterator[IntegrationSettings]:
    named = config.data["tenants"][tenant] or {}
    for name in config.mapping(("tenants", tenant, "integrations")):
        place = ("tenants", tenant, "integrations", name)
        _check_name(config, place)
        before = len(config.problems)
        keys = config.struct(_Integration, place)
        if keys is None:
            continue
        for side, chosen in (("crm", keys.crm), ("books", keys.books)):
            found = connections.get((tenant, chosen))
            if chosen not in (named.get("connections") or {}):
                config.object((*place, side), f"there is no connection {chosen}", "it must stand under connections")
            elif found is not None and found.connector.side != side:
                config.object((*place, side), f"{chosen} is a connection to {found.connector.name}, not a {side}")
        if keys.feed_every_s not in FEED_STEPS_S:
            steps = ", ".join(map(str, FEED_STEPS_S))
            config.object((*place, "feed_every_s"), f"must be one of {steps} seconds")
        flows = {flow: _flow(config, place, flow) for flow in keys.flows}
        if len(config.problems) == before:
            yield IntegrationSettings(tenant, name, keys.crm, keys.books, flows, keys.feed_every_s)


def _flow(config: ConfigFile, place: tuple[str, ...], flow: str) -> Any:
    where = (*place, "flows", flow)
    kind = SETTINGS.get(flow)
    if kind is None:
        config.object(where, "is not a flow", f"known are {', '.join(sorted(SETTINGS))}")
        return None
    value = config.mapping(place)["flows"][flow]
    if value is not None and not isinstance(value, dict):
        config.object(where, "must be a list of `key: value` lines, or {}")
        return None
    settings = config.struct(kind, where, value or {})
    zone = getattr(settings, "timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        config.object((*where, "timezone"), f"there is no time zone {zone}", "use a name such as Pacific/Auckland")
    return settings


def _text(config: ConfigFile, key: str, default: str = "") -> str:
    value = config.data.get(key, default)
    if not isinstance(value, str):
        config.object((key,), "must be a text")
        return default
    return value


def _store(config: ConfigFile) -> str:
    """Return the store's address; a relative SQLite path is relative to the configuration file."""
    url = _text(config, "store", DEFAULT_STORE)
    if url.startswith("sqlite:///"):
        name = url.removeprefix("sqlite:///")
        return f"sqlite:///{(config.path.parent / name).resolve()}" if name else url
    if not url.startswith("postgresql://"):
        config.object(("store",), f"{redact(url)} is neither sqlite:///FILE nor postgresql://…")
    else:
        try:
            make_url(url)
        except (ArgumentError, ValueError):
            config.object(("store",), f"{redact(url)} is not an address such as postgresql://user@host:5432/name")
    return url


def _ca_file(config: ConfigFile) -> str | None:
    name = _text(config, "ca_file")
    if not name:
        return None
    file = config.path.parent / name
    if not file.is_file():
        config.object(("ca_file",), f"there is no file {file}", "a path is relative to this file")
    return str(file)

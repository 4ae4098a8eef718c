"""What can be set on a simulator: credentials once at start, limits at any time while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class InvalidSettingError(ValueError):
    """A limit was asked for that does not exist or cannot have that value."""


@dataclass(slots=True)
class XeroSettings:
    """Credentials and limits of the Xero simulator. *Units*: `minute`, `day`, `app_minute` are calls per window.

    `client_id` is a custom connection (client credentials, bound to the one organisation); `web_client_id` is a web app
    that holds `web_refresh_token`; `token` is the bearer token for tools, which never expires and is never throttled.
    """

    organisation_id: str
    client_id: str
    client_secret: str
    token: str
    webhook_key: str
    web_client_id: str
    web_client_secret: str
    web_refresh_token: str
    concurrent: int = 5
    minute: int = 60
    day: int = 5_000
    app_minute: int = 10_000
    enforce: bool = True
    latency_ms: int = 0


@dataclass(slots=True)
class DataverseSettings:
    """Credentials and limits of the Dataverse simulator. *Units*: `requests` and `execution_ms` per `window_s`.

    `app_user_id` is the systemuser behind `client_id`; `token` is the bearer token for tools, which never expires and
    is never throttled; `deny` names privileges the application user lacks, such as "prvCreateInvoice".
    """

    organization_id: str
    organization_host: str
    directory: str
    client_id: str
    client_secret: str
    token: str
    webhook_secret: str
    app_user_id: str
    requests: int = 6_000
    window_s: int = 300
    concurrent: int = 52
    execution_ms: int = 1_200_000
    enforce: bool = True
    latency_ms: int = 0
    deny: frozenset[str] = field(default_factory=frozenset)


_XERO_LIMITS = frozenset({"concurrent", "minute", "day", "app_minute", "enforce", "latency_ms"})
_DATAVERSE_LIMITS = frozenset({"requests", "window_s", "concurrent", "execution_ms", "enforce", "latency_ms", "deny"})


def xero_settings(seed: int) -> XeroSettings:
    """Make the Xero credentials that belong to a seed: the same seed gives the same ids and secrets."""
    rng = Random(f"xero-{seed}")  # noqa: S311 - made-up credentials of a local simulator must repeat with the seed
    return XeroSettings(
        organisation_id=_identifier(rng),
        client_id=_secret(rng, 32).upper(),
        client_secret=_secret(rng, 48),
        token=_secret(rng, 64),
        webhook_key=_secret(rng, 88),
        web_client_id=_secret(rng, 32).upper(),
        web_client_secret=_secret(rng, 48),
        web_refresh_token=_secret(rng, 43),
    )


def dataverse_settings(seed: int) -> DataverseSettings:
    """Make the Dataverse credentials that belong to a seed: the same seed gives the same ids and secrets."""
    rng = Random(f"dataverse-{seed}")  # noqa: S311 - made-up credentials of a local simulator must repeat with the seed
    return DataverseSettings(
        organization_id=_identifier(rng),
        organization_host="closedwon-demo.crm6.dynamics.com",
        directory=_identifier(rng),
        client_id=_identifier(rng),
        client_secret=_secret(rng, 40),
        token=_secret(rng, 64),
        webhook_secret=_secret(rng, 40),
        app_user_id=_identifier(rng),
    )


def change_limits(settings: XeroSettings | DataverseSettings, wanted: Mapping[str, object]) -> None:
    """Set limits by name while the simulator runs; nothing changes unless all of `wanted` is valid.

    *Raises* InvalidSettingError that names every wrong entry.
    """
    known = _XERO_LIMITS if isinstance(settings, XeroSettings) else _DATAVERSE_LIMITS
    wrong = [text for name, value in wanted.items() if (text := _complaint(known, name, value))]
    if wrong:
        raise InvalidSettingError("; ".join(wrong))
    for name, value in wanted.items():
        setattr(settings, name, frozenset(value) if isinstance(value, list) else value)


def limits(settings: XeroSettings | DataverseSettings) -> dict[str, object]:
    """Return the limits in force as plain JSON values."""
    known = _XERO_LIMITS if isinstance(settings, XeroSettings) else _DATAVERSE_LIMITS
    values = {name: getattr(settings, name) for name in sorted(known)}
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}


def _complaint(known: frozenset[str], name: str, value: object) -> str | None:
    if name not in known:
        return f"there is no limit {name!r}, only {', '.join(sorted(known))}"
    if name == "enforce":
        return None if isinstance(value, bool) else "enforce is true or false"
    if name == "deny":
        fits = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        return None if fits else "deny is a list of privilege names"
    fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if fits else f"{name} is a whole number, 0 or more"


def _identifier(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _secret(rng: Random, length: int) -> str:
    return "".join(rng.choices(_ALPHABET, k=length))

"""The settings of a Xero connection, as they stand in closedwon.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from closedwon.connectors.limits import Limits
from closedwon.connectors.oauth import TokenEndpoint
from closedwon.connectors.xero.manifest import manifest
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from closedwon.connectors.port import Token
    from closedwon.connectors.registry import Equipment

TOKEN_PATH = "/connect/token"  # noqa: S105 - an address


class CustomConnection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="custom_connection"
):
    """An app that belongs to one organisation and signs in by itself.

    `scopes` are those given to the app in Xero's portal; empty means the usual ones.
    """

    client_id: str
    client_secret: str
    scopes: tuple[str, ...] = ()

    def fetch(self, endpoint: TokenEndpoint, _stale: Token | None) -> Token:
        """Fetch a token. One call to the sign-in server."""
        return endpoint.client_credentials(scope=" ".join(self.scopes or manifest().scopes))

    def __repr__(self) -> str:
        return _without_secrets(self)


class AuthorizationCode(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="authorization_code"
):
    """A web app to which a person gave consent. `refresh_token` is the first one; later ones are kept encrypted."""

    client_id: str
    client_secret: str
    refresh_token: str = ""

    def fetch(self, endpoint: TokenEndpoint, stale: Token | None) -> Token:
        """Exchange the stored refresh token, at first the configured one. One call to the sign-in server."""
        return endpoint.refresh_from(stale, self.refresh_token)

    def __repr__(self) -> str:
        return _without_secrets(self)


class CallLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lower limits than the vendor's, for organisations that other programs use too. *Units*: calls; 0 = vendor's."""

    concurrent: int = 0
    minute: int = 0
    day: int = 0


class XeroSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection to one Xero organisation.

    `organisation` is its id; leave it out where the sign-in reaches only one. `webhook_key` is the signing key of the
    app's webhooks. The addresses are Xero's own unless told otherwise.
    """

    auth: CustomConnection | AuthorizationCode
    organisation: str = ""
    webhook_key: str = ""
    api_url: str = "https://api.xero.com"
    identity_url: str = "https://identity.xero.com"
    app_url: str = "https://go.xero.com"
    limits: CallLimits = CallLimits()

    def call_limits(self) -> Limits:
        """Return the budget of this connection."""
        vendor = manifest().limits
        return Limits(
            concurrent=self.limits.concurrent or vendor.concurrent,
            minute=self.limits.minute or vendor.minute,
            day=self.limits.day or vendor.day,
        )

    def token_endpoint(self, equipment: Equipment) -> TokenEndpoint:
        """Return where tokens come from."""
        return TokenEndpoint(
            equipment.http,
            equipment.clock,
            self.identity_url.rstrip("/") + TOKEN_PATH,
            self.auth.client_id,
            self.auth.client_secret,
        )

    @property
    def is_bound(self) -> bool:
        """Tell whether the sign-in itself names the organisation."""
        return isinstance(self.auth, CustomConnection)

    def __repr__(self) -> str:
        return _without_secrets(self)


def _without_secrets(settings: msgspec.Struct) -> str:
    return f"{type(settings).__name__}({redact(msgspec.to_builtins(settings))})"

"""The token endpoint of Entra ID for one directory and one application. Source: reference section 2."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.clock import Clock
    from closedwon_sandbox.exchange import Request
    from closedwon_sandbox.settings import DataverseSettings

TOKEN_LIFE_S = 3600
"""How long an access token works: the vendor says 60 to 90 minutes."""

TOKEN_PATH = "/oauth2/v2.0/token"  # noqa: S105 - a path
DISCOVERY_PATH = "/v2.0/.well-known/openid-configuration"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):  # noqa: N818 - it becomes an answer, not an error of ours
    status: int
    error: str
    number: int
    text: str


class Entra:
    """Issues access tokens and knows which of them still work."""

    def __init__(self, clock: Clock, settings: DataverseSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._expiry: dict[str, float] = {}

    def is_valid(self, token: str) -> bool:
        """Say whether a token of ours has not expired."""
        return self._expiry.get(token, 0.0) > self._clock.timestamp()

    def is_ours(self, path: str) -> bool:
        """Say whether a path belongs to the sign-in service rather than to the Web API."""
        return path.endswith((TOKEN_PATH, DISCOVERY_PATH))

    def knows_client(self, request: Request) -> bool:
        """Say whether a token request names our application with its secret."""
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        return (form.get("client_id"), form.get("client_secret")) == (
            self._settings.client_id,
            self._settings.client_secret,
        )

    def answer(self, request: Request) -> Reply:
        """Answer the token endpoint or its discovery document."""
        if request.raw_path.endswith(DISCOVERY_PATH):
            return self._discovery(request)
        try:
            return self._token(request)
        except _Refusal as refusal:
            return self._refused(refusal)

    def _discovery(self, request: Request) -> Reply:
        authority = request.base_url + request.raw_path.removesuffix(DISCOVERY_PATH)
        document = {
            "issuer": f"{authority}/v2.0",
            "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{authority}{TOKEN_PATH}",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "jwks_uri": f"{authority}/discovery/v2.0/keys",
        }
        return Reply.json(200, document)

    def _token(self, request: Request) -> Reply:
        if request.method != "POST":
            raise _Refusal(
                400, "invalid_request", 900561, "The endpoint only accepts POST requests. Received a GET request."
            )
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        self._check_directory(request.raw_path.strip("/").partition("/")[0])
        self._check_grant(form)
        self._check_client(form)
        self._check_scope(form, request.base_url)
        token = secrets.token_urlsafe(96)
        self._expiry[token] = self._clock.timestamp() + TOKEN_LIFE_S
        body = {
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE_S - 1,
            "ext_expires_in": TOKEN_LIFE_S - 1,
            "access_token": token,
        }
        return Reply.json(200, body, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})

    def _check_directory(self, directory: str) -> None:
        if directory.lower() != self._settings.directory.lower():
            text = (
                f"Tenant '{directory}' not found. Check to make sure you have the correct tenant ID and are signing "
                "into the correct cloud."
            )
            raise _Refusal(400, "invalid_request", 90002, text)

    @staticmethod
    def _check_grant(form: Mapping[str, str]) -> None:
        for name in ("grant_type", "client_id", "scope"):
            if not form.get(name):
                text = f"The request body must contain the following parameter: '{name}'."
                raise _Refusal(400, "invalid_request", 900144, text)
        if form["grant_type"] != "client_credentials":
            text = f"The app requested an unsupported grant type '{form['grant_type']}'."
            raise _Refusal(400, "unsupported_grant_type", 70003, text)

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form["client_id"].lower() != self._settings.client_id.lower():
            text = (
                f"Application with identifier '{form['client_id']}' was not found in the directory "
                f"'{self._settings.directory}'. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant."
            )
            raise _Refusal(400, "unauthorized_client", 700016, text)
        if form.get("client_assertion_type") == _ASSERTION:
            raise _Refusal(
                401,
                "invalid_client",
                700027,
                "The certificate with identifier used to sign the client assertion is not registered.",
            )
        if not form.get("client_secret"):
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise _Refusal(401, "invalid_client", 7000218, text)
        if not secrets.compare_digest(form["client_secret"].encode(), self._settings.client_secret.encode()):
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{form['client_id']}'."
            )
            raise _Refusal(401, "invalid_client", 7000215, text)

    def _check_scope(self, form: Mapping[str, str], base_url: str) -> None:
        scope = form["scope"]
        if not scope.endswith("/.default"):
            text = (
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier."
            )
            raise _Refusal(400, "invalid_scope", 1002012, text)
        resource = scope.removesuffix("/.default")
        if resource not in {base_url, f"https://{self._settings.organization_host}"}:
            text = (
                f"The resource principal named {resource} was not found in the tenant named {self._settings.directory}."
            )
            raise _Refusal(400, "invalid_resource", 500011, text)

    def _refused(self, refusal: _Refusal) -> Reply:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = self._clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        body = {
            "error": refusal.error,
            "error_description": (
                f"AADSTS{refusal.number}: {refusal.text} Trace ID: {trace} Correlation ID: {correlation} "
                f"Timestamp: {stamp}"
            ),
            "error_codes": [refusal.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={refusal.number}",
        }
        return Reply.json(refusal.status, body)

"""Tokens, their lives, and the organisations behind them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from closedwon_sandbox.exchange import Request
from xero_desk import FORM

if TYPE_CHECKING:
    from xero_desk import Desk

HALF_HOUR_S = 1800
DAY_S = 86_400


def _error(desk: Desk, body: bytes, **headers: str) -> tuple[int, object]:
    sent = {"content-type": FORM} | {name.replace("_", "-"): value for name, value in headers.items()}
    reply = desk.xero.handle(Request("POST", "/connect/token", "", sent, body))
    return reply.status, json.loads(reply.body)


def _basic(client_id: str, client_secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def test_a_custom_connection_gets_a_jwt_without_a_refresh_token(desk: Desk) -> None:
    """Client credentials give a signed token with the standard members and nothing to refresh it."""
    answer = json.loads(desk.token(scope="accounting.invoices accounting.contacts").body)
    assert set(answer) == {"access_token", "expires_in", "token_type", "scope"}
    assert (answer["expires_in"], answer["token_type"]) == (1800, "Bearer")
    header, claims, signature = answer["access_token"].split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "RS256"
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["client_id"], said["exp"] - said["nbf"]) == (desk.settings.client_id, 1800)
    assert said["scope"] == ["accounting.contacts", "accounting.invoices"]
    assert len(signature) > 300


def test_basic_authentication_works_too(desk: Desk) -> None:
    """The client may show its credentials in the header instead of the body."""
    header = _basic(desk.settings.client_id, desk.settings.client_secret)
    status, answer = _error(desk, b"grant_type=client_credentials", authorization=header)
    assert status == 200, answer


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
    ],
)
def test_unknown_clients_are_refused_with_a_bare_body(desk: Desk, form: dict[str, str], error: str) -> None:
    """A wrong or missing client gets 400 and a body of one member."""
    assert _error(desk, urlencode(form).encode()) == (400, {"error": error})


def test_a_wrong_secret_is_an_invalid_client(desk: Desk) -> None:
    """The secret counts, not only the id."""
    reply = desk.token(client_secret="wrong")
    assert (reply.status, json.loads(reply.body)) == (400, {"error": "invalid_client"})


def test_a_json_body_is_an_invalid_request(desk: Desk) -> None:
    """The token endpoint reads forms only."""
    assert _error(desk, b"{}", content_type="application/json") == (400, {"error": "invalid_request"})


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "accounting.transactions"}, "invalid_scope"),
        ({"grant_type": "refresh_token", "refresh_token": "made-up"}, "invalid_grant"),
    ],
)
def test_grants_the_app_may_not_use_are_refused(desk: Desk, form: dict[str, str], error: str) -> None:
    """Unknown grants, broad scopes and made-up refresh tokens each have their code."""
    reply = desk.token(**form)
    assert (reply.status, json.loads(reply.body)) == (400, {"error": error})


def test_a_web_app_cannot_sign_in_by_itself(desk: Desk) -> None:
    """Client credentials of a web app do not open organisation data."""
    reply = desk.token(desk.settings.web_client_id, desk.settings.web_client_secret, scope="accounting.invoices")
    assert json.loads(reply.body) == {"error": "unauthorized_client"}


def test_refreshing_rotates_and_the_old_token_works_for_half_an_hour(desk: Desk) -> None:
    """A lost refresh answer can be repeated within the grace, not after it; the successor goes on working."""
    old = desk.settings.web_refresh_token
    successor = desk.sign_in_web()["refresh_token"]
    assert successor != old
    desk.clock.pass_time(HALF_HOUR_S - 1)
    assert desk.refresh(old).status == 200
    desk.clock.pass_time(1)
    assert json.loads(desk.refresh(old).body) == {"error": "invalid_grant"}
    assert desk.refresh(successor).status == 200


def test_an_unused_refresh_token_dies_after_60_days(desk: Desk) -> None:
    """Sixty days without use end the consent."""
    desk.clock.pass_time(60 * DAY_S)
    assert json.loads(desk.refresh(desk.settings.web_refresh_token).body) == {"error": "invalid_grant"}


def test_an_access_token_ends_after_half_an_hour(desk: Desk) -> None:
    """An expired token is told apart from an unknown one."""
    desk.sign_in()
    desk.ask("GET", "Organisation")
    desk.clock.pass_time(HALF_HOUR_S)
    answer = desk.ask("GET", "Organisation", status=401)
    assert answer["Detail"] == "TokenExpired: token expired at 09/21/2026 14:43:20"
    desk.bearer = "made-up"
    assert desk.ask("GET", "Organisation", status=401)["Detail"] == "AuthenticationUnsuccessful"


def test_the_tools_token_does_not_end(desk: Desk) -> None:
    """Tools can look in at any time, and are not the app."""
    desk.clock.pass_time(400 * DAY_S)
    desk.ask("GET", "Organisation")
    request = Request("GET", "/api.xro/2.0/Organisation", "", {"authorization": f"Bearer {desk.bearer}"})
    assert desk.xero.caller(request) == "tools"


def test_a_missing_scope_is_a_401_that_says_so(desk: Desk) -> None:
    """Reading with `.read` works, writing with it does not."""
    desk.sign_in("accounting.contacts.read")
    desk.ask("GET", "Contacts")
    reply = desk.send("PUT", "Contacts", {"Name": "New"})
    assert reply.status == 401
    assert json.loads(reply.body)["Detail"] == "AuthorizationUnsuccessful"
    assert reply.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


def test_connections_answer_in_any_case(desk: Desk) -> None:
    """The list of connections is a bare array at either spelling of the address."""
    desk.sign_in_web()
    rows = desk.ask("GET", "/connections")
    assert rows == desk.ask("GET", "/Connections")
    assert [(row["tenantId"], row["tenantType"]) for row in rows] == [(desk.settings.organisation_id, "ORGANISATION")]
    assert desk.ask("GET", f"/connections?authEventId={rows[0]['authEventId']}") == rows
    assert desk.ask("GET", "/connections?authEventId=00000000-0000-0000-0000-000000000000") == []


def test_a_web_app_names_its_organisation_and_can_leave_it(desk: Desk) -> None:
    """Without, with a wrong and after a removed connection the answer is 403."""
    desk.sign_in_web()
    tenant = desk.settings.organisation_id
    desk.ask("GET", "Organisation", xero_tenant_id=tenant)
    assert desk.ask("GET", "Organisation", status=403)["detail"] == "AuthenticationUnsuccessful"
    desk.ask("GET", "Organisation", status=403, xero_tenant_id="00000000-0000-0000-0000-000000000000")
    connection = desk.ask("GET", "/connections")[0]["id"]
    desk.ask("DELETE", f"/connections/{connection}", status=204)
    assert desk.send("DELETE", f"/connections/{connection}").status == 404
    desk.ask("GET", "Organisation", status=403, xero_tenant_id=tenant)


def test_revoking_ends_refresh_token_and_connections(desk: Desk) -> None:
    """Revocation takes the consent back as a whole."""
    refresh_token = desk.sign_in_web()["refresh_token"]
    form = {"token": refresh_token, "client_id": desk.settings.web_client_id}
    body = urlencode(form | {"client_secret": desk.settings.web_client_secret}).encode()
    reply = desk.xero.handle(Request("POST", "/connect/revocation", "", {"content-type": FORM}, body))
    assert reply.status == 200
    assert desk.ask("GET", "/connections") == []
    assert json.loads(desk.refresh(refresh_token).body) == {"error": "invalid_grant"}


def test_callers_are_told_apart(desk: Desk) -> None:
    """Whoever signed in is the app, at the token endpoint as well; the rest is anonymous."""

    def caller(path: str, body: bytes = b"", **headers: str) -> str:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return desk.xero.caller(Request("POST", path, "", sent, body))

    good = f"client_id={desk.settings.client_id}&client_secret={desk.settings.client_secret}".encode()
    assert caller("/connect/token", good, content_type=FORM) == "app"
    assert caller("/connect/token", b"client_id=x&client_secret=y", content_type=FORM) == "anonymous"
    assert caller("/api.xro/2.0/Invoices", authorization=f"Bearer {desk.sign_in()}") == "app"
    assert caller("/api.xro/2.0/Invoices") == "anonymous"

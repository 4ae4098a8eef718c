"""The token endpoint, bearer tokens, and service protection limits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closedwon_sandbox.exchange import Request
from dataverse_in_memory import BASE, Crm


def test_a_client_with_its_secret_gets_a_token_for_an_hour(crm: Crm) -> None:
    """And the token works until then, on the sandbox's clock."""
    document = json.loads(crm.sign_in().body)
    assert document["token_type"] == "Bearer"
    assert 3500 <= document["expires_in"] <= 3600
    crm.token = document["access_token"]
    assert crm.get("WhoAmI").status == 200
    crm.pass_time(3601)
    assert crm.get("WhoAmI").status == 401


@pytest.mark.parametrize(
    ("changed", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, 400, "unauthorized_client", 700016),
        ({"directory": "11111111-1111-1111-1111-111111111111"}, 400, "invalid_request", 90002),
        ({"scope": f"{BASE}//.default"}, 400, "invalid_resource", 500011),
        ({"scope": "https://other.crm.dynamics.com/.default"}, 400, "invalid_resource", 500011),
        ({"scope": BASE}, 400, "invalid_scope", 1002012),
        ({"scope": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    ],
)
def test_wrong_sign_ins_are_refused_the_way_entra_does(
    crm: Crm, changed: dict[str, str], status: int, error: str, number: int
) -> None:
    """The number in the description is what support asks for."""
    reply = crm.sign_in(**changed)
    document = json.loads(reply.body)
    assert (reply.status, document["error"], document["error_codes"]) == (status, error, [number])
    assert document["error_description"].startswith(f"AADSTS{number}: ")
    assert {"timestamp", "trace_id", "correlation_id", "error_uri"} <= document.keys()


def test_the_vendors_own_host_is_a_scope_too(crm: Crm) -> None:
    """A client may know the environment by its real name."""
    assert crm.sign_in(scope=f"https://{crm.settings.organization_host}/.default").status == 200


def test_the_discovery_document_names_the_token_endpoint(crm: Crm) -> None:
    """Clients that look it up find it."""
    path = f"/{crm.settings.directory}/v2.0/.well-known/openid-configuration"
    reply = crm.simulator.handle(Request("GET", path, base_url=BASE))
    assert json.loads(reply.body)["token_endpoint"] == f"{BASE}/{crm.settings.directory}/oauth2/v2.0/token"


@pytest.mark.parametrize("header", ["", "Bearer nonsense", "Basic eDp5", "Bearer"])
def test_without_a_valid_token_the_challenge_names_the_authority(crm: Crm, header: str) -> None:
    """401 before anything else is looked at."""
    request = Request("GET", "/api/data/v9.2/nope", headers={"authorization": header}, base_url=BASE)
    reply = crm.simulator.handle(request)
    assert reply.status == 401
    assert f"authorization_uri={BASE}/{crm.settings.directory}/" in reply.headers["WWW-Authenticate"]


def test_callers_are_told_apart(crm: Crm) -> None:
    """For statistics and limits."""
    tools = crm.request("GET", "WhoAmI")
    crm.as_app()
    assert crm.simulator.caller(tools) == "tools"
    assert crm.simulator.caller(crm.request("GET", "WhoAmI")) == "app"
    crm.token = "x"
    assert crm.simulator.caller(crm.request("GET", "WhoAmI")) == "anonymous"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/api/data/v9.2/opportunities(11111111-1111-1111-1111-111111111111)/name", "GET opportunities"),
        ("POST", "/api/data/v9.2/$batch", "POST $batch"),
        ("POST", "/api/data/v9.1/WinOpportunity", "POST WinOpportunity"),
        ("GET", "/api/data/v9.2/WhoAmI()", "GET WhoAmI"),
        ("POST", "/some-directory/oauth2/v2.0/token", "POST token"),
        ("GET", "/api/data/v9.2/", "GET"),
    ],
)
def test_requests_have_short_names(crm: Crm, method: str, path: str, name: str) -> None:
    """For statistics and fault scripts: no ids in them."""
    assert crm.simulator.endpoint(Request(method, path, base_url=BASE)) == name


def throttle(crm: Crm, in_flight: int = 1) -> Any:
    """Ask whether a request may go on."""
    return crm.simulator.throttled(crm.request("GET", "WhoAmI"), in_flight)


def test_too_many_requests_in_the_window_are_refused_until_it_has_passed(crm: Crm) -> None:
    """Code, text and waiting time; who keeps pushing waits longer."""
    crm.settings.requests = 10
    crm.as_app()
    assert [throttle(crm) for _ in range(10)] == [None] * 10
    refused = throttle(crm)
    error = json.loads(refused.body)["error"]
    assert (refused.status, error["code"]) == (429, "0x80072322")
    assert error["message"] == "Number of requests exceeded the limit of 10 over time window of 300 seconds."
    assert 298 <= int(refused.headers["Retry-After"]) <= 300
    assert refused.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "0"
    crm.pass_time(200)
    early = int(throttle(crm).headers["Retry-After"])
    late = [int(throttle(crm).headers["Retry-After"]) for _ in range(50)][-1]
    assert late > early
    crm.pass_time(101)
    assert throttle(crm) is None


def test_concurrent_requests_are_limited(crm: Crm) -> None:
    """The 53rd at once."""
    crm.as_app()
    assert throttle(crm, 52) is None
    refused = throttle(crm, 53)
    assert json.loads(refused.body)["error"]["code"] == "0x80072326"
    assert 1 <= int(refused.headers["Retry-After"]) <= 10


def test_execution_time_is_limited(crm: Crm) -> None:
    """What requests cost adds up."""
    crm.settings.execution_ms = 1
    crm.as_app()
    for _ in range(20):
        crm.get("accounts")
    refused = throttle(crm)
    error = json.loads(refused.body)["error"]
    assert error["code"] == "0x80072321"
    assert "exceeded limit of 1 milliseconds over time window of 300 seconds" in error["message"]
    crm.pass_time(301)
    assert throttle(crm) is None


def test_tools_strangers_and_a_switched_off_limit_are_not_refused(crm: Crm) -> None:
    """Only the application user is protected against."""
    crm.settings.requests = 0
    assert throttle(crm) is None
    crm.as_app()
    assert throttle(crm) is not None
    crm.settings.enforce = False
    assert throttle(crm) is None


def test_every_answer_says_what_is_left(crm: Crm) -> None:
    """And carries ids for support."""
    headers = crm.as_app().get("WhoAmI").headers
    assert int(headers["x-ms-ratelimit-burst-remaining-xrm-requests"]) == 6000
    assert int(headers["x-ms-ratelimit-time-remaining-xrm-requests"]) <= 1_200_000
    assert headers["x-ms-dop-hint"]
    assert headers["x-ms-service-request-id"] == headers["REQ_ID"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [("requests", "0x80072322"), ("time", "0x80072321"), ("concurrent", "0x80072326"), ("minute", "0x80072322")],
)
def test_fault_scripts_get_the_vendors_429(crm: Crm, kind: str, code: str) -> None:
    """Of each kind."""
    reply = crm.simulator.limit_reply(kind, crm.request("GET", "WhoAmI"))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (429, code)
    assert int(reply.headers["Retry-After"]) >= 1

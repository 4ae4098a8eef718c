"""The Dataverse simulator behind its server: sign-in, limits, webhooks and faults over HTTP."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from sandbox_process import Simulators, simulators_on_a_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 20


@pytest.fixture
def sandbox() -> Iterator[Simulators]:
    """Serve a fresh pair of simulators."""
    with simulators_on_a_thread() as running:
        yield running


def sign_in(sandbox: Simulators) -> httpx2.Client:
    """Sign in as the application and return a client for the Web API."""
    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.dynamics.client_id,
        "client_secret": sandbox.dynamics.client_secret,
        "scope": f"{sandbox.dynamics_url}/.default",
    }
    url = f"{sandbox.dynamics_url}/{sandbox.dynamics.directory}/oauth2/v2.0/token"
    token = httpx2.post(url, data=form, trust_env=False).raise_for_status().json()["access_token"]
    return client(sandbox, token)


def client(sandbox: Simulators, token: str) -> httpx2.Client:
    """Return a client for the Web API with a bearer token."""
    headers = {"authorization": f"Bearer {token}", "odata-version": "4.0", "accept": "application/json"}
    return httpx2.Client(
        base_url=f"{sandbox.dynamics_url}/api/data/v9.2/", headers=headers, trust_env=False, timeout=30
    )


@dataclass
class Listener:
    """A subscriber that keeps what it gets and answers as told."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    def wait_for(self, count: int) -> None:
        """Return once so many requests have come."""
        deadline = time.monotonic() + DEADLINE_S
        while len(self.got) < count:
            assert time.monotonic() < deadline, f"only {len(self.got)} webhooks came"
            time.sleep(0.01)


@contextmanager
def listening(*statuses: int) -> Iterator[Listener]:
    """Listen for webhooks; the first ones are answered with `statuses`, the rest with 200."""
    listener = Listener(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.got.append((self.path, headers, body))
            self.send_response(listener.statuses.pop(0) if listener.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def register(tools: httpx2.Client, url: str, message: str, table: str) -> None:
    """Register a webhook with a header secret."""
    secret = '<settings><setting name="x-hook-secret" value="S3CRET"/></settings>'
    body = {"name": "hook", "url": url, "contract": 8, "authtype": 5, "authvalue": secret}
    made = tools.post("serviceendpoints", json=body, headers={"prefer": "return=representation"}).raise_for_status()
    condition = f"primaryobjecttypecode eq '{table}' and sdkmessageid/name eq '{message}'"
    found = tools.get("sdkmessagefilters", params={"$filter": condition}).raise_for_status().json()["value"][0]
    step = {
        "name": "hook",
        "stage": 40,
        "mode": 1,
        "asyncautodelete": True,
        "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({made.json()['serviceendpointid']})",
        "sdkmessageid@odata.bind": f"/sdkmessages({found['_sdkmessageid_value']})",
        "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({found['sdkmessagefilterid']})",
    }
    tools.post("sdkmessageprocessingsteps", json=step).raise_for_status()


def test_sign_in_query_write_and_statistics(sandbox: Simulators) -> None:
    """The whole way over HTTP, counted by caller and endpoint."""
    with sign_in(sandbox) as app:
        me = app.get("WhoAmI").raise_for_status().json()["UserId"]
        assert me == sandbox.dynamics.app_user_id
        query = {"$select": "name", "$filter": "statecode eq 0", "$top": "2"}
        assert len(app.get("accounts", params=query).raise_for_status().json()["value"]) == 2
        made = app.post("accounts", json={"name": "Zoë & Söhne 🚀"}, params={"tag": "t"})
        assert made.status_code == 204
        assert app.get(made.headers["OData-EntityId"]).json()["name"] == "Zoë & Söhne 🚀"
        assert app.get("Accounts").json()["error"]["code"] == "0x8006088a"
    counted = sandbox.stats()["dynamics"]["app"]
    wanted = {"POST token": 1, "GET WhoAmI": 1, "GET accounts": 2, "POST accounts": 1, "GET Accounts": 1}
    assert counted["endpoints"] == wanted


def test_next_and_delta_links_can_be_followed_as_they_are(sandbox: Simulators) -> None:
    """Encoded twice inside, and still the same after a round trip through a client."""
    with client(sandbox, sandbox.dynamics.token) as tools:
        headers = {"prefer": "odata.track-changes,odata.maxpagesize=20"}
        page = tools.get("accounts", params={"$select": "name"}, headers=headers).raise_for_status().json()
        seen = page["value"]
        while "@odata.nextLink" in page:
            page = tools.get(page["@odata.nextLink"], headers=headers).raise_for_status().json()
            seen += page["value"]
        assert {row["accountid"] for row in seen} == {company.id for company in sandbox.world.companies}
        first = sandbox.world.companies[0].id
        tools.patch(f"accounts({first})", json={"name": "Changed"}).raise_for_status()
        delta = tools.get(page["@odata.deltaLink"]).raise_for_status().json()
        assert [row["accountid"] for row in delta["value"]] == [first]


def test_concurrent_requests_over_the_limit_get_429(sandbox: Simulators) -> None:
    """Real concurrency: requests that take a while overlap."""
    with sign_in(sandbox) as app:
        sandbox.limits("dynamics", concurrent=2, latency_ms=300)
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: app.get("WhoAmI"), range(6)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 0 < len(refused) <= 4
    assert {answer.json()["error"]["code"] for answer in refused} == {"0x80072326"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert sandbox.stats()["dynamics"]["app"]["throttled"] == len(refused)


def test_requests_over_the_limit_get_429_until_time_has_passed(sandbox: Simulators) -> None:
    """On the sandbox's clock; tools go on meanwhile."""
    sandbox.limits("dynamics", requests=3)
    with sign_in(sandbox) as app, client(sandbox, sandbox.dynamics.token) as tools:
        assert [app.get("WhoAmI").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert tools.get("WhoAmI").status_code == 200
        sandbox.clock(advance_s=301)
        assert app.get("WhoAmI").status_code == 200


def test_a_token_expires_on_the_sandboxs_clock(sandbox: Simulators) -> None:
    """401 with a challenge; the tools' token stays."""
    with sign_in(sandbox) as app, client(sandbox, sandbox.dynamics.token) as tools:
        sandbox.clock(advance_s=3700)
        refused = app.get("WhoAmI")
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")
        assert tools.get("WhoAmI").status_code == 200


def test_a_won_deal_is_told_over_http(sandbox: Simulators) -> None:
    """With the secret, and without the request that won it waiting."""
    with listening() as listener, client(sandbox, sandbox.dynamics.token) as tools:
        register(tools, listener.url, "Win", "opportunity")
        deal = sandbox.world.deals[0].id
        close = {"subject": "Won", "opportunityid@odata.bind": f"/opportunities({deal})"}
        tools.post("WinOpportunity", json={"Status": 3, "OpportunityClose": close}).raise_for_status()
        listener.wait_for(1)
    path, headers, body = listener.got[0]
    assert (path, headers["x-hook-secret"], headers["x-ms-dynamics-request-name"]) == ("/hook", "S3CRET", "Win")
    assert (body["MessageName"], body["PrimaryEntityId"]) == ("Win", deal)


def test_a_subscriber_that_is_down_for_a_moment_gets_it_again(sandbox: Simulators) -> None:
    """One retry after a 503, then never again; the second failure shows as a failed job."""
    with listening(503, 200, 503, 503) as listener, client(sandbox, sandbox.dynamics.token) as tools:
        register(tools, listener.url, "Create", "account")
        tools.post("accounts", json={"name": "A"}).raise_for_status()
        listener.wait_for(1)
        deadline = time.monotonic() + DEADLINE_S
        while len(listener.got) < 2:
            assert time.monotonic() < deadline
            sandbox.clock(advance_s=1)
        assert listener.got[0][2]["PrimaryEntityId"] == listener.got[1][2]["PrimaryEntityId"]
        tools.post("accounts", json={"name": "B"}).raise_for_status()
        while not sandbox.state("dynamics")["failed_deliveries"]:
            assert time.monotonic() < deadline
            sandbox.clock(advance_s=1)
        assert len(listener.got) == 4


def test_a_lost_answer_is_still_a_commit(sandbox: Simulators) -> None:
    """The fault cuts the connection after the vendor's work: only a look can tell."""
    sandbox.fault("dynamics", "cut_after", match="POST accounts", when={"nth": 1})
    with client(sandbox, sandbox.dynamics.token) as tools:
        with pytest.raises(httpx2.HTTPError):
            tools.post("accounts", json={"name": "Lost answer"})
        found = tools.get("accounts", params={"$filter": "name eq 'Lost answer'"}).json()["value"]
    assert len(found) == 1


@pytest.mark.parametrize("kind", ["requests", "time", "concurrent"])
def test_a_fault_script_can_throttle(sandbox: Simulators, kind: str) -> None:
    """With the vendor's own answer, whatever the limits say."""
    sandbox.fault("dynamics", "429", match="GET WhoAmI", when={"first": 1}, kind=kind)
    with client(sandbox, sandbox.dynamics.token) as tools:
        refused = tools.get("WhoAmI")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] in {"0x80072322", "0x80072321", "0x80072326"}
        assert tools.get("WhoAmI").status_code == 200


def test_a_batch_over_http(sandbox: Simulators) -> None:
    """The boundary comes back in the header, parts as multipart."""
    part = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET WhoAmI HTTP/1.1\r\n\r\n"
    content = f"--b\r\n{part}\r\n--b--\r\n"
    with client(sandbox, sandbox.dynamics.token) as tools:
        answer = tools.post("$batch", content=content, headers={"content-type": "multipart/mixed; boundary=b"})
    assert answer.status_code == 200
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    assert answer.text.startswith(f"--{boundary}\r\n")
    assert answer.text.endswith(f"--{boundary}--\r\n")
    assert "HTTP/1.1 200 OK" in answer.text

"""Whatever a client sends gets the vendor's kind of refusal, never a failure of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedwon_sandbox.exchange import Request
from dataverse_in_memory import BASE, Crm, answer

if TYPE_CHECKING:
    from pathlib import Path

A = "11111111-1111-1111-1111-111111111111"
REFUSALS = range(400, 500)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "accounts", 405),
        ("DELETE", "accounts", 405),
        ("PATCH", "accounts", 405),
        ("POST", f"accounts({A})", 405),
        ("POST", "WhoAmI", 405),
        ("GET", "WinOpportunity", 405),
        ("POST", "EntityDefinitions", 405),
        ("POST", "accounts/$count", 405),
        ("GET", "nope", 404),
        ("GET", "accounts/nope", 404),
        ("GET", f"accounts({A})/nope", 404),
        ("POST", "NopeAction", 404),
        ("GET", "accounts(nope)", 400),
        ("GET", "accounts(nope=5)", 400),
        ("GET", "accounts()", 400),
        ("GET", "accounts(''", 400),
        ("GET", f"accounts({A})/name/nope", 404),
    ],
)
def test_wrong_addresses_and_verbs(crm: Crm, method: str, path: str, status: int) -> None:
    """405 for the verb, 404 for the resource, 400 for the key."""
    refused = crm.ask(method, path, {} if method != "GET" else None)
    assert refused.status == status
    assert refused.message


def test_paths_outside_the_api(crm: Crm) -> None:
    """No route answers them."""
    for path in ("/", "/api/data/v8.2/accounts", "/api", "/favicon.ico", "/api/data/v9.22/accounts"):
        reply = answer(crm.simulator.handle(Request("GET", path, base_url=BASE)))
        assert (reply.status, reply.code) == (404, "")


def test_all_versions_of_the_api_serve_the_same(crm: Crm) -> None:
    """9.0, 9.1 and 9.2 coexist."""
    for version in ("v9.0", "v9.1", "v9.2"):
        headers = {"authorization": f"Bearer {crm.token}"}
        assert (
            crm.simulator.handle(
                Request("GET", f"/api/data/{version}/accounts", "$top=1", headers, base_url=BASE)
            ).status
            == 200
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"5",
        b"{} trailing",
        b'{"name": NaN}',
        b"\xff\xfe",
        b'{"name": "\xed\xa0\x80"}',
        b"[" * 10_000,
        b'{"name":' * 10_000,
        b'{"name":"' + b"x" * 1000,
    ],
)
def test_bodies_that_are_no_json_object(crm: Crm, body: bytes) -> None:
    """Broken, deep, wrongly encoded or of another shape."""
    refused = crm.post("accounts", body)
    assert (refused.status, refused.code) == (400, "0x80048d19")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_be_called_json(crm: Crm, kind: str) -> None:
    """415 for anything else."""
    assert crm.post("accounts", {"name": "A"}, content_type=kind).status == 415


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    [
        "name",
        "creditlimit",
        "numberofemployees",
        "donotemail",
        "customertypecode",
        "primarycontactid",
        "primarycontactid@odata.bind",
        "contact_customer_accounts",
        "accountid",
        "statecode",
        "ownerid@odata.bind",
        "transactioncurrencyid@odata.bind",
        "@odata.type",
        "x",
        "overriddencreatedon",
        "statuscode",
        "parentaccountid",
        "_ownerid_value",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_any_body_is_taken_or_refused(crm: Crm, body: dict[str, Any]) -> None:
    """Never a 500."""
    for reply in (crm.post("accounts", body), crm.patch(f"accounts({crm.world.companies[0].id})", body)):
        assert reply.status == 204 or reply.status in REFUSALS, (body, reply.body)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["$filter", "$select", "$orderby", "$expand", "$top", "$skiptoken", "$deltatoken", "@p", "x"]),
    st.text(max_size=40),
)
def test_any_query_is_answered_or_refused(crm: Crm, name: str, text: str) -> None:
    """Never a 500."""
    text = text.encode("utf-8", "replace").decode()
    reply = crm.get(f"accounts?{name}={text}")
    assert reply.status == 200 or reply.status in {*REFUSALS, 501}, (name, text, reply.body)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet="accounts()$/'=,%2F0.9\"\\ é", max_size=30),
    st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "X"]),
)
def test_any_path_is_answered_or_refused(crm: Crm, path: str, method: str) -> None:
    """Never a 500."""
    reply = crm.ask(method, path, {} if method in {"POST", "PATCH", "PUT"} else None)
    assert reply.status < 300 or reply.status in REFUSALS, (method, path, reply.body)


@pytest.mark.parametrize(
    "text", ["name eq '" + "(" * 50 + "'", "(" * 5_000 + "name eq 'x'" + ")" * 5_000, "not " * 5_000 + "name eq 'x'"]
)
def test_deep_filters_are_answered_or_refused(crm: Crm, text: str) -> None:
    """Neither a traceback nor a hang."""
    assert crm.get(f"accounts?$filter={text}").status in {200, 400, 414}


def test_strange_names_survive(crm: Crm) -> None:
    """An emoji and 300 characters are a name; 4,000 are too long."""
    name = "🚀" + "ß" * 299
    made = crm.create("opportunities", {"name": name})
    assert crm.get(f"opportunities({made})").document["name"] == name
    assert crm.patch(f"opportunities({made})", {"name": "x" * 4000}).code == "0x80044331"


def test_a_deal_may_have_300_lines_or_a_negative_total(crm: Crm) -> None:
    """The CRM takes what a seller types."""
    line = {"isproductoverridden": True, "productdescription": "L", "priceperunit": 1.01, "quantity": 1}
    large = crm.deal([line] * 300)
    assert float(crm.get(f"opportunities({large})").document["totalamount"]) == 303.0
    negative = crm.deal([{**line, "manualdiscountamount": 5}])
    assert crm.get(f"opportunities({negative})").document["totalamount"] < 0


def test_a_bug_of_ours_becomes_the_vendors_500(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The client sees the vendor's kind of failure, the traceback goes to stderr."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(crm.simulator.env.store, "find", fail)
    failed = crm.patch(f"accounts({A})", {"name": "x"})
    assert (failed.status, failed.code) == (500, "0x80040216")
    assert "a bug" in capsys.readouterr().err


def test_the_state_is_plain_json(crm: Crm) -> None:
    """Money as text, lookups as table and id, every document with its lines."""
    state = crm.simulator.state()
    deals = {row["opportunityid"]: row for row in state["opportunities"]}
    deal = crm.world.deals[0]
    assert len(deals[deal.id]["lines"]) == len(deal.lines)
    assert deals[deal.id]["customerid"] == {
        "table": "contact" if deal.customer_is_person else "account",
        "id": deal.customer_id,
    }
    assert isinstance(deals[deal.id]["totalamount"], str)
    assert set(state) >= {"accounts", "contacts", "invoices", "salesorders", "webhooks", "failed_deliveries"}

"""Webhooks: registration, which events go out, their bodies, delivery and its failures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dataverse_in_memory import Crm, write_in

if TYPE_CHECKING:
    from closedwon_sandbox.exchange import Delivery

SECRET_XML = '<settings><setting name="x-hook-secret" value="S3CRET"/></settings>'
URL = "http://127.0.0.1:8080/hooks/dynamics/crm"


def endpoint(crm: Crm, authtype: int = 5, authvalue: str = SECRET_XML, url: str = URL) -> str:
    """Register an endpoint."""
    return crm.create(
        "serviceendpoints",
        {"name": "hook", "url": url, "contract": 8, "authtype": authtype, "authvalue": authvalue, "messageformat": 2},
    )


def step(crm: Crm, message: str, table: str, endpoint_id: str | None = None, **columns: Any) -> str:
    """Register a step."""
    message_id = crm.get(f"sdkmessages?$select=sdkmessageid&$filter=name eq '{message}'").value[0]["sdkmessageid"]
    filters = crm.get(
        f"sdkmessagefilters?$filter=primaryobjecttypecode eq '{table}' and sdkmessageid/name eq '{message}'"
    ).value
    return crm.create(
        "sdkmessageprocessingsteps",
        {
            "name": f"hook.{table}.{message}",
            "stage": 40,
            "mode": 1,
            "rank": 1,
            "supporteddeployment": 0,
            "asyncautodelete": True,
            "eventhandler_serviceendpoint@odata.bind": f"/serviceendpoints({endpoint_id or endpoint(crm)})",
            "sdkmessageid@odata.bind": f"/sdkmessages({message_id})",
            "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({filters[0]['sdkmessagefilterid']})",
            **columns,
        },
    )


def delivered(crm: Crm) -> list[Any]:
    """Let the queue run and return the bodies."""
    crm.pass_time(1)
    return crm.box.bodies()


def keyed(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Make an object of an array of pairs."""
    return {pair["key"]: pair["value"] for pair in pairs}


def target(body: Any) -> dict[str, Any]:
    """Return the columns of a message's target."""
    return keyed(keyed(body["InputParameters"])["Target"]["Attributes"])


def test_a_registration_can_be_found_again(crm: Crm) -> None:
    """By URL, table and message; the secret cannot be read back."""
    step(crm, "Update", "opportunity", filteringattributes="statecode,statuscode")
    found = crm.get(
        "sdkmessageprocessingsteps?$select=name,stage,mode,filteringattributes,statecode"
        "&$expand=eventhandler_serviceendpoint($select=serviceendpointid,name,url),sdkmessageid($select=name),"
        "sdkmessagefilterid($select=primaryobjecttypecode)"
        f"&$filter=eventhandler_serviceendpoint/url eq '{URL}' "
        "and sdkmessagefilterid/primaryobjecttypecode eq 'opportunity' and sdkmessageid/name eq 'Update'"
    ).value
    assert [(row["filteringattributes"], row["sdkmessageid"]["name"]) for row in found] == [
        ("statecode,statuscode", "Update")
    ]
    held = crm.get("serviceendpoints").value[0]
    assert held["isauthvalueset"] is True
    assert "authvalue" not in held
    assert crm.simulator.state()["webhooks"][0]["url"] == URL


def test_a_create_is_told_with_all_columns_set(crm: Crm) -> None:
    """Arrays of pairs, typed values, epoch dates."""
    step(crm, "Create", "account")
    person = crm.world.people[0].id
    row_id = crm.create(
        "accounts",
        {
            "name": "Contoso",
            "revenue": 2154.32,
            "industrycode": 7,
            "primarycontactid@odata.bind": f"/contacts({person})",
        },
    )
    (body,) = delivered(crm)
    assert (body["MessageName"], body["PrimaryEntityName"], body["PrimaryEntityId"]) == ("Create", "account", row_id)
    assert (body["Stage"], body["Mode"], body["Depth"]) == (40, 1, 1)
    columns = target(body)
    assert columns["name"] == "Contoso"
    assert columns["revenue"] == {"__type": "Money:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": 2154.32}
    assert columns["industrycode"]["Value"] == 7
    assert (columns["primarycontactid"]["Id"], columns["primarycontactid"]["LogicalName"]) == (person, "contact")
    assert columns["createdon"].startswith("/Date(")
    assert keyed(body["OutputParameters"]) == {"id": row_id}


def test_an_update_is_told_with_the_columns_sent(crm: Crm) -> None:
    """Not with the whole row."""
    step(crm, "Update", "account")
    crm.patch(f"accounts({crm.world.companies[0].id})", {"name": "B"})
    (body,) = delivered(crm)
    assert {"name", "accountid", "modifiedon", "modifiedby"} <= target(body).keys()
    assert "emailaddress1" not in target(body)


def test_filtering_attributes_look_at_what_was_sent(crm: Crm) -> None:
    """A listed column fires even when its value stays the same, an unlisted one does not."""
    step(crm, "Update", "account", filteringattributes="name, telephone1")
    company = crm.world.companies[0]
    crm.patch(f"accounts({company.id})", {"description": "x"})
    assert delivered(crm) == []
    crm.patch(f"accounts({company.id})", {"name": company.name})
    assert len(delivered(crm)) == 1


def test_a_delete_is_told_with_a_reference(crm: Crm) -> None:
    """There is nothing else left."""
    step(crm, "Delete", "account")
    row_id = crm.create("accounts", {"name": "A"})
    crm.delete(f"accounts({row_id})")
    (body,) = delivered(crm)
    assert keyed(body["InputParameters"])["Target"]["Id"] == row_id


def test_winning_raises_three_messages_of_one_correlation(crm: Crm) -> None:
    """Win with the close activity, the activity's own Create, and the state change as an Update one level deeper."""
    hook = endpoint(crm)
    for message, table in (("Win", "opportunity"), ("Create", "opportunityclose"), ("Update", "opportunity")):
        step(crm, message, table, hook)
    deal = crm.deal([write_in(15000)])
    delivered(crm)
    crm.box.deliveries.clear()
    crm.win(deal)
    bodies = {(body["MessageName"], body["PrimaryEntityName"]): body for body in delivered(crm)}
    assert set(bodies) == {("Win", "opportunity"), ("Create", "opportunityclose"), ("Update", "opportunity")}
    win = bodies["Win", "opportunity"]
    inputs = keyed(win["InputParameters"])
    assert (win["PrimaryEntityId"], win["Depth"], inputs["Status"]["Value"]) == (deal, 1, 3)
    assert inputs["OpportunityClose"]["LogicalName"] == "opportunityclose"
    assert keyed(inputs["OpportunityClose"]["Attributes"])["opportunityid"]["Id"] == deal
    update = bodies["Update", "opportunity"]
    assert (update["Depth"], target(update)["statecode"]["Value"], target(update)["actualvalue"]["Value"]) == (
        2,
        1,
        15000,
    )
    assert len({body["CorrelationId"] for body in bodies.values()}) == 1


def test_the_tag_of_a_write_travels_with_its_webhook(crm: Crm) -> None:
    """For what the client did in the shared variables, for what followed from it in the parent's."""
    step(crm, "Update", "opportunity")
    deal = crm.deal([write_in(1)])
    delivered(crm)
    crm.box.deliveries.clear()
    crm.patch(f"opportunities({deal})?tag=conn:7f3a", {"freightamount": 5})
    own, nested = sorted(delivered(crm), key=lambda body: body["Depth"])
    assert keyed(own["SharedVariables"])["tag"] == "conn:7f3a"
    assert "tag" not in keyed(nested["SharedVariables"])
    assert keyed(nested["ParentContext"]["SharedVariables"])["tag"] == "conn:7f3a"
    assert target(nested)["totalamount"]["Value"] == 6


def test_who_did_it_is_told(crm: Crm) -> None:
    """The application user for the app's writes, a person for the tools'."""
    step(crm, "Update", "account")
    path = f"accounts({crm.world.companies[0].id})"
    crm.patch(path, {"name": "A"})
    crm.as_app().patch(path, {"name": "B"})
    human, app = delivered(crm)
    assert app["InitiatingUserId"] == app["UserId"] == crm.settings.app_user_id
    assert human["InitiatingUserId"] != crm.settings.app_user_id


def test_nothing_is_told_of_what_did_not_commit(crm: Crm) -> None:
    """A deep insert that fails, a step that is switched off, another table."""
    made = step(crm, "Create", "account")
    crm.post("accounts", {"name": "A", "contact_customer_accounts": [{"lastname": "x" * 51}]})
    crm.create("contacts", {"lastname": "X"})
    assert delivered(crm) == []
    assert crm.patch(f"sdkmessageprocessingsteps({made})", {"statecode": 1, "statuscode": 2}).status == 204
    crm.create("accounts", {"name": "A"})
    assert delivered(crm) == []


def test_webhooks_come_after_a_delay(crm: Crm) -> None:
    """They are a queue's work, not the request's."""
    step(crm, "Create", "account")
    crm.create("accounts", {"name": "A"})
    crm.clock.tick()
    assert crm.box.deliveries == []
    assert len(delivered(crm)) == 1


def test_images_show_the_row_before_and_after(crm: Crm) -> None:
    """With the columns that the image names."""
    made = step(crm, "Update", "account")
    image = {
        "name": "both",
        "entityalias": "both",
        "imagetype": 2,
        "messagepropertyname": "Target",
        "attributes": "name",
    }
    crm.create(
        "sdkmessageprocessingstepimages",
        {**image, "sdkmessageprocessingstepid@odata.bind": f"/sdkmessageprocessingsteps({made})"},
    )
    company = crm.world.companies[0]
    crm.patch(f"accounts({company.id})", {"name": "New"})
    (body,) = delivered(crm)
    before, after = body["PreEntityImages"][0], body["PostEntityImages"][0]
    assert (before["key"], keyed(before["value"]["Attributes"])["name"]) == ("both", company.name)
    assert keyed(after["value"]["Attributes"]) == {"name": "New", "accountid": company.id}


def one_delivery(crm: Crm) -> Delivery:
    """Make one event and return its delivery."""
    crm.create("accounts", {"name": "A"})
    delivered(crm)
    return crm.box.deliveries[-1]


def test_the_request_says_what_it_is_about(crm: Crm) -> None:
    """Headers for routing without parsing."""
    step(crm, "Create", "account")
    headers = one_delivery(crm).headers
    assert headers["x-ms-dynamics-organization"] == crm.settings.organization_host
    assert headers["x-ms-dynamics-entity-name"] == "account"
    assert headers["x-ms-dynamics-request-name"] == "Create"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert one_delivery(crm).timeout_s == 60


@pytest.mark.parametrize(
    ("authtype", "authvalue", "url", "header"),
    [
        (4, "k&y", f"{URL}?code=k%26y", None),
        (5, SECRET_XML, URL, "S3CRET"),
        (6, '<settings><setting name="key" value="v 1"/></settings>', f"{URL}?key=v%201", None),
        (5, "<settings></settings>", URL, None),
    ],
)
def test_the_secret_goes_where_the_endpoint_wants_it(
    crm: Crm, authtype: int, authvalue: str, url: str, header: str | None
) -> None:
    """In the query as `code`, as headers, as own parameters."""
    step(crm, "Create", "account", endpoint(crm, authtype, authvalue))
    delivery = one_delivery(crm)
    assert delivery.url == url
    assert delivery.headers.get("x-hook-secret") == header


def jobs(crm: Crm, step_id: str) -> Any:
    """List the failed jobs of a step, as an integration monitors them."""
    return crm.get(
        "asyncoperations?$select=name,message,errorcode,createdon,_regardingobjectid_value,statecode"
        f"&$filter=operationtype eq 1 and statuscode eq 31 and _owningextensionid_value eq {step_id}"
    ).value


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_error_is_retried_once(crm: Crm, status: int) -> None:
    """The second failure is final and leaves a failed job."""
    made = step(crm, "Create", "account")
    one_delivery(crm).answered(status)
    crm.pass_time(5)
    assert len(crm.box.deliveries) == 2
    assert crm.box.deliveries[0].body == crm.box.deliveries[1].body
    assert jobs(crm, made) == []
    crm.box.deliveries[1].answered(status)
    crm.pass_time(500)
    assert len(crm.box.deliveries) == 2
    (job,) = jobs(crm, made)
    assert job["errorcode"] == -2147155455
    assert len(crm.simulator.state()["failed_deliveries"]) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(500, -2147155455), (401, -2147155455), (302, -2147155455), (None, -2147155454)]
)
def test_other_failures_are_final_at_once(crm: Crm, status: int | None, code: int) -> None:
    """No second try for anything else, time-outs included."""
    made = step(crm, "Create", "account")
    one_delivery(crm).answered(status)
    crm.pass_time(500)
    assert len(crm.box.deliveries) == 1
    assert [job["errorcode"] for job in jobs(crm, made)] == [code]


def test_a_success_leaves_a_job_only_if_the_step_keeps_it(crm: Crm) -> None:
    """Asyncautodelete."""
    hook = endpoint(crm)
    step(crm, "Create", "account", hook)
    one_delivery(crm).answered(200)
    assert crm.get("asyncoperations/$count").body == b"0"
    step(crm, "Create", "contact", hook, asyncautodelete=False)
    crm.create("contacts", {"lastname": "X"})
    delivered(crm)
    crm.box.deliveries[-1].answered(204)
    assert [row["statuscode"] for row in crm.get("asyncoperations").value] == [30]


@pytest.mark.parametrize(
    "authvalue", ["bare", "<settings><setting name='x'/></settings>", "<other/>", "<!DOCTYPE x><settings/>"]
)
def test_an_unreadable_secret_fails_the_job(crm: Crm, authvalue: str) -> None:
    """Nothing is sent without it."""
    made = step(crm, "Create", "account", endpoint(crm, 5, authvalue))
    crm.create("accounts", {"name": "A"})
    assert delivered(crm) == []
    assert [job["errorcode"] for job in jobs(crm, made)] == [-2147155453]


def test_a_large_body_loses_its_content(crm: Crm) -> None:
    """Over 256 KB only the identity of the record is left, and a header says so."""
    step(crm, "Create", "annotation")
    row_id = crm.create("annotations", {"subject": "big", "documentbody": "x" * 300_000})
    (body,) = delivered(crm)
    assert not {"InputParameters", "ParentContext", "PreEntityImages", "PostEntityImages"} & body.keys()
    assert (body["PrimaryEntityId"], body["MessageName"]) == (row_id, "Create")
    assert crm.box.deliveries[0].headers["x-ms-dynamics-msg-size-exceeded"]


def test_endpoints_go_only_when_no_step_needs_them(crm: Crm) -> None:
    """Images, then steps, then endpoints."""
    hook = endpoint(crm)
    made = step(crm, "Create", "account", hook)
    assert crm.delete(f"serviceendpoints({hook})").code == "0x80040227"
    assert crm.delete(f"sdkmessageprocessingsteps({made})").status == 204
    assert crm.delete(f"serviceendpoints({hook})").status == 204
    crm.create("accounts", {"name": "A"})
    assert delivered(crm) == []


def test_synchronous_steps_are_not_simulated(crm: Crm) -> None:
    """And say so, rather than run as something else."""
    with pytest.raises(AssertionError, match="synchronous webhook step"):
        step(crm, "Create", "account", mode=0)


def test_the_body_is_compact_utf8_json(crm: Crm) -> None:
    """Not a string in a string."""
    step(crm, "Create", "account")
    crm.create("accounts", {"name": "Zoë 🚀"})
    delivered(crm)
    assert target(json.loads(crm.box.deliveries[0].body.decode()))["name"] == "Zoë 🚀"

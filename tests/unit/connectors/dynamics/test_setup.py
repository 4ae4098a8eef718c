"""Registering webhooks, and looking at what the environment has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from closedwon.kernel.errors import Misconfigured, PermissionMissing
from dynamics_vendor import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.connectors.dynamics.connector import DataverseCrm
    from closedwon.connectors.port import Finding
    from dynamics_vendor import Vendor

URL = "https://hooks.acme.example/hooks/dynamics/acme.crm"
ENDPOINT = {"serviceendpointid": "e1", "url": URL}
OFFERS = [("Win", "opportunity"), ("Update", "opportunity"), ("Create", "opportunityclose"), ("Lose", "opportunity")]
WHO = {"UserId": "u1", "OrganizationId": "o1"}
DATE = "Sun, 22 Nov 2026 12:00:03 GMT"
COLUMNS = (
    "new_xeroinvoiceid",
    "new_xeroinvoicenumber",
    "new_xerostatus",
    "new_xerolink",
    "new_xeroamountpaid",
    "new_xeroamountdue",
    "new_xeropaidon",
)


def rows(*found: dict[str, Any]) -> tuple[int, Any]:
    """Return a list as one answer of a batch."""
    return 200, {"value": list(found)}


def offer(message: str, table: str) -> dict[str, Any]:
    """Return the filter of a message and a table."""
    return {
        "sdkmessagefilterid": f"f-{message}-{table}",
        "primaryobjecttypecode": table,
        "_sdkmessageid_value": f"m-{message}",
        "sdkmessageid": {"name": message},
    }


def step(message: str, table: str, **members: Any) -> dict[str, Any]:
    """Return a registered step as we want it, with these members set."""
    columns = "statuscode,statecode" if message == "Update" else None
    return {
        "sdkmessageprocessingstepid": f"s-{message}",
        "_sdkmessagefilterid_value": f"f-{message}-{table}",
        "filteringattributes": columns,
        "stage": 40,
        "mode": 1,
        "statecode": 0,
        **members,
    }


def hooks(
    endpoint: dict[str, Any] | None = ENDPOINT, steps: list[dict[str, Any]] | None = None, offers: Any = OFFERS
) -> list[tuple[int, Any]]:
    """Return the three answers about webhooks."""
    registered = [step(*pair) for pair in OFFERS[:3]] if steps is None else steps
    return [rows(*([endpoint] if endpoint else [])), rows(*(offer(*pair) for pair in offers)), rows(*registered)]


# --- registering -----------------------------------------------------------------------------------------------------


def test_a_fresh_environment_gets_endpoint_and_steps_in_two_calls(vendor: Vendor, crm: DataverseCrm) -> None:
    """One batch to look, one change set to write; the steps point at the endpoint made in the same breath."""
    vendor.answers_batch(*hooks(None, []))
    vendor.answers_batch([(204, None)] * 4)
    done = crm.ensure_webhooks(URL, 'hu"sh&')
    assert len(vendor.asked) == 2
    sent = vendor.last
    assert '"url":"https://hooks.acme.example/hooks/dynamics/acme.crm"' in sent
    assert '"contract":8' in sent
    assert '"authtype":5' in sent
    assert r"""<setting name=\"x-closedwon-key\" value='hu\"sh&amp;' />""" in sent
    assert sent.count('"eventhandler_serviceendpoint@odata.bind":"$1"') == 3
    assert sent.count('"filteringattributes":"statecode,statuscode"') == 1
    assert '"sdkmessageid@odata.bind":"/sdkmessages(m-Win)"' in sent
    assert '"sdkmessagefilterid@odata.bind":"/sdkmessagefilters(f-Create-opportunityclose)"' in sent
    assert [line.split()[0] for line in done] == ["Registered"] * 4
    assert not any("hu" in line.split() for line in done)


def test_what_is_in_order_stays(vendor: Vendor, crm: DataverseCrm) -> None:
    """Only the key is sent again, since the environment does not show which one it holds."""
    vendor.answers_batch(*hooks())
    vendor.answers_batch((204, None))
    (line,) = crm.ensure_webhooks(URL, "hush")
    assert "key" in line
    assert vendor.last.count("HTTP/1.1") == 1
    assert "PATCH /api/data/v9.2/serviceendpoints(e1)" in vendor.last


def test_what_differs_is_repaired(vendor: Vendor, crm: DataverseCrm) -> None:
    """A moved address, a step switched off, wrong columns and a missing step."""
    steps = [step("Win", "opportunity", statecode=1), step("Update", "opportunity", filteringattributes="name")]
    vendor.answers_batch(*hooks({**ENDPOINT, "url": "https://old.example/acme.crm"}, steps))
    vendor.answers_batch([(204, None)] * 4)
    done = " ".join(crm.ensure_webhooks(URL, "hush"))
    assert "from https://old.example/acme.crm to" in done
    assert "Repaired Win of opportunity." in done
    assert "Repaired Update of opportunity." in done
    assert "Registered Create of opportunityclose." in done
    assert '{"statecode":0,"statuscode":1}' in vendor.last
    assert '"eventhandler_serviceendpoint@odata.bind":"/serviceendpoints(e1)"' in vendor.last


def test_an_event_that_is_not_offered_is_left_out_or_refused(vendor: Vendor, crm: DataverseCrm) -> None:
    """Close activities are optional; without the others the Sales app is missing."""
    vendor.answers_batch(*hooks(steps=[], offers=OFFERS[:2]))
    vendor.answers_batch([(204, None)] * 3)
    assert any(line.startswith("Left out Create") for line in crm.ensure_webhooks(URL, "hush"))
    vendor.answers_batch(*hooks(steps=[], offers=[]))
    with pytest.raises(Misconfigured):
        crm.ensure_webhooks(URL, "hush")


@pytest.mark.parametrize("looking", [True, False])
def test_without_the_right_the_hint_names_the_role(vendor: Vendor, crm: DataverseCrm, *, looking: bool) -> None:
    """Whether it may not look or not write."""
    refusal = (403, fault("0x80040220", "missing prvCreateServiceEndpoint"))
    if looking:
        vendor.answers_batch(refusal, *hooks()[1:])
    else:
        vendor.answers_batch(*hooks(None, []))
        vendor.answers_batch(refusal)
    with pytest.raises(PermissionMissing) as caught:
        crm.ensure_webhooks(URL, "hush")
    assert "role" in caught.value.hint


# --- looking ---------------------------------------------------------------------------------------------------------


def check(vendor: Vendor, crm: DataverseCrm, url: str = URL, **answers: Any) -> dict[str, Finding]:
    """Check an environment in order, except for these answers, and return the findings by subject."""
    vendor.says(WHO, Date=answers.get("date", DATE))
    attributes = [{"LogicalName": name, "IsValidForUpdate": True} for name in answers.get("columns", COLUMNS)]
    parts = [
        answers.get("tracking", (200, {"LogicalName": "opportunity", "ChangeTrackingEnabled": True})),
        rows(*attributes),
        *([rows({})] * 6),
        answers.get("invoices", rows({})),
        *(answers.get("hooks", hooks()) if url else []),
    ]
    vendor.answers_batch(*parts)
    findings = crm.check(url)
    assert len(vendor.asked) == 2
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def ready(build: Callable[..., DataverseCrm]) -> DataverseCrm:
    """Return a connector whose settings are complete."""
    return build(webhook_secret="hush")


def test_all_is_well(vendor: Vendor, ready: DataverseCrm) -> None:
    """Two calls look at everything."""
    findings = check(vendor, ready)
    assert all(finding.ok for finding in findings.values()), findings
    assert {"credentials", "clock", "change tracking", "columns", "read invoices", "webhook endpoint"} <= set(findings)
    assert "webhook Win of opportunity" in findings


def test_clocks_that_differ_are_found(vendor: Vendor, ready: DataverseCrm) -> None:
    """Ten minutes are too much; no date is no finding."""
    assert not check(vendor, ready, date="Sun, 22 Nov 2026 12:10:00 GMT")["clock"].ok


def test_a_date_that_cannot_be_read_stops_nothing(vendor: Vendor, ready: DataverseCrm) -> None:
    """The clock is a side remark."""
    assert check(vendor, ready, date="yesterday")["clock"].ok


def test_missing_tracking_and_columns_are_found_at_once(vendor: Vendor, ready: DataverseCrm) -> None:
    """Every finding names its next step."""
    findings = check(vendor, ready, tracking=(200, {"ChangeTrackingEnabled": False}), columns=COLUMNS[1:])
    assert "Switch on change tracking" in findings["change tracking"].hint
    assert "new_xeroinvoiceid" in findings["columns"].text
    assert "new_xerolink" not in findings["columns"].text


def test_a_missing_right_is_found(vendor: Vendor, ready: DataverseCrm) -> None:
    """The vendor's words name the privilege."""
    refusal = (403, fault("0x80040220", "is missing prvReadInvoice privilege"))
    finding = check(vendor, ready, invoices=refusal)["read invoices"]
    assert not finding.ok
    assert "prvReadInvoice" in finding.text
    assert finding.hint


def test_a_definition_that_may_not_be_read_is_a_finding(vendor: Vendor, ready: DataverseCrm) -> None:
    """The rest is looked at all the same."""
    findings = check(vendor, ready, tracking=(403, fault("0x80040220")))
    assert not findings["change tracking"].ok
    assert findings["columns"].ok


@pytest.mark.parametrize(
    ("registered", "subject"),
    [
        (hooks(None, []), "webhook endpoint"),
        (hooks({**ENDPOINT, "url": "https://old.example/"}), "webhook endpoint"),
        (hooks(steps=[step(*OFFERS[0])]), "webhook Update of opportunity"),
        (hooks(steps=[step(*OFFERS[0], statecode=1), step(*OFFERS[1])]), "webhook Win of opportunity"),
        (hooks(steps=[step(*OFFERS[0]), step(*OFFERS[1], mode=0)]), "webhook Update of opportunity"),
        ([(403, fault("0x80040220")), *hooks()[1:]], "webhooks"),
        ([(200, {"value": [{"x": 1}]}), *hooks()[1:]], "webhooks"),
    ],
)
def test_webhooks_that_are_not_in_order_are_found(
    vendor: Vendor, ready: DataverseCrm, registered: Any, subject: str
) -> None:
    """Missing, elsewhere, switched off, different, or not to be seen."""
    finding = check(vendor, ready, hooks=registered)[subject]
    assert not finding.ok
    assert finding.hint


def test_an_empty_webhook_secret_is_found(vendor: Vendor, crm: DataverseCrm) -> None:
    """Without it every webhook is refused."""
    assert "webhook_secret" in check(vendor, crm)["webhook key"].hint


def test_a_port_that_the_cloud_does_not_deliver_to_is_found(vendor: Vendor, ready: DataverseCrm) -> None:
    """Dataverse online uses 80 and 443."""
    assert not check(vendor, ready, url="https://hooks.acme.example:8443/hooks/dynamics/acme.crm")["webhook address"].ok


def test_without_a_public_address_the_feed_is_enough(vendor: Vendor, ready: DataverseCrm) -> None:
    """It is said, and it is no fault."""
    assert check(vendor, ready, url="")["webhooks"].ok


def test_a_connection_that_fails_is_the_only_finding(vendor: Vendor, ready: DataverseCrm) -> None:
    """Cause and next step, not a traceback."""
    vendor.breaks(httpx2.ConnectError("refused"))
    (finding,) = ready.check(URL)
    assert (finding.subject, finding.ok) == ("connection", False)
    assert finding.hint

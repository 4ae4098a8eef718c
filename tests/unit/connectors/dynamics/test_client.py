"""One call to the Web API, and what goes wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest

from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    Throttled,
    Unavailable,
)
from dynamics_vendor import HOST, SECRET, fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.connectors.dynamics.connector import DataverseCrm
    from dynamics_vendor import Vendor

WHO = {"UserId": "u1", "OrganizationId": "o1", "BusinessUnitId": "b1"}
DEAL = "0bb11111-1111-4111-8111-111111111111"


def test_who_we_are_is_one_call(vendor: Vendor, crm: DataverseCrm) -> None:
    """The call carries token and OData headers, and the identity is that of user and organisation."""
    vendor.says(WHO)
    identity = crm.identify()
    (request,) = vendor.asked
    assert str(request.url) == f"{HOST}/api/data/v9.2/WhoAmI"
    assert request.headers["authorization"] == "Bearer token-1"
    assert request.headers["odata-version"] == request.headers["odata-maxversion"] == "4.0"
    assert request.headers["if-none-match"] == "null"
    assert (identity.user_id, identity.organisation_id) == ("u1", "o1")
    assert identity.organisation_name == "acme.crm.dynamics.com"


def test_every_call_takes_from_the_budget_and_gives_back(vendor: Vendor, crm: DataverseCrm) -> None:
    """Also a call that got no answer gives its slot back."""
    vendor.says(WHO)
    vendor.breaks(httpx2.ReadError("cut"))
    crm.identify()
    with pytest.raises(Unavailable):
        crm.identify()
    assert vendor.budget.taken == 2
    assert vendor.budget.learnt == [200, 0]


def test_a_token_refused_before_its_time_is_renewed_once(vendor: Vendor, crm: DataverseCrm) -> None:
    """The call is repeated with a new token."""
    vendor.says(status=401)
    vendor.says(WHO)
    assert crm.identify().user_id == "u1"
    assert [request.headers["authorization"] for request in vendor.asked] == ["Bearer token-1", "Bearer token-2"]


def test_credentials_refused_twice_are_expired(vendor: Vendor, crm: DataverseCrm) -> None:
    """After one renewal a second 401 is the environment's last word."""
    vendor.says(status=401)
    vendor.says(status=401)
    with pytest.raises(AuthExpired):
        crm.identify()
    assert vendor.tokens == 2


def test_a_write_refused_for_its_token_is_sent_again(vendor: Vendor, crm: DataverseCrm) -> None:
    """A 401 proves that nothing was written."""
    vendor.says(status=401)
    vendor.answers_batch((200, {"invoiceid": "i1", "statecode": 0}))
    (written,) = crm.create_invoices([DEAL])
    assert written.record is not None
    assert len(vendor.asked) == 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "0x80040220", PermissionMissing), (403, "0x80072560", PermissionMissing), (500, "", Unavailable)],
)
def test_a_refusal_is_raised_in_our_words(
    vendor: Vendor, crm: DataverseCrm, status: int, code: str, kind: type[ClosedwonError]
) -> None:
    """The class tells what happens next; text and hint tell people; secrets never show."""
    vendor.says(
        fault(code, "Principal user is missing prvReadOpportunity"), status=status, x_ms_service_request_id="r-7"
    )
    with pytest.raises(kind) as caught:
        crm.identify()
    assert "Dynamics did not say who we are" in caught.value.text
    assert caught.value.hint
    assert "r-7" in caught.value.request_ids
    assert SECRET not in str(caught.value.as_dict())


def test_being_throttled_says_how_long(vendor: Vendor, crm: DataverseCrm) -> None:
    """Retry-After comes through."""
    vendor.says(fault("0x80072322"), status=429, Retry_After="21")
    with pytest.raises(Throttled) as caught:
        crm.identify()
    assert caught.value.retry_after_s == 21


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>", b'{"UserId":"u1","Organ', b"[]", b"{}", b"null", b"5"])
def test_a_success_that_cannot_be_read_is_unavailable(vendor: Vendor, crm: DataverseCrm, body: bytes) -> None:
    """HTML, cut JSON, nothing, or something else than promised: tried again, without a traceback."""
    vendor.sends(body)
    with pytest.raises(Unavailable):
        crm.identify()


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b'{"value":', b"[]", b"{}", b'{"value":null}', b'{"value":[{}]}']
)
def test_a_list_that_cannot_be_read_is_unavailable(vendor: Vendor, crm: DataverseCrm, body: bytes) -> None:
    """The same for deals and for the change feed."""
    vendor.sends(body)
    vendor.sends(body)
    with pytest.raises(Unavailable):
        crm.fetch_opportunities([DEAL])
    with pytest.raises(Unavailable):
        crm.fetch_changes("")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html></html>", "text/html"),
        (b"", "multipart/mixed; boundary=b"),
        (b"--batchresponse_1\r\nContent-Type: appl", "multipart/mixed; boundary=batchresponse_1"),
        (b"--batchresponse_1--\r\n", "multipart/mixed; boundary=batchresponse_1"),
        (b"{}", "application/json"),
    ],
)
def test_an_unreadable_answer_to_a_write_leaves_it_open(
    vendor: Vendor, crm: DataverseCrm, body: bytes, content_type: str
) -> None:
    """Whatever came back, the write may have happened."""
    vendor.sends(body, content_type)
    with pytest.raises(OutcomeUnknown):
        crm.create_invoices([DEAL])


def test_an_unreadable_answer_to_a_batch_of_reads_is_unavailable(vendor: Vendor, crm: DataverseCrm) -> None:
    """Reads are simply tried again; the check says so in a finding."""
    vendor.says(WHO)
    vendor.sends(b"<html></html>")
    (finding,) = crm.check("")
    assert not finding.ok
    assert "unreadable" in finding.text


def test_a_write_whose_answer_is_lost_is_open(vendor: Vendor, crm: DataverseCrm) -> None:
    """A connection cut after sending tells nothing about the write."""
    vendor.breaks(httpx2.ReadError("cut"))
    with pytest.raises(OutcomeUnknown):
        crm.create_invoices([DEAL])


def test_a_write_that_was_never_sent_is_unavailable(vendor: Vendor, crm: DataverseCrm) -> None:
    """No connection, no write."""
    vendor.breaks(httpx2.ConnectError("refused"))
    with pytest.raises(Unavailable):
        crm.create_invoices([DEAL])


def test_a_batch_refused_as_a_whole_is_raised(vendor: Vendor, crm: DataverseCrm) -> None:
    """A 429 or 403 for the batch itself concerns all its parts and proves that nothing was done."""
    vendor.says(fault("0x80072322"), status=429, Retry_After="5")
    with pytest.raises(Throttled):
        crm.create_invoices([DEAL])
    vendor.says(fault("", "An unexpected error"), status=500)
    with pytest.raises(OutcomeUnknown):
        crm.create_invoices([DEAL])


def test_an_address_that_is_no_environment_is_a_wrong_configuration(vendor: Vendor, crm: DataverseCrm) -> None:
    """A page instead of the Web API points at `url`."""
    vendor.sends(b"<html>Not found</html>", status=404)
    with pytest.raises(Misconfigured):
        crm.identify()


@pytest.mark.parametrize(
    ("url", "link", "ok"),
    [
        (HOST, f"{HOST}/api/data/v9.2/opportunities?$skiptoken=2", True),
        (HOST, "https://acme.api.crm.dynamics.com/api/data/v9.2/opportunities?$skiptoken=2", True),
        (HOST, "https://evil.example/api/data/v9.2/opportunities?$skiptoken=2", False),
        (HOST, "http://acme.crm.dynamics.com/api/data/v9.2/opportunities?$skiptoken=2", False),
        (HOST, "/api/data/v9.2/opportunities?$skiptoken=2", False),
    ],
)
def test_links_lead_to_the_environment_only(
    vendor: Vendor, build: Callable[..., DataverseCrm], url: str, link: str, *, ok: bool
) -> None:
    """The token never travels to another host; the two names of an environment are one."""
    vendor.says({"value": [], "@odata.nextLink": link})
    vendor.says({"value": []})
    if ok:
        assert build(url=url).fetch_opportunities([DEAL]) == []
        assert str(vendor.asked[1].url).startswith(f"{HOST}/api/data/v9.2/opportunities?")
    else:
        with pytest.raises(Misconfigured):
            build(url=url).fetch_opportunities([DEAL])
        assert len(vendor.asked) == 1

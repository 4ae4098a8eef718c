"""The change feed of opportunities."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from closedwon.connectors.port import Change
from closedwon.kernel.errors import Misconfigured, Rejected, Unavailable
from dynamics_vendor import HOST, fault

if TYPE_CHECKING:
    from closedwon.connectors.dynamics.connector import DataverseCrm
    from dynamics_vendor import Vendor

API = f"{HOST}/api/data/v9.2"
TOKEN = "$deltatoken=919042%2108%2f22%2f2017%2008%3a10%3a44"
WATERMARK = f"/api/data/v9.2/opportunities?$select=x&{TOKEN}"


def page(
    *rows: dict[str, Any], delta: str = f"{API}/opportunities?$select=x&{TOKEN}", following: str = ""
) -> dict[str, Any]:
    """Return a page of the feed; the last one has the delta link."""
    link = {"@odata.nextLink": following} if following else {"@odata.deltaLink": delta}
    return {"@odata.context": f"{API}/$metadata#opportunities", "value": list(rows), **link}


def row(number: int, state: int, **members: Any) -> dict[str, Any]:
    """Return a row of the feed."""
    return {"@odata.etag": f'W/"{number}"', "opportunityid": f"O{number}", "statecode": state, **members}


def test_the_first_read_starts_tracking_and_reads_all(vendor: Vendor, crm: DataverseCrm) -> None:
    """One call: all rows, and the delta link without its host as the watermark."""
    vendor.says(page(row(1, 0), row(2, 1, actualclosedate="2026-11-20"), row(3, 2)))
    changes = crm.fetch_changes("")
    (request,) = vendor.asked
    assert "odata.track-changes" in request.headers["prefer"]
    assert "odata.maxpagesize=5000" in request.headers["prefer"]
    query = str(request.url)
    assert "$select=opportunityid,statecode,statuscode,actualclosedate,versionnumber" in query
    assert "$filter" not in query
    assert changes.watermark == WATERMARK
    assert not changes.restarted
    assert changes.changes == (
        Change("o1", "1", "open"),
        Change("o2", "2", "won", date(2026, 11, 20)),
        Change("o3", "3", "lost"),
    )


def test_later_reads_go_on_from_the_watermark(vendor: Vendor, crm: DataverseCrm) -> None:
    """The token travels as the vendor wrote it; deleted rows are told."""
    deleted = {"@odata.context": f"{API}/$metadata#opportunities/$deletedEntity", "id": "O9", "reason": "deleted"}
    vendor.says(page(row(4, 1), deleted, delta=f"{API}/opportunities?$deltatoken=5"))
    changes = crm.fetch_changes(WATERMARK)
    assert str(vendor.asked[0].url) == HOST + WATERMARK
    assert changes.changes == (Change("o4", "4", "won"), Change("o9", "", deleted=True))
    assert changes.watermark == "/api/data/v9.2/opportunities?$deltatoken=5"


def test_all_pages_are_read_before_there_is_a_watermark(vendor: Vendor, crm: DataverseCrm) -> None:
    """Only the last page has the delta link; the preferences are sent with every page."""
    vendor.says(page(row(1, 0), following=f"{API}/opportunities?$skiptoken=%3Ccookie%2F%3E"))
    vendor.says(page(row(2, 1)))
    changes = crm.fetch_changes("")
    assert [change.record_id for change in changes.changes] == ["o1", "o2"]
    assert str(vendor.asked[1].url).endswith("$skiptoken=%3Ccookie%2F%3E")
    assert vendor.asked[0].headers["prefer"] == vendor.asked[1].headers["prefer"]


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_forgotten_watermark_reads_all_again(vendor: Vendor, crm: DataverseCrm, status: int) -> None:
    """Two calls, and the answer says that it started again."""
    vendor.says(fault("0x80044352", "Version stamp associated with the client has expired."), status=status)
    vendor.says(page(row(1, 1)))
    changes = crm.fetch_changes(WATERMARK)
    assert changes.restarted
    assert len(changes.changes) == 1
    assert len(vendor.asked) == 2


def test_any_other_refusal_is_an_error(vendor: Vendor, crm: DataverseCrm) -> None:
    """Only an expired watermark starts again."""
    vendor.says(fault("0x80040203"), status=400)
    with pytest.raises(Rejected):
        crm.fetch_changes(WATERMARK)


def test_a_table_that_is_not_tracked_is_a_wrong_configuration(vendor: Vendor, crm: DataverseCrm) -> None:
    """The hint says where to switch it on, whether the vendor refuses or just gives no delta link."""
    vendor.says(fault("0x80072491"), status=400)
    vendor.says({"value": []})
    for _ in range(2):
        with pytest.raises(Misconfigured) as caught:
            crm.fetch_changes("")
        assert "change tracking" in caught.value.hint


@pytest.mark.parametrize("watermark", ["https://evil.example/x", "//evil.example/x", "opportunities?x"])
def test_a_watermark_is_never_another_host(vendor: Vendor, crm: DataverseCrm, watermark: str) -> None:
    """The token never travels to where a stored text says."""
    with pytest.raises(Misconfigured):
        crm.fetch_changes(watermark)
    assert vendor.asked == []


def test_a_delta_link_to_another_host_is_refused(vendor: Vendor, crm: DataverseCrm) -> None:
    """The environment must speak under the name we know it by."""
    vendor.says(page(delta="https://other.example/api/data/v9.2/opportunities?$deltatoken=1"))
    with pytest.raises(Misconfigured):
        crm.fetch_changes("")


@pytest.mark.parametrize(
    "bad", [5, None, "x", {}, {"opportunityid": 7}, {"opportunityid": "o", "actualclosedate": "?"}]
)
def test_rows_that_cannot_be_read_stop_the_feed(vendor: Vendor, crm: DataverseCrm, bad: Any) -> None:
    """No change is skipped silently."""
    vendor.says({"value": [bad], "@odata.deltaLink": f"{API}/x"})
    with pytest.raises(Unavailable):
        crm.fetch_changes("")

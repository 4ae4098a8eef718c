"""Change tracking: first scan, delta links, deletes, expiry, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from dataverse_in_memory import ROOT, Crm

TRACK = "odata.track-changes"


def below(link: str) -> str:
    """Return a link's part below the service root."""
    assert link.startswith(f"{ROOT}/")
    return link.removeprefix(f"{ROOT}/")


def drain(crm: Crm, path: str, prefer: str = "") -> tuple[list[Any], str]:
    """Read all pages; return the rows and the delta link, which only the last page may have."""
    rows: list[Any] = []
    while True:
        page = crm.ask_raw(path, prefer)
        rows += page["value"]
        if "@odata.nextLink" not in page:
            return rows, below(page["@odata.deltaLink"])
        assert "@odata.deltaLink" not in page
        path = below(page["@odata.nextLink"])


def start(crm: Crm, path: str = "accounts?$select=name") -> str:
    """Scan a table and return the delta link."""
    return drain(crm, path, TRACK)[1]


def test_the_first_scan_brings_all_rows_and_a_delta_link_on_the_last_page(crm: Crm) -> None:
    """The preference is echoed."""
    assert TRACK in crm.get("accounts?$select=name", prefer=TRACK).headers["Preference-Applied"]
    rows, link = drain(crm, "accounts?$select=name", f"{TRACK},odata.maxpagesize=20")
    assert {row["accountid"] for row in rows} == {company.id for company in crm.world.companies}
    assert "$select=name&$deltatoken=" in link


def test_a_delta_has_changed_rows_then_deleted_ids(crm: Crm) -> None:
    """Current values, one entry a row; what came and went in between still shows as deleted."""
    link = start(crm)
    changed, deleted = crm.world.companies[0].id, crm.create("accounts", {"name": "Old"})
    link = drain(crm, link)[1]
    crm.patch(f"accounts({changed})", {"name": "First"})
    made = crm.create("accounts", {"name": "New"})
    crm.patch(f"accounts({changed})", {"name": "Second"})
    crm.delete(f"accounts({deleted})")
    brief = crm.create("accounts", {"name": "Brief"})
    crm.delete(f"accounts({brief})")
    page = crm.ask_raw(link)
    assert page["@odata.context"] == f"{ROOT}/$metadata#accounts(name)/$delta"
    assert [(row.get("accountid"), row.get("name")) for row in page["value"][:2]] == [
        (made, "New"),
        (changed, "Second"),
    ]
    gone = page["value"][2:]
    assert [row["id"] for row in gone] == [deleted, brief]
    assert all(
        row["reason"] == "deleted" and row["@odata.context"].endswith("#accounts/$deletedEntity") for row in gone
    )
    assert drain(crm, below(page["@odata.deltaLink"]))[0] == []


def test_a_delta_comes_in_pages_without_loss(crm: Crm) -> None:
    """A row that changes again while pages are read shows in this delta or in the next."""
    link = start(crm)
    ids = [company.id for company in crm.world.companies[:9]]
    for row_id in ids:
        crm.patch(f"accounts({row_id})", {"description": "x"})
    victim = crm.create("accounts", {"name": "Gone"})
    crm.delete(f"accounts({victim})")
    first = crm.ask_raw(link, "odata.maxpagesize=4")
    assert [row["accountid"] for row in first["value"]] == ids[:4]
    crm.patch(f"accounts({ids[0]})", {"description": "y"})
    crm.patch(f"accounts({ids[8]})", {"description": "y"})
    rows, link = drain(crm, below(first["@odata.nextLink"]), "odata.maxpagesize=4")
    assert [row.get("accountid", row.get("id")) for row in rows] == [*ids[4:8], victim]
    assert [row["accountid"] for row in drain(crm, link)[0]] == [ids[0], ids[8]]


def test_a_row_changed_behind_the_scan_is_in_neither(crm: Crm) -> None:
    """The token is taken with the last page: integrators must read an overlap, so the simulator has this gap too."""
    page = crm.ask_raw("accounts?$select=name", f"{TRACK},odata.maxpagesize=20")
    missed = page["value"][0]["accountid"]
    crm.patch(f"accounts({missed})", {"name": "Missed"})
    rows, link = drain(crm, below(page["@odata.nextLink"]), "odata.maxpagesize=100")
    assert missed not in {row["accountid"] for row in rows}
    assert drain(crm, link)[0] == []


def test_changes_can_be_counted(crm: Crm) -> None:
    """`/$count` with a delta token."""
    link = start(crm)
    crm.patch(f"accounts({crm.world.companies[0].id})", {"name": "A"})
    token = link.partition("$deltatoken=")[2]
    assert crm.raw("GET", f"accounts/$count?$deltatoken={token}").body == b"1"


def test_rolled_back_writes_leave_no_trace(crm: Crm) -> None:
    """A change that did not commit is no change."""
    link = start(crm, "contacts?$select=fullname")
    nested = [{"lastname": "A"}, {"lastname": "x" * 51}]
    assert crm.post("accounts", {"name": "A", "contact_customer_accounts": nested}).status == 400
    assert drain(crm, link)[0] == []


def test_a_token_expires(crm: Crm) -> None:
    """After the days that the organization keeps versions, a full synchronisation is due."""
    link = start(crm)
    crm.pass_time(6.9 * 86_400)
    assert crm.raw("GET", *link.split("?")).status == 200
    crm.pass_time(86_400)
    refused = crm.raw("GET", *link.split("?"))
    assert (refused.status, refused.code) == (400, "0x80044352")
    assert refused.message == "Version stamp associated with the client has expired. Please perform a full sync."


def test_the_days_are_a_setting_of_the_organization(crm: Crm) -> None:
    """`expirechangetrackingindays`, which an administrator changes."""
    crm.patch(f"organizations({crm.settings.organization_id})", {"expirechangetrackingindays": 1})
    link = start(crm)
    crm.pass_time(86_400 * 1.5)
    assert crm.raw("GET", *link.split("?")).code == "0x80044352"


@pytest.mark.parametrize("option", ["$filter=statecode eq 0", "$orderby=name", "$expand=primarycontactid", "$top=5"])
def test_tracking_takes_select_only(crm: Crm, option: str) -> None:
    """The text names the option."""
    refused = crm.get(f"accounts?{option}", prefer=TRACK)
    assert refused.status == 400
    name = option.partition("=")[0].lstrip("$")
    assert refused.message == f'The "${{{name}}}" query parameter isn\'t supported when Change Tracking is enabled.'


def test_a_token_from_nowhere_is_refused(crm: Crm) -> None:
    """Nonsense is an argument error; a version of the future is what a restored copy shows."""
    assert crm.get("accounts?$deltatoken=nonsense").code == "0x80040203"
    assert crm.get("accounts?$deltatoken=999999999!11/22/2026 10:00:00").code == "0x80044352"


def test_a_table_without_tracking_is_refused(crm: Crm) -> None:
    """It must be switched on for the table."""
    crm.simulator.env.schema.get("invoice").change_tracking = False
    assert crm.get("invoices?$select=name", prefer=TRACK).code == "0x80072491"

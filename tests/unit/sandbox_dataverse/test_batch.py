"""`$batch`: order, change sets, references, what is refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedwon_sandbox.exchange import Request
from dataverse_in_memory import BASE, ROOT, Answer, Crm, answer

if TYPE_CHECKING:
    from collections.abc import Sequence

CRLF = "\r\n"


def single(method: str, url: str, body: Any = None, content_id: int | None = None, **headers: str) -> str:
    """Render one request as a part."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [f"Content-ID: {content_id}"] if content_id is not None else []
    lines += ["", f"{method} {url} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json; type=entry"] if body is not None else []
    return CRLF.join([*lines, "", "" if body is None else json.dumps(body)])


def change_set(*parts: str) -> str:
    """Render a change set as a part."""
    inner = "".join(f"--cs{CRLF}{part}{CRLF}" for part in parts)
    return f'Content-Type: multipart/mixed; boundary="cs"{CRLF}{CRLF}{inner}--cs--{CRLF}'


def send(crm: Crm, *parts: str, content: bytes | None = None, prefer: str = "") -> Answer:
    """Send a batch."""
    body = "".join(f"--b{CRLF}{part}{CRLF}" for part in parts) + f"--b--{CRLF}"
    headers = {
        "authorization": f"Bearer {crm.token}",
        "content-type": 'multipart/mixed; boundary="b"',
        "prefer": prefer,
    }
    request = Request(
        "POST", "/api/data/v9.2/$batch", "", headers, content if content is not None else body.encode(), BASE
    )
    return answer(crm.simulator.handle(request))


def statuses(batch: Answer) -> Sequence[int]:
    """Return the status of every part."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", batch.body)]


def account(name: str) -> dict[str, str]:
    """Describe an account."""
    return {"name": name}


def test_parts_run_in_order_and_are_answered_in_order(crm: Crm) -> None:
    """Absolute addresses and both kinds of relative ones, reads see the writes before them."""
    batch = send(
        crm,
        single("POST", "/api/data/v9.2/accounts", account("Batched"), tag="x"),
        single("GET", f"{ROOT}/accounts?$select=name&$filter=name eq 'Batched'", Prefer="odata.maxpagesize=5"),
        single("GET", "WhoAmI"),
        single("DELETE", f"accounts({crm.create('accounts', account('Doomed'))})"),
    )
    assert batch.status == 200
    assert batch.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert statuses(batch) == [204, 200, 200, 204]
    assert b'"name":"Batched"' in batch.body
    assert f"OData-EntityId: {ROOT}/accounts(".encode() in batch.body


def test_the_first_failure_stops_the_batch(crm: Crm) -> None:
    """What ran before stays; the status of the whole is that of the part."""
    batch = send(
        crm,
        single("POST", "accounts", account("One")),
        single("GET", "nope"),
        single("POST", "accounts", account("Two")),
    )
    assert (batch.status, statuses(batch)) == (404, [204, 404])
    assert [row["name"] for row in crm.get("accounts?$filter=name eq 'One' or name eq 'Two'").value] == ["One"]


def test_continue_on_error_runs_everything(crm: Crm) -> None:
    """Then the whole is a 200."""
    batch = send(crm, single("GET", "nope"), single("GET", "WhoAmI"), prefer="odata.continue-on-error")
    assert (batch.status, statuses(batch)) == (200, [404, 200])


def test_a_change_set_is_all_or_nothing(crm: Crm) -> None:
    """One refused member undoes the others, and one answer speaks for all."""
    path = f"accounts({crm.world.companies[0].id})"
    before = crm.get(path).document
    batch = send(
        crm,
        change_set(
            single("POST", "accounts", account("Undone"), content_id=1),
            single("PATCH", path, {"name": "Undone"}, content_id=2),
            single("PATCH", path, {"nme": "x"}, content_id=3),
        ),
        single("GET", "WhoAmI"),
        prefer="odata.continue-on-error",
    )
    assert statuses(batch) == [400, 200]
    assert b"Content-ID: 3" in batch.body
    assert b"changesetresponse" not in batch.body
    assert crm.get(path).document == before
    assert crm.get("accounts?$filter=name eq 'Undone'").value == []
    assert crm.box.deliveries == []


def test_a_change_set_answers_each_member_with_its_content_id(crm: Crm) -> None:
    """Nested multipart with the ids of the request."""
    batch = send(
        crm, change_set(single("POST", "accounts", account("A"), 7), single("POST", "accounts", account("B"), 8))
    )
    assert statuses(batch) == [204, 204]
    assert re.findall(rb"Content-ID: (\d)", batch.body) == [b"7", b"8"]
    assert b"Content-Type: multipart/mixed; boundary=changesetresponse_" in batch.body


def test_content_ids_stand_for_new_records(crm: Crm) -> None:
    """As address, in a bind and in `@odata.id`; in ordinary texts they are just text."""
    batch = send(
        crm,
        change_set(
            single("POST", "accounts", {"name": "costs $1 a piece"}, 1),
            single("POST", "contacts", {"lastname": "C", "parentcustomerid_account@odata.bind": "$1"}, 2),
            single("PATCH", "$1", {"primarycontactid@odata.bind": "$2"}, 3),
            single("POST", "contacts", {"lastname": "D"}, 4),
            single("POST", "$1/contact_customer_accounts/$ref", {"@odata.id": "$4"}, 5),
        ),
    )
    assert statuses(batch) == [204] * 5
    row = crm.get(
        "accounts?$filter=name eq 'costs $1 a piece'&$expand=primarycontactid,contact_customer_accounts"
    ).value[0]
    assert row["primarycontactid"]["lastname"] == "C"
    assert {member["lastname"] for member in row["contact_customer_accounts"]} == {"C", "D"}


def test_an_unknown_content_id_is_refused(crm: Crm) -> None:
    """The text names it."""
    batch = send(crm, change_set(single("PATCH", "$9", {"name": "x"}, 1)))
    assert statuses(batch) == [400]
    assert b"Content-ID Reference: '$9' does not exist in the batch context." in batch.body


def test_versions_are_checked_inside_a_batch(crm: Crm) -> None:
    """If-Match of a part."""
    path = f"accounts({crm.world.companies[0].id})"
    old = crm.get(path).document["@odata.etag"]
    batch = send(
        crm,
        change_set(single("PATCH", path, account("A"), If_Match=old)),
        single("PATCH", path, account("B"), If_Match=old),
    )
    assert statuses(batch) == [204, 412]
    assert crm.get(path).document["name"] == "A"


def test_reads_do_not_belong_into_change_sets(crm: Crm) -> None:
    """Refused as the change set's failure."""
    assert statuses(send(crm, change_set(single("GET", "WhoAmI")))) == [400]


def test_actions_work_in_change_sets(crm: Crm) -> None:
    """Two deals are won together or not at all."""
    first, second = crm.deal([]), crm.deal([])

    def win(deal: str) -> str:
        return single(
            "POST",
            "WinOpportunity",
            {"Status": 3, "OpportunityClose": {"opportunityid@odata.bind": f"/opportunities({deal})"}},
        )

    assert statuses(send(crm, change_set(win(first), win(second), win(first)))) == [400]
    assert crm.get(f"opportunities({first})").document["statecode"] == 0
    assert statuses(send(crm, change_set(win(first), win(second)))) == [204, 204]
    assert crm.get(f"opportunities({second})").document["statecode"] == 1


@pytest.mark.parametrize(
    "content",
    [
        b"--b\nContent-Type: application/http\n\nGET WhoAmI HTTP/1.1\n\n--b--\n",
        b"",
        b"\r\n",
        b"--b\r\nContent-Type: application/http\r\n\r\nGET WhoAmI HTTP/1.1\r\n\r\n",
        b"--b\r\nContent-Type: text/plain\r\n\r\nGET WhoAmI HTTP/1.1\r\n\r\n--b--\r\n",
        b"--b\r\nContent-Type: application/http\r\n\r\nnonsense\r\n--b--\r\n",
        b"--b\r\nContent-Type: application/http--b--\r\n",
        b"--b\r\n\xff\xfe\r\n\r\n\xff\r\n--b--\r\n",
        b"--b\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n--b--\r\n",
    ],
)
def test_a_batch_that_cannot_be_read_is_refused_as_json(crm: Crm, content: bytes) -> None:
    """Line feeds alone, missing markers, wrong types: one plain error for the whole."""
    refused = send(crm, content=content)
    assert (refused.status, refused.code) == (400, "0x80048d19")


def test_a_batch_in_a_batch_is_refused(crm: Crm) -> None:
    """As a part's failure."""
    assert statuses(send(crm, single("POST", "$batch", {}))) == [400]


def test_a_batch_has_at_most_1000_requests(crm: Crm) -> None:
    """Members of change sets count."""
    one = single("GET", "WhoAmI")
    assert send(crm, *[one] * 1001).status == 400
    assert statuses(send(crm, *[one] * 1000)) == [200] * 1000


def test_a_batch_without_its_content_type_is_refused(crm: Crm) -> None:
    """A batch is multipart/mixed with a boundary."""
    assert crm.post("$batch", {"requests": []}).status == 400
    assert crm.get("$batch").status == 405


CHANGES = change_set(single("POST", "accounts", {"name": "A"}, 1), single("PATCH", "$1", {"name": "B"}, 2))
WHOLE = f"--b{CRLF}{single('GET', 'WhoAmI')}{CRLF}--b{CRLF}{CHANGES}{CRLF}--b--{CRLF}".encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, len(WHOLE) - 1),
    st.integers(0, 30),
    st.sampled_from([b"", b"\r\n", b"--b", b"--cs--", b"\x00\xff", b"$1", b": "]),
)
def test_any_damage_to_a_batch_is_answered(crm: Crm, start: int, length: int, instead: bytes) -> None:
    """A batch with a piece cut out or replaced is run or refused, never a failure of ours."""
    answered = send(crm, content=WHOLE[:start] + instead + WHOLE[start + length :])
    assert answered.status in {200, *range(400, 500), 501}, answered.body
    assert 500 not in statuses(answered)

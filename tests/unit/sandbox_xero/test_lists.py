"""Lists: filters, order, pages, and what changed since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from xero_desk import Desk, line

if TYPE_CHECKING:
    from typing import Any

NOBODY = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def ledger() -> Desk:
    """Open a ledger with a handful of invoices of two customers, read-only for the tests."""
    desk = Desk()
    for number, (name, status, amount, due) in enumerate(
        [
            ("Acme Ltd", "AUTHORISED", 100, "2026-10-01"),
            ("Acme Ltd", "DRAFT", 200, "2026-10-02"),
            ("Böll & Söhne", "AUTHORISED", 300, "2026-10-03"),
            ('Say "Hi"', "SUBMITTED", 400, "2026-10-04"),
            ("Acme Ltd", "AUTHORISED", 500, "2026-10-05"),
        ],
    ):
        desk.clock.pass_time(10)
        made = desk.invoice(
            line(UnitAmount=amount, TaxType="NONE"),
            Contact={"Name": name},
            Status=status,
            DueDate=due,
            Reference=f"PO {number}",
        )
        if number == 4:
            desk.pay(made, "500.00")
    return desk


def _numbers(desk: Desk, **params: str) -> list[str]:
    return [row["InvoiceNumber"][-1] for row in desk.get("Invoices", **params)["Invoices"]]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('Status=="AUTHORISED"', "13"),
        ('Status = "authorised"', "13"),
        ('Status=="AUTHORISED" OR Status=="DRAFT"', "123"),
        ('Status=="AUTHORISED" || Status=="DRAFT" && AmountDue > 250', "13"),
        ('(Status=="AUTHORISED" || Status=="DRAFT") AND AmountDue>=200', "23"),
        ("AmountDue > 100 AND AmountDue < 400", "23"),
        ("AmountPaid==500", "5"),
        ("AmountPaid!=0", "5"),
        ('Contact.Name=="acme ltd"', "125"),
        ('Contact.Name=="Boll & Sohne"', "3"),
        ('Contact.Name=="Say ""Hi"""', "4"),
        ('Contact.Name.Contains("CM")', "125"),
        ('Contact.Name.StartsWith("say")', "4"),
        ('Contact.Name.ToLower().EndsWith("ltd")', "125"),
        ('Contact.Name.ToLower()=="acme ltd"', "125"),
        ('!Contact.Name.Contains("a")', "3"),
        ("DueDate >= DateTime(2026, 10, 03)", "345"),
        ("DueDate==DateTime(2026,10,03,00,00,00)", "3"),
        ('Reference=="PO 2"', "3"),
        ('Reference!="PO 2"', "1245"),
        ("FullyPaidOnDate!=null", "5"),
        ("FullyPaidOnDate==null", "1234"),
        ("Url != null", ""),
        ("SentToContact", ""),
        ("SentToContact==false", "12345"),
        ('Type=="ACCREC"', "12345"),
        (f'InvoiceID==guid("{NOBODY}")', ""),
        (f'InvoiceId==Guid("{NOBODY}") OR Total>400', "5"),
    ],
)
def test_where_finds(ledger: Desk, where: str, found: str) -> None:
    """The filter language means what the vendor's page says it means."""
    assert "".join(sorted(_numbers(ledger, where=where))) == found


@pytest.mark.parametrize(
    "where",
    [
        "Nope==1",
        'Status=="AUTHORISED',
        'Status=="a"b"',
        'Status==\\"x\\"',
        "Status==",
        "Status",
        "(AmountDue>1",
        "AmountDue>1)",
        'AmountDue=="1"',
        f'Contact.ContactID=="{NOBODY}"',
        'InvoiceID==guid("x")',
        "DueDate>DateTime(2026,13,1)",
        "DueDate>DateTime(2026)",
        "Status>null",
        'Status.Nope("x")',
        "AmountDue.Contains(1)",
        'LineItems.Description=="x"',
        "__import__(1)",
        "Status==Status.Contains(Status)",
        "(" * 60 + "true" + ")" * 60,
        "{}",
    ],
)
def test_where_refuses(ledger: Desk, where: str) -> None:
    """What cannot be read is a QueryParseException, never an empty or a full list."""
    reply = ledger.ask("GET", "Invoices?where=" + "".join(f"%{byte:02x}" for byte in where.encode()), status=400)
    assert (reply["ErrorNumber"], reply["Type"]) == (16, "QueryParseException")


def test_csv_parameters_narrow_the_list(ledger: Desk) -> None:
    """IDs, numbers, contacts and statuses each take several values."""
    rows = ledger.get("Invoices")["Invoices"]
    ids = ",".join([rows[0]["InvoiceID"].upper(), NOBODY, rows[2]["InvoiceID"]])
    assert sorted(_numbers(ledger, IDs=ids)) == sorted(row["InvoiceNumber"][-1] for row in (rows[0], rows[2]))
    assert _numbers(ledger, InvoiceNumbers="inv-0002,INV-0004,INV-0099") == ["2", "4"]
    assert sorted(_numbers(ledger, Statuses="DRAFT,PAID")) == ["2", "5"]
    acme = next(row["Contact"]["ContactID"] for row in rows if row["Contact"]["Name"] == "Acme Ltd")
    assert sorted(_numbers(ledger, ContactIDs=acme, Statuses="AUTHORISED,PAID")) == ["1", "5"]


def test_order_is_by_last_change_unless_asked(ledger: Desk) -> None:
    """Descending and several keys work, unknown ones are refused."""
    assert _numbers(ledger, order="Total DESC") == ["5", "4", "3", "2", "1"]
    assert _numbers(ledger, order="Contact.Name, InvoiceNumber DESC") == ["5", "2", "1", "3", "4"]
    assert _numbers(ledger, order="UpdatedDateUTC") == _numbers(ledger)
    for wrong in ("Nope ASC", "Total SIDEWAYS", "Total ASC DESC"):
        ledger.ask("GET", f"Invoices?order={wrong.replace(' ', '%20')}", status=400)


def test_pages_show_lines_and_say_how_many_there_are(ledger: Desk) -> None:
    """Without a page there are no lines and no paging block."""
    plain = ledger.get("Invoices")
    assert "pagination" not in plain
    assert plain["Invoices"][0]["LineItems"] == []
    page = ledger.get("Invoices", page="2", pageSize="2")
    assert page["pagination"] == {"page": 2, "pageSize": 2, "pageCount": 3, "itemCount": 5}
    assert len(page["Invoices"]) == 2
    assert len(page["Invoices"][0]["LineItems"]) == 1
    past = ledger.get("Invoices", page="9")
    assert (past["Invoices"], past["pagination"]["itemCount"]) == ([], 5)


def test_page_sizes_are_clamped(ledger: Desk) -> None:
    """Out of range is not an error."""
    assert ledger.get("Invoices", page="0", pageSize="0")["pagination"]["pageSize"] == 1
    assert ledger.get("Invoices", page="1", pageSize="5000")["pagination"]["pageSize"] == 1000


def test_summaries_are_light(ledger: Desk) -> None:
    """SummaryOnly pages by itself and leaves lines and payments out."""
    answer = ledger.get("Invoices", summaryOnly="true")
    assert "pagination" in answer
    assert not {"LineItems", "Payments", "HasAttachments"} & answer["Invoices"][0].keys()


def test_search_looks_into_number_and_reference(ledger: Desk) -> None:
    """SearchTerm is a substring without regard to case."""
    assert _numbers(ledger, searchTerm="po 3") == ["4"]
    assert _numbers(ledger, searchTerm="0005") == ["5"]


def test_if_modified_since_is_counted_in_seconds(ledger: Desk) -> None:
    """Only what changed in or after that second comes back; both spellings of the header work."""

    def since(text: str) -> list[Any]:
        return list(ledger.ask("GET", "Invoices", if_modified_since=text)["Invoices"])

    last = ledger.get("Invoices")["Invoices"][-1]["UpdatedDateUTCString"].removesuffix("Z")
    assert len(since(last)) == 1
    assert len(since(f"{last}.999+00:00")) == 1
    assert len(since("2026-09-21T14:00:00")) == 5
    assert since("2026-09-21T14:14:11") == []
    assert len(since("Mon, 21 Sep 2026 14:00:00 GMT")) == 5
    assert ledger.send("GET", "Invoices", if_modified_since="yesterday").status == 412


def test_created_by_my_app_hides_what_others_made(desk: Desk) -> None:
    """The tools' invoices are not the app's."""
    desk.invoice()
    desk.sign_in()
    mine = desk.invoice()
    found = desk.get("Invoices", createdByMyApp="true")["Invoices"]
    assert [row["InvoiceID"] for row in found] == [mine["InvoiceID"]]


def test_one_record_is_found_by_id_or_number(ledger: Desk) -> None:
    """A record alone comes with its lines and its whole contact."""
    row = ledger.ask("GET", "Invoices/INV-0001")["Invoices"][0]
    assert ledger.ask("GET", f"Invoices/{row['InvoiceID'].upper()}")["Invoices"][0]["InvoiceNumber"] == "INV-0001"
    assert len(row["LineItems"]) == 1
    assert row["Contact"]["Addresses"]


@pytest.mark.parametrize("path", ["Invoices/nope", f"Invoices/{NOBODY}", "Payments/x", "Nope", "Invoices/a/b/c/d"])
def test_what_is_not_there_is_a_sentence_in_html(ledger: Desk, path: str) -> None:
    """404s are not JSON."""
    reply = ledger.send("GET", path)
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert reply.body == b"The resource you're looking for cannot be found"

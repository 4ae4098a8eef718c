"""A record's story: what is masked, and in which order it is told."""

from __future__ import annotations

from typing import Any

from closedwon.cli.story import mask, mask_text, tell


def test_names_and_addresses_of_customers_are_masked() -> None:
    """What names a person, or says how to reach them, keeps its first letter; the rest of a payload stays."""
    payload = {
        "FirstName": "Ada",
        "EmailAddress": "ada@example.com",
        "Addresses": [{"City": "Paris"}],
        "Status": "ACTIVE",
    }
    assert mask(payload) == {
        "FirstName": "A***",
        "EmailAddress": "a***",
        "Addresses": [{"City": "P***"}],
        "Status": "ACTIVE",
    }


def test_the_name_in_a_contact_payload_is_masked_and_the_name_of_an_item_is_not() -> None:
    """`Name` is a person's where the object is a customer, and a product's elsewhere."""
    write = {"operation": "create contact", "payload": {"Name": "Ada Lovelace"}}
    assert mask(write)["payload"] == {"Name": "A***"}
    assert mask({"Contact": {"Name": "Ada Lovelace", "ContactID": "1"}})["Contact"] == {
        "Name": "A***",
        "ContactID": "1",
    }
    assert mask({"Name": "Label printer"}) == {"Name": "Label printer"}


def test_a_customers_name_is_masked_wherever_it_occurs() -> None:
    """Deals are often named after their customer."""
    assert mask({"plan": {"deal": "Ada Lovelace: engine", "customer": "Ada Lovelace"}, "text": "for Ada Lovelace"}) == {
        "plan": {"deal": "A***: engine", "customer": "A***"},
        "text": "for A***",
    }


def test_texts_lose_addresses_and_numbers_but_keep_ids_dates_and_amounts() -> None:
    """Free text may mention a person; ids and dates are what a reader needs."""
    assert mask_text("two contacts have ada@example.com") == "two contacts have a***"
    assert mask_text("call +61 2 5176 8987 or (09) 555 1234") == "call *** or ***"
    kept = "2026-11-22 10:00:00 00000000-0000-0000-0000-000000000001 12,345.67 INV-0001"
    assert mask_text(kept) == kept


def test_empty_values_and_numbers_keep_their_shape() -> None:
    """Nothing is invented where nothing was."""
    assert mask({"email": "", "phone": None, "city": 7, "lines": [1, True]}) == {
        "email": "",
        "phone": None,
        "city": "***",
        "lines": [1, True],
    }


def _story() -> dict[str, Any]:
    run = {
        "id": "r1",
        "lane": "sales/opportunity_won",
        "state": "parked",
        "outcome": "",
        "reason": "",
        "error": {"text": "no such account"},
        "decision": None,
        "not_before": None,
        "created_at": "2026-11-22T00:00:02Z",
        "started_at": "2026-11-22T00:00:03Z",
        "finished_at": None,
    }
    event = {
        "received_at": "2026-11-22T00:00:01Z",
        "record_type": "opportunity",
        "record_id": "d1",
        "name": "Win",
        "source": "webhook",
        "connection": "crm",
    }
    step = {"run_id": "r1", "started_at": "2026-11-22T00:00:04Z", "step": "fetch", "took_ms": 5, "outcome": "done"}
    intent = {
        "created_at": "2026-11-22T00:00:05Z",
        "settled_at": "2026-11-22T00:00:06Z",
        "operation": "create_invoice",
        "connection": "books",
        "state": "rejected",
        "error": {"text": "refused"},
        "remote_id": "",
    }
    item = {
        "number": 4,
        "state": "open",
        "text": "no such account",
        "opened_at": "2026-11-22T00:00:07Z",
        "closed_at": None,
    }
    link = {
        "linked_at": "2026-11-22T00:00:08Z",
        "record_type": "invoice",
        "crm_id": "d1",
        "books_id": "i1",
        "books_number": "INV-1",
    }
    return {"events": [event], "runs": [run], "steps": [step], "intents": [intent], "review": [item], "links": [link]}


def test_a_story_is_told_in_the_order_in_which_it_happened() -> None:
    """Everything we know of a record stands on one timeline."""
    kinds = [moment.kind for moment in tell(_story())]
    assert kinds == ["event", "run", "run", "step", "intent", "receipt", "review", "link"]


def test_a_story_says_what_stopped_and_what_was_refused() -> None:
    """The texts of errors are part of the story."""
    told = {(moment.kind, moment.state): moment.text for moment in tell(_story())}
    assert told["run", "parked"] == "sales/opportunity_won: no such account"
    assert told["receipt", "rejected"] == "create_invoice on books: refused"
    assert told["link", ""] == "invoice: CRM d1 is i1 (INV-1) in the books"

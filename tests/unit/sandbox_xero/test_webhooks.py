"""Webhooks: the intent-to-receive test, signatures, batches, retries, disabling."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import pytest

from xero_desk import invoice

if TYPE_CHECKING:
    from closedwon_sandbox.exchange import Delivery
    from xero_desk import Desk

URL = "https://hooks.example/xero"
KEY = "a signing key, used as text"
QUARTER_HOUR_S = 900
DAY_S = 86_400


def _signed(delivery: Delivery) -> bool:
    """Check a delivery as a receiver does."""
    expected = base64.b64encode(hmac.new(KEY.encode(), delivery.body, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(expected, delivery.headers["x-xero-signature"])


def _subscribe(desk: Desk) -> None:
    desk.xero.configure_webhook(URL, KEY)
    for delivery in desk.post_box.take():
        delivery.answered(200 if _signed(delivery) else 401)
    assert desk.xero.webhooks.status == "active"


def _events(desk: Desk) -> list[dict[str, Any]]:
    desk.clock.pass_time(1)
    return [event for delivery in desk.post_box.take() for event in json.loads(delivery.body)["events"]]


def test_the_intent_test_has_one_right_and_several_wrong_signatures(desk: Desk) -> None:
    """The bodies are empty of events; only the right answers to all calls make the subscription active."""
    desk.xero.configure_webhook(URL, KEY)
    assert desk.xero.webhooks.status == "validating"
    calls = desk.post_box.take()
    assert [_signed(call) for call in calls].count(True) == 1
    assert len(calls) > 2
    body = json.loads(calls[0].body)
    assert (body["events"], body["firstEventSequence"], body["lastEventSequence"]) == ([], 0, 0)
    assert calls[0].timeout_s == 5
    for call in calls:
        call.answered(200 if _signed(call) else 401)
    assert desk.xero.webhooks.status == "active"


@pytest.mark.parametrize("careless", [200, None, 500])
def test_a_receiver_that_does_not_check_fails_the_test(desk: Desk, careless: int | None) -> None:
    """Accepting a wrong signature, silence and errors all fail; no events are sent then."""
    desk.xero.configure_webhook(URL, KEY)
    for call in desk.post_box.take():
        call.answered(200 if _signed(call) else careless)
    assert desk.xero.webhooks.status == "failed"
    desk.contact()
    assert _events(desk) == []
    assert desk.xero.state()["webhook"]["status"] == "failed"


def test_events_are_thin_signed_and_numbered(desk: Desk) -> None:
    """Creating an invoice for a new customer rings twice, in one delivery, over the exact bytes."""
    _subscribe(desk)
    made = desk.invoice()
    assert desk.post_box.take() == []
    desk.clock.pass_time(1)
    (delivery,) = desk.post_box.take()
    assert _signed(delivery)
    assert (delivery.url, delivery.label) == (URL, "CONTACT CREATE, INVOICE CREATE")
    body = json.loads(delivery.body)
    assert (body["firstEventSequence"], body["lastEventSequence"]) == (1, 2)
    assert body["events"][1] == {
        "resourceUrl": f"http://127.0.0.1/api.xro/2.0/Invoices/{made['InvoiceID']}",
        "resourceId": made["InvoiceID"],
        "tenantId": desk.settings.organisation_id,
        "tenantType": "ORGANISATION",
        "eventCategory": "INVOICE",
        "eventType": "CREATE",
        "eventDateUtc": "2026-09-21T14:13:20.001",
    }


def test_payments_voids_and_archiving_ring_as_updates(desk: Desk) -> None:
    """There is no payment event; the invoice changes."""
    _subscribe(desk)
    made = desk.invoice()
    _events(desk)
    paid = desk.pay(made, "115.00")
    desk.ask("POST", f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    desk.ask("POST", f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"})
    desk.ask("POST", f"Contacts/{made['Contact']['ContactID']}", {"ContactStatus": "ARCHIVED"})
    assert [(row["eventCategory"], row["eventType"]) for row in _events(desk)] == [
        ("INVOICE", "UPDATE"),
        ("INVOICE", "UPDATE"),
        ("INVOICE", "UPDATE"),
        ("CONTACT", "UPDATE"),
    ]


def test_credit_notes_say_type_and_status(desk: Desk) -> None:
    """They are the one category here with data."""
    _subscribe(desk)
    desk.ask("PUT", "CreditNotes", invoice() | {"Type": "ACCRECCREDIT"})
    event = _events(desk)[-1]
    assert event["eventCategory"] == "CREDITNOTE"
    assert event["data"] == {"Type": "ACCRECCREDIT", "Status": "AUTHORISED"}


def test_refused_writes_and_reads_do_not_ring(desk: Desk) -> None:
    """Only what changed is announced, the app's own writes included."""
    _subscribe(desk)
    desk.sign_in()
    desk.ask("PUT", "Invoices", invoice() | {"Status": "PAID"}, status=400)
    desk.get("Invoices")
    assert _events(desk) == []
    desk.invoice()
    assert len(_events(desk)) == 2


def test_a_burst_travels_in_batches(desk: Desk) -> None:
    """More events than fit go in several deliveries with consecutive numbers."""
    _subscribe(desk)
    for _ in range(3):
        desk.ask("PUT", "Invoices?summarizeErrors=false", {"Invoices": [invoice() for _ in range(50)]})
    desk.clock.pass_time(1)
    bodies = [json.loads(delivery.body) for delivery in desk.post_box.take()]
    assert [(body["firstEventSequence"], body["lastEventSequence"]) for body in bodies] == [(1, 100), (101, 151)]
    assert [len(body["events"]) for body in bodies] == [100, 51]


def test_a_failed_delivery_is_repeated_at_once_then_every_quarter_hour(desk: Desk) -> None:
    """The same bytes come again until the receiver takes them."""
    _subscribe(desk)
    desk.contact()
    desk.clock.pass_time(1)
    (first,) = desk.post_box.take()
    first.answered(500)
    desk.clock.pass_time(0.01)
    (second,) = desk.post_box.take()
    assert second.body == first.body
    second.answered(None)
    desk.clock.pass_time(QUARTER_HOUR_S - 1)
    assert desk.post_box.take() == []
    desk.clock.pass_time(1)
    (third,) = desk.post_box.take()
    third.answered(204)
    desk.clock.pass_time(QUARTER_HOUR_S)
    assert desk.post_box.take() == []
    shown = desk.xero.state()["webhook"]
    assert (shown["status"], shown["delivered"], shown["refused"], shown["waiting"]) == ("active", 1, 2, 0)


def test_a_day_of_failure_disables_the_subscription(desk: Desk) -> None:
    """After 24 hours nothing is sent any more until the developer tests the receiver again."""
    _subscribe(desk)
    desk.contact()
    desk.clock.pass_time(1)
    passed = 0
    while desk.xero.webhooks.status == "active" and passed <= DAY_S + QUARTER_HOUR_S:
        for delivery in desk.post_box.take():
            delivery.answered(500)
        desk.clock.pass_time(QUARTER_HOUR_S)
        passed += QUARTER_HOUR_S
    assert desk.xero.webhooks.status == "disabled"
    assert passed >= DAY_S
    desk.contact("Later Ltd")
    assert _events(desk) == []
    _subscribe(desk)
    desk.contact("Now Ltd")
    assert len(_events(desk)) == 1

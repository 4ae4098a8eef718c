"""What each answer of Xero means: the table from status and sentence to what the engine does next."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from closedwon.connectors.xero.errors import classify, element_error, error_of, token_is_stale
from closedwon.connectors.xero.manifest import manifest
from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    ConsentRevoked,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)
from closedwon.kernel.http import Answer

VALIDATION = {
    "ErrorNumber": 10,
    "Type": "ValidationException",
    "Message": "A validation exception occurred",
    "Elements": [
        {
            "ContactID": "00000000-0000-0000-0000-000000000000",
            "Name": "Acme",
            "HasValidationErrors": True,
            "Phones": [{"PhoneType": "DEFAULT", "ValidationErrors": [{"Message": "Phone number is too long."}]}],
            "ValidationErrors": [{"Message": "Email address must be valid."}],
        }
    ],
}


def answer(status: int, body: Any = b"", **headers: str) -> Answer:
    """Make an answer; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, content, request_ids=("r-1",))


EXPIRED = {"Type": None, "Title": "Unauthorized", "Status": 401, "Detail": "TokenExpired: token expired at 01/23/2020"}
UNKNOWN_TOKEN = {"Title": "Unauthorized", "Status": 401, "Detail": "AuthenticationUnsuccessful", "Instance": "x"}
NO_SCOPE = {"Title": "Unauthorized", "Status": 401, "Detail": "AuthorizationUnsuccessful"}
CUT_OFF = {"title": "Forbidden", "status": 403, "detail": "AuthenticationUnsuccessful", "instance": "x"}
OFFLINE = b"oauth_problem=organisation offline&oauth_problem_advice=The organisation is offline"


@pytest.mark.parametrize(
    ("reply", "on_read", "on_write"),
    [
        (answer(200), None, None),
        (answer(204), None, None),
        (answer(304), None, Unavailable),
        (answer(302), Unavailable, Unavailable),
        (answer(400, VALIDATION), Rejected, Rejected),
        (answer(400, b"<html>bad</html>"), Rejected, Rejected),
        (answer(401, EXPIRED), AuthExpired, AuthExpired),
        (answer(401, UNKNOWN_TOKEN), AuthExpired, AuthExpired),
        (answer(401, NO_SCOPE), PermissionMissing, PermissionMissing),
        (answer(401, www_authenticate='Bearer error="insufficent_scope"'), PermissionMissing, PermissionMissing),
        (answer(403, CUT_OFF), ConsentRevoked, ConsentRevoked),
        (answer(403, b'{"error":"insufficient_scope"}'), PermissionMissing, PermissionMissing),
        (answer(404, b"The resource you're looking for cannot be found"), Rejected, Rejected),
        (answer(408), Unavailable, OutcomeUnknown),
        (answer(412), Rejected, Rejected),
        (answer(413), Rejected, Rejected),
        (answer(415), Rejected, Rejected),
        (answer(429), Throttled, Throttled),
        (answer(500, b"<html>oops</html>"), Unavailable, OutcomeUnknown),
        (answer(501, {"ErrorNumber": 20, "Type": "ApiMethodNotImplementedException"}), Rejected, Rejected),
        (answer(502), Unavailable, OutcomeUnknown),
        (answer(503, OFFLINE), Unavailable, OutcomeUnknown),
        (answer(504), Unavailable, OutcomeUnknown),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_the_table(reply: Answer, on_read: type[ClosedwonError] | None, on_write: type[ClosedwonError] | None) -> None:
    """Each status becomes one class; a fault of the server only differs in whether something may have happened."""
    for writes, expected in ((False, on_read), (True, on_write)):
        error = error_of(reply, writes=writes)
        if expected is None:
            assert error is None
        else:
            assert type(error) is expected
            assert error.hint
            assert error.request_ids == ("r-1",)


def test_a_fresh_token_helps_only_some() -> None:
    """An expired or unknown token is worth one renewal; a missing scope or another status is not."""
    assert token_is_stale(answer(401, EXPIRED))
    assert token_is_stale(answer(401, UNKNOWN_TOKEN))
    assert token_is_stale(answer(401))
    assert not token_is_stale(answer(401, NO_SCOPE))
    assert not token_is_stale(answer(403, CUT_OFF))


def test_a_summarised_refusal_lists_every_message() -> None:
    """Messages of the element and of what is nested in it are all told, once each."""
    error = error_of(answer(400, VALIDATION), writes=True)
    assert error is not None
    assert error.details["messages"] == ["Email address must be valid.", "Phone number is too long."]
    assert error.details["kind"] == "other"
    assert error.details["type"] == "ValidationException"


def test_a_refusal_without_elements_tells_its_message() -> None:
    """Other refusals have their sentence at the top."""
    body = {"ErrorNumber": 17, "Type": "NoDataProcessedException", "Message": "No data has been processed."}
    error = error_of(answer(400, body), writes=True)
    assert error is not None
    assert error.details["messages"] == ["No data has been processed."]


@pytest.mark.parametrize("in_elements", [False, True])
def test_a_key_used_for_another_request_is_looked_up(in_elements: bool) -> None:  # noqa: FBT001
    """The key belongs to an earlier request of ours, whose outcome must be found out first."""
    text = "Idempotency Key: abc is used with a different request."
    body = {"Elements": [{"ValidationErrors": [{"Message": text}]}]} if in_elements else {"Message": text}
    assert type(error_of(answer(400, body), writes=True)) is OutcomeUnknown


def test_a_429_says_which_window_and_how_long() -> None:
    """The recorded 429: no body, and headers that say it all."""
    error = error_of(answer(429, retry_after="26", x_rate_limit_problem="minute"), writes=True)
    assert isinstance(error, Throttled)
    assert (error.retry_after_s, error.details["window"]) == (26, "minute")


KNOWN: list[tuple[str, str, dict[str, str]]] = [
    (
        (
            "The contact name Acme (NZ) Ltd is already assigned to another contact. The contact name must be unique "
            "across all active contacts."
        ),
        "contact_name_taken",
        {"name": "Acme (NZ) Ltd"},
    ),
    (
        (
            "The contact number C-1 is already assigned to another contact. The contact number must be unique across "
            "all contacts."
        ),
        "contact_number_taken",
        {"number": "C-1"},
    ),
    (
        (
            "The specified contact details matched an archived contact. Archived contacts cannot currently be edited "
            "via the API."
        ),
        "contact_archived",
        {},
    ),
    (
        (
            "The contact with the specified contact details has been archived. The contact must be un-archived before "
            "creating new invoices or credit notes."
        ),
        "contact_archived",
        {},
    ),
    ("Account code '999' is not a valid code for this document.", "account_code", {"account_code": "999"}),
    (
        "Account code '205' has been archived, or has been deleted. Each line item must reference a valid account.",
        "account_code",
        {"account_code": "205"},
    ),
    ("Account code must be specified", "account_code", {}),
    ("Account must be valid.", "account_code", {}),
    (
        "The TaxType code GST on Income does not exist or cannot be used for this type of transaction.",
        "tax_type",
        {"tax_type": "GST on Income"},
    ),
    (
        "The TaxType code 'INPUT2' cannot be used with account code '200'.",
        "tax_type",
        {"tax_type": "INPUT2", "account_code": "200"},
    ),
    ("The TaxType field is mandatory", "tax_type", {}),
    ("Tax rate must be valid.", "tax_type", {}),
    ("Organisation is not subscribed to currency EUR", "currency", {"currency": "EUR"}),
    ("The current organisation is not subscribed to currency 'EUR'.", "currency", {"currency": "EUR"}),
    (
        "The document date cannot be before the end of year lock date, currently set at 31-Jul-2013",
        "lock_date",
        {"lock_date": "31-Jul-2013"},
    ),
    ("The document date cannot be before the period lock date", "lock_date", {}),
    (
        "The line total 10.00 does not match the expected line total 9.99",
        "line_total",
        {"line_total": "10.00", "expected_line_total": "9.99"},
    ),
    ("Invoice # must be unique.", "number_taken", {}),
    ("A Contact must be specified for this type of transaction", "other", {}),
]


@pytest.mark.parametrize(("message", "kind", "values"), KNOWN)
def test_sentences_become_kinds(message: str, kind: str, values: dict[str, str]) -> None:
    """Each sentence of the catalogue is recognised, with the values in it, and has a hint."""
    found_kind, found_values, hint = classify(["Something else.", message])
    assert (found_kind, found_values) == (kind, values)
    assert hint


def test_every_pattern_is_used() -> None:
    """No pattern of the manifest is dead: each recognises a sentence of the catalogue before all others do."""
    unused = [
        known.pattern
        for known in manifest().messages
        if not any(
            classify([message])[2] == known.hint and re.search(known.pattern, message) for message, _, _ in KNOWN
        )
    ]
    assert unused == []


@pytest.mark.parametrize(
    "element",
    [
        {"StatusAttributeString": "ERROR", "ValidationErrors": [{"Message": "No."}]},
        {"StatusAttributeString": "ERROR", "HasErrors": True, "ValidationErrors": [{"Description": "No."}]},
        {"HasValidationErrors": True, "LineItems": [{"ValidationErrors": [{"Message": "No."}]}]},
        {"ValidationErrors": [{"Message": " No. "}, {"Message": "No."}]},
    ],
)
def test_refused_elements_are_found_by_any_sign(element: dict[str, Any]) -> None:
    """Status, flags or messages, at the top or nested: each is a refusal, and its words are kept once."""
    error = element_error(element, "invoice", ("r-1",))
    assert error is not None
    assert error.text == "Xero refused the invoice: No."
    assert error.details["messages"] == ["No."]


def test_a_refusal_without_words_is_still_a_refusal() -> None:
    """An element marked as wrong without saying why is not taken for saved."""
    error = element_error({"StatusAttributeString": "ERROR"}, "contact", ())
    assert error is not None
    assert error.details["messages"] == []


def test_warnings_do_not_refuse() -> None:
    """An element with a warning was taken."""
    element = {"StatusAttributeString": "WARNING", "Warnings": [{"Message": "Hm."}], "ValidationErrors": []}
    assert element_error(element, "invoice", ()) is None


def test_an_outage_may_say_how_long() -> None:
    """Retry-After of a 503 is passed on for reads."""
    error = error_of(answer(503, OFFLINE, retry_after="120"), writes=False)
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 120

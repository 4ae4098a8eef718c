"""Which class of error a refusal becomes."""

from __future__ import annotations

import pytest

from closedwon.connectors.dynamics.errors import open_error, parse_refusal
from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    Misconfigured,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
    VersionConflict,
)
from closedwon.kernel.exact_json import encode
from dynamics_vendor import fault


def error_for(status: int, code: str = "", *, wrote: bool = False, create: bool = False) -> ClosedwonError:
    """Return the error for a status and a code."""
    return open_error(parse_refusal(status, {}, encode(fault(code))), "do it", wrote=wrote, create=create)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "", Rejected),
        (400, "0x80044331", Rejected),
        (400, "0x0", Misconfigured),
        (400, "0x80072491", Misconfigured),
        (400, "0x80100000", VersionConflict),
        (400, "0x8004022E", VersionConflict),
        (401, "", AuthExpired),
        (403, "0x80040220", PermissionMissing),
        (403, "0x80072560", PermissionMissing),
        (404, "0x80040217", Rejected),
        (404, "0x8006088a", Misconfigured),
        (412, "0x80060882", VersionConflict),
        (412, "0x80040237", Rejected),
        (412, "0x80060892", Rejected),
        (412, "", VersionConflict),
        (429, "0x80072322", Throttled),
        (500, "", Unavailable),
        (500, "0x80040265", Rejected),
        (502, "", Unavailable),
        (503, "0x8004a001", Unavailable),
    ],
)
def test_the_vendors_code_decides_and_else_the_status(status: int, code: str, kind: type[ClosedwonError]) -> None:
    """One status stands for several causes; codes are compared without regard to case."""
    assert type(error_for(status, code)) is kind


def test_a_fault_of_the_server_leaves_a_write_open() -> None:
    """A failed write may have happened, unless the code says that it was not begun."""
    assert type(error_for(500, "0x80044151", wrote=True)) is OutcomeUnknown
    assert type(error_for(504, create=True)) is OutcomeUnknown
    assert type(error_for(503, "0x8004a001", wrote=True)) is Unavailable
    assert type(error_for(400, "0x80044331", wrote=True)) is Rejected


def test_a_429_says_how_long_to_wait_and_why() -> None:
    """Retry-After is in seconds; the window tells people which limit it was."""
    refusal = parse_refusal(429, {"retry-after": "17"}, encode(fault("0x80072326", "52 at once")))
    error = open_error(refusal, "do it", wrote=True, request_ids=("r1",))
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 17
    assert error.details["window"] == "concurrent"
    assert error.request_ids == ("r1",)


@pytest.mark.parametrize("header", ["", "soon", "-1", "inf", "nan", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_retry_after_that_is_no_number_is_none(header: str) -> None:
    """Nonsense is not waited for."""
    assert parse_refusal(429, {"retry-after": header}, b"").retry_after_s is None


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Gateway</html>", b'{"error":', b"[]", b'"x"', b'{"error":"text"}', b"null", b"[" * 99999]
)
def test_any_body_of_a_refusal_becomes_an_error(body: bytes) -> None:
    """Whatever stands in the body, the answer is an error with a text and no traceback."""
    error = open_error(parse_refusal(502, {}, body), "read opportunities", wrote=False)
    assert type(error) is Unavailable
    assert error.text.startswith("Dynamics did not read opportunities: ")


def test_an_address_without_web_api_is_a_wrong_configuration() -> None:
    """A redirect to a sign-in page or a 404 page means that `url` is wrong."""
    for status in (302, 404):
        error = open_error(parse_refusal(status, {}, b"<html>"), "say who we are", wrote=False)
        assert isinstance(error, Misconfigured)
        assert "`url`" in error.hint


def test_the_vendors_words_are_kept_without_secrets() -> None:
    """Details hold status, code and text; secrets that a text quotes are masked."""
    body = encode(fault("0x80040203", "bad value, client_secret=hush-hush"))
    error = open_error(parse_refusal(400, {}, body), "do it", wrote=True)
    assert error.details["vendor_code"] == "0x80040203"
    assert error.details["status"] == 400
    assert "bad value" in error.details["messages"][0]
    assert "hush-hush" not in str(error.as_dict())

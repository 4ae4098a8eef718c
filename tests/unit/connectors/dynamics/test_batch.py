"""The multipart form of `$batch`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from closedwon.connectors.dynamics.batch import Part, decode_batch, encode_batch
from dynamics_vendor import multipart

TYPE = 'multipart/mixed; boundary="batchresponse_1"'


def test_every_line_of_a_batch_ends_with_cr_and_lf() -> None:
    """The vendor refuses a batch with bare line feeds."""
    _, body = encode_batch([(Part("GET", "/a"),), (Part("PATCH", "/b", {"x": 1}), Part("PATCH", "/b", {"y": 2}))], "b")
    assert body.count(b"\n") == body.count(b"\r\n")
    assert body.endswith(b"--b--\r\n")


def test_requests_that_belong_together_become_a_change_set_with_content_ids() -> None:
    """A change set carries a number for each member, so that a later one can point at an earlier one."""
    content_type, body = encode_batch([(Part("POST", "/a", {"n": 1}), Part("POST", "/b", {"bind": "$1"}))], "b")
    text = body.decode()
    assert content_type == 'multipart/mixed; boundary="b"'
    assert 'Content-Type: multipart/mixed; boundary="set_1_b"' in text
    assert text.index("Content-ID: 1") < text.index("POST /a HTTP/1.1") < text.index("Content-ID: 2")
    assert "--set_1_b--\r\n--b--" in text


def test_a_single_request_stands_alone() -> None:
    """One request needs no change set."""
    _, body = encode_batch([(Part("POST", "/a", {"n": 1}),)], "b")
    assert b"Content-ID" not in body
    assert b"POST /a HTTP/1.1\r\nAccept: application/json\r\nContent-Type: application/json" in body


def test_amounts_are_written_digit_for_digit() -> None:
    """An amount never passes through a float."""
    _, body = encode_batch([(Part("POST", "/a", {"n": Decimal("12345678901234.10")}),)], "b")
    assert b'{"n":12345678901234.10}' in body


def test_answers_come_back_in_order_with_status_headers_and_json() -> None:
    """Each item has its answer, each change set the answers of its members."""
    body = multipart((200, {"total": Decimal("1.10")}), [(204, None), (200, {"a": "é \u2028"})], (404, {"error": {}}))
    first, second, third = decode_batch(TYPE, body)
    assert first[0].json() == {"total": Decimal("1.10")}
    assert first[0].headers["odata-version"] == "4.0"
    assert [answer.status for answer in second] == [204, 200]
    assert second[1].json() == {"a": "é \u2028"}
    assert not third[0].ok


def test_a_failed_change_set_is_one_answer() -> None:
    """The vendor answers a change set that failed with its one error instead of its members."""
    assert [len(item) for item in decode_batch(TYPE, multipart((400, {"error": {}})))] == [1]


@pytest.mark.parametrize("cut", [1, 4, 20, 60, 120, 200, 300])
def test_a_batch_cut_off_anywhere_is_no_answer(cut: int) -> None:
    """Half an answer proves nothing, so it is refused as a whole."""
    body = multipart((200, {"a": 1}), [(200, {"b": 2}), (200, {"c": 3})])
    with pytest.raises(ValueError, match=r"."):
        decode_batch(TYPE, body[: -cut - 4])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b"<html>Sign in</html>"),
        ("", b""),
        (TYPE, b""),
        (TYPE, b"<html></html>"),
        ("multipart/mixed", multipart((200, {}))),
        (TYPE, b"--batchresponse_1\r\n\r\nhello\r\n--batchresponse_1--\r\n"),
        (TYPE, b"--batchresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 abc\r\n--batchresponse_1--\r\n"),
        ("multipart/mixed; boundary=é", multipart((200, {}))),
    ],
)
def test_what_is_no_batch_answer_is_refused(content_type: str, body: bytes) -> None:
    """Sign-in pages, empty bodies and parts that are no HTTP answers are ValueErrors."""
    with pytest.raises(ValueError, match=r"."):
        decode_batch(content_type, body)


def test_parts_nested_without_end_are_refused() -> None:
    """A hostile answer cannot exhaust the stack."""
    body = b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(3000))
    with pytest.raises(ValueError, match=r"."):
        decode_batch("multipart/mixed; boundary=b0", body)


def test_a_part_without_headers_keeps_its_body() -> None:
    """A status line followed by an empty line and JSON is still an answer."""
    head = b"--batchresponse_1\r\nContent-Type: application/http\r\n\r\n"
    body = head + b'HTTP/1.1 200 OK\r\n\r\n{"a":1}\r\n--batchresponse_1--'
    assert decode_batch(TYPE, body)[0][0].json() == {"a": 1}

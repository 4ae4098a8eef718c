"""Bytes in and out: exact JSON numbers, the envelope, and the vendor's forms of error.

*Source*: developer.xero.com "HTTP response codes" and recorded answers, read 2026-11-22.
"""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

from closedwon_sandbox.exchange import Reply
from closedwon_sandbox.xero.books.errors import ApiError, MalformedError, MissingError
from closedwon_sandbox.xero.markup import render_markup

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from closedwon_sandbox.exchange import Request
    from closedwon_sandbox.xero.books.shapes import Record

PROVIDER: Final = "Closedwon sandbox app"
_JSON: Final = "application/json; charset=utf-8"
_XML: Final = "text/xml; charset=utf-8"
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


def _read_float(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise msgspec.DecodeError("number out of range") from None


_decoder: Final = msgspec.json.Decoder(float_hook=_read_float)


class ValidationFailedError(ApiError):
    """Elements of a write broke rules and the caller wants to hear that as a 400."""

    def __init__(self, elements: list[Record]) -> None:
        super().__init__("A validation exception occurred")
        self.elements = elements


def encode(document: Any) -> bytes:
    """Write JSON; decimals become numbers with the digits they have."""
    return _encoder.encode(document)


def decode(body: bytes) -> Any:
    """Read JSON; numbers with a fraction become decimals. *Raises* MalformedError."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise MalformedError(f"JSON for post data was invalid, {problem}") from None


def wants_json(request: Request) -> bool:
    """Say whether the caller asked for JSON; the API answers in XML otherwise."""
    return "json" in request.headers.get("accept", "").lower()


def envelope(moment: datetime, collection: str, elements: list[Record], pagination: Record | None) -> Record:
    """Wrap the elements of a good answer."""
    head: Record = {
        "Id": str(uuid.uuid4()),
        "Status": "OK",
        "ProviderName": PROVIDER,
        "DateTimeUTC": f"/Date({round(moment.timestamp() * 1000)})/",
    }
    if pagination:
        head["pagination"] = pagination
    return head | {collection: elements}


def answer(request: Request, status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Send a document in the form the caller asked for."""
    if wants_json(request):
        return Reply(status, encode(document), {"Content-Type": _JSON, **(headers or {})})
    root = "ApiException" if "ErrorNumber" in document else "Response"
    return Reply(status, render_markup(root, document), {"Content-Type": _XML, **(headers or {})})


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Send JSON whatever the caller asked for: identity and gateway answers know nothing else."""
    return Reply(status, encode(document), {"Content-Type": _JSON, **(headers or {})})


def refusal(request: Request, error: ApiError) -> Reply:
    """Send what an error looks like on the wire."""
    if isinstance(error, MissingError):
        return not_found()
    document: Record = {"ErrorNumber": error.number, "Type": error.kind, "Message": str(error)}
    if isinstance(error, ValidationFailedError):
        document["Elements"] = error.elements
    return answer(request, error.status, document)


def not_found() -> Reply:
    """Send the 404: a sentence, not JSON."""
    return Reply(404, b"The resource you're looking for cannot be found", {"Content-Type": "text/html; charset=utf-8"})


def unauthorized(detail: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Send a 401; `detail` tells an expired token from an unknown one and from a missing scope."""
    body = {"Type": None, "Title": "Unauthorized", "Status": 401, "Detail": detail, "Instance": str(uuid.uuid4())}
    return json_reply(401, body, headers)


def forbidden() -> Reply:
    """Send a 403: the organisation is not connected to the caller."""
    body = {"title": "Forbidden", "status": 403, "detail": "AuthenticationUnsuccessful", "instance": str(uuid.uuid4())}
    return json_reply(403, body)

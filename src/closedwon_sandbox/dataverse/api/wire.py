"""Bodies on the wire: exact JSON both ways, with decimals as numbers that keep their digits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon_sandbox.exchange import Request

CONTENT_TYPE = "application/json; odata.metadata=minimal"
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def json_reply(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Build a reply whose body is a JSON document."""
    return Reply(
        status, _ENCODER.encode(document), {"Content-Type": CONTENT_TYPE, "OData-Version": "4.0", **(headers or {})}
    )


def encode(document: Any) -> bytes:
    """Render a document as JSON."""
    return _ENCODER.encode(document)


def read_body(request: Request) -> dict[str, Any]:
    """Parse a request's body. *Raises* DataverseError when it is missing, no JSON object, or not called JSON."""
    kind = request.headers.get("content-type", "")
    if "json" not in kind.lower():
        text = f"A supported MIME type could not be found that matches the content type of the message: '{kind}'."
        raise errors.DataverseError(415, "0x80060888", text)
    try:
        document = _DECODER.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        text = f"An error occurred while validating input parameters: the body is not valid JSON ({fault})."
        raise errors.DataverseError(400, "0x80048d19", text) from None
    if not isinstance(document, dict):
        raise errors.DataverseError(
            400, "0x80048d19", "An error occurred while validating input parameters: the body is not an object."
        )
    return document

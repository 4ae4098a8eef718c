"""Why a call is refused, in the vendor's terms: number, type and text of the answer.

ApiError
├── RefusedError          10  a business rule of one element said no
├── MalformedError        14  the body cannot be read
├── BadQueryError         16  `where` or `order` cannot be read
├── NothingSentError      17  there is nothing in the body for this endpoint
├── UnsupportedError      20  HTTP 501
├── PreconditionError         HTTP 412
├── UnreadableMediaError      HTTP 415
└── MissingError              HTTP 404, a sentence in HTML
"""

from __future__ import annotations


class ApiError(Exception):
    """The whole call is refused.

    *Source*: developer.xero.com "HTTP response codes"; numbers 16 and 17 are from memory.
    """

    status = 400
    number = 10
    kind = "ValidationException"


class RefusedError(ApiError):
    """One element breaks rules; `messages` says which, in the order in which they were found."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


class MalformedError(ApiError):
    """The body is not what the endpoint reads."""

    number = 14
    kind = "PostDataInvalidException"


class BadQueryError(ApiError):
    """A filter or an order cannot be understood."""

    number = 16
    kind = "QueryParseException"


class NothingSentError(ApiError):
    """The body holds no element for this endpoint."""

    number = 17
    kind = "NoDataProcessedException"

    def __init__(self, element: str) -> None:
        super().__init__(
            "No data has been processed for this endpoint. "
            f"This endpoint is expecting {element} data to be specifed in the request body.",
        )


class UnsupportedError(ApiError):
    """The resource exists, the verb does not."""

    status = 501
    number = 20
    kind = "ApiMethodNotImplementedException"

    def __init__(self) -> None:
        super().__init__("The Api Method called is not implemented")


class PreconditionError(ApiError):
    """A header has a value that cannot be read."""

    status = 412
    number = 0
    kind = "PreconditionFailedException"


class UnreadableMediaError(ApiError):
    """The body has a content type that the endpoint does not read."""

    status = 415
    number = 0
    kind = "UnsupportedMediaTypeException"


class MissingError(ApiError):
    """There is no such record or no such address."""

    status = 404

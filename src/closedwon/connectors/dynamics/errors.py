"""The vendor's refusals in our words: which class of error an HTTP status and a vendor code become.

The code decides, the status only where no code is known: texts are in the language of the calling user, and one status
stands for several causes. *Source*: learn.microsoft.com, "Compose HTTP requests and handle errors" and "Web service
error codes", read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from closedwon.kernel.exact_json import decode
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEXT_CHARS = 600

EXPIRED_WATERMARK = "0x80044352"
TRACKING_DISABLED = "0x80072491"

HINT_ROLE = "Give the application user a security role with this right, then run `closedwon check`."
HINT_USER = "Add an application user for this client id to the environment and enable it, then run `closedwon connect`."
HINT_RECORD = "Open the record in the CRM, correct what its text names, then retry."
HINT_GONE = "The record was deleted or is not shared with the application user. Check it in the CRM, then retry."
HINT_STATE = "The record changed its state meanwhile; it is read again."
HINT_QUERY = "The environment lacks a column we ask for. Run `closedwon check`; create it or change `columns`."
HINT_TRACKING = "Switch on change tracking for the opportunity table (table properties, Track changes) and publish."
HINT_LATER = "Nothing to do: it is tried again. If it lasts, ask Microsoft with the request id."

_BY_CODE: dict[str, tuple[type[ClosedwonError], str]] = {
    # who we are
    "0x80072560": (PermissionMissing, HINT_USER),  # not a member of the organisation
    "0x80040225": (PermissionMissing, HINT_USER),  # user disabled
    "0x80040204": (PermissionMissing, HINT_USER),
    "0x80040220": (PermissionMissing, HINT_ROLE),
    "0x80048306": (PermissionMissing, HINT_ROLE),
    "0x80040256": (PermissionMissing, HINT_ROLE),
    "0x80048405": (PermissionMissing, HINT_ROLE),
    "0x8004a110": (PermissionMissing, HINT_ROLE),
    # budgets
    "0x80072321": (Throttled, ""),
    "0x80072322": (Throttled, ""),
    "0x80072326": (Throttled, ""),
    # the service has a bad moment
    "0x80072323": (Unavailable, HINT_LATER),
    "0x80072324": (Unavailable, HINT_LATER),
    "0x8004a001": (Unavailable, HINT_LATER),
    "0x80044150": (Unavailable, HINT_LATER),
    "0x80044151": (Unavailable, HINT_LATER),
    # versions and states that moved on
    "0x80060882": (VersionConflict, HINT_STATE),
    "0x80100000": (VersionConflict, HINT_STATE),  # paying an invoice that is not active
    "0x80100001": (VersionConflict, HINT_STATE),  # cancelling one that is neither active nor paid
    "0x8004022e": (VersionConflict, HINT_STATE),  # read-only in its state
    "0x80040230": (VersionConflict, HINT_STATE),
    # duplicates share status 412 with version conflicts
    "0x80040237": (Rejected, HINT_RECORD),
    "0x80060892": (Rejected, HINT_RECORD),
    "0x80040333": (Rejected, HINT_RECORD),
    # plug-ins of the environment that say no, with whatever status
    "0x80040265": (Rejected, "A business rule of the CRM refused it. Do what its text says, then retry."),
    # what we ask for does not exist there
    "0x0": (Misconfigured, HINT_QUERY),
    "0x80060888": (Misconfigured, HINT_QUERY),
    TRACKING_DISABLED: (Misconfigured, HINT_TRACKING),
    "0x80040217": (Rejected, HINT_GONE),
    "0x80060891": (Rejected, HINT_GONE),
    "0x8006088a": (Misconfigured, "A table of Dynamics 365 Sales is missing. Is the Sales app installed there?"),
}

_BY_STATUS: dict[int, tuple[type[ClosedwonError], str]] = {
    401: (AuthExpired, "Check `auth.client_id` and `auth.client_secret`, then run `closedwon connect`."),
    403: (PermissionMissing, HINT_ROLE),
    404: (Rejected, HINT_GONE),
    408: (Unavailable, HINT_LATER),
    409: (VersionConflict, HINT_STATE),
    410: (Rejected, HINT_GONE),
    412: (VersionConflict, HINT_STATE),
    429: (Throttled, ""),
}

# A failed answer with one of these proves that nothing was written, although its class is Unavailable.
_NOT_STARTED = frozenset({"0x80072323", "0x80072324", "0x8004a001"})

_WINDOWS = {"0x80072326": "concurrent"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the vendor said: HTTP status, error code in lower case ("" when it gave none), its text, its headers."""

    status: int
    code: str
    text: str
    retry_after_s: float | None = None
    envelope: bool = True


def parse_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an answer that is not a success, whatever its form. Header names are lower case."""
    retry_after_s = _seconds(headers.get("retry-after", ""))
    try:
        document = decode(body)
        fault: Any = document["error"]
        code, text = str(fault.get("code") or ""), str(fault.get("message") or "")
    except (ValueError, TypeError, KeyError, AttributeError):
        quoted = redact(body[:TEXT_CHARS].decode("utf-8", "replace")).strip()
        return Refusal(status, "", quoted, retry_after_s, envelope=False)
    return Refusal(status, code.lower(), redact(text)[:TEXT_CHARS], retry_after_s)


def open_error(
    refusal: Refusal, what: str, *, wrote: bool, request_ids: Sequence[str] = (), create: bool = False
) -> ClosedwonError:
    """Turn a refusal into the error whose class says what happens next.

    `what` names what was tried, as in "read opportunities"; `wrote` that it was a write as a whole call, `create` that
    repeating it would do it twice: a fault of the server then leaves open whether it happened.
    """
    kind, hint = _classify(refusal)
    text = f"Dynamics did not {what}: {refusal.text or f'HTTP {refusal.status} without a reason'}"
    details: dict[str, Any] = {"status": refusal.status, "vendor_code": refusal.code}
    details["messages"] = [refusal.text] if refusal.text else []
    if issubclass(kind, Throttled):
        details["window"] = _WINDOWS.get(refusal.code, "minute")
        return Throttled(
            text, hint=HINT_LATER, retry_after_s=refusal.retry_after_s, details=details, request_ids=request_ids
        )
    if issubclass(kind, Unavailable):
        if (wrote or create) and refusal.code not in _NOT_STARTED:
            return OutcomeUnknown(
                text, hint="It may have happened; it is looked up first.", details=details, request_ids=request_ids
            )
        return Unavailable(
            text, hint=hint, retry_after_s=refusal.retry_after_s, details=details, request_ids=request_ids
        )
    return kind(text, hint=hint, details=details, request_ids=request_ids)


def _classify(refusal: Refusal) -> tuple[type[ClosedwonError], str]:
    if refusal.status == 429:  # noqa: PLR2004 - HTTP's own number
        return Throttled, ""
    if refusal.code in _BY_CODE:
        return _BY_CODE[refusal.code]
    if not refusal.envelope and refusal.status in {301, 302, 303, 307, 308, 404, 405}:
        return Misconfigured, "No Web API answers there. Check `url` and `api_version` of the connection."
    if refusal.status in _BY_STATUS:
        return _BY_STATUS[refusal.status]
    if refusal.status >= 500:  # noqa: PLR2004 - HTTP's own number
        return Unavailable, HINT_LATER
    return Rejected, HINT_RECORD


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None

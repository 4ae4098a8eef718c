"""What each answer of Xero means for us: one table from status to error class, one from sentence to kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from closedwon.connectors.limits import TOO_MANY_REQUESTS, problem_window, retry_after_s
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.mappings.wire import ZERO_ID
from closedwon.kernel.errors import (
    AuthExpired,
    ClosedwonError,
    ConsentRevoked,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Retryable,
    Throttled,
    Unavailable,
)
from closedwon.kernel.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from closedwon.kernel.http import Answer

UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
REQUEST_TIMEOUT = 408
NOT_IMPLEMENTED = 501
SUCCESS = range(200, 300)
NOT_MODIFIED = 304
CLIENT_FAULTS = range(400, 500)
OTHER = "other"
# Xero's own pages spell it both ways.
SCOPE_WORDS = ("insufficient_scope", "insufficent_scope", "authorizationunsuccessful")
SAME_KEY_WORDS = "is used with a different request"
MAX_DEPTH = 5


def error_of(answer: Answer, *, writes: bool) -> ClosedwonError | None:
    """Return the error an answer stands for, None for success.

    A fault of the server after a write leaves the outcome unknown; every answer below 500 says that nothing was done.
    """
    status = answer.status
    if status in SUCCESS or (status == NOT_MODIFIED and not writes):
        return None
    if status == TOO_MANY_REQUESTS:
        return _throttled(answer)
    if status in {UNAUTHORIZED, FORBIDDEN}:
        return _not_let_in(answer)
    if status == NOT_IMPLEMENTED or (status in CLIENT_FAULTS and status != REQUEST_TIMEOUT):
        return _refused(answer)
    if status < CLIENT_FAULTS.start:
        return _failed(Unavailable, answer, "Check api_url in closedwon.yaml: something else than Xero answers there.")
    if writes:
        return _failed(OutcomeUnknown, answer, "It may have happened. Look it up in Xero before sending again.")
    return _failed(Unavailable, answer, "Xero has a fault or is down; this is tried again by itself.")


def token_is_stale(answer: Answer) -> bool:
    """Tell whether a fresh token would help: refused, but not for want of a scope."""
    return answer.status == UNAUTHORIZED and not _lacks_scope(answer)


def element_error(element: Mapping[str, Any], noun: str, request_ids: tuple[str, ...]) -> Rejected | None:
    """Return why Xero refused one element of a batch, None when it took it."""
    messages = list(dict.fromkeys(_messages(element)))
    refused = (
        str(element.get("StatusAttributeString") or "").upper() == "ERROR"
        or element.get("HasErrors") is True
        or element.get("HasValidationErrors") is True
        or bool(messages)
    )
    return _rejected(noun, messages, request_ids) if refused else None


def is_saved(identifier: object) -> bool:
    """Tell whether an element carries the id of something that exists."""
    return isinstance(identifier, str) and identifier not in {"", ZERO_ID}


def classify(messages: list[str]) -> tuple[str, dict[str, str], str]:
    """Return the kind of a refusal, the values found in its sentences, and a hint for people.

    Kinds are account_code, tax_type, contact_name_taken, contact_number_taken, contact_archived, currency, lock_date,
    line_total, number_taken and other.
    """
    for known in manifest().messages:
        for message in messages:
            if (values := known.search(message)) is not None:
                return known.kind, values, known.hint
    return OTHER, {}, "Correct what Xero names and try again."


def _rejected(noun: str, messages: list[str], request_ids: tuple[str, ...]) -> Rejected:
    kind, values, hint = classify(messages)
    shown = " ".join(messages) or "it gave no reason"
    return Rejected(
        f"Xero refused the {noun}: {shown}",
        hint=hint,
        details={**values, "messages": messages, "kind": kind},
        request_ids=request_ids,
    )


def _messages(element: Any, depth: int = 0) -> Iterator[str]:
    """Find the validation messages of an element and of everything nested in it, such as its lines."""
    if depth > MAX_DEPTH:
        return
    if isinstance(element, list):
        for entry in element:
            yield from _messages(entry, depth + 1)
    if not isinstance(element, dict):
        return
    for error in element.get("ValidationErrors") or ():
        text = error.get("Message") or error.get("Description") if isinstance(error, dict) else None
        if isinstance(text, str) and text.strip():
            yield redact(text.strip())
    for name, value in element.items():
        if name not in {"ValidationErrors", "Warnings"}:
            yield from _messages(value, depth + 1)


def _refused(answer: Answer) -> ClosedwonError:
    document = _document(answer)
    messages = list(dict.fromkeys(_messages(document.get("Elements"))))
    if not messages:
        messages = [text for text in (_text(document, "Message", "Detail"),) if text]
    if any(SAME_KEY_WORDS in message for message in messages):
        return OutcomeUnknown(
            "Xero knows this request's key from a different request, sent minutes ago.",
            hint="Look up what the first one did before sending again.",
            details={"messages": messages, "answered": True},
            request_ids=answer.request_ids,
        )
    error = _rejected("request", messages or [f"HTTP {answer.status}: {answer.quote()}".strip()], answer.request_ids)
    error.details.update(status=answer.status, type=_text(document, "Type"))
    return error


def _not_let_in(answer: Answer) -> ClosedwonError:
    details = {"status": answer.status, "detail": _text(_document(answer), "Detail", "Message")}
    rest: dict[str, Any] = {"details": details, "request_ids": answer.request_ids}
    if _lacks_scope(answer):
        hint = "Give the app the scope in Xero's developer portal, name it in auth.scopes, and connect again."
        return PermissionMissing("Xero says that the app lacks a scope for this call.", hint=hint, **rest)
    if answer.status == FORBIDDEN:
        hint = "Check `organisation` in closedwon.yaml; if somebody disconnected the app in Xero, connect again."
        return ConsentRevoked("Xero does not let the app into the organisation.", hint=hint, **rest)
    hint = "Run `closedwon check`; if it stays, connect again."
    return AuthExpired("Xero does not accept our access token, not even a fresh one.", hint=hint, **rest)


def _lacks_scope(answer: Answer) -> bool:
    said = answer.headers.get("www-authenticate", "") + answer.body[:2000].decode("utf-8", "replace")
    return any(word in said.lower() for word in SCOPE_WORDS)


def _throttled(answer: Answer) -> Throttled:
    window = problem_window(answer.headers)
    return Throttled(
        f"Xero's limit of calls ({window}) is used up.",
        hint="Nothing to do: the work goes on by itself. If it stays, another program uses the same app.",
        details={"window": window},
        retry_after_s=retry_after_s(answer.headers),
        request_ids=answer.request_ids,
    )


def _failed(error_class: type[ClosedwonError], answer: Answer, hint: str) -> ClosedwonError:
    wait = {"retry_after_s": retry_after_s(answer.headers)} if issubclass(error_class, Retryable) else {}
    return error_class(
        f"Xero answered HTTP {answer.status}.",
        hint=hint,
        details={"status": answer.status, "body": answer.quote()},
        request_ids=answer.request_ids,
        **wait,
    )


def _document(answer: Answer) -> dict[str, Any]:
    """Return the body where it is a JSON object; error bodies often are not."""
    try:
        document = answer.json()
    except Unavailable:
        return {}
    return document if isinstance(document, dict) else {}


def _text(document: Mapping[str, Any], *names: str) -> str:
    """Find a member whatever its case, as Xero's spelling varies."""
    wanted = [name.lower() for name in names]
    found = {str(name).lower(): value for name, value in document.items()}
    return next((redact(found[name])[:500] for name in wanted if isinstance(found.get(name), str) and found[name]), "")

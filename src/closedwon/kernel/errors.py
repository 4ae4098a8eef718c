"""Every error we raise on purpose. The class says what the engine does next.

ClosedwonError
├── Retryable              tries again, see engine/retry.py
│   ├── Throttled          waits as told, no attempt counted
│   ├── Unavailable        the other side could not be reached or answered with a fault of its own
│   └── VersionConflict    somebody else changed the record; read again
├── OutcomeUnknown         a write was sent and no answer came; look it up before anything else
├── NeedsReview            parks the run and opens one review item
│   ├── MappingFailed      the record lacks something or contradicts itself
│   ├── NoMatch            nothing fits
│   ├── AmbiguousMatch     several records fit
│   ├── Rejected           the vendor refused the payload
│   ├── Drift              both sides differ and no rule says who is right
│   └── Exhausted          retried as often as allowed
├── NotConnected           pauses the connection, one item for all its runs
│   ├── AuthExpired        the credentials are no longer accepted
│   ├── ConsentRevoked     the organisation or environment cut us off
│   ├── PermissionMissing  a right or scope is missing
│   └── NotSubscribed      the vendor's plan lacks what we need
└── Misconfigured          pauses the integration
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ClosedwonError(Exception):
    """An error with a stable code, a text for people, a hint (the next step) and details for machines.

    `code` is stable and documented; `request_ids` are the vendor's, for their support desk. Details never hold secrets.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        text: str,
        *,
        hint: str = "",
        details: Mapping[str, Any] | None = None,
        request_ids: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.request_ids = tuple(request_ids)

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain JSON values, for storage, the API and `--json`."""
        return {
            "code": self.code,
            "text": self.text,
            "hint": self.hint,
            "details": self.details,
            "request_ids": list(self.request_ids),
        }


class Retryable(ClosedwonError):  # noqa: N818 - the class names what happens next, see the tree above
    """The machine tries again; `retry_after_s` (seconds) is what the vendor asked for, None when it said nothing."""

    code = "retryable"

    def __init__(self, text: str, *, retry_after_s: float | None = None, **rest: Any) -> None:
        super().__init__(text, **rest)
        self.retry_after_s = retry_after_s


class Throttled(Retryable):
    """A budget is used up, ours or the vendor's. `details["window"]` is concurrent, minute, day or app."""

    code = "throttled"


class Unavailable(Retryable):
    """The other side cannot be reached or failed; nothing was changed there by this call."""

    code = "unavailable"


class VersionConflict(Retryable):
    """The record changed between our read and our write."""

    code = "version_conflict"


class OutcomeUnknown(ClosedwonError):  # noqa: N818
    """A write was sent and its answer is lost: it may or may not have happened."""

    code = "outcome_unknown"


class NeedsReview(ClosedwonError):  # noqa: N818
    """A person must decide; the run is parked with one review item."""

    code = "needs_review"


class MappingFailed(NeedsReview):
    """The record cannot become a correct document; `details["problems"]` lists every reason at once."""

    code = "mapping_failed"


class NoMatch(NeedsReview):
    """No record of the other side fits and none may be created."""

    code = "no_match"


class AmbiguousMatch(NeedsReview):
    """Several records fit, or one fits only in part; `details["candidates"]` lists them with reasons."""

    code = "ambiguous_match"


class Rejected(NeedsReview):
    """The vendor refused the payload; `details["messages"]` are its words."""

    code = "rejected"


class Drift(NeedsReview):
    """The two sides differ and no rule says who is right."""

    code = "drift"


class Exhausted(NeedsReview):
    """Every allowed attempt failed."""

    code = "exhausted"


class NotConnected(ClosedwonError):  # noqa: N818
    """The connection cannot be used until a person does something."""

    code = "not_connected"


class AuthExpired(NotConnected):
    """The credentials are wrong or no longer accepted."""

    code = "auth_expired"


class ConsentRevoked(NotConnected):
    """The organisation or environment no longer lets us in."""

    code = "consent_revoked"


class PermissionMissing(NotConnected):
    """A privilege or scope is missing."""

    code = "permission_missing"


class NotSubscribed(NotConnected):
    """The vendor's plan does not include what is needed."""

    code = "not_subscribed"


class Misconfigured(ClosedwonError):  # noqa: N818
    """The configuration is wrong; `details["problems"]` lists what and where."""

    code = "misconfigured"

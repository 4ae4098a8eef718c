"""One call to Xero: budget, token, organisation, sending, and what the answer means."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from closedwon import __version__
from closedwon.connectors.xero.errors import NOT_MODIFIED, error_of, token_is_stale
from closedwon.connectors.xero.manifest import manifest
from closedwon.connectors.xero.mappings.wire import ConnectionRow, parse_moment, parse_row, render_modified_since
from closedwon.kernel.errors import Misconfigured, OutcomeUnknown, Unavailable
from closedwon.kernel.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from closedwon.connectors.oauth import TokenSource
    from closedwon.connectors.registry import Equipment
    from closedwon.kernel.http import Answer

ACCOUNTING = "/api.xro/2.0/"
CONNECTIONS = "/connections"
HEADERS = {"accept": "application/json", "user-agent": f"closedwon/{__version__}"}
# Commas separate ids; the rest of a filter is percent-encoded.
SAFE_CHARS = ","


@dataclass(frozen=True, slots=True)
class Page:
    """A parsed answer and the ids to quote to the vendor's support."""

    document: dict[str, Any]
    request_ids: tuple[str, ...]


class XeroClient:
    """Makes calls for one connection.

    Without `organisation` it asks Xero once which one the token reaches, unless the token is `bound` to one anyway.
    """

    def __init__(
        self, equipment: Equipment, tokens: TokenSource, *, api_url: str, organisation: str = "", bound: bool = False
    ) -> None:
        self._http = equipment.http
        self._clock = equipment.clock
        self._budget = equipment.budget
        self._tokens = tokens
        self._api_url = api_url.rstrip("/")
        self._organisation = organisation
        self._bound = bound
        self._skew = timedelta(0)

    def get(
        self, path: str, params: Mapping[str, str] | None = None, *, modified_since: datetime | None = None
    ) -> Page:
        """Fetch from an accounting path. One call, two when the token had to be renewed on the way."""
        headers = self._tenant_headers()
        if modified_since is not None:
            headers["if-modified-since"] = render_modified_since(modified_since)
        answer = self._call("GET", ACCOUNTING + path, params or {}, headers, None)
        if answer.status == NOT_MODIFIED:
            return Page({path: []}, answer.request_ids)
        return self._page(answer)

    def put(self, path: str, params: Mapping[str, str], document: dict[str, Any], idempotency_key: str) -> Page:
        """Create records at an accounting path. One call, two when the token had to be renewed on the way.

        *Raises* OutcomeUnknown when Xero may have created them without our learning of it.
        """
        headers = self._tenant_headers() | {"content-type": "application/json"}
        headers["idempotency-key"] = self._scoped_key(idempotency_key)
        answer = self._call("PUT", ACCOUNTING + path, params, headers, encode(document))
        with UnreadableMeansUnknown(answer.request_ids):
            return self._page(answer)

    def only_connection(self) -> ConnectionRow:
        """Fetch the organisation that the token reaches. One call. *Raises* Misconfigured unless it is exactly one."""
        rows = self._call("GET", CONNECTIONS, {}, {}, None).json()
        if not isinstance(rows, list):
            raise Unavailable("Xero answered without a list of connections.", hint="Check api_url in closedwon.yaml.")
        return _only([parse_row(row, "connections", ConnectionRow) for row in rows])

    def organisation_id(self) -> str:
        """Return the configured organisation, else the only one the token reaches. At most one call, once."""
        if not self._organisation:
            self._organisation = self.only_connection().tenant_id
        return self._organisation

    def now(self) -> datetime:
        """Return the time by Xero's clock, as far as an answer has told it."""
        return self._clock.now() + self._skew

    @property
    def skew(self) -> timedelta:
        """Return how far Xero's clock is ahead of ours, zero before the first answer."""
        return self._skew

    def _tenant_headers(self) -> dict[str, str]:
        if self._bound and not self._organisation:
            return {}
        return {"xero-tenant-id": self.organisation_id()}

    def _scoped_key(self, key: str) -> str:
        """Make a key unique within the whole app, as Xero keeps keys by app and not by organisation."""
        scoped = f"{self._organisation}/{key}"
        longest = manifest().idempotency_key_max_chars
        return scoped if len(scoped) <= longest else hashlib.sha256(scoped.encode()).hexdigest()

    def _call(
        self, method: str, path: str, params: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        url = (
            self._api_url + quote(path) + ("?" + urlencode(params, safe=SAFE_CHARS, quote_via=quote) if params else "")
        )
        answer, token = self._send(method, url, headers, body)
        if token_is_stale(answer):  # refused before anything was done, so it may be sent again
            self._tokens.reject(token)
            answer, _ = self._send(method, url, headers, body)
        error = error_of(answer, writes=body is not None)
        if error is not None:
            raise error
        return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tuple[Answer, str]:
        """Send once the budget allows, with a token taken then: it could end while one waits."""
        self._budget.acquire()
        status, answer_headers = 0, dict[str, str]()
        try:
            token = self._tokens.bearer()
            dressed = {**HEADERS, **headers, "authorization": f"Bearer {token}"}
            answer = self._http.send(method, url, headers=dressed, body=body)
            status, answer_headers = answer.status, dict(answer.headers)
        finally:
            self._budget.learn(status, answer_headers)
        return answer, token

    def _page(self, answer: Answer) -> Page:
        document = answer.json()
        if not isinstance(document, dict):
            raise Unavailable("Xero answered with something else than an object.", request_ids=answer.request_ids)
        told = document.get("DateTimeUTC")
        moment = parse_moment(told) if isinstance(told, str) else None
        if moment is not None:
            self._skew = moment - self._clock.now()
        return Page(document, answer.request_ids)


class UnreadableMeansUnknown:
    """Inside this block an answer that cannot be read leaves the outcome of the write unknown."""

    def __init__(self, request_ids: tuple[str, ...]) -> None:
        self._request_ids = request_ids

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Unavailable):
            raise OutcomeUnknown(
                f"Xero took the request, but its answer is of no use: {error.text}",
                hint="It has probably happened. Look it up in Xero before sending again.",
                details=error.details,
                request_ids=self._request_ids,
            ) from None


def _only(rows: list[ConnectionRow]) -> ConnectionRow:
    organisations = [row for row in rows if row.tenant_type in {"", "ORGANISATION"}]
    if len(organisations) != 1:
        listed = ", ".join(f"{row.tenant_id} ({row.tenant_name})" for row in organisations) or "none"
        raise Misconfigured(
            f"The sign-in reaches {len(organisations)} organisations, so it is not clear which one is meant: {listed}.",
            hint="Set `organisation` to one of these ids; where there is none, have the app connected in Xero.",
        )
    return organisations[0]

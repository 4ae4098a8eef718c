"""One call to the Web API: address, token, budget, headers, and the errors that can come of it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from closedwon.connectors.dynamics.batch import Part, decode_batch, encode_batch
from closedwon.connectors.dynamics.errors import HINT_LATER, open_error, parse_refusal
from closedwon.connectors.dynamics.mappings.rows import NEXT_LINK
from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.connectors.oauth import TokenEndpoint, TokenSource
from closedwon.kernel.errors import ClosedwonError, Misconfigured, OutcomeUnknown, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from closedwon.connectors.dynamics.batch import Item, ItemAnswer, PartAnswer
    from closedwon.connectors.dynamics.settings import DynamicsSettings
    from closedwon.connectors.port import Token
    from closedwon.connectors.registry import Equipment
    from closedwon.kernel.http import Answer

UNAUTHORIZED = 401
UNKNOWN_ENVIRONMENT = "invalid_resource"  # the sign-in server's word for an address it has no environment at
MAX_PAGES = 10_000  # a link that leads back to itself must not keep us for ever
ODATA_HEADERS = {"Accept": "application/json", "OData-Version": "4.0", "OData-MaxVersion": "4.0"}


class DataverseClient:
    """Calls one environment's Web API as its application user."""

    def __init__(self, settings: DynamicsSettings, equipment: Equipment) -> None:
        self._settings = settings
        self._http = equipment.http
        self._budget = equipment.budget
        auth = settings.auth
        endpoint = TokenEndpoint(
            equipment.http,
            equipment.clock,
            settings.token_url,
            auth.client_id,
            auth.client_secret,
            method="client_secret_post",
        )

        def fetch(_: Token | None) -> Token:
            try:
                return endpoint.client_credentials(scope=f"{settings.origin}/.default")
            except Unavailable as error:
                if error.details.get("error") != UNKNOWN_ENVIRONMENT:
                    raise
                hint = "Check `url` of the connection and `auth.directory`: the one must belong to the other."
                raise Misconfigured(error.text, hint=hint, details=error.details) from None

        self._tokens = TokenSource(equipment.tokens, equipment.clock, fetch)

    def path(self, resource: str) -> str:
        """Return the path on the host of something below the Web API's root."""
        return f"{self._settings.api_path}/{resource}"

    def own_path(self, link: str) -> str:
        """Return what follows the host in a link the environment gave us. *Raises* Misconfigured for another host."""
        parts, own = urlsplit(link), urlsplit(self._settings.origin)
        if (parts.scheme, _plain(parts.netloc)) != (own.scheme, _plain(own.netloc)):
            raise Misconfigured(
                f"Dynamics answered with a link to {parts.scheme}://{parts.netloc}, not to {self._settings.origin}.",
                hint="Set `url` of the connection to the address the environment itself uses.",
            )
        return link[link.index(parts.netloc) + len(parts.netloc) :]

    def get(self, path: str, what: str, *, prefer: str = "") -> Answer:
        """Read one page or record. One call. *Raises* what `open_error` makes of a refusal."""
        headers = {"If-None-Match": "null", **({"Prefer": prefer} if prefer else {})}
        answer = self._send("GET", path, headers, None, writes=False)
        return self._expect(answer, what, wrote=False)

    def get_page(self, path: str, what: str, *, prefer: str = "") -> dict[str, Any]:
        """Read one page and see that it is one. One call. *Raises* Unavailable for anything else."""
        answer = self.get(path, what, prefer=prefer)
        page = answer.json()
        if not isinstance(page, dict) or not isinstance(page.get("value"), list):
            raise unreadable(what, "no list of rows", request_ids=answer.request_ids)
        return page

    def get_rows(self, path: str, what: str, *, prefer: str = "") -> list[dict[str, Any]]:
        """Read a list to its end. One call for each page of 5,000 rows."""
        rows: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            page = self.get_page(path, what, prefer=prefer)
            rows += page["value"]
            if not page.get(NEXT_LINK):
                return rows
            path = self.own_path(str(page[NEXT_LINK]))
        raise unreadable(what, "pages without end")

    def send_batch(self, items: Sequence[Item], what: str, *, writes: bool) -> list[ItemAnswer]:
        """Send all items as one `$batch` that goes on after errors; return an answer for each. One call.

        *Raises* OutcomeUnknown when writes were sent and the answer cannot be read, Unavailable for reads.
        """
        content_type, body = encode_batch(items, f"batch_{uuid.uuid4().hex}")
        headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
        answer = self._send("POST", self.path("$batch"), headers, body, writes=writes)
        multipart = answer.headers.get("content-type", "").lower().startswith("multipart/mixed")
        if not multipart:  # refused as a whole, or answered by something that is not Dataverse
            self._expect(answer, what, wrote=writes)
        try:
            answers = decode_batch(answer.headers.get("content-type", ""), answer.body)
            if len(answers) != len(items):
                raise ValueError(f"{len(answers)} answers to {len(items)} requests")  # noqa: TRY301 - one way out
        except ValueError as error:
            raise unreadable(what, str(error), wrote=writes, request_ids=answer.request_ids) from None
        return answers

    def read_batch(self, resources: Sequence[str], what: str) -> list[PartAnswer]:
        """Read several things below the Web API's root in one call; each answer may be a refusal of its own."""
        items = [(Part("GET", self.path(path)),) for path in resources]
        return [item[0] for item in self.send_batch(items, what, writes=False)]

    def _expect(self, answer: Answer, what: str, *, wrote: bool) -> Answer:
        if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's own numbers
            return answer
        refusal = parse_refusal(answer.status, answer.headers, answer.body)
        raise open_error(refusal, what, wrote=wrote, request_ids=answer.request_ids)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, *, writes: bool) -> Answer:
        token = self._tokens.bearer()
        answer = self._call(method, path, headers, body, token, writes=writes)
        if answer.status != UNAUTHORIZED:
            return answer
        self._tokens.reject(token)  # refused before its time: nothing happened, so once more with a new one
        return self._call(method, path, headers, body, self._tokens.bearer(), writes=writes)

    def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, token: str, *, writes: bool
    ) -> Answer:
        self._budget.acquire()
        status, heard = 0, {}
        try:
            answer = self._http.send(
                method,
                self._settings.origin + path,
                headers={**ODATA_HEADERS, **headers, "Authorization": f"Bearer {token}"},
                body=body,
                timeout_s=MANIFEST.timeouts.call_s,
                writes=writes,
            )
            status, heard = answer.status, dict(answer.headers)
            return answer
        finally:
            self._budget.learn(status, heard)


def error_of(answer: PartAnswer, what: str, *, create: bool = False) -> ClosedwonError:
    """Return the error that one refused part of a batch stands for."""
    refusal = parse_refusal(answer.status, answer.headers, answer.body)
    request_id = answer.headers.get("x-ms-service-request-id") or answer.headers.get("req_id")
    return open_error(refusal, what, wrote=False, create=create, request_ids=(request_id,) if request_id else ())


def unreadable(what: str, reason: str, *, wrote: bool = False, request_ids: Sequence[str] = ()) -> ClosedwonError:
    """Return the error for an answer that says success in a form nobody can read."""
    text = f"Dynamics gave an unreadable answer when asked to {what}: {reason}"
    if wrote:
        return OutcomeUnknown(text, hint="It may have happened; it is looked up first.", request_ids=request_ids)
    return Unavailable(text, hint=HINT_LATER, request_ids=request_ids)


def _plain(host: str) -> str:
    """Return a host without the infix that tells the vendor's two names of one environment apart."""
    return host.lower().replace(".api.", ".", 1)

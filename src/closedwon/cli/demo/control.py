"""Talks to the sandbox: its control plane, and both vendors' APIs with the tokens that are meant for tools."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from closedwon.connectors.dynamics.batch import Part, decode_batch, encode_batch
from closedwon.kernel.errors import ClosedwonError
from closedwon.kernel.exact_json import encode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from closedwon.connectors.dynamics.batch import PartAnswer
    from closedwon.kernel.http import HttpClient

FIRST_REFUSAL = 300  # statuses from here on are none of success
PARTS_PER_BATCH = 100
CRM_PATH = "/api/data/v9.2/"
BOOKS_PATH = "/api.xro/2.0/"


@dataclass(slots=True)
class Sandbox:
    """The running sandbox as sandbox.json describes it."""

    info: dict[str, Any]
    http: HttpClient

    @property
    def organisation_id(self) -> str:
        """Return the id of the Xero organisation."""
        return str(self.info["xero"]["organisations"][0]["id"])

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Ask the control plane."""
        return self._ask(method, f"{self.info['control']}/{path}", {}, document)

    def state(self) -> dict[str, Any]:
        """Return everything that both systems hold."""
        return dict(self.control("GET", "state"))

    def crm(self, method: str, path: str, document: Any = None) -> Any:
        """Call the CRM's API."""
        url = f"{self.info['dynamics']['url']}{CRM_PATH}{path.replace(' ', '%20')}"
        return self._ask(method, url, {"authorization": f"Bearer {self.info['dynamics']['token']}"}, document)

    def crm_batch(self, requests: Sequence[tuple[str, str, Any]]) -> None:
        """Make many CRM requests in as few calls as possible. *Raises* ClosedwonError if one fails."""
        for start in range(0, len(requests), PARTS_PER_BATCH):
            items = [
                (Part(method, CRM_PATH + path, body),)
                for method, path, body in requests[start : start + PARTS_PER_BATCH]
            ]
            content_type, body = encode_batch(items, f"demo_{uuid.uuid4().hex}")
            headers = {"authorization": f"Bearer {self.info['dynamics']['token']}", "content-type": content_type}
            answer = self.http.send(
                "POST", f"{self.info['dynamics']['url']}{CRM_PATH}$batch", headers=headers, body=body
            )
            _refuse_failures([one for (one,) in decode_batch(answer.headers.get("content-type", ""), answer.body)])

    def books(self, method: str, path: str, document: Any = None) -> Any:
        """Call the accounting API."""
        headers = {
            "authorization": f"Bearer {self.info['xero']['token']}",
            "accept": "application/json",
            "xero-tenant-id": self.organisation_id,
        }
        return self._ask(method, f"{self.info['xero']['api_url']}{BOOKS_PATH}{path}", headers, document)

    def _ask(self, method: str, url: str, headers: dict[str, str], document: Any) -> Any:
        body = None if document is None else encode(document)
        named = headers if body is None else {**headers, "content-type": "application/json"}
        answer = self.http.send(method, url, headers=named, body=body)
        if answer.status >= FIRST_REFUSAL:
            raise ClosedwonError(f"the sandbox refused {method} {url}: HTTP {answer.status}, {answer.quote()}")
        return answer.json() if answer.body else None


def open_sandbox(description: Path, http: HttpClient) -> Sandbox:
    """Read sandbox.json."""
    return Sandbox(json.loads(description.read_text("utf-8")), http)


def _refuse_failures(answers: Sequence[PartAnswer]) -> None:
    for answer in answers:
        if not answer.ok:
            raise ClosedwonError(f"the sandbox refused a request: HTTP {answer.status}, {answer.body[:300]!r}")

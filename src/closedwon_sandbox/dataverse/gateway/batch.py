"""`$batch`: parts in order, change sets as one transaction, Content-ID references. Source: reference section 8."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse.api.wire import json_reply
from closedwon_sandbox.dataverse.errors import DataverseError
from closedwon_sandbox.dataverse.odata.options import parse_prefer
from closedwon_sandbox.exchange import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from closedwon_sandbox.dataverse.environment import Environment

    Handler = Callable[[Request], Reply]

MAX_REQUESTS = 1000
MAX_URL = 65_536
_CRLF = b"\r\n"
_BOUNDARY = re.compile(r'boundary\s*=\s*"?([^";,]+)"?', re.IGNORECASE)
_REFERENCE = re.compile(rb"\$(\d+)(?=[/\"'?\s)]|$)")
_FAILED = 400


@dataclass(frozen=True, slots=True)
class _Part:
    """One request of a batch, or the requests of a change set."""

    request: Request | None
    content_id: str | None = None
    members: tuple[_Part, ...] = ()


class _FailedPartError(Exception):
    """A member of a change set was refused, so all of it is undone."""

    def __init__(self, reply: Reply, content_id: str | None) -> None:
        super().__init__()
        self.reply = reply
        self.content_id = content_id


class Batch:
    """One batch request. `handler` answers a single request and never raises."""

    def __init__(self, env: Environment, request: Request, handler: Handler) -> None:
        self._env = env
        self._request = request
        self._handler = handler
        self._goes_on = parse_prefer(request.headers.get("prefer", "")).continue_on_error

    def answer(self) -> Reply:
        """Run the parts. *Raises* DataverseError (400) when the batch itself cannot be read."""
        if self._request.method != "POST":
            raise DataverseError(
                405, "0x8004023b", f"The requested resource does not support http method '{self._request.method}'."
            )
        parts = self._parse()
        replies: list[bytes] = []
        status = 200
        for part in parts:
            rendered, failed = self._run(part)
            replies.append(rendered)
            if failed and not self._goes_on:
                status = failed
                break
        boundary = f"batchresponse_{uuid.uuid4()}"
        return Reply(
            status,
            _join(boundary, replies),
            {"Content-Type": f"multipart/mixed; boundary={boundary}", "OData-Version": "4.0"},
        )

    # -- reading

    def _parse(self) -> list[_Part]:
        match = _BOUNDARY.search(self._request.headers.get("content-type", ""))
        if match is None or "multipart/mixed" not in self._request.headers.get("content-type", "").lower():
            raise _unreadable("The content type of a batch must be 'multipart/mixed' with a boundary.")
        if _CRLF not in self._request.body:
            raise _unreadable("Stream was not readable.")
        parts = [
            self._part(headers, body, inside=False) for headers, body in _split(self._request.body, match[1].strip())
        ]
        count = sum(len(part.members) or 1 for part in parts)
        if count > MAX_REQUESTS:
            raise DataverseError(
                400,
                "0x80060888",
                f"The batch contains too many operations. Only {MAX_REQUESTS} requests are allowed in a batch.",
            )
        return parts

    def _part(self, headers: Mapping[str, str], body: bytes, *, inside: bool) -> _Part:
        kind = headers.get("content-type", "")
        if kind.lower().startswith("multipart/mixed"):
            match = _BOUNDARY.search(kind)
            if inside or match is None:
                raise _unreadable("A change set cannot hold another one, and needs a boundary.")
            members = [self._part(inner, content, inside=True) for inner, content in _split(body, match[1].strip())]
            return _Part(None, members=tuple(members))
        if not kind.lower().startswith("application/http"):
            raise _unreadable(f"The content type '{kind}' is not valid for a part of a batch.")
        return _Part(self._single(body), headers.get("content-id"))

    def _single(self, content: bytes) -> Request:
        head, _, body = content.partition(_CRLF + _CRLF)
        first, *lines = head.decode("utf-8", "replace").split("\r\n")
        words = first.split(" ")
        if len(words) < 3 or not words[-1].startswith("HTTP/"):  # noqa: PLR2004 - verb, address, version
            raise _unreadable(f"The request line '{first[:80]}' is not valid.")
        address, _, query = " ".join(words[1:-1]).partition("?")
        if len(address) + len(query) > MAX_URL:
            raise _unreadable("The request URI is too long.")
        own = _headers(lines)
        inherited = {
            name: self._request.headers[name]
            for name in ("authorization", "user-agent")
            if name in self._request.headers
        }
        return Request(
            words[0].upper(), address, query, {**inherited, **own}, body.removesuffix(_CRLF), self._request.base_url
        )

    # -- running

    def _run(self, part: _Part) -> tuple[bytes, int]:
        if part.request is not None:
            reply = self._handler(part.request)
            return _render(reply, part.content_id), reply.status if reply.status >= _FAILED else 0
        try:
            with self._env.operation():
                rendered = self._change_set(part.members)
        except _FailedPartError as failure:
            return _render(failure.reply, failure.content_id), failure.reply.status
        boundary = f"changesetresponse_{uuid.uuid4()}"
        head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
        return head + _join(boundary, rendered), 0

    def _change_set(self, members: tuple[_Part, ...]) -> list[bytes]:
        known: dict[bytes, bytes] = {}
        rendered = []
        for member in members:
            assert member.request is not None, "change sets do not nest"
            if member.request.method == "GET":
                refused = DataverseError(400, "0x80060888", "GET requests are not allowed in a change set.")
                raise _FailedPartError(json_reply(400, refused.envelope()), member.content_id)
            reply = self._handler(_with_references(member.request, known, member.content_id))
            if reply.status >= _FAILED:
                raise _FailedPartError(reply, member.content_id)
            if member.content_id is not None:
                known[member.content_id.encode()] = reply.headers.get("OData-EntityId", "").encode()
            rendered.append(_render(reply, member.content_id))
        return rendered


def _with_references(request: Request, known: Mapping[bytes, bytes], content_id: str | None) -> Request:
    def put_in(match: re.Match[bytes]) -> bytes:
        if match[1] not in known:
            text = f"Content-ID Reference: '${match[1].decode()}' does not exist in the batch context."
            raise _FailedPartError(json_reply(400, DataverseError(400, "0x80048d19", text).envelope()), content_id)
        return known[match[1]]

    path = request.raw_path
    if path.lstrip("/").startswith("$"):
        path = _REFERENCE.sub(put_in, path.lstrip("/").encode(), count=1).decode()
    return replace(request, raw_path=path, body=_in_strings(request.body, put_in))


def _in_strings(body: bytes, put_in: Callable[[re.Match[bytes]], bytes]) -> bytes:
    """Replace references where addresses stand: in binds and in `@odata.id`, not in ordinary texts."""
    pattern = re.compile(rb'(@odata\.(?:bind|id)"\s*:\s*")(\$\d+)')
    return pattern.sub(lambda found: found[1] + _REFERENCE.sub(put_in, found[2]), body)


def _unreadable(text: str) -> DataverseError:
    return DataverseError(400, "0x80048d19", f"Error identified in Payload provided by the user for Entity :'', {text}")


def _split(body: bytes, boundary: str) -> list[tuple[Mapping[str, str], bytes]]:
    marker = b"--" + boundary.encode()
    chunks = (_CRLF + body).split(_CRLF + marker)
    if len(chunks) < 2 or not chunks[-1].startswith(b"--"):  # noqa: PLR2004 - something before the first marker and the rest
        raise _unreadable("Stream was not readable: the closing boundary is missing.")
    parts: list[tuple[Mapping[str, str], bytes]] = []
    for chunk in chunks[1:-1]:
        head, gap, content = chunk.removeprefix(_CRLF).partition(_CRLF + _CRLF)
        if not gap:
            raise _unreadable("Stream was not readable: a part has no blank line after its headers.")
        parts.append((_headers(head.decode("utf-8", "replace").split("\r\n")), content))
    return parts


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _render(reply: Reply, content_id: str | None) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body


def _join(boundary: str, parts: list[bytes]) -> bytes:
    marker = f"--{boundary}".encode()
    return b"".join(marker + _CRLF + part + _CRLF for part in parts) + marker + b"--" + _CRLF

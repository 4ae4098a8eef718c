"""Many requests in one call: the multipart form of `$batch`, written and read. Pure.

A batch runs its parts in order. Parts of one item stand or fall together (a change set); items are independent.
*Source*: learn.microsoft.com, "Execute batch operations using the Web API", read 2026-11-22.
"""

from __future__ import annotations

import email
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closedwon.kernel.exact_json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message

EOL = "\r\n"  # anything else is refused by the vendor
_PART_HEADERS = ("Content-Type: application/http", "Content-Transfer-Encoding: binary")
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? +(\d{3})\b[^\r\n]*(?:\r?\n|$)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One request: its path on the host with the query already quoted, its headers, its JSON body."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """One answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Tell whether the request was done."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers

    def json(self) -> Any:
        """Parse the body, fractions as Decimal. *Raises* ValueError for anything but JSON."""
        return decode(self.body)


Item = tuple[Part, ...]
ItemAnswer = tuple[PartAnswer, ...]


def encode_batch(items: Sequence[Item], boundary: str) -> tuple[str, bytes]:
    """Return content type and body of a batch; an item of several parts becomes a change set."""
    blocks: list[bytes] = []
    content_id = 0
    for number, item in enumerate(items, start=1):
        if len(item) == 1:
            blocks.append(_block(boundary, item[0]))
            continue
        inner = f"set_{number}_{boundary}"  # never begins like the outer one: readers may compare beginnings
        blocks.append(_lines(f"--{boundary}", f'Content-Type: multipart/mixed; boundary="{inner}"', ""))
        for part in item:
            content_id += 1
            blocks.append(_block(inner, part, content_id))
        blocks.append(_lines(f"--{inner}--"))
    blocks.append(_lines(f"--{boundary}--"))
    return f'multipart/mixed; boundary="{boundary}"', b"".join(blocks)


def _block(boundary: str, part: Part, content_id: int | None = None) -> bytes:
    head = [f"--{boundary}", *_PART_HEADERS]
    if content_id is not None:
        head.append(f"Content-ID: {content_id}")
    head += ["", f"{part.method} {part.path} HTTP/1.1", "Accept: application/json"]
    head += [f"{name}: {value}" for name, value in part.headers.items()]
    if part.body is None:
        return _lines(*head, "", "")
    return _lines(*head, "Content-Type: application/json; charset=utf-8", "") + encode(part.body) + EOL.encode()


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}{EOL}" for line in lines).encode()


def decode_batch(content_type: str, body: bytes) -> list[ItemAnswer]:
    """Parse the answer: one tuple for each item, a failed change set being one part.

    *Raises* ValueError when it is not multipart, was cut off, or holds something else than HTTP answers.
    """
    if not content_type.lower().startswith("multipart/mixed"):
        raise ValueError(f"not a multipart answer but {content_type or 'without content type'}")
    head = f"Content-Type: {content_type}{EOL}{EOL}".encode("ascii", "replace")
    try:
        message = email.message_from_bytes(head + body)
        return [_item(part) for part in _members(message)]
    except RecursionError:  # the library descends into nested parts by recursion
        raise ValueError("nested too deep") from None


def _members(message: Message) -> list[Message]:
    if message.defects:
        raise ValueError(f"broken multipart: {type(message.defects[0]).__name__}")
    if not message.is_multipart():
        raise ValueError("no parts")
    return message.get_payload()  # type: ignore[return-value] # the library's types do not tell multiparts apart


def _item(message: Message) -> ItemAnswer:
    if message.get_content_maintype() == "multipart":
        return tuple(_answer(part) for part in _members(message))
    return (_answer(message),)


def _answer(message: Message) -> PartAnswer:
    raw = message.get_payload(decode=True)
    if message.defects or not isinstance(raw, bytes):
        raise ValueError("a part is no HTTP answer")
    match = _STATUS_LINE.match(raw.lstrip(b"\r\n"))
    if match is None:
        raise ValueError("a part is no HTTP answer")
    rest = raw.lstrip(b"\r\n")[match.end() :]
    if rest.startswith((b"\r\n", b"\n")):
        return PartAnswer(int(match[1]), {}, rest.strip())
    end = _HEAD_END.search(rest)
    head, content = (rest[: end.start()], rest[end.end() :]) if end else (rest, b"")
    return PartAnswer(int(match[1]), _headers(head), content.strip())


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("utf-8", "replace").splitlines() if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}

"""The vendor's facts, read once from manifest.yaml."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated

import msgspec
import yaml

Pattern = Annotated[str, "a regular expression"]


class VendorLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls in flight, a minute and a day."""

    concurrent: int
    minute: int
    day: int


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A refusal we know: what it is about, how to recognise it, what a person does about it."""

    kind: str
    pattern: Pattern
    hint: str

    def search(self, text: str) -> dict[str, str] | None:
        """Return the values found in a text, None when the text is something else."""
        found = re.search(self.pattern, text)
        return None if found is None else {name: value for name, value in found.groupdict().items() if value}


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything in manifest.yaml. *Units*: characters for `lengths`, bytes, seconds and calls as the names say."""

    limits: VendorLimits
    create_limit: int
    ids_per_fetch: int
    page_size: int
    body_max_bytes: int
    url_max_bytes: int
    idempotency_key_max_chars: int
    feed_overlap_s: int
    scopes: tuple[str, ...]
    lengths: dict[str, int]
    deep_link: str
    deep_link_without_code: str
    line_system_accounts: tuple[str, ...]
    messages: tuple[Message, ...]


@cache
def manifest() -> Manifest:
    """Return the facts."""
    text = files(__package__).joinpath("manifest.yaml").read_text(encoding="utf-8")
    return msgspec.convert(yaml.safe_load(text), Manifest)

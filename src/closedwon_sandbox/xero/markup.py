"""The XML form of an answer, which callers get who do not ask for JSON.

Only what is said in JSON is said here, with dates in ISO form; XML bodies are not read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from closedwon_sandbox.xero.books.shapes import Record

_MS_DATE: Final = re.compile(r"/Date\((-?\d+)(?:\+0000)?\)/")
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SINGULARS: Final = {
    "Addresses": "Address", "TrackingCategories": "TrackingCategory", "Currencies": "Currency",
    "Tracking": "TrackingCategory", "Elements": "DataContractBase",
}  # fmt: skip
_ONLY_IN_JSON: Final = frozenset({"DateString", "DueDateString", "UpdatedDateUTCString", "DateUTCString"})


def render_markup(root: str, document: Any) -> bytes:
    """Write a JSON-like document as XML under a root of that name."""
    tree = ET.Element(root)
    _fill(tree, document)
    body: bytes = ET.tostring(tree, encoding="utf-8", xml_declaration=True)
    return body


def _fill(parent: ET.Element, document: Record) -> None:
    for name, value in document.items():
        if name not in _ONLY_IN_JSON:
            _add(parent, name, value)


def _add(parent: ET.Element, name: str, value: Any) -> None:
    child = ET.SubElement(parent, name)
    if isinstance(value, dict):
        _fill(child, value)
    elif isinstance(value, list):
        for entry in value:
            _add(child, _SINGULARS.get(name, name.removesuffix("s")), entry)
    else:
        child.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if match := _MS_DATE.fullmatch(text):
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(match[1])):%Y-%m-%dT%H:%M:%S}"
    return _NOT_IN_XML.sub("", text)

"""The cross-reference between the two systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

RecordType = Literal["customer", "invoice"]


@dataclass(frozen=True, slots=True)
class Link:
    """This CRM record is that books record; one to one within an integration.

    For invoices `crm_id` is the deal's id, `crm_document` the CRM record that shows the invoice, and `snapshot` what
    that record was last made to show. `books_version` is the newest version of the invoice we have dealt with.
    """

    record_type: RecordType
    crm_id: str
    books_id: str
    books_number: str = ""
    crm_document: dict[str, Any] | None = None
    snapshot: dict[str, Any] | None = None
    books_version: str = ""

"""The plan: the writes one deal still needs, computed before any is made. Preview, review and tests share it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from closedwon.kernel.errors import ClosedwonError, MappingFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from closedwon.flows.invoicing import Draft
    from closedwon.links.link import Link
    from closedwon.model.customer import Customer
    from closedwon.model.invoice import BooksInvoice, Invoice
    from closedwon.model.opportunity import CrmDocument, Opportunity


@dataclass(slots=True)
class Plan:
    """One deal on its way to a paid invoice: what is known, what is still to be written.

    `contact_id` is empty while `new_contact` is to be created; `link` is there once the invoice exists; `stop` is why
    the plan cannot be carried out.
    """

    deal: Opportunity
    decision: Mapping[str, Any] = field(default_factory=dict)
    link: Link | None = None
    contact_id: str = ""
    contact_reason: str = ""
    new_contact: Customer | None = None
    adopt_contact: Customer | None = None  # a contact found by matching or decided by a person: link it
    invoice: Invoice | None = None
    notes: tuple[str, ...] = ()
    written: BooksInvoice | None = None  # the invoice as the books have it
    document: CrmDocument | None = None  # the CRM record that shows it
    stop: ClosedwonError | None = None

    def take_draft(self, draft: Draft, proposals: list[dict[str, Any]]) -> None:
        """Take over a drafted invoice, or the reasons against it."""
        self.invoice = draft.invoice
        self.notes = tuple(draft.notes)
        if draft.problems:
            first, *others = draft.problems
            more = f" (and {len(others)} more)" if others else ""
            self.stop = MappingFailed(
                first.text + more,
                hint=first.hint,
                details={
                    "problems": [
                        {"field": one.field, "rule": one.rule, "text": one.text, "hint": one.hint}
                        for one in draft.problems
                    ],
                    "proposals": proposals,
                },
            )


def own_document(deal: Opportunity, kind: str, books_id: str = "") -> CrmDocument | None:
    """Return the CRM record of a deal that shows this invoice, or that is free to show it."""
    fitting = [one for one in deal.documents if one.kind == kind and one.state != "cancelled"]
    for one in deal.documents:
        if books_id and one.books_id == books_id:
            return one
    return next((one for one in fitting if not one.books_id), None)

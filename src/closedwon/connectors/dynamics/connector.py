"""The Dynamics connector: the `Crm` port spoken to a Dataverse environment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from closedwon.connectors.dynamics import setup
from closedwon.connectors.dynamics.batch import Part
from closedwon.connectors.dynamics.changes import fetch_changes
from closedwon.connectors.dynamics.client import DataverseClient, error_of, unreadable
from closedwon.connectors.dynamics.mappings.deal import parse_document, parse_opportunity
from closedwon.connectors.dynamics.mappings.rows import (
    document_columns,
    known_ids,
    nested_links,
    opportunity_queries,
)
from closedwon.connectors.dynamics.mappings.writeback import expected_document, plan_writes
from closedwon.connectors.dynamics.settings import MANIFEST, DynamicsSettings
from closedwon.connectors.dynamics.webhooks import DynamicsWebhooks
from closedwon.connectors.port import Changes, Identity, Written
from closedwon.connectors.registry import ConnectorType, Equipment
from closedwon.kernel.errors import ClosedwonError, Misconfigured, OutcomeUnknown, Rejected, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from closedwon.connectors.dynamics.batch import Item, ItemAnswer, PartAnswer
    from closedwon.connectors.dynamics.settings import DocumentKind
    from closedwon.connectors.port import DocumentUpdate, Finding
    from closedwon.model.opportunity import CrmDocument, Opportunity

PREFER_ROW = "return=representation"
READ_DEALS, CREATE_DOCUMENT, UPDATE_DOCUMENT = "read opportunities", "create the CRM record", "update the CRM record"
READ_DOCUMENT = "read the CRM record"


class DataverseCrm:
    """A Dataverse environment with Dynamics 365 Sales, as the `Crm` port wants it."""

    create_limit = 200

    def __init__(self, settings: DynamicsSettings, equipment: Equipment) -> None:
        self._settings = settings
        self._client = DataverseClient(settings, equipment)
        self._clock = equipment.clock
        self.document_kind = settings.write_back
        self._facts = MANIFEST.documents[settings.write_back]

    def identify(self) -> Identity:
        """Fetch who we are there. One call."""
        answer = self._client.get(self._client.path("WhoAmI"), "say who we are")
        try:
            who = msgspec.convert(answer.json(), setup.WhoAmI)
        except ValueError as error:
            raise unreadable("say who we are", str(error), request_ids=answer.request_ids) from None
        return Identity(who.user_id, who.organization_id, setup.host_of(self._settings.base_url))

    def fetch_opportunities(self, ids: Sequence[str]) -> list[Opportunity]:
        """Fetch deals with lines, products, customer and the records that show the invoice, those that exist.

        One call for about 500 ids (as many as an address takes), and one for each page more of a deal's lines; none for
        texts that cannot be ids.
        """
        wanted = known_ids(ids)
        room = MANIFEST.limits.url_characters - len(self._settings.origin) - len(self._client.path("")) - 500
        found: dict[str, Opportunity] = {}
        queries = opportunity_queries(wanted, self._settings.write_back, self._settings.columns, room)
        for query in queries:
            for row in self._client.get_rows(self._client.path(query), READ_DEALS):
                deal = self._parse_deal(self._complete(row))
                found[deal.id.lower()] = deal
        return [found[one] for one in wanted if one in found]

    def _complete(self, row: dict[str, Any]) -> dict[str, Any]:
        """Read the rest of collections that were longer than a page. One call for each page."""
        for member, link in nested_links(row):
            rest = self._client.get_rows(self._client.own_path(link), READ_DEALS)
            row = {**row, member: [*row.get(member, []), *rest]}
        return row

    def _parse_deal(self, row: dict[str, Any]) -> Opportunity:
        try:
            return parse_opportunity(row, self._settings.write_back, self._settings.columns, self._settings.base_url)
        except ValueError as error:
            raise unreadable(READ_DEALS, str(error)) from None

    def fetch_changes(self, watermark: str) -> Changes:
        """Fetch which opportunities changed since a watermark; "" reads all. One call for 5,000 changes."""
        return fetch_changes(self._client, watermark)

    def create_invoices(self, opportunity_ids: Sequence[str]) -> list[Written[CrmDocument]]:
        """Create the record that shows the invoice from each deal: an invoice, or an order where that is configured.

        One call. *Raises* ValueError for more than `create_limit` ids.
        """
        if len(opportunity_ids) > self.create_limit:
            raise ValueError(f"{len(opportunity_ids)} records in one call; {self.create_limit} are allowed")
        if not self._facts.action:
            raise Misconfigured(
                "The deal itself shows its invoice (`write_back: opportunity`), so there is nothing to create.",
                hint="Set `write_back` to invoice or order, or sync the deal again.",
            )
        wanted = known_ids(opportunity_ids)
        answers: dict[str, ItemAnswer] = {}
        if wanted:
            items = [(self._create_part(one),) for one in wanted]
            answers = dict(zip(wanted, self._client.send_batch(items, CREATE_DOCUMENT, writes=True), strict=True))
        return [self._created(answers.get(one.lower()), one) for one in opportunity_ids]

    def _create_part(self, opportunity_id: str) -> Part:
        columns = document_columns(self._settings.write_back, self._settings.columns)
        body = {"OpportunityId": opportunity_id, "ColumnSet": {"Columns": columns}}
        return Part("POST", self._client.path(f"{self._facts.action}?tag={MANIFEST.write_tag}"), body)

    def _created(self, answer: ItemAnswer | None, opportunity_id: str) -> Written[CrmDocument]:
        if answer is None:
            return Written(error=Rejected(f"{opportunity_id!r} is no id of an opportunity."))
        if not answer[0].ok:
            return Written(error=error_of(answer[0], CREATE_DOCUMENT, create=True))
        document = self._parse_document(answer[0], self._settings.write_back)
        if document is None or not document.id:
            return Written(
                error=OutcomeUnknown("Dynamics created a record but does not say which.", hint="It is looked up.")
            )
        return Written(record=document)

    def update_documents(self, updates: Sequence[DocumentUpdate]) -> list[Written[CrmDocument]]:
        """Make CRM records show their invoice, writing only what differs. One call for about 300 records that differ.

        None when all show it already. The writes of one record are done together or not at all. Records that turn out
        to be in another state than we knew are read and written once more, all in two calls.
        """
        results = self._write(updates)
        stale = [number for number, result in enumerate(results) if isinstance(result.error, VersionConflict)]
        if stale:
            with suppress(ClosedwonError):  # what was done stays told; the conflict is then for the caller to retry
                renewed = self._reread([updates[number] for number in stale])
                for number, result in zip(stale, renewed, strict=True):
                    results[number] = result
        return results

    def _write(self, updates: Sequence[DocumentUpdate]) -> list[Written[CrmDocument]]:
        results = [Written(record=update.document) for update in updates]
        items = {number: self._update_item(update) for number, update in enumerate(updates)}
        for numbers in _groups({number: len(item) for number, item in items.items() if item}):
            batch = [items[number] for number in numbers]
            answers = self._client.send_batch(batch, UPDATE_DOCUMENT, writes=True)
            for number, answer in zip(numbers, answers, strict=True):
                results[number] = self._updated(updates[number], answer)
        return results

    def _reread(self, updates: Sequence[DocumentUpdate]) -> list[Written[CrmDocument]]:
        """Write these again on what their records have become meanwhile."""
        columns = [",".join(document_columns(update.document.kind, self._settings.columns)) for update in updates]
        records = [f"{_address(update)}?$select={names}" for update, names in zip(updates, columns, strict=True)]
        results: list[Written[CrmDocument]] = []
        known: list[DocumentUpdate] = []
        for update, answer in zip(updates, self._client.read_batch(records, READ_DOCUMENT), strict=True):
            document = self._parse_document(answer, update.document.kind) if answer.ok else None
            if document:
                known.append(replace(update, document=document))
                results.append(Written(record=document))
            elif answer.ok:
                results.append(Written(error=unreadable(READ_DOCUMENT, "no record of that kind")))
            else:
                results.append(Written(error=error_of(answer, READ_DOCUMENT)))
        written = iter(self._write(known))
        return [result if result.error else next(written) for result in results]

    def _update_item(self, update: DocumentUpdate) -> Item:
        bodies = plan_writes(update, self._settings.columns)
        columns = ",".join(document_columns(update.document.kind, self._settings.columns))
        record = f"{_address(update)}?tag={MANIFEST.write_tag}"
        parts = [Part("PATCH", self._client.path(record), body, {"If-Match": "*"}) for body in bodies[:-1]]
        if bodies:
            last = self._client.path(f"{record}&$select={columns}")
            parts.append(Part("PATCH", last, bodies[-1], {"If-Match": "*", "Prefer": PREFER_ROW}))
        return tuple(parts)

    def _updated(self, update: DocumentUpdate, answers: ItemAnswer) -> Written[CrmDocument]:
        refused = next((answer for answer in answers if not answer.ok), None)
        if refused is not None:
            return Written(error=error_of(refused, UPDATE_DOCUMENT))
        document = self._parse_document(answers[-1], update.document.kind) if answers else None
        return Written(record=document if document and document.id else expected_document(update))

    def _parse_document(self, answer: PartAnswer, kind: DocumentKind) -> CrmDocument | None:
        """Read the record out of the answer to a write; None when it holds none."""
        try:
            return parse_document(answer.json(), kind, self._settings.columns)
        except (ValueError, TypeError, AttributeError):
            return None

    def render_update(self, update: DocumentUpdate) -> dict[str, Any]:
        """Return what `update_documents` would send for one record, as plain JSON values (amounts as text)."""
        bodies = plan_writes(update, self._settings.columns)
        return {
            "record": _address(update),
            "writes": [{"method": "PATCH", "body": msgspec.to_builtins(body)} for body in bodies],
        }

    def ensure_webhooks(self, url: str, secret: str) -> list[str]:
        """Register the webhooks that are missing, repair those that differ; return what was done. Two calls."""
        return setup.ensure_webhooks(self._client, url, secret)

    def check(self, url: str) -> list[Finding]:
        """Look at everything the flows need. Two calls."""
        try:
            return setup.check(self._client, self._settings, self._clock, url)
        except ClosedwonError as error:
            return [setup.connection_failed(error)]


def _address(update: DocumentUpdate) -> str:
    return f"{MANIFEST.documents[update.document.kind].set}({update.document.id})"


def _groups(sizes: dict[int, int]) -> Iterator[list[int]]:
    """Split numbered items so that no group holds more requests than a batch may."""
    group: list[int] = []
    total = 0
    for number, size in sizes.items():
        if group and total + size > MANIFEST.limits.batch_requests:
            yield group
            group, total = [], 0
        group.append(number)
        total += size
    if group:
        yield group


def _build(settings: msgspec.Struct, equipment: Equipment) -> DataverseCrm:
    return DataverseCrm(cast("DynamicsSettings", settings), equipment)


DYNAMICS = ConnectorType(
    name="dynamics",
    side="crm",
    settings=DynamicsSettings,
    build=_build,
    webhooks=DynamicsWebhooks(),
    limits=DynamicsSettings.call_limits,
)

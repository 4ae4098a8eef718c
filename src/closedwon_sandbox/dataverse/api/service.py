"""Which part of the Web API answers a request: functions, actions, definitions or records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from closedwon_sandbox.dataverse import errors
from closedwon_sandbox.dataverse.api import metadata
from closedwon_sandbox.dataverse.api.resource import CRM, Resource
from closedwon_sandbox.dataverse.api.wire import json_reply, read_body
from closedwon_sandbox.dataverse.odata.listing import Listing
from closedwon_sandbox.dataverse.odata.options import Options, parse_prefer, parse_query
from closedwon_sandbox.dataverse.odata.paths import Segment, parse_path, strip_root
from closedwon_sandbox.dataverse.sales.actions import ACTIONS, FUNCTIONS
from closedwon_sandbox.exchange import Reply

if TYPE_CHECKING:
    from closedwon_sandbox.dataverse.environment import Call, Environment
    from closedwon_sandbox.exchange import Request

NOT_SIMULATED = frozenset({
    "$metadata", "BulkDelete", "CancelSalesOrder", "CloseQuote", "ConvertQuoteToSalesOrder", "CreateEntities",
    "FulfillSalesOrder", "GenerateQuoteFromOpportunity", "InitializeFrom", "Merge", "QualifyLead",
    "ReactivateEntityKey", "RecalculatePrice", "RelationshipDefinitions", "RetrieveDuplicates",
    "RetrieveMetadataChanges", "ReviseQuote", "WinQuote", "competitors", "leads", "quotes", "quotedetails",
    "subjects", "teams",
})  # fmt: skip
"""Resources of the vendor that would be a 404 here although they exist there: better to say so."""

NOT_SIMULATED_HEADERS = (
    "callerobjectid",
    "mscrmcallerid",
    "mscrm.bypassbusinesslogicexecution",
    "mscrm.bypasscustompluginexecution",
)
_OK, _EMPTY = 200, 204


class WebApi:
    """Answers one request of one caller against an environment."""

    def __init__(self, env: Environment) -> None:
        self.env = env

    def handle(self, request: Request, call: Call) -> Reply:
        """Answer a request. *Raises* DataverseError for what the vendor refuses."""
        segments = parse_path(strip_root(request.raw_path))
        for header in NOT_SIMULATED_HEADERS:
            if header in request.headers:
                raise errors.not_simulated(f"The header '{header}'")
        if not segments:
            return self._service_document(call)
        head = segments[0]
        if head.name in metadata.ROOTS:
            return metadata.handle(self.env, call, request, segments)
        if head.name in FUNCTIONS and len(segments) == 1:
            return self._function(request, call, head)
        if head.name in ACTIONS and len(segments) == 1:
            return self._action(request, call, head.name)
        table = self.env.schema.sets.get(head.name)
        if table is None:
            raise errors.not_simulated(head.name) if head.name in NOT_SIMULATED else errors.unknown_segment(head.name)
        return Resource(self.env, request, call, table, segments).answer()

    def _service_document(self, call: Call) -> Reply:
        sets = [{"name": name, "kind": "EntitySet", "url": name} for name in sorted(self.env.schema.sets)]
        return json_reply(_OK, {"@odata.context": f"{call.root}/$metadata", "value": sets})

    def _function(self, request: Request, call: Call, segment: Segment) -> Reply:
        if request.method != "GET":
            raise errors.wrong_verb(request.method)
        raw = parse_query(request.query)
        parameters = {name: raw.get(value, value) for name, value in (segment.key or {}).items()}
        kind, function = FUNCTIONS[segment.name]
        body = {"@odata.context": f"{call.root}/$metadata#{CRM}{kind}", **function(self.env, call, parameters)}
        return json_reply(_OK, body, {"x-ms-dop-hint": "8"} if segment.name == "WhoAmI" else None)

    def _action(self, request: Request, call: Call, name: str) -> Reply:
        if request.method != "POST":
            raise errors.wrong_verb(request.method)
        body = read_body(request) if request.body else {}
        with self.env.operation():
            result = ACTIONS[name](self.env, call, body)
        if result is None:
            return Reply(_EMPTY, headers={"OData-Version": "4.0"})
        table, row_id = result["row"]
        options = Options(select=result["columns"])
        listing = Listing(self.env.scope(table, call.user_id), options, parse_prefer(request.headers.get("prefer", "")))
        rendered = listing.render_all([self.env.store.get(table.name, row_id)])[0]
        return json_reply(_OK, {"@odata.context": f"{call.root}/$metadata#{table.set_name}/$entity", **rendered})

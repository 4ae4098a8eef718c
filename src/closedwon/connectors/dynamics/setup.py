"""What the environment must have for us: webhooks, which we register, and the rest, which we look at.

*Source*: learn.microsoft.com, "Register a webhook", and the entity reference of serviceendpoint and
sdkmessageprocessingstep, read 2026-11-22.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import quoteattr

import msgspec

from closedwon.connectors.dynamics.batch import Part
from closedwon.connectors.dynamics.client import error_of, unreadable
from closedwon.connectors.dynamics.errors import HINT_TRACKING
from closedwon.connectors.dynamics.mappings.rows import quote_query
from closedwon.connectors.dynamics.settings import MANIFEST
from closedwon.connectors.port import Finding
from closedwon.kernel.errors import ClosedwonError, Misconfigured, PermissionMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from closedwon.connectors.dynamics.batch import PartAnswer
    from closedwon.connectors.dynamics.client import DataverseClient
    from closedwon.connectors.dynamics.settings import DynamicsSettings, StepFacts
    from closedwon.kernel.clock import Clock

T = TypeVar("T")

FACTS = MANIFEST.webhooks
READ_HOOKS, WRITE_HOOKS = "read the webhook registrations", "register the webhooks"
HINT_CONNECT = "Run `closedwon connect` to register it."
HINT_CUSTOMIZER = "Registering webhooks needs the System Customizer role; without webhooks the feed alone finds deals."
HINT_READ = "Give the application user a security role that reads this table in the whole organisation."
ENABLED = {"statecode": 0, "statuscode": 1}
READ_TABLES = (
    ("opportunities", "opportunityid"),
    ("opportunityproducts", "opportunityproductid"),
    ("products", "productid"),
    ("accounts", "accountid"),
    ("contacts", "contactid"),
    ("transactioncurrencies", "transactioncurrencyid"),
)
DELIVERY_PORTS = {None, 80, 443}
CLOUD = ".dynamics.com"


class WhoAmI(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer to WhoAmI."""

    user_id: str
    organization_id: str


class MessageRow(msgspec.Struct, frozen=True):
    """sdkmessage."""

    name: str


class FilterRow(msgspec.Struct, frozen=True):
    """sdkmessagefilter: that a message is offered for a table."""

    sdkmessagefilterid: str
    primaryobjecttypecode: str
    sdkmessageid: MessageRow
    message_id: str = msgspec.field(name="_sdkmessageid_value")


class EndpointRow(msgspec.Struct, frozen=True):
    """serviceendpoint."""

    serviceendpointid: str
    url: str | None = None


class StepRow(msgspec.Struct, frozen=True):
    """sdkmessageprocessingstep."""

    sdkmessageprocessingstepid: str
    filter_id: str | None = msgspec.field(name="_sdkmessagefilterid_value", default=None)
    filteringattributes: str | None = None
    stage: int = 0
    mode: int = 0
    statecode: int = 0


class Registrations(msgspec.Struct, frozen=True):
    """What the environment has of our webhooks, and which messages it offers."""

    filters: list[FilterRow]
    steps: list[StepRow]
    endpoint: EndpointRow | None = None

    def offer(self, wanted: StepFacts) -> FilterRow | None:
        """Find the filter a step is registered with; None when the environment does not offer the message."""
        for row in self.filters:
            if (row.sdkmessageid.name, row.primaryobjecttypecode) == (wanted.message, wanted.table):
                return row
        return None

    def step(self, offer: FilterRow) -> StepRow | None:
        """Find our step for a filter."""
        return next((row for row in self.steps if row.filter_id == offer.sdkmessagefilterid), None)


def host_of(url: str) -> str:
    """Return the host that people know an environment by."""
    return urlsplit(url).netloc


def endpoint_name(url: str) -> str:
    """Return the name of our endpoint: it stays the same when our public address moves."""
    connection = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    return f"Closedwon {connection}".strip()


# --- registering -----------------------------------------------------------------------------------------------------


def ensure_webhooks(client: DataverseClient, url: str, secret: str) -> list[str]:
    """Register endpoint and steps, or repair them; all or nothing. Two calls.

    *Raises* PermissionMissing without the right to, Misconfigured where the environment offers no such messages.
    """
    answers = client.read_batch(_registration_queries(url), READ_HOOKS)
    found = _registrations(answers)
    parts, done = _endpoint_part(found, url, secret)
    for wanted in FACTS.steps:
        step_parts, step_done = _step_parts(found, wanted)
        parts += step_parts
        done += step_done
    made = [Part(part.method, client.path(part.path), part.body, part.headers) for part in parts]
    for answer in client.send_batch([tuple(made)], WRITE_HOOKS, writes=True)[0]:
        if not answer.ok:
            raise _refused(answer)
    return done


def _registration_queries(url: str) -> list[str]:
    name = quote(endpoint_name(url).replace("'", "''"), safe="")
    tables = " or ".join(f"primaryobjecttypecode eq '{table}'" for table in dict.fromkeys(s.table for s in FACTS.steps))
    steps = "sdkmessageprocessingstepid,_sdkmessagefilterid_value,filteringattributes,stage,mode,statecode"
    filters = "sdkmessagefilterid,primaryobjecttypecode,_sdkmessageid_value"
    return [
        f"serviceendpoints?$select=serviceendpointid,url&$filter=name%20eq%20'{name}'",
        f"sdkmessagefilters?$select={filters}&$expand=sdkmessageid($select=name)&$filter={quote_query(tables)}",
        f"sdkmessageprocessingsteps?$select={steps}&$filter=eventhandler_serviceendpoint/name%20eq%20'{name}'",
    ]


def _registrations(answers: Sequence[PartAnswer]) -> Registrations:
    endpoints, filters, steps = answers
    found = _rows(endpoints, EndpointRow)
    return Registrations(_rows(filters, FilterRow), _rows(steps, StepRow), found[0] if found else None)


def _rows(answer: PartAnswer, kind: type[T]) -> list[T]:
    if not answer.ok:
        raise error_of(answer, READ_HOOKS)
    try:
        return msgspec.convert(answer.json()["value"], list[kind])  # type: ignore[valid-type] # a type made at run time
    except (ValueError, TypeError, KeyError) as error:
        raise unreadable(READ_HOOKS, str(error)) from None


def _endpoint_part(found: Registrations, url: str, secret: str) -> tuple[list[Part], list[str]]:
    name = endpoint_name(url)
    setting = f"<setting name={quoteattr(FACTS.header)} value={quoteattr(secret)} />"
    body = {"url": url, "authtype": FACTS.auth_type, "authvalue": f"<settings>{setting}</settings>"}
    if found.endpoint is None:
        body |= {"name": name, "contract": FACTS.contract, "messageformat": FACTS.message_format}
        return [Part("POST", "serviceendpoints", body)], [f"Registered the webhook endpoint {name!r} for {url}."]
    done = ["Sent the webhook key again; the environment does not show which one it holds."]
    if found.endpoint.url != url:
        done.append(f"Moved the webhook endpoint {name!r} from {found.endpoint.url} to {url}.")
    path = f"serviceendpoints({found.endpoint.serviceendpointid})"
    return [Part("PATCH", path, body, {"If-Match": "*"})], done


def _step_parts(found: Registrations, wanted: StepFacts) -> tuple[list[Part], list[str]]:
    subject = f"{wanted.message} of {wanted.table}"
    offer = found.offer(wanted)
    if offer is None and wanted.optional:
        return [], [f"Left out {subject}: the environment does not offer it."]
    if offer is None:
        raise Misconfigured(
            f"The environment offers no event {subject}.", hint="Is Dynamics 365 Sales installed in it?"
        )
    step = found.step(offer)
    if step is None:
        return [Part("POST", "sdkmessageprocessingsteps", _step_body(found, wanted, offer))], [f"Registered {subject}."]
    repairs = _repairs(step, wanted)
    path = f"sdkmessageprocessingsteps({step.sdkmessageprocessingstepid})"
    parts = [Part("PATCH", path, body, {"If-Match": "*"}) for body in repairs]
    return parts, [f"Repaired {subject}."] if repairs else []


def _step_body(found: Registrations, wanted: StepFacts, offer: FilterRow) -> dict[str, Any]:
    endpoint = "$1" if found.endpoint is None else f"/serviceendpoints({found.endpoint.serviceendpointid})"
    return {
        "name": f"closedwon.{wanted.table}.{wanted.message.lower()}",
        "stage": FACTS.stage,
        "mode": FACTS.mode,
        "rank": 1,
        "supporteddeployment": 0,
        "asyncautodelete": True,
        **({"filteringattributes": ",".join(wanted.columns)} if wanted.columns else {}),
        "eventhandler_serviceendpoint@odata.bind": endpoint,
        "sdkmessageid@odata.bind": f"/sdkmessages({offer.message_id})",
        "sdkmessagefilterid@odata.bind": f"/sdkmessagefilters({offer.sdkmessagefilterid})",
    }


def _repairs(step: StepRow, wanted: StepFacts) -> list[dict[str, Any]]:
    """Return what must be written on a step; its state apart, as the vendor wants it."""
    repairs: list[dict[str, Any]] = []
    if _differs(step, wanted):
        columns = ",".join(wanted.columns) or None
        repairs.append({"stage": FACTS.stage, "mode": FACTS.mode, "filteringattributes": columns})
    if step.statecode != 0:
        repairs.append(dict(ENABLED))
    return repairs


def _differs(step: StepRow, wanted: StepFacts) -> bool:
    columns = {column for column in (step.filteringattributes or "").split(",") if column}
    return columns != set(wanted.columns) or (step.stage, step.mode) != (FACTS.stage, FACTS.mode)


def _refused(answer: PartAnswer) -> ClosedwonError:
    error = error_of(answer, WRITE_HOOKS)
    if isinstance(error, PermissionMissing):
        error.hint = HINT_CUSTOMIZER
    return error


# --- looking ---------------------------------------------------------------------------------------------------------


def check(client: DataverseClient, settings: DynamicsSettings, clock: Clock, url: str) -> list[Finding]:
    """Look at everything the flows need. Two calls. *Raises* what keeps us from asking at all."""
    answer = client.get(client.path("WhoAmI"), "say who we are")
    findings = [_signed_in(settings, answer.json()), _clock(clock, answer.headers.get("date", ""))]
    document = MANIFEST.documents[settings.write_back]
    tables = dict.fromkeys([*READ_TABLES, (document.set, document.key)])
    queries = [
        "EntityDefinitions(LogicalName='opportunity')?$select=LogicalName,ChangeTrackingEnabled",
        f"EntityDefinitions(LogicalName='{document.table}')/Attributes?$select=LogicalName,IsValidForUpdate",
        *(f"{table}?$select={key}&$top=1" for table, key in tables),
    ]
    hooks = _registration_queries(url) if url else []
    answers = client.read_batch([*queries, *hooks], "look at the environment")
    findings += [_tracking(answers[0]), _columns(answers[1], settings, document.table)]
    findings += [_readable(table, part) for (table, _), part in zip(tables, answers[2:], strict=False)]
    findings += _webhooks(answers[len(queries) :], settings, url)
    return findings


def connection_failed(error: ClosedwonError) -> Finding:
    """Return the finding for a check that got no further."""
    return Finding("connection", ok=False, text=error.text, hint=error.hint)


def _signed_in(settings: DynamicsSettings, who: Any) -> Finding:
    user = who.get("UserId") if isinstance(who, dict) else None
    if not user:
        hint = "Check `url` of the connection."
        return Finding("credentials", ok=False, text="What answers there does not say who we are.", hint=hint)
    return Finding("credentials", ok=True, text=f"Signed in to {host_of(settings.base_url)} as user {user}.")


def _clock(clock: Clock, date: str) -> Finding:
    try:
        apart_s = abs((parsedate_to_datetime(date) - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return Finding("clock", ok=True, text="The environment does not tell the time.")
    text = f"The clocks here and there are {apart_s:.0f} s apart."
    late = apart_s > MANIFEST.clock_difference_s
    return Finding("clock", ok=not late, text=text, hint="Set this machine's clock (NTP)." if late else "")


def _tracking(answer: PartAnswer) -> Finding:
    subject = "change tracking"
    if not answer.ok:
        return _refused_finding(subject, answer, "read the definition of opportunity")
    if _member(answer, "ChangeTrackingEnabled"):
        return Finding(subject, ok=True, text="Changes of opportunities are tracked.")
    return Finding(subject, ok=False, text="Changes of opportunities are not tracked.", hint=HINT_TRACKING)


def _columns(answer: PartAnswer, settings: DynamicsSettings, table: str) -> Finding:
    subject = "columns"
    if not answer.ok:
        return _refused_finding(subject, answer, f"read the definition of {table}")
    attributes = _member(answer, "value")
    rows = [row for row in attributes if isinstance(row, dict)] if isinstance(attributes, list) else []
    writable = {row.get("LogicalName") for row in rows if row.get("IsValidForUpdate", True)}
    missing = [name for name in settings.columns.names() if name not in writable]
    if not missing:
        return Finding(subject, ok=True, text=f"The {table} table has the columns that show the invoice.")
    text = f"The {table} table lacks, or does not let us write: {', '.join(missing)}."
    return Finding(subject, ok=False, text=text, hint="Create the columns, or name others (or none) under `columns`.")


def _readable(table: str, answer: PartAnswer) -> Finding:
    if answer.ok:
        return Finding(f"read {table}", ok=True, text="Readable.")
    return Finding(f"read {table}", ok=False, text=error_of(answer, f"read {table}").text, hint=HINT_READ)


def _webhooks(answers: Sequence[PartAnswer], settings: DynamicsSettings, url: str) -> list[Finding]:
    if not url:
        return [Finding("webhooks", ok=True, text="No `public_url` is set: changes are found by the feed only.")]
    try:
        return list(_webhook_findings(_registrations(answers), settings, url))
    except ClosedwonError as error:
        return [Finding("webhooks", ok=False, text=error.text, hint=error.hint)]


def _webhook_findings(found: Registrations, settings: DynamicsSettings, url: str) -> Iterator[Finding]:
    if not settings.webhook_secret:
        hint = "Set `webhook_secret` to a long random text, then run `closedwon connect`."
        yield Finding("webhook key", ok=False, text="`webhook_secret` is empty: no webhook is accepted.", hint=hint)
    if urlsplit(url).port not in DELIVERY_PORTS and host_of(settings.base_url).endswith(CLOUD):
        text = f"Dataverse delivers to ports 80 and 443 only, not to {url}."
        yield Finding("webhook address", ok=False, text=text, hint="Set `public_url` to an address on port 443.")
    registered = found.endpoint.url if found.endpoint else None
    if registered != url:
        text = f"Webhooks go to {registered}, not to {url}." if registered else "No webhook endpoint is registered."
        yield Finding("webhook endpoint", ok=False, text=text, hint=HINT_CONNECT)
        return
    yield Finding("webhook endpoint", ok=True, text=f"Webhooks go to {url}.")
    for wanted in FACTS.steps:
        yield from _step_finding(found, wanted)


def _step_finding(found: Registrations, wanted: StepFacts) -> Iterator[Finding]:
    subject = f"webhook {wanted.message} of {wanted.table}"
    offer = found.offer(wanted)
    if offer is None and wanted.optional:
        return
    step = found.step(offer) if offer else None
    if step is None:
        yield Finding(subject, ok=False, text="It is not registered.", hint=HINT_CONNECT)
    elif _repairs(step, wanted):
        text = "It is switched off." if step.statecode != 0 else "It is registered differently."
        yield Finding(subject, ok=False, text=text, hint=HINT_CONNECT)
    else:
        yield Finding(subject, ok=True, text="It is registered and switched on.")


def _refused_finding(subject: str, answer: PartAnswer, what: str) -> Finding:
    error = error_of(answer, what)
    return Finding(subject, ok=False, text=error.text, hint=error.hint)


def _member(answer: PartAnswer, name: str) -> Any:
    """Return a member of an answer; None when there is none, whatever came instead."""
    try:
        document = answer.json()
    except ValueError:
        return None
    return document.get(name) if isinstance(document, dict) else None

"""Records: which there are, one record's story, and what can be done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.syntax import Syntax
from rich.text import Text

from closedwon.cli.options import OPTIONS, Options, opened_desk
from closedwon.cli.output import (
    EXIT_FAILED,
    EXIT_FINE,
    coloured,
    print_json,
    progress,
    render_json,
    say,
    screen,
    table,
)
from closedwon.cli.story import mask, tell
from closedwon.kernel.errors import NoMatch

if TYPE_CHECKING:
    from collections.abc import Mapping

StateName = Literal["pending", "running", "waiting", "parked", "succeeded", "failed", "cancelled"]
Deal = Annotated[str, Parameter(help="The deal's id as it stands in its address in the CRM.")]
IntegrationName = Annotated[
    str, Parameter(show_default=False, help="Which integration; may be left out where there is only one.")
]


def list_records(
    *,
    state: Annotated[StateName | None, Parameter(help="Only records whose newest run is in this state.")] = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000), help="How many at most.")] = 50,
    options: Options = OPTIONS,
) -> int:
    """List the records worked on last, newest first."""
    with opened_desk(options) as (desk, tenant):
        rows = desk.list_records(tenant, state, limit)
    if options.as_json:
        print_json({"tenant": tenant, "records": [_plain_run(row) for row in rows]})
    elif rows:
        cells = [
            [row["record_id"], row["invoice"], row["lane"], row["state"], _what(row), row["created_at"]] for row in rows
        ]
        say(table(["record", "invoice", "lane", "state", "outcome", "queued at"], cells))
    else:
        say("No records yet." if state is None else f"No records whose newest run is {state}.")
    return EXIT_FINE


def show_record(
    record: Annotated[str, Parameter(help="A deal's id, an invoice's id or an invoice's number.")],
    /,
    *,
    unmasked: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Show names, e-mail addresses and telephone numbers of customers."
        ),
    ] = False,
    options: Options = OPTIONS,
) -> int:
    """Tell one record's story: events, runs, steps, writes, links."""
    with opened_desk(options) as (desk, tenant):
        story = desk.show_record(tenant, record)
    shown = story if unmasked else mask(story)
    if options.as_json:
        print_json({"tenant": tenant, **shown})
        return EXIT_FINE
    say(Text(f"The story of {record}", style="bold"))
    console = screen()
    for moment in tell(shown):
        at = moment.at.replace("T", " ")[:23]
        line = Text.assemble((at.ljust(23), "dim"), "  ", (moment.kind.ljust(7), "bold"), "  ", moment.text)
        if moment.state:
            line.append_text(Text.assemble("  [", coloured(moment.state), "]"))
        console.print(line, soft_wrap=True)
    open_items = [str(item["number"]) for item in story["review"] if item["state"] == "open"]
    if open_items:
        say(f"Next: `closedwon review show {open_items[0]}`")
    return EXIT_FINE


def preview(record: Deal, /, *, integration: IntegrationName = "", options: Options = OPTIONS) -> int:
    """Show what a deal would write where, without writing anything."""
    with opened_desk(options) as (desk, tenant), progress("Planning", quiet=options.as_json):
        plan = desk.preview(tenant, record, integration)
    if options.as_json:
        print_json({"tenant": tenant, **plan})
    else:
        _say_plan(plan)
    return EXIT_FAILED if plan["stop"] else EXIT_FINE


def _say_plan(plan: Mapping[str, Any]) -> None:
    total = plan["invoice_total"]
    rows = [
        ["deal", f"{plan['deal']} ({plan['state']})"],
        ["customer", plan["customer"] or "-"],
        ["contact", _contact(plan)],
        ["CRM total", f"{plan['crm_total']} {plan['currency']}"],
        ["invoice total", f"{total} {plan['currency']}" if total else "-"],
    ]
    if plan["linked_invoice"]:
        rows.append(["invoice", f"{plan['linked_invoice']} exists already"])
    say(table(["", "preview"], rows))
    for note in plan["notes"]:
        say(f"Note: {note}")
    if plan["stop"]:
        say(Text.assemble(("This cannot be carried out: ", "bold red"), plan["stop"]["text"]))
        for problem in plan["stop"]["details"].get("problems", ()):
            say(f"  {problem['field']}: {problem['text']}{_in_brackets(problem['hint'])}")
        if plan["stop"]["hint"]:
            say(f"  Next: {plan['stop']['hint']}")
    for number, write in enumerate(plan["writes"], 1):
        say(f"{number}. {write['system']}: {write['operation']}", style="bold")
        if write["payload"]:
            say(Syntax(render_json(write["payload"]), "json", background_color="default", word_wrap=True))
    if not plan["writes"] and not plan["stop"]:
        say("Nothing is left to be written.")


def _contact(plan: Mapping[str, Any]) -> str:
    if plan["linked_invoice"] or plan["stop"]:
        return str(plan["contact"] or "-")
    return f"{plan['contact'] or 'a new one'}{_in_brackets(plan['contact_reason'])}"


def sync(
    record: Deal,
    /,
    *,
    integration: IntegrationName = "",
    timeout_s: Annotated[
        float, Parameter(validator=Number(gt=0, lte=86_400), help="How long to wait for the end, in seconds.")
    ] = 120,
    options: Options = OPTIONS,
) -> int:
    """Run a deal's flow now and wait for its end."""
    with opened_desk(options) as (desk, tenant), progress(f"Running {record}", quiet=options.as_json):
        row = desk.sync(tenant, record, integration, timeout_s)
    if options.as_json:
        print_json({"tenant": tenant, "run": _plain_run(row)})
    else:
        say(Text.assemble(f"{row['lane']} {record}: ", coloured(row["state"]), _dashed(_what(row))))
        say("Next: `closedwon review list`" if row["state"] == "parked" else f"Next: `closedwon records show {record}`")
    return EXIT_FINE if row["state"] == "succeeded" else EXIT_FAILED


def retry(
    record: Annotated[str | None, Parameter(help="Only this record's runs; all unless given.")] = None,
    /,
    *,
    options: Options = OPTIONS,
) -> int:
    """Put parked, waiting and failed runs back into their lanes."""
    with opened_desk(options) as (desk, tenant):
        number = desk.retry(tenant, record)
    return _say_queued(number, tenant, options)


def replay(
    record: Annotated[str, Parameter(help="A deal's id, an invoice's id or an invoice's number.")],
    /,
    *,
    integration: IntegrationName = "",
    options: Options = OPTIONS,
) -> int:
    """Run a record anew from its stored event."""
    with opened_desk(options) as (desk, tenant):
        number = desk.replay(tenant, record, integration)
    if not number:
        raise NoMatch(f"{record} has no event to replay", hint="`closedwon sync` runs a deal that we never heard of")
    return _say_queued(number, tenant, options)


def _say_queued(number: int, tenant: str, options: Options) -> int:
    if options.as_json:
        print_json({"tenant": tenant, "queued": number})
    elif number:
        say(f"{number} run{'s' if number > 1 else ''} queued; the running `closedwon run` takes them up.")
    else:
        say("Nothing to retry: no run is parked, waiting or failed.")
    return EXIT_FINE


def _plain_run(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"tenant", "batch_id"}}


def _what(row: Mapping[str, Any]) -> str:
    reason = row["reason"] or (row["error"] or {}).get("text", "")
    return ": ".join(part for part in (row["outcome"], reason) if part)


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _dashed(text: str) -> str:
    return f" - {text}" if text else ""

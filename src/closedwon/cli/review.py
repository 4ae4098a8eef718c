"""The review desk: what waits for a person, and deciding it."""

from __future__ import annotations

import getpass
from datetime import date  # noqa: TC003 - cyclopts reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.syntax import Syntax
from rich.text import Text

from closedwon.cli.options import OPTIONS, Options, opened_desk
from closedwon.cli.output import EXIT_FINE, print_json, render_json, say, table
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

Number = Annotated[int, Parameter(help="The item's number, as `closedwon review list` shows it.")]
DecidedBy = Annotated[
    str, Parameter(name="--by", show_default=False, help="Who decides; the user of this machine unless given.")
]


def list_items(
    *,
    all_items: Annotated[
        bool, Parameter(name="--all", negative="", show_default=False, help="Closed items too.")
    ] = False,
    options: Options = OPTIONS,
) -> int:
    """List the open review items."""
    with opened_desk(options) as (desk, tenant):
        items = desk.list_items(tenant, closed=all_items)
    if options.as_json:
        print_json({"tenant": tenant, "items": items})
    elif items:
        rows = [
            [one["number"], one["state"], one["record_name"] or one["subject"], one["text"], len(one["proposals"])]
            for one in items
        ]
        say(table(["item", "state", "about", "what stopped it", "proposals"], rows))
        say("Next: `closedwon review show N`")
    else:
        say("Nothing waits for a person.")
    return EXIT_FINE


def show_item(number: Number, /, *, options: Options = OPTIONS) -> int:
    """Show a review item with its evidence and proposals."""
    with opened_desk(options) as (desk, tenant):
        item = desk.show_item(tenant, number)
    return _print_item(item, options)


def resolve(  # noqa: PLR0913 - one option per decision there is
    number: Number,
    /,
    *,
    proposal: Annotated[int | None, Parameter(help="Take the proposal of this number.")] = None,
    account: Annotated[str | None, Parameter(help="Use this ledger account code.")] = None,
    tax_type: Annotated[str | None, Parameter(help="Use this tax type.")] = None,
    contact: Annotated[str | None, Parameter(help="Link the customer to the contact with this id.")] = None,
    create_contact: Annotated[str | None, Parameter(help="Create a new contact under this name.")] = None,
    accept_total: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Invoice although the totals differ, with a rounding line."),
    ] = False,
    issue_date: Annotated[date | None, Parameter(name="--date", help="Issue the invoice on this date.")] = None,
    retry: Annotated[
        bool, Parameter(negative="", show_default=False, help="Try again as it is: the cause has been mended.")
    ] = False,
    decided_by: DecidedBy = "",
    options: Options = OPTIONS,
) -> int:
    """Decide a review item; its run goes on with the decision."""
    chosen = {
        "account_code": account,
        "tax_type": tax_type,
        "contact_id": contact,
        "create_contact": create_contact,
        "accept_total": accept_total or None,
        "date": issue_date.isoformat() if issue_date else None,
        "retry": retry or None,
    }
    decision = {name: value for name, value in chosen.items() if value is not None}
    with opened_desk(options) as (desk, tenant):
        if proposal is not None:
            if decision:
                raise Misconfigured("--proposal stands alone", hint="leave the other decisions out")
            decision = _take_proposal(desk.show_item(tenant, number), proposal)
        item = desk.resolve(tenant, number, decision, decided_by or _user())
    return _print_item(item, options)


def dismiss(
    number: Number,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why nothing shall happen; it is kept with the item.")],
    decided_by: DecidedBy = "",
    options: Options = OPTIONS,
) -> int:
    """Close a review item without going on; its run is cancelled."""
    with opened_desk(options) as (desk, tenant):
        item = desk.dismiss(tenant, number, reason, decided_by or _user())
    return _print_item(item, options)


def _take_proposal(item: Mapping[str, Any], number: int) -> dict[str, Any]:
    proposals = item["proposals"]
    if not 1 <= number <= len(proposals):
        raise Misconfigured(
            f"item {item['number']} has {len(proposals)} proposal(s), not a number {number}",
            hint=f"`closedwon review show {item['number']}` lists them",
        )
    return dict(proposals[number - 1]["decision"])


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run us under a number without a name
        return "command line"


def _print_item(item: Mapping[str, Any], options: Options) -> int:
    if options.as_json:
        print_json(item)
        return EXIT_FINE
    about = item["record_name"] or item["subject"]
    say(Text(f"Item {item['number']} ({item['state']}): {about}", style="bold"))
    say(f"  {item['text']}")
    if item["hint"]:
        say(f"  Hint: {item['hint']}")
    if item["record_id"]:
        say(f"  Record: {item['record_id']}")
    if item["details"]:
        say(Syntax(render_json(item["details"]), "json", background_color="default", word_wrap=True))
    for decided in item.get("resolutions", ()):
        say(f"  Decided by {decided['decided_by']} at {decided['decided_at']}: {_words(decided['decision'])}")
    if item["state"] == "open":
        _say_proposals(item)
    return EXIT_FINE


def _say_proposals(item: Mapping[str, Any]) -> None:
    for number, proposal in enumerate(item["proposals"], 1):
        say(f"  {number}. {proposal['label']}")
    say(f"Next: `closedwon review resolve {item['number']} --proposal K`, or another decision of `resolve --help`")


def _words(decision: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in decision.items())

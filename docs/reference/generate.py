"""Writes the reference pages that follow from the code: `python -m docs.reference.generate`, or `make docs`.

A test fails when a page is not what this program would write.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from closedwon.app import settings
from closedwon.connectors.dynamics.settings import ClientCredentials, Columns, DynamicsSettings
from closedwon.connectors.xero.settings import AuthorizationCode, CallLimits, CustomConnection, XeroSettings
from closedwon.engine.retry import FIRST_WAIT_S, LONGEST_WAIT_S, MAX_ATTEMPTS, treat
from closedwon.flows.invoice_status import InvoiceStatus, StatusSettings
from closedwon.flows.invoicing import CategoryRule, WonSettings
from closedwon.flows.opportunity_won import OpportunityWon
from closedwon.kernel import errors
from closedwon.review.resolution import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
NOTE = "<!-- Written by `make docs` from the code. Change the code, not this page. -->"
SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("tenants.NAME.connections.NAME, connector: dynamics", DynamicsSettings),
    ("auth of a Dynamics connection, kind: client_credentials", ClientCredentials),
    ("columns of a Dynamics connection", Columns),
    ("tenants.NAME.connections.NAME, connector: xero", XeroSettings),
    ("auth of a Xero connection, kind: custom_connection", CustomConnection),
    ("auth of a Xero connection, kind: authorization_code", AuthorizationCode),
    ("limits of a Xero connection", CallLimits),
    ("tenants.NAME.integrations.NAME", settings._Integration),  # noqa: SLF001 - its keys are what users write
    ("flows.opportunity_won of an integration", WonSettings),
    ("flows.opportunity_won.categories.CATEGORY", CategoryRule),
    ("flows.invoice_status of an integration", StatusSettings),
)
TOP = {
    "store": (
        "text",
        f"`{settings.DEFAULT_STORE}`",
        "Where data is kept: `sqlite:///FILE`, relative to this file, or `postgresql://…`.",
    ),
    "public_url": ("text", "", "Where webhooks reach us. Without it, changes are found by the feeds alone."),
    "ca_file": ("text", "", "A file of certificate authorities to trust besides the system's, relative to this file."),
    "tenants": ("names", "required", "Your companies; each has `connections` and `integrations`."),
}
WORDS = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "`true` or `false`",
    "Decimal": "amount",
    "date": "date",
}
# What a setting means, where its name alone does not say it. A setting without an entry fails the page.
MEANINGS = {
    "DynamicsSettings": {
        "url": "address of the environment",
        "auth": "how to sign in",
        "api_version": "version of the Web API",
        "webhook_secret": "what the environment sends with each webhook; empty: none is accepted",
        "write_back": "the CRM record that shows the invoice",
        "columns": "its custom columns",
    },
    "ClientCredentials": {
        "directory": "tenant id or domain of the app registration",
        "client_id": "the app registration's client id",
        "client_secret": "its secret",
        "authority_url": "sign-in server; national clouds have others",
    },
    "Columns": {
        "books_id": "the invoice's id (text, 100)",
        "books_number": "its number (text, 100)",
        "books_status": "its status (text, 50)",
        "books_link": "its address in Xero (text, 500)",
        "amount_paid": "amount paid (currency)",
        "amount_due": "amount due (currency)",
        "paid_on": "date of full payment (date only)",
    },
    "XeroSettings": {
        "auth": "how to sign in",
        "organisation": "the organisation's id; needed where the sign-in reaches several",
        "webhook_key": "signing key of the app's webhooks; empty: none is accepted",
        "api_url": "address of the API",
        "identity_url": "address of the sign-in server",
        "app_url": "where people open an invoice; used for links",
        "limits": "lower limits than the vendor's",
    },
    "CustomConnection": {
        "client_id": "the app's client id",
        "client_secret": "its secret",
        "scopes": "scopes to ask for; empty: the usual three",
    },
    "AuthorizationCode": {
        "client_id": "the app's client id",
        "client_secret": "its secret",
        "refresh_token": "the first refresh token; those that replace it are kept encrypted in the store",
    },
    "CallLimits": {
        "concurrent": "calls at once",
        "minute": "calls a minute",
        "day": "calls a day",
    },
    "_Integration": {
        "crm": "name of the connection to the CRM",
        "books": "name of the connection to the books",
        "flows": "the flows that are switched on; `{}` takes a flow's defaults",
        "feed_every_s": "seconds between two looks at the change feeds: "
        + ", ".join(str(step) for step in settings.FEED_STEPS_S),
    },
    "WonSettings": {
        "invoice_status": "status in which invoices are created",
        "account_code": "ledger account of lines whose item and category name none",
        "tax_type": "tax type of lines whose item and category name none",
        "zero_tax_type": "tax type of lines that the CRM says bear no tax",
        "categories": "account and tax by the CRM product's category",
        "reference": "what the invoice's reference shows of the deal",
        "due_days": "days from the issue date to the due date",
        "timezone": "IANA time zone that decides which day it is",
        "since": "deals closed before are left alone; unless given, the day before the integration first started",
        "estimated_value_line": "whether a deal without products becomes one line of its estimated value",
        "freight_account": "account of the freight line",
        "discount_account": "account of the line for a discount on the whole deal",
        "rounding_tolerance": "largest difference to the CRM's total that gets a rounding line instead of a question",
    },
    "CategoryRule": {"account_code": "ledger account", "tax_type": "tax type"},
}
ACTIONS = {
    "wait": "tries again by itself",
    "resolve": "looks up what happened, then goes on",
    "park": "parks the run, opens one review item",
    "pause_connection": "pauses the connection, one item for all its runs",
    "pause_integration": "pauses the integration",
    "fail": "the run fails: a bug",
}


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote docs/reference/{name}\n")


def pages() -> dict[str, str]:
    """Return every generated page by file name."""
    return {"configuration.md": configuration(), "errors.md": error_codes(), "flows.md": flows()}


def configuration() -> str:
    """Render the page of settings."""
    parts = [
        "# Configuration\n",
        NOTE,
        "",
        "Everything that may stand in `closedwon.yaml`. A text `env:NAME` is taken from the environment, `file:PATH`",
        "from a file; write secrets in no other way. All problems of a file are reported at once, with their lines.\n",
        "## Top of the file\n",
        *table(("setting", "type", "default", "meaning"), [(f"`{key}`", *row) for key, row in TOP.items()]),
    ]
    for title, struct in SECTIONS:
        parts += ["", f"## {title}\n", inspect.cleandoc(struct.__doc__ or ""), ""]
        rows = [
            (f"`{one.encode_name}`", describe(kind), default(one), meaning(struct, one))
            for one, kind in members(struct)
        ]
        parts += table(("setting", "type", "default", "meaning"), rows) if rows else []
    return "\n".join(parts).rstrip() + "\n"


def members(struct: type[msgspec.Struct]) -> list[tuple[Any, Any]]:
    """Return the fields of a struct with their types, constraints stripped."""
    hints = typing.get_type_hints(struct)
    return [(one, hints[one.name]) for one in msgspec.structs.fields(struct)]


def meaning(struct: type[msgspec.Struct], one: Any) -> str:
    """Say what a setting means. *Raises* KeyError for one that nobody has described here."""
    return MEANINGS[struct.__name__][one.name]


def describe(kind: Any) -> str:
    """Say in words what a setting may hold."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(one) for one in arguments if one is not type(None))
    if origin is dict:
        return (
            f"names, each with {describe(arguments[1])}" if arguments[1] is not Any else "names, each with its settings"
        )
    if origin in (list, tuple):
        return f"list of {describe(arguments[0])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        tag = kind.__struct_config__.tag
        return f"settings, `kind: {tag}`" if tag else "settings, see below"
    return WORDS[kind.__name__]


def default(one: Any) -> str:
    """Say what a setting is when nobody sets it."""
    if one.required:
        return "required"
    value = one.default if one.default is not msgspec.NODEFAULT else one.default_factory()
    if value in (None, "", (), {}) or isinstance(value, msgspec.Struct):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def error_codes() -> str:
    """Render the page of error codes."""
    rows = []
    for kind in descendants(errors.ClosedwonError):
        action = treat(kind("…"), 0).action
        promise = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        rows.append((f"`{kind.code}`", promise, ACTIONS[action]))
    return "\n".join(
        [
            "# Error codes\n",
            NOTE,
            "",
            "Every error has a stable code, a text for people, a hint (the next step), details, and the vendor's",
            "request ids. `--json` prints all of them.\n",
            *table(("code", "meaning", "what the engine does"), rows),
            "",
            f"What is tried again is tried {MAX_ATTEMPTS} times. The waits between are random and grow, from about",
            f"{FIRST_WAIT_S:.0f} s to at most {LONGEST_WAIT_S:.0f} s, and are never shorter than the vendor asked for.",
            "Waiting for a budget (`throttled`) does not count as an attempt.\n",
            "## Exit codes of the command line\n",
            *table(
                ("code", "meaning"),
                [("0", "fine"), ("1", "work failed"), ("2", "usage or configuration"), ("3", "cannot reach a system")],
            ),
            "",
        ]
    )


def descendants(kind: type[errors.ClosedwonError]) -> list[type[errors.ClosedwonError]]:
    """Return every class of error below one that is defined in kernel/errors, in the order of the file."""
    found: list[type[errors.ClosedwonError]] = []
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            found += [child, *descendants(child)]
    return found


def flows() -> str:
    """Render the page of flows, events and decisions."""
    parts = ["# Flows, events and decisions\n", NOTE, ""]
    for flow in (OpportunityWon, InvoiceStatus):
        module = inspect.getmodule(flow)
        text = inspect.cleandoc((module.__doc__ if module else "") or "")
        parts += [
            f"## {flow.name}\n",
            text,
            "",
            f"- Starts when: an event of the {flow.side} about a `{flow.record_type}`, by webhook or feed",
            f"- Steps, as a record's story shows them: {', '.join(f'`{step}`' for step in flow.steps)}",
            f"- Settings: see `flows.{flow.name}` in [configuration](configuration.md)\n",
        ]
    rows = [(f"`{name}`", meaning) for name, meaning in DECISIONS.items()]
    parts += ["## Decisions of a review item\n", *table(("decision", "meaning"), rows), ""]
    return "\n".join(parts)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Render a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


if __name__ == "__main__":
    main()

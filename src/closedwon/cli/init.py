"""Writes a first closedwon.yaml: commented, with secrets as references, from options or from answers."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Parameter
from rich.prompt import Prompt

from closedwon.cli.options import CONFIGURED, Configured
from closedwon.cli.output import print_json, say, screen
from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANT = re.compile(r"^[a-z][a-z0-9_-]{0,39}$")
PLACEHOLDER = "placeholder"
COMMENT_COLUMN = 54


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Answers:
    """What a configuration is made of; secrets are not among it."""

    tenant: Annotated[str, Parameter(show_default=False, help="Short name of the company, such as acme.")] = ""
    crm_url: Annotated[
        str,
        Parameter(
            show_default=False, help="Address of the Dataverse environment, such as https://acme.crm.dynamics.com."
        ),
    ] = ""
    directory: Annotated[
        str, Parameter(show_default=False, help="Directory (tenant id) of the app registration in Entra ID.")
    ] = ""
    crm_client_id: Annotated[
        str, Parameter(show_default=False, help="Client id of the app registration in Entra ID.")
    ] = ""
    xero_client_id: Annotated[
        str, Parameter(show_default=False, help="Client id of the app in Xero's developer portal.")
    ] = ""
    xero_auth: Annotated[
        Literal["custom_connection", "authorization_code"], Parameter(help="How the app signs in to Xero.")
    ] = "custom_connection"
    organisation: Annotated[
        str,
        Parameter(
            show_default=False, help="Id of the Xero organisation; may be left out where the app reaches only one."
        ),
    ] = ""
    public_url: Annotated[
        str,
        Parameter(
            show_default=False, help="Address at which the vendors can reach this machine; without it, feeds only."
        ),
    ] = ""
    write_back: Annotated[
        Literal["invoice", "order", "opportunity"], Parameter(help="The CRM record that shows the invoice.")
    ] = "invoice"
    invoice_status: Annotated[
        Literal["draft", "submitted", "authorised"], Parameter(help="The status in which invoices are created.")
    ] = "draft"
    account_code: Annotated[
        str, Parameter(show_default=False, help="Ledger account of lines whose item names none, such as 200.")
    ] = ""
    tax_type: Annotated[
        str, Parameter(show_default=False, help="Tax type of lines whose item names none, such as OUTPUT2.")
    ] = ""
    timezone: Annotated[str, Parameter(help="Time zone that decides the invoice's date, such as Europe/London.")] = (
        "UTC"
    )
    store: Annotated[str, Parameter(help="Where data is kept: sqlite:///FILE or postgresql://…")] = (
        "sqlite:///closedwon.db"
    )

    @property
    def prefix(self) -> str:
        """Return what the names of this tenant's environment variables begin with."""
        return self.tenant.upper().replace("-", "_")

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables that the configuration refers to, and what each holds."""
        found = {
            f"{self.prefix}_CRM_SECRET": "the client secret of the app registration in Entra ID",
            f"{self.prefix}_XERO_SECRET": "the client secret of the Xero app",
        }
        if self.xero_auth == "authorization_code":
            found[f"{self.prefix}_XERO_REFRESH_TOKEN"] = "the first refresh token of the Xero app"
        if self.public_url:
            found[f"{self.prefix}_CRM_WEBHOOK_SECRET"] = "any long random text; Dynamics sends it with each webhook"
            found[f"{self.prefix}_XERO_WEBHOOK_KEY"] = "the webhook signing key of the Xero app"
        return found


REQUIRED = {
    "tenant": "Short name of your company (small letters, such as acme)",
    "crm_url": "Address of your Dynamics environment (https://….crm.dynamics.com)",
    "directory": "Directory (tenant) id of the app registration in Entra ID",
    "crm_client_id": "Client id of that app registration",
    "xero_client_id": "Client id of your app in Xero's developer portal",
}
OPTIONAL = {
    "organisation": "Id of the Xero organisation (empty: the only one the app reaches)",
    "public_url": "Address at which the vendors reach this machine (empty: no webhooks, feeds only)",
    "account_code": "Ledger account code where an item names none (such as 200; empty: ask in review)",
    "tax_type": "Tax type where an item names none (such as OUTPUT2; empty: ask in review)",
    "timezone": "Time zone that decides the invoice's date",
}
NO_ANSWERS = Answers()


def init(
    *,
    answers: Answers = NO_ANSWERS,
    force: Annotated[bool, Parameter(negative="", show_default=False, help="Replace a file that exists.")] = False,
    options: Configured = CONFIGURED,
) -> int:
    """Write a commented closedwon.yaml from your answers or options."""
    path = options.path
    if path.exists() and not force:
        raise Misconfigured(f"{path} exists", hint="--force replaces it; --config writes to another file")
    asking = sys.stdin.isatty() and not options.as_json
    complete = _ask(answers) if asking else answers
    _refuse_gaps(complete)
    _write(path, render_config(complete), complete)
    missing = [name for name in complete.variables if name not in os.environ]
    if options.as_json:
        print_json({"config": str(path), "variables": complete.variables, "missing": missing})
    else:
        _say_next(path, complete, missing)
    return 0


def _ask(answers: Answers) -> Answers:
    """Ask for what is still open; an option given is not asked again."""
    console = screen()
    given: dict[str, str] = {}
    for name, question in REQUIRED.items():
        while not (given.get(name) or getattr(answers, name)):
            given[name] = Prompt.ask(question, console=console).strip()
    if any(given.values()):
        for name, question in OPTIONAL.items():
            default = getattr(NO_ANSWERS, name)
            if getattr(answers, name) == default:
                given[name] = Prompt.ask(question, console=console, default=default, show_default=bool(default)).strip()
    return replace(answers, **cast("dict[str, Any]", given))


def _refuse_gaps(answers: Answers) -> None:
    missing = [f"--{name.replace('_', '-')}" for name in REQUIRED if not getattr(answers, name)]
    if missing:
        raise Misconfigured(
            f"missing: {', '.join(missing)}", hint="give these options, or run `closedwon init` in a terminal: it asks"
        )
    if not TENANT.match(answers.tenant):
        raise Misconfigured(
            f"--tenant {answers.tenant!r} is not a short name", hint="small letters, digits, - and _, such as acme"
        )


def _write(path: Path, text: str, answers: Answers) -> None:
    """Write the whole file or nothing, after reading it as `run` would. *Raises* Misconfigured."""
    from closedwon.app.settings import load_settings  # noqa: PLC0415 - slow to import

    try:
        handle, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.", suffix=".new")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}", hint="choose another --config") from None
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        with _pretending(answers):
            load_settings(draft)
        draft.replace(path)
    except Misconfigured as error:
        problems = "\n".join(f"  {one['place']}: {one['text']}" for one in error.details.get("problems", ()))
        raise Misconfigured(
            f"these answers make no configuration:\n{problems or error.text}", hint="correct them and try again"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _pretending(answers: Answers) -> Iterator[None]:
    """Act as if the environment held every secret: the answers are checked, the secrets later."""
    lent = [name for name in answers.variables if name not in os.environ]
    os.environ.update(dict.fromkeys(lent, PLACEHOLDER))
    try:
        yield
    finally:
        for name in lent:
            del os.environ[name]


def _say_next(path: Path, answers: Answers, missing: list[str]) -> None:
    say(f"{path} is written.")
    if missing:
        say("Export these before you go on:")
        for name in missing:
            say(f"  export {name}=…    # {answers.variables[name]}")
    say(f"Next: `closedwon check --config {path}`, then `closedwon connect`, then `closedwon run`")


def render_config(answers: Answers) -> str:
    """Render the file, its comments in one column. Pure."""
    return "\n".join(map(_align, _render(answers).splitlines())) + "\n"


def _align(line: str) -> str:
    content, mark, comment = line.rpartition("    # ")
    return f"{content.rstrip().ljust(COMMENT_COLUMN)}  # {comment}" if mark and content.strip() else line


def _render(answers: Answers) -> str:
    quote = json.dumps  # a JSON string is a YAML string too
    prefix = answers.prefix
    code = answers.xero_auth == "authorization_code"
    return f"""\
# The configuration of Closedwon. Secrets stay elsewhere: env:NAME is an environment variable, file:PATH a file.
# `closedwon check` reads it, names every problem with its line, and looks at both systems.

store: {quote(answers.store)}    # sqlite:///FILE, relative to this file, or postgresql://…
{_line("public_url", answers.public_url, "https://hooks.example.com", "where webhooks reach us; else feeds only")}
tenants:
  {answers.tenant}:
    connections:
      crm:
        connector: dynamics
        url: {quote(answers.crm_url)}
        auth:
          kind: client_credentials    # an application user of the environment
          directory: {quote(answers.directory)}
          client_id: {quote(answers.crm_client_id)}
          client_secret: env:{prefix}_CRM_SECRET
        {_reference("webhook_secret", f"{prefix}_CRM_WEBHOOK_SECRET", on=bool(answers.public_url))}
        write_back: {answers.write_back}    # the record that shows the invoice: invoice, order or opportunity
      books:
        connector: xero
        {_line("organisation", answers.organisation, "", "its id; needed where the app reaches several")}
        auth:
          kind: {answers.xero_auth}    # or {"custom_connection" if code else "authorization_code"}
          client_id: {quote(answers.xero_client_id)}
          client_secret: env:{prefix}_XERO_SECRET
          {_reference("refresh_token", f"{prefix}_XERO_REFRESH_TOKEN", on=code)}
        {_reference("webhook_key", f"{prefix}_XERO_WEBHOOK_KEY", on=bool(answers.public_url))}
    integrations:
      sales:
        crm: crm
        books: books
        feed_every_s: 60                       # how often both systems are asked what changed
        flows:
          opportunity_won:                     # a won deal becomes an invoice
            invoice_status: {answers.invoice_status}    # draft, submitted or authorised
            {_line("account_code", answers.account_code, "200", "for lines whose item names no account")}
            {_line("tax_type", answers.tax_type, "OUTPUT2", "for lines whose item names no tax type")}
            timezone: {quote(answers.timezone)}    # decides which day it is
            due_days: 30                       # days from the issue date
          invoice_status: {{}}                   # what happens to the invoice shows in the CRM
"""


def _line(key: str, value: str, example: str, why: str) -> str:
    """Render a setting, or show in a comment what could stand there."""
    written = f"{key}: {json.dumps(value)}" if value else f"# {key}: {json.dumps(example)}"
    return f"{written}    # {why}"


def _reference(key: str, name: str, *, on: bool) -> str:
    return f"{'' if on else '# '}{key}: env:{name}"

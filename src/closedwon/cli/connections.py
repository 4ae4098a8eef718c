"""Connections: testing them, registering their webhooks, and the doctor that looks at everything."""

from __future__ import annotations

import stat
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.text import Text

from closedwon.cli.options import OPTIONS, Options, choose_tenant, opened_app, opened_desk
from closedwon.cli.output import EXIT_FAILED, EXIT_FINE, EXIT_UNREACHABLE, exit_code_of, print_json, progress, say
from closedwon.kernel.errors import ClosedwonError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from closedwon.app.settings import Settings
    from closedwon.connectors.port import Finding


def connect(*, options: Options = OPTIONS) -> int:
    """Test the connections and register their webhooks."""
    with opened_desk(options) as (desk, tenant), progress("Connecting", quiet=options.as_json):
        done = desk.connect(tenant)
    if options.as_json:
        print_json({"tenant": tenant, "connections": done})
        return EXIT_FINE
    for name, words in done.items():
        say(Text(name, style="bold"))
        for line in words:
            say(f"  {line}")
    say("Next: `closedwon run`")
    return EXIT_FINE


def check(*, options: Options = OPTIONS) -> int:
    """Find out what is wrong, why, and what to do about it."""
    from closedwon.app.settings import load_settings  # noqa: PLC0415 - slow to import

    settings = load_settings(options.path)
    tenants = [choose_tenant(options.tenant, settings.tenants)] if options.tenant else settings.tenants
    findings = _look_at_files(settings)
    code = EXIT_FINE
    try:
        with progress("Checking", quiet=options.as_json):
            findings += _look_at_systems(options, tenants)
    except ClosedwonError as error:
        findings.append(_failed("store and key", error))
        code = exit_code_of(error)
    code = code or _judge(findings)
    if options.as_json:
        print_json({"ok": code == EXIT_FINE, "findings": [asdict(one) for one in findings]})
    else:
        _say_findings(findings)
    return code


def _look_at_files(settings: Settings) -> list[Finding]:
    """Look at what lies on this machine."""
    from closedwon.connectors.port import Finding  # noqa: PLC0415

    tenants, connections = len(settings.tenants), len(settings.connections)
    found = [Finding("configuration", ok=True, text=f"{settings.path}: {tenants} tenant(s), {connections} connections")]
    if not settings.public_url:
        hint = "set `public_url` to an address the vendors can reach, then `closedwon connect`"
        found.append(Finding("public address", ok=True, text="none: changes are found by the feeds only", hint=hint))
    if not settings.integrations:
        hint = "add one under `integrations`: a crm, books and flows"
        found.append(Finding("integrations", ok=False, text="there are none, so nothing would happen", hint=hint))
    key = settings.path.parent / "closedwon.key"
    if key.exists() and key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        found.append(Finding("key file", ok=False, text=f"others may read {key}", hint=f"chmod 600 {key}"))
    return found


def _look_at_systems(options: Options, tenants: Sequence[str]) -> list[Finding]:
    """Look at the store and, through it, at every connection. *Raises* what opening the store raises."""
    from closedwon.app.desk import Desk  # noqa: PLC0415

    with opened_app(options.path, "CRITICAL") as app:
        desk = Desk(app)
        found = [desk.check_store()]
        for tenant in tenants:
            found += desk.check(tenant)
            for name, error in app.tenants.list_paused(tenant).items():
                found.append(_paused(f"{tenant}.{name}", error))
    return found


def _paused(subject: str, error: dict[str, object]) -> Finding:
    from closedwon.connectors.port import Finding  # noqa: PLC0415

    hint = str(error.get("hint") or "mend the cause; it goes on by itself")
    return Finding(subject, ok=False, text=f"paused: {error.get('text', '')}", hint=hint)


def _failed(subject: str, error: ClosedwonError) -> Finding:
    from closedwon.connectors.port import Finding  # noqa: PLC0415

    return Finding(subject, ok=False, text=error.text, hint=error.hint, code=error.code)


def _judge(findings: Sequence[Finding]) -> int:
    if any(one.code == Unavailable.code for one in findings if not one.ok):
        return EXIT_UNREACHABLE
    return EXIT_FINE if all(one.ok for one in findings) else EXIT_FAILED


def _say_findings(findings: Sequence[Finding]) -> None:
    for one in findings:
        mark = ("ok    ", "green") if one.ok else ("WRONG ", "bold red")
        say(Text.assemble(mark, (one.subject, "bold"), ": ", one.text))
        if one.hint:
            say(Text.assemble("      ", ("Next: ", "bold"), one.hint))
    wrong = sum(not one.ok for one in findings)
    say(f"{wrong} of {len(findings)} findings need you." if wrong else f"All {len(findings)} findings are fine.")

"""The running product: starting it, asking how it stands, its version."""

from __future__ import annotations

import os
import platform
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.types import UInt16  # noqa: TC002 - cyclopts reads the annotations at run time
from cyclopts.validators import Number
from rich.text import Text

from closedwon import __version__
from closedwon.cli.options import CONFIGURED, OPTIONS, PRINTING, Configured, Options, Printing, opened_app, opened_desk
from closedwon.cli.output import print_json, say, table

if TYPE_CHECKING:
    from types import FrameType

    from closedwon.app.compose import App

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_WORKERS = 8
MOST_WORKERS = 64
PATIENCE_S = 5  # for the first look at the feeds, when we are told to stop
STATES = ("pending", "running", "waiting", "parked", "succeeded", "failed", "cancelled")


def run(
    *,
    port: Annotated[UInt16, Parameter(help="Port of the HTTP server; 0 takes any free one.")] = DEFAULT_PORT,
    host: Annotated[str, Parameter(help="Address the HTTP server listens on.")] = DEFAULT_HOST,
    workers: Annotated[
        int, Parameter(validator=Number(gte=1, lte=MOST_WORKERS), help="How many lanes are worked on at once.")
    ] = DEFAULT_WORKERS,
    options: Configured = CONFIGURED,
) -> int:
    """Run everything in one process: webhooks, feeds, engine."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with opened_app(options.path, "INFO") as app:
            _serve(app, (host, port), workers, as_json=options.as_json)
    except KeyboardInterrupt:
        pass  # told to stop; what was open is closed by now
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _serve(app: App, place: tuple[str, int], workers: int, *, as_json: bool) -> None:
    """Work and answer until told to stop."""
    from closedwon.web.server import listen, serve  # noqa: PLC0415 - slow to import

    first_look = threading.Thread(target=_read_feeds, args=[app], name="first look", daemon=True)
    with listen(*place) as opened:
        app.start(workers)
        host, port = opened.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

        def ready() -> None:
            _announce(app, url, as_json=as_json)
            first_look.start()

        serve(app, opened, ready)
    if first_look.is_alive():
        first_look.join(PATIENCE_S)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make SIGTERM end the process as Ctrl+C does: in order."""
    raise KeyboardInterrupt


def _announce(app: App, url: str, *, as_json: bool) -> None:
    """Say that we are ready, and where."""
    hooks = {one.reference: app.settings.hook_url(one) for one in app.settings.connections.values()}
    if as_json:
        print_json({"url": url, "pid": os.getpid(), "config": str(app.settings.path), "webhooks": hooks})
    else:
        say(f"Closedwon {__version__} runs at {url} (process {os.getpid()}). Ctrl+C stops it.")
        for name, address in hooks.items():
            say(f"  {name}: {f'webhooks at {address}' if address else 'no public_url, so feeds only'}")
    sys.stdout.flush()


def _read_feeds(app: App) -> None:
    """Look at the feeds for what happened while nobody looked."""
    from closedwon.kernel.errors import ClosedwonError  # noqa: PLC0415

    for key in app.settings.integrations:
        try:
            app.read_feeds(*key)
        except ClosedwonError as error:
            print(f"feeds of {'.'.join(key)} not read: {error.text}", file=sys.stderr)


def status(*, options: Options = OPTIONS) -> int:
    """Show how things stand: runs, review items, feeds, pauses."""
    with opened_desk(options) as (desk, tenant):
        found = desk.status(tenant)
    if options.as_json:
        print_json(found)
        return 0
    say(Text(f"Tenant {tenant} at {found['at']}", style="bold"))
    say(f"Invoices linked: {found['invoices_linked']}    Open review items: {found['open_items']}")
    if found["oldest_waiting"]:
        say(f"Oldest run in a lane: since {found['oldest_waiting']}")
    if found["runs"]:
        rows = [[lane, *(counts.get(state, 0) or "-" for state in STATES)] for lane, counts in found["runs"].items()]
        say(table(["lane", *STATES], rows))
    else:
        say("No runs yet: win a deal in the CRM, or `closedwon sync RECORD`.")
    _say_feeds(found)
    return 0


def _say_feeds(found: dict[str, Any]) -> None:
    for name, at in sorted(dict(found["feeds_read"]).items()):
        say(f"Feed of {name} last read {at}")
    for name, error in sorted(found["paused"].items()):
        say(Text(f"Paused: {name}: {error.get('text', '')}", style="yellow"))
        say(f"  Next: {error.get('hint') or '`closedwon check`'}")
    if found["open_items"]:
        say("Next: `closedwon review list`")


def version(*, options: Printing = PRINTING) -> int:
    """Print the version."""
    python, system = platform.python_version(), platform.system()
    if options.as_json:
        print_json({"version": __version__, "python": python, "system": system})
    else:
        say(f"closedwon {__version__} (Python {python} on {system})")
    return 0

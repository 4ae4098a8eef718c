"""The `start` command: makes the world, both simulators and their files, and serves until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from closedwon_sandbox import handover
from closedwon_sandbox.dataverse import DataverseSimulator
from closedwon_sandbox.handover import Running
from closedwon_sandbox.server import Sandbox, listen
from closedwon_sandbox.settings import dataverse_settings, xero_settings
from closedwon_sandbox.world import generate
from closedwon_sandbox.world.seeding import COMPANIES
from closedwon_sandbox.xero import XeroSimulator

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from closedwon_sandbox.settings import DataverseSettings, XeroSettings
    from closedwon_sandbox.world import World

EXIT_FINE = 0
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
HIGHEST_PORT = 65_535


class CannotStartError(Exception):
    """The sandbox cannot start here; the text says why and what to do, `exit_code` what to exit with."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _start(options)
    except CannotStartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return EXIT_FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("closedwon_sandbox", description="Local simulators of Dynamics CRM and Xero.")
    start = parser.add_subparsers(dest="command", required=True).add_parser("start", help="start both simulators")
    start.add_argument("--dir", type=Path, required=True, help="folder for sandbox.json, closedwon.yaml and ca.pem")
    start.add_argument("--dynamics-port", type=_port, default=0, help="port of Dynamics CRM; 0: any free one")
    start.add_argument("--xero-port", type=_port, default=0, help="port of Xero; 0: any free one")
    start.add_argument("--tls", action="store_true", help="serve https with an authority of its own")
    start.add_argument("--seed", type=int, default=1, help="the same seed makes the same world and credentials")
    start.add_argument("--size", choices=sorted(COMPANIES, key=COMPANIES.__getitem__), default="small")
    start.add_argument("--hooks-url", default=handover.DEFAULT_HOOKS_URL, help="where webhooks reach the product")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {HIGHEST_PORT}")
    return port


def _start(options: argparse.Namespace) -> None:
    folder: Path = options.dir.absolute()
    with _folder_errors(folder):
        handover.prepare(folder)
        tls = handover.make_certificate(folder) if options.tls else None
    with contextlib.ExitStack() as stack:
        sockets = {
            "dynamics": stack.enter_context(_listen(options.dynamics_port, "--dynamics-port")),
            "xero": stack.enter_context(_listen(options.xero_port, "--xero-port")),
        }
        running = _describe(options, folder, sockets)
        sandbox = assemble(running.world, running.dynamics, running.xero)
        request = StopRequest()  # before anybody is told that we run: from then on we may be told to stop
        gc.collect()
        gc.freeze()  # the world stays until the end: the collector need not walk it again and again
        with _folder_errors(folder):
            handover.write_files(folder, running)
        _announce(running, folder)
        asyncio.run(_serve(sandbox, sockets, tls, request))


def assemble(world: World, dynamics: DataverseSettings, xero: XeroSettings) -> Sandbox:
    """Put both simulators of a world into one sandbox."""
    sandbox = Sandbox()
    books = XeroSimulator(sandbox.clock, sandbox.postmen["xero"], world, xero)
    sandbox.add("dynamics", DataverseSimulator(sandbox.clock, sandbox.postmen["dynamics"], world, dynamics))
    sandbox.add("xero", books, portal=books.configure_webhook)
    return sandbox


def _describe(options: argparse.Namespace, folder: Path, sockets: Mapping[str, socket.socket]) -> Running:
    scheme = "https" if options.tls else "http"
    urls = {system: f"{scheme}://127.0.0.1:{listener.getsockname()[1]}" for system, listener in sockets.items()}
    return Running(
        dynamics_url=urls["dynamics"],
        xero_url=urls["xero"],
        hooks_url=options.hooks_url.rstrip("/"),
        ca_file=folder / handover.CA_FILE if options.tls else None,
        world=generate(options.seed, options.size),
        dynamics=dataverse_settings(options.seed),
        xero=xero_settings(options.seed),
    )


class StopRequest:
    """Hears SIGINT and SIGTERM from the moment it is made, also while there is nothing running yet to be stopped."""

    def __init__(self) -> None:
        self._made = False
        self._stop: Callable[[], object] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def _hear(self, *_signal: object) -> None:
        self._made = True
        if self._stop is not None:
            self._stop()

    def pass_on_to(self, stop: Callable[[], object]) -> None:
        """Have `stop` called for a request; at once if there was one already."""
        self._stop = stop
        if self._made:
            stop()


async def _serve(
    sandbox: Sandbox, sockets: Mapping[str, socket.socket], tls: ssl.SSLContext | None, request: StopRequest
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    request.pass_on_to(lambda: loop.call_soon_threadsafe(stop.set))
    await sandbox.serve(sockets, tls, stop)


def _announce(running: Running, folder: Path) -> None:
    world = running.world
    text = f"""\
The sandbox runs: {world.organisation_name}, {len(world.companies)} companies, {len(world.deals)} open deals.
  Dynamics CRM    {running.dynamics_url}
  Xero            {running.xero_url}
  control plane   {running.dynamics_url}/_sandbox/   (stats, state, clock, limits, faults, webhooks)
  credentials     {folder / handover.SANDBOX_FILE}
  configuration   {folder / handover.CONFIG_FILE}
Try it with:      closedwon run --config {folder / handover.CONFIG_FILE}
Ctrl+C stops it; nothing is kept.
"""
    with contextlib.suppress(BrokenPipeError):  # whoever started us need not listen
        sys.stdout.write(text)
        sys.stdout.flush()


def _listen(port: int, option: str) -> socket.socket:
    try:
        return listen(port)
    except OSError as error:
        raise CannotStartError(
            f"Port {port} cannot be used: {error.strerror}. Choose another with {option}, or 0 for any free one.",
            EXIT_UNREACHABLE,
        ) from None


@contextlib.contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except handover.ForeignFileError as error:
        raise CannotStartError(f"{error}. Move it, or choose another folder with --dir.", EXIT_USAGE) from None
    except OSError as error:
        raise CannotStartError(
            f"Cannot write to {folder}: {error.strerror}. Choose another folder with --dir.", EXIT_USAGE
        ) from None

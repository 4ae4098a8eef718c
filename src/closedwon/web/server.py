"""The HTTP server: which routes there are, and how they are served."""

from __future__ import annotations

import contextlib
import gc
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from litestar import Litestar, Response, get
from litestar.openapi import OpenAPIConfig

from closedwon import __version__
from closedwon.kernel.errors import ClosedwonError, Misconfigured
from closedwon.web.webhooks import build_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from closedwon.app.compose import App

BACKLOG = 2048
DRAIN_S = 5


def build_api(app: App) -> Litestar:
    """Build the HTTP application of a running product."""

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "alive", "version": __version__}

    @get("/readyz", sync_to_thread=True)
    def readyz() -> Response[dict[str, Any]]:
        """Say whether events can be taken in and worked on."""
        try:
            paused = {tenant: sorted(app.tenants.list_paused(tenant)) for tenant in app.settings.tenants}
        except ClosedwonError as error:
            return Response({"status": "not ready", "reason": error.text}, status_code=503)
        return Response({"status": "ready", "paused": {tenant: names for tenant, names in paused.items() if names}})

    return Litestar(
        route_handlers=[*build_hooks(app.settings, app.intake), healthz, readyz],  # type: ignore[list-item]
        openapi_config=OpenAPIConfig("Closedwon", __version__),
        logging_config=None,
    )


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; port 0 takes any free one. *Raises* Misconfigured when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where it sees the protocol; with it an answer takes 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise Misconfigured(
            f"port {port} on {host} cannot be used: {error.strerror}", hint="choose another --port"
        ) from None
    opened.listen(BACKLOG)
    return opened


def serve(app: App, opened: socket.socket, ready: Callable[[], None] | None = None) -> None:
    """Serve until the process is told to stop. `ready` is called once requests are answered."""
    config = uvicorn.Config(
        build_api(app),
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=DRAIN_S,
        server_header=False,
    )
    gc.collect()
    gc.freeze()  # what is loaded by now stays: walking it again and again would stop webhooks for 100 ms each time
    server = _Server(config, ready)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[opened])


class _Server(uvicorn.Server):
    """A server that says when it is up."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None:
            self._ready()

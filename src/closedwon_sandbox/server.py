"""Serves both simulators from one process and one event loop, each on its own port."""

from __future__ import annotations

import asyncio
import socket
import sys
import traceback
from collections import Counter
from contextlib import nullcontext
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeVar

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from closedwon_sandbox.clock import Clock
from closedwon_sandbox.control import PREFIX, ControlPlane
from closedwon_sandbox.exchange import Reply, Request
from closedwon_sandbox.faults import SYSTEMS, Faults, Rule, spoil
from closedwon_sandbox.postman import HttpPostman
from closedwon_sandbox.stats import Stats

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
    from contextlib import AbstractContextManager

    from closedwon_sandbox.exchange import Simulator

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = {"dynamics": 130_000_000, "xero": 10_000_000}
TICK_S = 0.02
KEEP_ALIVE_S = 75
SHUTDOWN_S = 2
NO_BODY = frozenset({204, 304})
R = TypeVar("R")
_TRANSPORT = "closedwon.transport"


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 that lets the application cut the connection and never waits for full packets."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        # without it the second packet of an answer waits 40 ms for the client's acknowledgement
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


class _Server(Server):
    """A server whose signals are somebody else's: two of them run in one process."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        return nullcontext()


class _BodyTooLargeError(Exception):
    """More came than the server is ready to hold."""


class _ClientGoneError(Exception):
    """The client hung up before it had sent everything."""


class Site:
    """The ASGI application of one simulator: control plane, then faults, limits, the vendor's work, faults again."""

    def __init__(self, system: str, simulator: Simulator, sandbox: Sandbox) -> None:
        self._system = system
        self._simulator = simulator
        self._clock = sandbox.clock
        self._control = sandbox.control
        self._faults = sandbox.faults
        self._stats = sandbox.stats
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        assert scope["type"] == "http", "neither lifespan nor websockets are served"
        try:
            body = await _read(receive, MAX_BODY_BYTES[self._system])
        except _BodyTooLargeError:
            headers = {"Content-Type": "text/plain", "Connection": "close"}
            await self._write(send, Reply(413, b"Request body too large", headers))
            return
        except _ClientGoneError:
            return
        request = _request(scope, body)
        if request.raw_path.startswith(PREFIX):
            await self._write(send, _guarded(self._control.handle, request))
            return
        await self._serve(request, scope, receive, send)

    async def _serve(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        caller, endpoint = self._simulator.caller(request), self._simulator.endpoint(request)
        self._stats.count(self._system, caller, endpoint)
        self._in_flight[caller] += 1
        try:
            reply = await self._reply(request, caller, self._faults.for_request(self._system, endpoint))
            if reply is None:
                await _cut(scope, receive)
                return
            if reply.status == 429:  # noqa: PLR2004 - the number is the name
                self._stats.count_throttled(self._system, caller)
            await self._write(send, reply)
        finally:
            self._in_flight[caller] -= 1

    async def _reply(self, request: Request, caller: str, fault: Rule | None) -> Reply | None:
        """Let the vendor answer as far as the fault permits; None stands for no answer at all."""
        if fault is None:
            return await self._vendor(request, caller)
        if fault.do == "slow":
            await asyncio.sleep(fault.seconds or 0)
        reply = await self._vendor(request, caller) if fault.commits else None
        return _guarded(lambda asked: spoil(fault, self._simulator, asked, reply), request)

    async def _vendor(self, request: Request, caller: str) -> Reply:
        in_flight = self._in_flight[caller]
        refusal = _guarded(lambda asked: self._simulator.throttled(asked, in_flight), request)
        if refusal is not None:
            return refusal
        if latency_ms := self._simulator.settings.latency_ms:
            await asyncio.sleep(latency_ms / 1000)
        return _guarded(self._simulator.handle, request)

    async def _write(self, send: Send, reply: Reply) -> None:
        date = (b"Date", formatdate(self._clock.timestamp(), usegmt=True).encode())
        await send({"type": "http.response.start", "status": reply.status, "headers": [date, *_headers(reply)]})
        await send({"type": "http.response.body", "body": b"" if reply.status in NO_BODY else reply.body})


class Sandbox:
    """What both simulators share while they run: clock, faults, counters, control plane and postmen."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.stats = Stats()
        self.postmen = {system: HttpPostman(system, self.clock, self.faults) for system in SYSTEMS}
        self.control = ControlPlane(self.clock, self.stats, self.faults, self.postmen)
        self._sites: dict[str, Site] = {}

    def add(self, system: str, simulator: Simulator, portal: Callable[[str, str], object] | None = None) -> None:
        """Take in a simulator; `portal` sets its webhook as the vendor's developer portal would."""
        self.control.add(system, simulator, portal)
        self._sites[system] = Site(system, simulator, self)

    async def serve(
        self, sockets: Mapping[str, socket.socket], tls: ssl.SSLContext | None, stop: asyncio.Event
    ) -> None:
        """Serve every system on its listening socket until `stop` is set."""
        servers = {system: _server(site, tls) for system, site in self._sites.items()}
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(self._tick())
            serving = [group.create_task(server.serve([sockets[system]])) for system, server in servers.items()]
            await stop.wait()
            for server in servers.values():
                server.should_exit = True
            await asyncio.wait(serving)
            ticking.cancel()
        for postman in self.postmen.values():
            await postman.close()

    async def _tick(self) -> None:
        while True:
            try:
                self.clock.tick()
            except Exception:  # noqa: BLE001 - a simulator's bug must not stop everybody's clock; it shows on stderr
                traceback.print_exc(file=sys.stderr)
            await asyncio.sleep(TICK_S)


def listen(port: int) -> socket.socket:
    """Bind a port of this machine, 0 for any free one. *Raises* OSError when it is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there the option would let two processes share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _server(site: Site, tls: ssl.SSLContext | None) -> _Server:
    config = Config(
        site,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # `Site` adds one from the sandbox's clock
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    config.load()
    config.ssl = tls
    return _Server(config)


async def _read(receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            raise _BodyTooLargeError
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _request(scope: Scope, body: bytes) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    host = headers.get("host") or "{}:{}".format(*scope["server"])
    return Request(
        method="GET" if scope["method"] == "HEAD" else scope["method"],  # the server leaves the body out
        raw_path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        base_url=f"{scope['scheme']}://{host}",
    )


def _headers(reply: Reply) -> Iterator[tuple[bytes, bytes]]:
    for name, value in reply.headers.items():
        if name.lower() != "content-length":
            yield name.encode("latin-1"), value.encode("latin-1", "replace")
    if reply.status not in NO_BODY:
        yield b"Content-Length", str(len(reply.body)).encode()


async def _cut(scope: Scope, receive: Receive) -> None:
    """Close the connection without a word."""
    scope["extensions"][_TRANSPORT]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _guarded(handler: Callable[[Request], R], request: Request) -> R | Reply:
    """Call a simulator; its bug becomes a 500 and a traceback on stderr, never a request that hangs."""
    try:
        return handler(request)
    except Exception:  # noqa: BLE001 - see above
        traceback.print_exc(file=sys.stderr)
        return Reply(500, b"The sandbox failed: see its stderr", {"Content-Type": "text/plain"})

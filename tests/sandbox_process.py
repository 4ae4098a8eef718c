"""Starts the sandbox for a test: as a child process, as people do, or on a thread of this one, which is faster."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

from closedwon_sandbox.server import Sandbox as Served
from closedwon_sandbox.server import listen
from closedwon_sandbox.settings import DataverseSettings, XeroSettings, dataverse_settings, xero_settings
from closedwon_sandbox.world import World, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15


@dataclass
class Control:
    """The control plane of a sandbox, as a test uses it."""

    url: str
    verify: Any = True
    client: httpx2.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx2.Client(base_url=f"{self.url}/_sandbox/", verify=self.verify, trust_env=False, timeout=60)

    def stats(self) -> Any:
        """Return the call counters: system, caller, "total" and "endpoints"."""
        return self._ask("GET", "stats")

    def reset_stats(self) -> None:
        """Count from zero."""
        self._ask("DELETE", "stats")

    def state(self, system: str | None = None) -> Any:
        """Return everything both systems hold, or one of them."""
        return self._ask("GET", f"state?system={system}")[system] if system else self._ask("GET", "state")

    def fault(self, system: str, do: str, **rule: Any) -> int:
        """Arm one fault rule and return its id."""
        return int(self._ask("POST", "faults", {"system": system, "do": do, **rule})[0]["id"])

    def faults(self) -> Any:
        """Return the rules in force with their "seen" and "hits"."""
        return self._ask("GET", "faults")

    def clear_faults(self) -> None:
        """Forget every fault rule."""
        self._ask("DELETE", "faults")

    def clock(self, advance_s: float | None = None) -> str:
        """Return the sandbox's time, moved forward first if asked to."""
        if advance_s is None:
            return str(self._ask("GET", "clock")["now"])
        return str(self._ask("POST", "clock", {"advance_s": advance_s})["now"])

    def limits(self, system: str, **limits: Any) -> None:
        """Set limits of one system, such as minute=10 or enforce=False."""
        self._ask("POST", "limits", {"system": system, **limits})

    def webhooks(self) -> Any:
        """Return per system how many webhooks were posted, delivered, refused, lost and are under way."""
        return self._ask("GET", "webhooks")

    def set_xero_webhook(self, url: str, key: str) -> None:
        """Set the webhook of the Xero app, as a developer does in the vendor's portal."""
        self._ask("POST", "webhooks/xero", {"url": url, "key": key})

    def _ask(self, method: str, path: str, document: Any = None) -> Any:
        answer = self.client.request(method, path, json=document)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@dataclass
class Sandbox(Control):
    """A running sandbox process: `info` is its sandbox.json, `folder` where its files are."""

    info: dict[str, Any] = field(kw_only=True)
    folder: Path = field(kw_only=True)
    process: subprocess.Popen[bytes] = field(kw_only=True)

    @property
    def dynamics_url(self) -> str:
        """Where Dynamics CRM answers."""
        return str(self.info["dynamics"]["url"])

    @property
    def xero_url(self) -> str:
        """Where Xero answers."""
        return str(self.info["xero"]["api_url"])

    @property
    def ca_file(self) -> Any:
        """The certificate authority's file, None without --tls."""
        return self.info["ca_file"]

    @property
    def config_file(self) -> Path:
        """The closedwon.yaml that runs the product against this sandbox."""
        return self.folder / "closedwon.yaml"


@contextmanager
def running_sandbox(folder: Path, *arguments: str) -> Iterator[Sandbox]:
    """Run `python -m closedwon_sandbox start --dir FOLDER ARGUMENTS…` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "sandbox.log"
    command = [sys.executable, "-m", "closedwon_sandbox", "start", "--dir", str(folder), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        info = _await_file(folder / "sandbox.json", process, log)
        verify = _trusting(info["ca_file"]) if info["ca_file"] else True
        sandbox = Sandbox(info["control"].removesuffix("/_sandbox"), verify, info=info, folder=folder, process=process)
        with sandbox.client:
            yield sandbox
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Simulators(Control):
    """Both simulators on a thread of this process; `served` and the settings can be reached into."""

    served: Served = field(kw_only=True)
    dynamics_url: str = field(kw_only=True)
    xero_url: str = field(kw_only=True)
    world: World = field(kw_only=True)
    dynamics: DataverseSettings = field(kw_only=True)
    xero: XeroSettings = field(kw_only=True)


@contextmanager
def simulators_on_a_thread(seed: int = 1, size: str = "small") -> Iterator[Simulators]:
    """Run both simulators without a process of their own: quicker, but their work is done by this interpreter."""
    from closedwon_sandbox.start import assemble

    world, dynamics, xero = generate(seed, size), dataverse_settings(seed), xero_settings(seed)
    served = assemble(world, dynamics, xero)
    with on_a_thread(served, "dynamics", "xero") as urls:
        simulators = Simulators(
            urls["dynamics"],
            served=served,
            dynamics_url=urls["dynamics"],
            xero_url=urls["xero"],
            world=world,
            dynamics=dynamics,
            xero=xero,
        )
        with simulators.client:
            yield simulators


@contextmanager
def on_a_thread(served: Served, *systems: str) -> Iterator[dict[str, str]]:
    """Serve an assembled sandbox on a thread of this process; yields the base URL of each system."""
    sockets = {system: listen(0) for system in systems}
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[served.serve(sockets, None, stop)])
    thread.start()
    try:
        yield {system: f"http://127.0.0.1:{listener.getsockname()[1]}" for system, listener in sockets.items()}
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _await_file(path: Path, process: subprocess.Popen[bytes], log: Path) -> Any:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not path.exists():
        assert process.poll() is None, f"the sandbox ended with {process.returncode}: {log.read_text()}"
        assert time.monotonic() < deadline, f"the sandbox did not start in time: {log.read_text()}"
        time.sleep(0.01)
    return json.loads(path.read_text())


def _trusting(ca_file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=ca_file)

"""The processes of the demo: the sandbox, and the product as people run it. In the end both are gone."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from closedwon.cli.demo.control import Sandbox, open_sandbox
from closedwon.kernel.clock import SystemClock
from closedwon.kernel.errors import ClosedwonError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from closedwon.app.desk import Desk
    from closedwon.kernel.http import HttpClient

TENANT = "demo"
INTEGRATION = "sales"
HOST = "127.0.0.1"
CONFIG_FILE = "closedwon-demo.yaml"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 15
POLL_S = 0.05
OPEN_STATES = ("pending", "running", "waiting")
QUOTED_LINES = 12
PRODUCT = "closedwon.cli.main"
CLOCK = SystemClock()


@dataclass(slots=True)
class Stage:
    """The demo's folder with the two children that work in it."""

    folder: Path
    http: HttpClient
    sandbox: Sandbox
    port: int
    sandbox_process: subprocess.Popen[bytes]
    product: subprocess.Popen[bytes] | None = None
    config: Path = field(default=Path(CONFIG_FILE))

    @property
    def product_id(self) -> int:
        """Return the product's process id, 0 while it does not run."""
        return self.product.pid if self.product is not None else 0

    @property
    def url(self) -> str:
        """Return where the product is reached."""
        return f"http://{HOST}:{self.port}"

    # --- the product --------------------------------------------------------------------------------------------

    def write_config(self, name: str = CONFIG_FILE, *, store: str = "", feed_every_s: int = 0) -> None:
        """Write the configuration the product shall run with, made of the sandbox's own."""
        settings: dict[str, Any] = yaml.safe_load((self.folder / "closedwon.yaml").read_text("utf-8"))
        if store:
            settings["store"] = f"sqlite:///{store}"
        if feed_every_s:
            settings["tenants"][TENANT]["integrations"][INTEGRATION]["feed_every_s"] = feed_every_s
        self.config = self.folder / name
        self.config.write_text("# Written by `closedwon demo`.\n" + yaml.safe_dump(settings, sort_keys=False), "utf-8")
        self.config.chmod(0o600)

    @contextlib.contextmanager
    def desk(self) -> Iterator[Desk]:
        """Open the desk on the product's store, as the command line does, beside the running product."""
        from closedwon.app.compose import open_app  # noqa: PLC0415 - heavy, and `--help` need not wait for it
        from closedwon.app.desk import Desk  # noqa: PLC0415 - likewise

        app = open_app(self.config)
        try:
            yield Desk(app)
        finally:
            app.close()

    def start_product(self) -> float:
        """Run `closedwon run` and wait until it answers; return how many seconds that took."""
        started = CLOCK.monotonic()
        command = [sys.executable, "-m", PRODUCT, "run", "--config", str(self.config), "--port", str(self.port)]
        with (self.folder / "run.log").open("ab") as log:
            self.product = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603 - our own program
        self.wait(self._answers, START_TIMEOUT_S, "the product did not start")
        return CLOCK.monotonic() - started

    def _answers(self) -> bool:
        try:
            return self.http.send("GET", f"{self.url}/readyz").status < 300  # noqa: PLR2004 - HTTP's own number
        except Unavailable:
            return False

    def stop_product(self) -> None:
        """End the product as Ctrl+C does."""
        if self.product is not None:
            _end(self.product)
            self.product = None

    def kill_product(self) -> int:
        """End the product as a power cut does; return the process id it had."""
        assert self.product is not None, "there is a product to kill"
        pid = self.product.pid
        self.product.kill()
        self.product.wait()
        self.product = None
        return pid

    def set_books_webhook(self) -> None:
        """Set the address of Xero's webhook, as a developer does in the vendor's portal, and wait for its test call."""
        hooks = self.sandbox.info["hooks"]
        target = {"url": f"{self.url}/hooks/xero/{TENANT}.books", "key": hooks["xero_key"]}
        self.sandbox.control("POST", "webhooks/xero", target)
        self.wait(self._webhook_active, START_TIMEOUT_S, "Xero's webhook did not become active")

    def _webhook_active(self) -> bool:
        state = self.sandbox.control("GET", "state?system=xero")
        return bool(state["xero"]["webhook"]["status"] == "active")

    # --- waiting ------------------------------------------------------------------------------------------------

    def wait(self, done: Callable[[], bool], timeout_s: float, otherwise: str, every_s: float = POLL_S) -> None:
        """Wait until `done`. *Raises* ClosedwonError when it takes too long or a child ended by itself."""
        ends = CLOCK.monotonic() + timeout_s
        while not done():
            self.refuse_dead_children()
            if CLOCK.monotonic() > ends:
                raise self._trouble(f"{otherwise} within {timeout_s:.0f} s")
            CLOCK.sleep(every_s)

    def wait_for_count(
        self, count: Callable[[], int], wanted: int, stalled_s: float, what: str, seen: Callable[[int], object]
    ) -> None:
        """Wait until `count` reaches `wanted`; `seen` hears of progress.

        *Raises* ClosedwonError when nothing moved for `stalled_s`.
        """
        last, ends = -1, CLOCK.monotonic() + stalled_s
        while last < wanted:
            self.refuse_dead_children()
            now = count()
            if now != last:
                last, ends = now, CLOCK.monotonic() + stalled_s
                seen(now)
            elif CLOCK.monotonic() > ends:
                raise self._trouble(f"{last} of {wanted} {what}, and nothing moved for {stalled_s:.0f} s")
            if last < wanted:
                CLOCK.sleep(POLL_S * 4)

    def refuse_dead_children(self) -> None:
        """Raise ClosedwonError when a child ended by itself."""
        if self.sandbox_process.poll() is not None:
            raise ClosedwonError(f"the sandbox ended: {_tail(self.folder / 'sandbox.log')}")
        if self.product is not None and self.product.poll() is not None:
            raise self._trouble(f"the product ended with {self.product.returncode}")

    def _trouble(self, text: str) -> ClosedwonError:
        return ClosedwonError(
            text, hint=f"the product's log ({self.folder / 'run.log'}) ends with:\n{_tail(self.folder / 'run.log')}"
        )


@contextlib.contextmanager
def open_stage(folder: Path, seed: int, http: HttpClient) -> Iterator[Stage]:
    """Start the sandbox in a folder; in the end every child is gone."""
    port = _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    _refuse_used(folder)
    command = [sys.executable, "-m", "closedwon_sandbox", "start", "--dir", str(folder), "--seed", str(seed)]
    command += ["--hooks-url", f"http://{HOST}:{port}"]
    with (folder / "sandbox.log").open("wb") as log:
        # in a session of its own, so that Ctrl+C reaches this process alone, which then ends its children in order
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)  # noqa: S603 - our own program
    stage: Stage | None = None
    try:
        description = folder / "sandbox.json"
        ends = CLOCK.monotonic() + START_TIMEOUT_S
        while not description.exists():
            if process.poll() is not None or CLOCK.monotonic() > ends:
                raise ClosedwonError(f"the sandbox did not start: {_tail(folder / 'sandbox.log')}")
            CLOCK.sleep(POLL_S)
        stage = Stage(folder, http, open_sandbox(description, http), port, process)
        yield stage
    finally:
        if stage is not None:
            stage.stop_product()
        _end(process)


def open_runs(status: dict[str, Any]) -> int:
    """Count the runs that are not at an end yet, out of what the desk says."""
    return sum(int(states.get(state, 0)) for states in status["runs"].values() for state in OPEN_STATES)


def _refuse_used(folder: Path) -> None:
    """Refuse a folder with the store of an earlier demo: it knows records of a sandbox that is gone."""
    if any(folder.glob("*.db")):
        raise ClosedwonError(f"{folder} holds the store of an earlier run", hint="choose an empty folder with --dir")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # whoever presses Ctrl+C again will not wait
        process.kill()
        process.wait()


def _tail(path: Path) -> str:
    if not path.exists():
        return "(nothing was written)"
    lines = path.read_text("utf-8", "replace").splitlines()
    return os.linesep.join(lines[-QUOTED_LINES:]) or "(nothing was written)"

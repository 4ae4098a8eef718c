"""Runs the product as a process that shoots itself (SIGKILL) at one of its checkpoints; for the crash tests.

    python worker.py CONFIG CHECKPOINT#N | none

The product is untouched: the checkpoints are wrapped around its methods here. With "none" it prints the checkpoints it
passed and exits 0 when every run has ended.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closedwon.app.compose import App, open_app
from closedwon.engine.batch import Batch
from closedwon.engine.ledger import Ledger
from closedwon.engine.store import EngineStore

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 90
passed: Counter[str] = Counter()
target = sys.argv[2]


def checkpoint(name: str) -> None:
    """Die here if this is the place."""
    passed[name] += 1
    if f"{name}#{passed[name]}" == target:
        os.kill(os.getpid(), signal.SIGKILL)


def around(owner: type, method: str, name: Callable[..., str]) -> None:
    """Put a checkpoint before and one after a method."""
    original = getattr(owner, method)

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        label = name(self, *arguments, **named)
        checkpoint(f"before {label}")
        result = original(self, *arguments, **named)
        checkpoint(f"after {label}")
        return result

    setattr(owner, method, wrapped)


def around_steps() -> None:
    """Put checkpoints at the borders of every step."""
    original = Batch.step

    def step(self: Batch, name: str) -> Any:
        manager = original(self, name)
        enter, leave = manager.__enter__, manager.__exit__

        class Bordered:
            def __enter__(self) -> Any:
                checkpoint(f"before step {name}")
                return enter()

            def __exit__(self, *error: object) -> Any:
                result = leave(*error)
                if error[0] is None:
                    checkpoint(f"after step {name}")
                return result

        return Bordered()

    Batch.step = step  # type: ignore[method-assign,assignment]


def settled(app: App) -> bool:
    """Tell whether every run has ended."""
    counts = [states for tenant in app.settings.tenants for states in app.engine.count_runs(tenant).values()]
    return bool(counts) and not any(states.keys() & {"pending", "running", "waiting"} for states in counts)


def main() -> int:
    """Work until everything has ended."""
    around_steps()
    around(EngineStore, "take", lambda *_: "take")
    around(EngineStore, "open_intents", lambda _self, intents: f"promise {intents[0].operation}")
    around(Ledger, "_receipt", lambda _self, operation, *_: f"receipt {operation.name}")
    around(Batch, "commit", lambda *_: "commit")
    app = open_app(Path(sys.argv[1]))
    app.start()
    try:
        app.read_feeds("demo", "sales")
        ends = time.monotonic() + PATIENCE_S
        while not settled(app):
            if time.monotonic() > ends:
                sys.stdout.write(f"not settled: {app.engine.count_runs('demo')}\n")
                return 1
            time.sleep(0.02)
    finally:
        app.close()
    sys.stdout.write("\n".join(f"{name}#{number}" for name, number in passed.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The sandbox: a program of its own, which this command becomes."""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - cyclopts reads the annotations at run time
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import UInt16  # noqa: TC002 - as above

from closedwon.cli.options import DEBUG, Debug


def start(
    *,
    directory: Annotated[Path, Parameter(name="--dir", help="Folder for sandbox.json, closedwon.yaml and ca.pem.")],
    dynamics_port: Annotated[UInt16, Parameter(help="Port of Dynamics CRM; 0 takes any free one.")] = 0,
    xero_port: Annotated[UInt16, Parameter(help="Port of Xero; 0 takes any free one.")] = 0,
    tls: Annotated[
        bool, Parameter(negative="", show_default=False, help="Serve https, with an authority of its own.")
    ] = False,
    seed: Annotated[int, Parameter(help="The same seed makes the same world and credentials.")] = 1,
    size: Annotated[Literal["small", "medium", "large"], Parameter(help="How many companies and deals.")] = "small",
    hooks_url: Annotated[str, Parameter(help="Where webhooks reach the product.")] = "http://127.0.0.1:8080",
    options: Debug = DEBUG,  # noqa: ARG001 - read by the entry point
) -> int:
    """Start both simulators; they run until stopped."""
    # This process becomes the sandbox's: every signal reaches it, its exit code is ours, and no orphan can stay.
    command = [sys.executable, "-m", "closedwon_sandbox", "start", f"--dir={directory}"]
    command += [f"--dynamics-port={dynamics_port}", f"--xero-port={xero_port}", f"--seed={seed}", f"--size={size}"]
    command += [f"--hooks-url={hooks_url}", *(["--tls"] if tls else [])]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - no shell; the interpreter that runs us

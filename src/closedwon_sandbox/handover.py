"""What a start leaves in its folder for others to find the sandbox by: ca.pem, sandbox.json, closedwon.yaml."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from closedwon_sandbox.settings import DataverseSettings, XeroSettings
    from closedwon_sandbox.world import World

SANDBOX_FILE = "sandbox.json"
CONFIG_FILE = "closedwon.yaml"
CA_FILE = "ca.pem"
DEFAULT_HOOKS_URL = "http://127.0.0.1:8080"
_CONFIG_HEADER = "# Written by `closedwon sandbox start`"


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that listens: where, with which settings, and where the product's webhooks would be reached."""

    dynamics_url: str
    xero_url: str
    hooks_url: str
    ca_file: Path | None
    world: World
    dynamics: DataverseSettings
    xero: XeroSettings


class ForeignFileError(Exception):
    """A file stands where ours would go, and we did not write it."""


def prepare(folder: Path) -> None:
    """Make the folder and forget the last start in it. *Raises* OSError, ForeignFileError."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / CONFIG_FILE
    if config.exists() and not config.read_text("utf-8", "replace").startswith(_CONFIG_HEADER):
        raise ForeignFileError(f"{config} was not written by the sandbox and would be replaced")
    (folder / SANDBOX_FILE).unlink(missing_ok=True)


def make_certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for this machine; its authority's own certificate is written to the folder."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    _write(folder / CA_FILE, authority.cert_pem.bytes())
    return context


def write_files(folder: Path, running: Running) -> None:
    """Write closedwon.yaml and then sandbox.json, each all at once: who sees the latter can begin."""
    _write(folder / CONFIG_FILE, config_text(running).encode())
    _write(folder / SANDBOX_FILE, json.dumps(description(running), indent=2).encode() + b"\n")


def description(running: Running) -> dict[str, Any]:
    """Describe the sandbox for programs: the content of sandbox.json."""
    dynamics, xero = running.dynamics, running.xero
    return {
        "dynamics": {
            "url": running.dynamics_url,
            "authority_url": running.dynamics_url,
            "directory": dynamics.directory,
            "client_id": dynamics.client_id,
            "client_secret": dynamics.client_secret,
            "token": dynamics.token,
        },
        "xero": {
            "api_url": running.xero_url,
            "identity_url": running.xero_url,
            "client_id": xero.client_id,
            "client_secret": xero.client_secret,
            "organisations": [{"id": xero.organisation_id, "name": running.world.organisation_name}],
            "token": xero.token,
            "web_app": {
                "client_id": xero.web_client_id,
                "client_secret": xero.web_client_secret,
                "refresh_token": xero.web_refresh_token,
            },
        },
        "ca_file": str(running.ca_file) if running.ca_file else None,
        "hooks": {
            "public_url": running.hooks_url,
            "dynamics_secret": dynamics.webhook_secret,
            "xero_key": xero.webhook_key,
        },
        "control": f"{running.dynamics_url}/_sandbox",
        "world": {"seed": running.world.seed, "size": running.world.size},
        "pid": os.getpid(),
    }


def config_text(running: Running) -> str:
    """Write out the configuration with which the product runs against this sandbox."""
    dynamics, xero = running.dynamics, running.xero
    # a JSON string is a YAML string too, whatever characters it holds
    quote = json.dumps
    ca_file = f"ca_file: {CA_FILE:<38}# the sandbox's own authority, relative to this file\n" if running.ca_file else ""
    return f"""\
{_CONFIG_HEADER}, again at every start: copy it before you change it.
# The credentials are made up and open nothing but this sandbox.
store: sqlite:///closedwon.db                   # relative to this file
public_url: {quote(running.hooks_url)}
{ca_file}tenants:
  demo:
    connections:
      crm:
        connector: dynamics
        url: {quote(running.dynamics_url)}
        auth:
          kind: client_credentials
          authority_url: {quote(running.dynamics_url)}
          directory: {quote(dynamics.directory)}
          client_id: {quote(dynamics.client_id)}
          client_secret: {quote(dynamics.client_secret)}
        webhook_secret: {quote(dynamics.webhook_secret)}
      books:
        connector: xero
        api_url: {quote(running.xero_url)}
        identity_url: {quote(running.xero_url)}
        organisation: {quote(xero.organisation_id)}
        auth:
          kind: custom_connection
          client_id: {quote(xero.client_id)}
          client_secret: {quote(xero.client_secret)}
        webhook_key: {quote(xero.webhook_key)}
    integrations:
      sales:
        crm: crm
        books: books
        flows:
          opportunity_won:
            invoice_status: authorised
            account_code: "200"
            tax_type: OUTPUT2
            zero_tax_type: ZERORATED
          invoice_status: {{}}
"""


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or nothing, readable by its owner alone."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

"""The files by which others find a sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from closedwon_sandbox import handover
from closedwon_sandbox.settings import dataverse_settings, xero_settings
from closedwon_sandbox.world import generate

if TYPE_CHECKING:
    from pathlib import Path


def running(ca_file: Path | None = None) -> handover.Running:
    """Describe a sandbox that could be."""
    return handover.Running(
        dynamics_url="http://127.0.0.1:8201",
        xero_url="http://127.0.0.1:8202",
        hooks_url="http://127.0.0.1:8080",
        ca_file=ca_file,
        world=generate(1, "small"),
        dynamics=dataverse_settings(1),
        xero=xero_settings(1),
    )


def test_sandbox_json_has_what_others_rely_on(tmp_path: Path) -> None:
    """Base URLs, credentials, ids and the CA file are where programs look for them."""
    handover.write_files(tmp_path, running())
    info = json.loads((tmp_path / "sandbox.json").read_text())
    assert info["dynamics"].keys() == {"url", "authority_url", "directory", "client_id", "client_secret", "token"}
    assert info["xero"].keys() >= {"api_url", "identity_url", "client_id", "client_secret", "organisations", "token"}
    assert info["xero"]["organisations"] == [
        {"id": xero_settings(1).organisation_id, "name": "Closedwon Demo (NZ)"},
    ]
    assert info["ca_file"] is None
    assert info["control"] == "http://127.0.0.1:8201/_sandbox"


def test_closedwon_yaml_runs_against_the_sandbox(tmp_path: Path) -> None:
    """The configuration holds both connections with the simulators' own credentials and webhook secrets."""
    handover.write_files(tmp_path, running())
    config = yaml.safe_load((tmp_path / "closedwon.yaml").read_text())
    crm, books = (config["tenants"]["demo"]["connections"][name] for name in ("crm", "books"))
    dynamics, xero = dataverse_settings(1), xero_settings(1)
    assert crm["auth"]["client_secret"] == dynamics.client_secret
    assert crm["webhook_secret"] == dynamics.webhook_secret
    assert books["auth"] == {
        "kind": "custom_connection",
        "client_id": xero.client_id,
        "client_secret": xero.client_secret,
    }
    assert (books["organisation"], books["webhook_key"]) == (xero.organisation_id, xero.webhook_key)
    assert config["tenants"]["demo"]["integrations"]["sales"]["flows"].keys() == {"opportunity_won", "invoice_status"}
    assert config["public_url"] == "http://127.0.0.1:8080"
    assert "ca_file" not in config


def test_with_tls_the_files_name_the_authority(tmp_path: Path) -> None:
    """Its certificate is beside them."""
    handover.make_certificate(tmp_path)
    handover.write_files(tmp_path, running(tmp_path / "ca.pem"))
    assert yaml.safe_load((tmp_path / "closedwon.yaml").read_text())["ca_file"] == "ca.pem"
    assert json.loads((tmp_path / "sandbox.json").read_text())["ca_file"] == str(tmp_path / "ca.pem")
    assert (tmp_path / "ca.pem").read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_preparing_forgets_the_last_start(tmp_path: Path) -> None:
    """Who waits for sandbox.json does not find the old one; a configuration of ours may be replaced."""
    handover.write_files(tmp_path, running())
    handover.prepare(tmp_path)
    assert not (tmp_path / "sandbox.json").exists()
    assert (tmp_path / "closedwon.yaml").exists()


def test_a_configuration_of_somebodys_own_is_not_replaced(tmp_path: Path) -> None:
    """What the sandbox did not write stays."""
    (tmp_path / "closedwon.yaml").write_text("store: mine\n")
    with pytest.raises(handover.ForeignFileError, match=r"closedwon\.yaml"):
        handover.prepare(tmp_path)
    assert (tmp_path / "closedwon.yaml").read_text() == "store: mine\n"


def test_files_appear_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves neither half a file nor a temporary one."""

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no space"):
        handover.write_files(tmp_path, running())
    assert list(tmp_path.iterdir()) == []

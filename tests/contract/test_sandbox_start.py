"""`python -m closedwon_sandbox start` as a person or the product's command line runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from closedwon_sandbox.server import listen
from sandbox_process import running_sandbox

if TYPE_CHECKING:
    from pathlib import Path


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command until it ends by itself."""
    command = [sys.executable, "-m", "closedwon_sandbox", "start", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_serves_both_systems_and_says_where(tmp_path: Path) -> None:
    """Both ports answer, the output names them and the files, and SIGTERM ends it with 0."""
    with running_sandbox(tmp_path) as sandbox:
        assert sandbox.state().keys() == {"dynamics", "xero"}
        for url in (sandbox.dynamics_url, sandbox.xero_url):
            assert httpx2.get(f"{url}/_sandbox/stats", trust_env=False).status_code == 200
        output = (tmp_path / "sandbox.log").read_text()
        assert sandbox.dynamics_url in output
        assert sandbox.xero_url in output
        assert str(sandbox.config_file) in output
        assert sandbox.config_file.exists()
    assert sandbox.process.returncode == 0


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """SIGINT ends it with 0 and without a traceback, even while a client stays connected."""
    with running_sandbox(tmp_path) as sandbox:
        sandbox.stats()
        sandbox.process.send_signal(signal.SIGINT)
        assert sandbox.process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "sandbox.log").read_text()


def test_tls_is_trusted_by_its_own_authority(tmp_path: Path) -> None:
    """With --tls both ports speak https under a certificate for this machine, and nobody else trusts it."""
    with running_sandbox(tmp_path, "--tls") as sandbox:
        assert sandbox.dynamics_url.startswith("https://127.0.0.1:")
        assert sandbox.stats().keys() == {"dynamics", "xero"}
        localhost = sandbox.xero_url.replace("127.0.0.1", "localhost")
        with httpx2.Client(verify=sandbox.verify, trust_env=False) as client:
            assert client.get(f"{localhost}/_sandbox/clock").status_code == 200
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{localhost}/_sandbox/clock", trust_env=False)


def test_a_connection_can_be_cut_under_tls_too(tmp_path: Path) -> None:
    """The client hears nothing, and the next call is served."""
    with running_sandbox(tmp_path, "--tls") as sandbox, httpx2.Client(verify=sandbox.verify, trust_env=False) as client:
        sandbox.fault("xero", "cut_after")
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(f"{sandbox.xero_url}/connections")
        assert client.get(f"{sandbox.xero_url}/connections").status_code


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """Exit code 3; the text names the port and the option."""
    with listen(0) as taken:
        port = taken.getsockname()[1]
        ended = start("--dir", str(tmp_path), "--xero-port", str(port))
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert f"Port {port} cannot be used" in ended.stderr
    assert "--xero-port" in ended.stderr
    assert not (tmp_path / "sandbox.json").exists()


def test_a_folder_that_cannot_be_is_one_clear_line(tmp_path: Path) -> None:
    """Exit code 2; the text names the folder and the option."""
    (tmp_path / "file").write_text("")
    ended = start("--dir", str(tmp_path / "file" / "folder"))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "--dir" in ended.stderr


@pytest.mark.parametrize("arguments", [["--size", "huge"], ["--xero-port", "70000"], ["--seed", "x"]])
def test_wrong_usage_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    """Exit code 2 and a text that names the option."""
    ended = start("--dir", str(tmp_path), *arguments)
    assert ended.returncode == 2
    assert arguments[0] in ended.stderr

"""Secrets at rest: sealed to their place, under a key of the owner's own."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import pytest

from closedwon.kernel.errors import Misconfigured
from closedwon.tenants.secrets import ENVIRONMENT_NAME, Vault, load_key

if TYPE_CHECKING:
    from pathlib import Path

VAULT = Vault(b"k" * 32)


def test_a_sealed_secret_opens_in_its_place() -> None:
    """And nothing of it can be read before."""
    sealed = VAULT.seal("tóken-123", "acme/books/token")
    assert b"123" not in sealed
    assert VAULT.open(sealed, "acme/books/token") == "tóken-123"


def test_the_same_secret_never_looks_the_same() -> None:
    """Two seals tell nobody that they hold the same."""
    assert VAULT.seal("s", "place") != VAULT.seal("s", "place")


def test_a_secret_moved_elsewhere_does_not_open() -> None:
    """A row copied to another tenant is of no use there."""
    with pytest.raises(Misconfigured, match="does not open"):
        VAULT.open(VAULT.seal("s", "acme/books/token"), "globex/books/token")


def test_another_key_does_not_open_it() -> None:
    """The error says what to do and nothing of the secret."""
    with pytest.raises(Misconfigured) as caught:
        Vault(b"x" * 32).open(VAULT.seal("s3cr3t", "place"), "place")
    assert ENVIRONMENT_NAME in caught.value.hint
    assert "s3cr3t" not in str(caught.value.as_dict())


@pytest.mark.parametrize("harm", [lambda sealed: sealed[:-1], lambda sealed: sealed[:-1] + b"x", lambda _sealed: b""])
def test_a_damaged_secret_does_not_open(harm: object) -> None:
    """Cut, changed or gone."""
    with pytest.raises(Misconfigured):
        VAULT.open(harm(VAULT.seal("s", "place")), "place")  # type: ignore[operator]


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without a key in the environment."""
    monkeypatch.delenv(ENVIRONMENT_NAME, raising=False)


def test_a_key_file_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    """Mode 0600, 32 bytes, the same the next time, and nothing else left in the folder."""
    key = load_key(tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(key) == 32
    assert load_key(tmp_path) == key


def test_processes_that_start_at_once_use_one_key(tmp_path: Path) -> None:
    """Who comes second takes the file of who was first."""
    ready, keys = threading.Barrier(8), []

    def start() -> None:
        ready.wait()
        keys.append(load_key(tmp_path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_the_environments_key_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no file is made."""
    monkeypatch.setenv(ENVIRONMENT_NAME, base64.b64encode(b"e" * 32).decode())
    assert load_key(tmp_path) == b"e" * 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"x" * 31).decode(), "not base64!", "ключ"])
def test_a_key_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Too short, not base64, not even ASCII; the text itself is not repeated."""
    monkeypatch.setenv(ENVIRONMENT_NAME, text)
    with pytest.raises(Misconfigured, match="is not a key") as caught:
        load_key(tmp_path)
    assert text not in str(caught.value)

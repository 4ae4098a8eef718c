"""Seals secrets at rest: AES-256-GCM, with tenant and connection bound in, so a row moved elsewhere does not open."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from closedwon.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 32
NONCE_BYTES = 12
ENVIRONMENT_NAME = "CLOSEDWON_KEY"


class Vault:
    """Seals and opens secrets with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, belongs_to: str) -> bytes:
        """Encrypt a secret for a place; the same secret never looks the same twice."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), belongs_to.encode())

    def open(self, sealed: bytes, belongs_to: str) -> str:
        """Decrypt a secret. *Raises* Misconfigured when the key or the place is another one."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], belongs_to.encode()).decode()
        except (InvalidTag, ValueError):  # another key or place, or a row that was cut
            raise Misconfigured(
                "a stored secret does not open with this key",
                hint=f"start with the {ENVIRONMENT_NAME} that the store was used with, or connect again",
            ) from None


def load_key(folder: Path) -> bytes:
    """Return the key: from the environment, else from a key file in `folder`, made on first use for the owner alone.

    *Raises* Misconfigured when the key is not 32 bytes in base64.
    """
    text = os.environ.get(ENVIRONMENT_NAME, "")
    if text:
        return _decode(text, ENVIRONMENT_NAME)
    path = folder / "closedwon.key"
    if not path.exists():
        _make_key(path)
    return _decode(path.read_text(), str(path))


def _make_key(path: Path) -> None:
    """Write a key file whole or not at all; where two processes start at once, both use the one that was first."""
    beside = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        beside.replace(path)
    beside.unlink(missing_ok=True)


def _decode(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:  # not base64, or not even ASCII
        key = b""
    if len(key) != KEY_BYTES:
        raise Misconfigured(f"{place} is not a key: 32 bytes in base64", hint="restore the key that was used before")
    return key

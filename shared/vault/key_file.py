"""The key encryption key: 32 random bytes in a file of its own, from which every other key of the vault is derived."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import Misconfigured

SIZE = 32


def read(path: Path) -> bytes | None:
    """The key in the file, written raw or as 64 hex digits; None if there is no file. Raises `Misconfigured`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"the key file {path} cannot be read: {error.strerror}") from None
    if len(content) == SIZE:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != SIZE:
        raise Misconfigured(f"the key file {path} does not hold a key (32 bytes, or 64 hex digits)")
    return key


def create(path: Path, key: bytes) -> bytes:
    """Write a new key file, mode 0600, durable when this returns; the file appears whole or not at all.

    If another process was faster its key is returned. Raises `Misconfigured`.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Misconfigured(f"the key file {path} cannot be made: {error.strerror}") from None
    written = read(path)
    if written is None:
        raise Misconfigured(f"the key file {path} vanished while it was made")
    return written


def derive(key: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA-256); nothing about `key` or another purpose follows from them."""
    return HKDF(SHA256(), SIZE, salt=None, info=f"huiyin/{purpose}".encode()).derive(key)

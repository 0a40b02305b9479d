"""Passwords: what one must be, and how it is kept (argon2id, in a thread, few at a time)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import unicodedata
from collections.abc import AsyncIterator

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from shared.clock import Ids
from shared.errors import Busy, FieldError, Invalid

SHORTEST, LONGEST = 12, 200
"""Characters of a password."""

PASSES, KIBIBYTES = 2, 19 * 1024
"""OWASP's parameters for argon2id on one lane: about 25 ms, and 19 MiB while it lasts."""

AT_ONCE = 2
"""Passwords hashed at the same time; the others wait."""

PATIENCE = 5.0
"""Seconds that one waits for its turn."""


class Passwords:
    """Hashes and compares. Every comparison takes the same time, also the one with nothing."""

    def __init__(self, ids: Ids) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=KIBIBYTES, parallelism=1)
        self._ids = ids
        self._turns = asyncio.Semaphore(AT_ONCE)
        salt, nothing = (base64.b64encode(ids.token(size)).decode().rstrip("=") for size in (16, 32))
        self._decoy = f"$argon2id$v=19$m={KIBIBYTES},t={PASSES},p=1${salt}${nothing}"

    async def hashed(self, password: str) -> str:
        """What is kept of a password. Raises `Busy`."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, _normal(password), salt=self._ids.token(16))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password; without a hash: no, after as long. Raises `Busy`."""
        async with self._turn():
            try:
                await asyncio.to_thread(self._hasher.verify, hashed or self._decoy, _normal(password[:LONGEST]))
            except VerifyMismatchError:
                return False
        return hashed is not None and len(password) <= LONGEST

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._turns.acquire()
        except TimeoutError:
            raise Busy() from None
        try:
            yield
        finally:
            self._turns.release()


def check_password(password: str, name: str, location: str = "/password") -> None:
    """Raises `Invalid` for one that is too short, too long, or the sign-in name."""
    if len(password) < SHORTEST:
        raise Invalid([FieldError(location, "too_short")])
    if len(password) > LONGEST:
        raise Invalid([FieldError(location, "too_long")])
    if _normal(password).casefold() == _normal(name).casefold():
        raise Invalid([FieldError(location, "is_name")])


def _normal(password: str) -> str:
    """Input methods differ in how they compose the same characters."""
    return unicodedata.normalize("NFKC", password)

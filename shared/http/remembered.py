"""What was read from the `access` store is believed for a few seconds, here and nowhere else."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from shared.clock import Clock

T = TypeVar("T")

FRESH = 5.0
"""How long, in seconds, another process may still believe what was revoked, or not yet believe what is new."""

REMEMBERED = 1_000
"""Answers kept in memory, those about wrong secrets too."""


class Remembered(Generic[T]):
    """Answers by the digest of a secret, for `FRESH` seconds; `forget` makes them void at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, T | None]] = OrderedDict()
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._known)

    async def get(self, digest: bytes, look_up: Callable[[], Awaitable[T | None]]) -> T | None:
        """What `look_up` says, or said not long ago."""
        now, before = self._clock.monotonic(), self._forgotten
        known = self._known.get(digest)
        if known is not None and now - known[0] <= FRESH:
            return known[1]
        found = await look_up()
        # An answer that was on its way while something changed is used, but not kept.
        if before == self._forgotten:
            self._known[digest] = (now, found)
            self._known.move_to_end(digest)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        self._known.clear()
        self._forgotten += 1


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. 130 random bits and more need no slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()

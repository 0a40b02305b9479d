"""Names generated ahead: a block of them is on disk before the first is drawn, and a restart never draws from it."""

from __future__ import annotations

import asyncio
from collections import deque

from shared.clock import Ids
from shared.errors import Unavailable
from shared.store.port import Collection, DocumentStore, Done, Insert
from shared.vault.keys import NONCE, PARTS, SIZE, Ring, Wrapping

KEYS = Collection("keys", "record")
"""One document per name: its three wrapped keys. Deleting it is erasing what they sealed."""

FIRST = 64
"""Names in the first block of a process: small, so that the first feedback is not kept waiting."""

BLOCK = 512
"""Names in every later block: made in a few milliseconds, in which nothing else runs."""


class Blocks:
    """The names of this run of this process that no case has yet."""

    def __init__(self, store: DocumentStore, wrapping: Wrapping, ids: Ids) -> None:
        self._store = store
        self._wrapping = wrapping
        self._ids = ids
        self._size = FIRST
        self._free: deque[Ring] = deque()
        self._refill: asyncio.Task[None] | None = None

    async def draw(self) -> Ring:
        """The next unused name, at once while the block has one. Raises `Unavailable`."""
        while not self._free:
            await asyncio.shield(self._refilling())
        ring = self._free.popleft()
        if len(self._free) < self._size // 2:
            self._refilling()
        return ring

    async def close(self) -> None:
        """Stop making names. The names left over stay unused for ever."""
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.wait([self._refill])

    def _refilling(self) -> asyncio.Task[None]:
        if self._refill is None or self._refill.done():
            self._refill = asyncio.get_running_loop().create_task(self._make(), name="vault refill")
            # Nobody may be waiting for it: a failure is told to those who are, and the next draw tries again.
            self._refill.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._refill

    async def _make(self) -> None:
        rings: list[Ring] = []
        inserts: list[Insert] = []
        random = memoryview(self._ids.token(self._size * len(PARTS) * (SIZE + NONCE)))  # one call for the whole block
        for _ in range(self._size):
            name = self._ids.document()
            keys, body = dict[str, bytes](), dict[str, str]()
            for part in PARTS:
                keys[part], nonce = bytes(random[:SIZE]), bytes(random[SIZE : SIZE + NONCE])
                body[part] = self._wrapping.wrap(name, part, keys[part], nonce)
                random = random[SIZE + NONCE :]
            rings.append(Ring(name, self._wrapping, {}, keys))
            inserts.append(Insert(KEYS.name, name, body))
        outcomes = await self._store.write(inserts)
        if not all(isinstance(outcome, Done) for outcome in outcomes):
            raise Unavailable("a new key's name was taken")
        self._free.extend(rings)
        self._size = BLOCK

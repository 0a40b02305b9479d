"""Keys per case: where they come from, who holds which, and keyed digests.

The key file holds the key encryption key (32 bytes); it wraps three keys for every name. A name's wrapped keys are one
document of the vault's store: without it everything sealed under them is unreadable for ever, in events, documents
and backups alike. Names are drawn from blocks that are on disk before their first use, so no two cases ever share a
key and the case's own commit is the only sync.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

from shared.clock import Clock, Ids
from shared.errors import Misconfigured
from shared.store.port import Collection, DocumentStore, Insert
from shared.vault import key_file
from shared.vault.blocks import KEYS, Blocks
from shared.vault.keys import PARTS, SIZE, Keys, Ring, Unopenable, Wrapping, key_name

__all__ = ["COLLECTIONS", "PARTS", "Keys", "Unopenable", "Vault", "key_name"]

MARKER = Collection("marker", "record")
"""One document that says which key file the store belongs to."""

COLLECTIONS: Sequence[Collection] = (KEYS, MARKER)
"""What the vault's store holds."""

REMEMBERED = 10_000
"""How many names' keys are kept in memory."""

FRESH = 60.0
"""Seconds after which a remembered name is looked up again, and so how long a destroyed key may still open."""

CHUNK = 2_000
"""Names asked of the store at once."""


class Vault:
    """The vault as one service holds it. `open` gives the whole; `held_by` what a service may open."""

    @classmethod
    async def open(cls, store: DocumentStore, key_file: Path, ids: Ids, clock: Clock) -> Vault:
        """Read the key file, or make it if the store is new.

        Raises `Misconfigured` when the file is missing beside a store that has keys, is not a key file, or belongs to
        another store; `Unavailable` when the store does not answer.
        """
        return cls(_Chest(store, await _kek(store, key_file, ids), ids, clock), frozenset(PARTS))

    def __init__(self, chest: _Chest, parts: frozenset[str]) -> None:
        self._chest = chest
        self._parts = parts

    def held_by(self, parts: frozenset[str]) -> Vault:
        """The same vault for a service that opens only these parts; with others its keys raise `Unopenable`."""
        return Vault(self._chest, parts)

    async def draw(self) -> Keys:
        """Keys that no case has and no other call ever gets. Raises `Unavailable`."""
        return Keys(await self._chest.draw(), self._parts, self._chest.ids.token)

    async def fetch(self, names: Iterable[str]) -> dict[str, Keys]:
        """The keys that exist, by name; destroyed and unknown ones are absent. Raises `Unavailable`."""
        rings = await self._chest.fetch(names)
        return {name: Keys(ring, self._parts, self._chest.ids.token) for name, ring in rings.items()}

    def digest(self, purpose: str, data: bytes) -> str:
        """HMAC-SHA-256 of `data` in hex, under a key of this purpose's own. For look-ups by what must not be stored."""
        keyed = self._chest.purpose(purpose).copy()
        keyed.update(data)
        return keyed.hexdigest()

    async def close(self) -> None:
        """Stop making keys ahead, for every service that holds this vault. The store stays open."""
        await self._chest.blocks.close()


class _Chest:
    """What all holders of one vault share: the store, names made ahead, and keys that were used lately."""

    def __init__(self, store: DocumentStore, kek: bytes, ids: Ids, clock: Clock) -> None:
        self.ids = ids
        self._store = store
        self._clock = clock
        self._kek = kek
        self._wrapping = Wrapping(kek)
        self._purposes: dict[str, hmac.HMAC] = {}
        self._recent: OrderedDict[str, tuple[float, Ring]] = OrderedDict()
        self.blocks = Blocks(store, self._wrapping, ids)

    async def draw(self) -> Ring:
        ring = await self.blocks.draw()
        self._remember(ring, self._clock.monotonic() + FRESH)
        return ring

    async def fetch(self, names: Iterable[str]) -> dict[str, Ring]:
        now = self._clock.monotonic()
        found: dict[str, Ring] = {}
        missing: list[str] = []
        for name in set(names):
            known = self._recent.get(name)
            if known is not None and known[0] > now:
                self._recent.move_to_end(name)
                found[name] = known[1]
            else:
                missing.append(name)
        for start in range(0, len(missing), CHUNK):
            asked = missing[start : start + CHUNK]
            documents = await self._store.get(KEYS.name, asked)
            for name in asked:
                if name not in documents:
                    self._recent.pop(name, None)
                    continue
                found[name] = Ring(name, self._wrapping, documents[name].body, {})
                self._remember(found[name], now + FRESH)
        return found

    def purpose(self, purpose: str) -> hmac.HMAC:
        """To be copied. `hmac.digest` would let go of Python's global lock for the little there is to do."""
        keyed = self._purposes.get(purpose)
        if keyed is None:
            key = key_file.derive(self._kek, f"digest/{purpose}")
            keyed = self._purposes[purpose] = hmac.new(key, digestmod="sha256")
        return keyed

    def _remember(self, ring: Ring, until: float) -> None:
        self._recent[ring.name] = (until, ring)
        self._recent.move_to_end(ring.name)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)


async def _kek(store: DocumentStore, path: Path, ids: Ids) -> bytes:
    """The key of this store. The file is durable before the store says that it has one, and keys come after both."""
    marker = (await store.get(MARKER.name, ["kek"])).get("kek")
    kek = await asyncio.to_thread(key_file.read, path)
    if kek is None:
        if marker is not None:
            raise Misconfigured(f"the key file {path} is missing; put it back: without it nothing here can be read")
        kek = await asyncio.to_thread(key_file.create, path, ids.token(SIZE))
    fingerprint = key_file.derive(kek, "fingerprint").hex()
    if marker is None:
        await store.write([Insert(MARKER.name, "kek", {"fingerprint": fingerprint})])
        marker = (await store.get(MARKER.name, ["kek"]))["kek"]
    if marker.body["fingerprint"] != fingerprint:
        raise Misconfigured(f"the key file {path} is not the one this data was sealed with; put the right one back")
    return kek

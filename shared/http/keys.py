"""Bearer keys: made once, told once, kept as digests."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from shared.clock import Clock, Ids, Moment
from shared.errors import Misconfigured, NotFound, Unavailable
from shared.http.remembered import Remembered, digest_of
from shared.http.roles import ROLES, Principal
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, Delete, DocumentStore, Done, Query

KEYS = Collection("keys", "record", unique=("hash",))

KEY = re.compile(r"hk_([0-9A-Z]{26})_([0-9A-Z]{26})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A bearer key without its secret. `name` says what it is for, `by` who made it (a work number)."""

    hash: str
    role: str
    departments: tuple[str, ...]
    name: str | None
    created_at: Moment
    by: str | None = None


class Keys:
    """The bearer keys of the `access` store."""

    def __init__(self, store: DocumentStore, ids: Ids, clock: Clock) -> None:
        self._documents = Documents(store, KEYS, Key, clock)
        self._ids, self._clock = ids, clock
        self.known: Remembered[Principal] = Remembered(clock)

    async def create(
        self, role: str, departments: tuple[str, ...] = (), name: str | None = None, by: str | None = None
    ) -> str:
        """A new bearer key, told this once; only its SHA-256 is kept. Raises `Misconfigured` for an unknown role."""
        if role not in ROLES:
            raise Misconfigured(f"there is no role {role!r}; roles: {', '.join(ROLES)}")
        id, secret = self._ids.document(), self._ids.code()
        token = f"hk_{id}_{secret}"
        key = Key(digest_of(token).hex(), role, departments, name, self._clock.now(), by)
        (outcome,) = await self._documents.write([self._documents.insert(Kept(id, key), Decision(key))])
        if not isinstance(outcome, Done):
            raise Unavailable("the key could not be stored")
        return token

    async def every(self) -> list[Kept[Key]]:
        """All keys, the oldest first."""
        found, cursor = await self._documents.find(Query(limit=500))
        while cursor is not None:
            more, cursor = await self._documents.find(Query(limit=500), cursor)
            found += more
        return found

    async def revoke(self, id: str) -> None:
        """From now on here, and within five seconds elsewhere, the key names nobody. Raises `NotFound`."""
        kept = await self._documents.get(id)
        if kept is None:
            raise NotFound()
        await self._documents.write([Delete(KEYS.name, id, kept.revision)])
        self.known.forget()

    async def named(self, token: str) -> Principal | None:
        """Who a bearer key names; None for one that is unknown, wrong or misspelt."""
        match = KEY.fullmatch(token)
        if match is None:
            return None
        digest = digest_of(match[0])
        return await self.known.get(digest, lambda: self._look_up(match[1], digest))

    async def _look_up(self, id: str, digest: bytes) -> Principal | None:
        kept = await self._documents.get(id)
        expected = bytes.fromhex(kept.value.hash) if kept else bytes(len(digest))
        if not hmac.compare_digest(expected, digest) or kept is None:
            return None
        key = kept.value
        return Principal("key", id, key.role, tuple(key.departments), key.name or id)

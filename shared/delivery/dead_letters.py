"""Records put aside: with the first of a case that cannot be taken, every later one of that case.

They lie in the consumer's own store, one document a record, `_id = partition/offset`. The record's bytes are sealed
under a key derived from the installation's secret for this service: that works in every service, also where no case's
key may be used. The persons' words in them are sealed under their case's key besides, so erasing it erases them here.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared import __version__
from shared.bus.port import Record
from shared.clock import Clock, Ids, parse_rfc3339, rfc3339
from shared.errors import HuiyinError, Unavailable
from shared.store.port import Body, Change, Collection, Delete, Document, DocumentStore, Index, Insert, Query, Replace
from shared.telemetry.metrics import PARKED
from shared.vault.vault import Vault

Reason = Literal["gap", "failure", "undecodable"]

COLLECTION = Collection(
    "dead-letters",
    "record",
    indexes=(Index(("key",)), Index(("partition",)), Index(("first",)), Index(("reason", "first"))),
)
"""Its documents may be deleted by a rebuild: the log still has the records."""

PAGE = 1_000
"""Documents in one page of a question."""

NONCE = 12
CODE = __version__


class Unparked(HuiyinError):
    """Dead letters could not be written, so the position must not be saved."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A parked record, and why. `error` is a class name, `fingerprint` a hash of its message: no personal data."""

    id: str
    revision: int
    record: Record
    reason: Reason
    error: str | None
    fingerprint: str | None
    attempts: int
    first: datetime
    last: datetime
    code: str


def letter_id(record: Record) -> str:
    return f"{record.partition}/{record.offset}"


def place(letter: Letter) -> tuple[int, int]:
    """Where it stands in the log, for sorting."""
    return letter.record.partition, letter.record.offset


class DeadLetters:
    """The dead letters of one service. Failures of the store raise `Unavailable`, of writing `Unparked`."""

    def __init__(self, service: str, store: DocumentStore, vault: Vault, clock: Clock, ids: Ids) -> None:
        self._service = service
        self._store = store
        self._clock = clock
        self._ids = ids
        self._cipher = AESGCM(bytes.fromhex(vault.digest("dead-letters", service.encode())))

    async def of_keys(self, partition: int, keys: Iterable[str]) -> dict[str, list[Letter]]:
        """Those of the keys that have any, each in the order of the log."""
        if not await self._store.count(COLLECTION.name, Query({"partition": partition})):
            return {}
        found: dict[str, list[Letter]] = {}
        for letter in await self._all(Query({"key": tuple(keys)}, limit=PAGE)):
            found.setdefault(letter.record.key, []).append(letter)
        return found

    async def of_partition(self, partition: int) -> list[Letter]:
        """In the order of the log."""
        return await self._all(Query({"partition": partition}, limit=PAGE))

    async def overdue(self, before: datetime) -> list[Letter]:
        """Those that have waited since `before` for a missing event, longest first, at most a page of them."""
        query = Query({"reason": "gap"}, order="first", until=rfc3339(before), limit=PAGE)
        return [self._letter(d) for d in (await self._store.find(COLLECTION.name, query)).documents]

    async def page(self, key: str | None = None, since: datetime | None = None, limit: int = 100) -> list[Letter]:
        """For the operator: of one case, in the order of the log, or of all, longest parked first."""
        if key is not None:
            return (await self._all(Query({"key": key}, limit=PAGE)))[:limit]
        query = Query(order="first", since=rfc3339(since) if since else None, limit=limit)
        return [self._letter(d) for d in (await self._store.find(COLLECTION.name, query)).documents]

    async def show(self, id: str) -> Letter | None:
        """One of them; the record in it is as it lay on the log."""
        found = (await self._store.get(COLLECTION.name, [id])).get(id)
        return self._letter(found) if found else None

    def park(self, record: Record, reason: Reason, error: Exception | None = None, attempts: int = 0) -> Insert:
        """The change that puts a record aside. Where it lies already, it meets itself and does nothing."""
        now = rfc3339(self._clock.now())
        id = letter_id(record)
        nonce = self._ids.token(NONCE)
        body = {
            "key": record.key,
            "partition": record.partition,
            "offset": record.offset,
            "headers": dict(record.headers),
            "value": base64.b64encode(nonce + self._cipher.encrypt(nonce, record.value, id.encode())).decode(),
            "first": now,
            **_why(reason, error, attempts, now),
        }
        return Insert(COLLECTION.name, id, body)

    async def tried(self, letter: Letter, reason: Reason, error: Exception | None, attempts: int) -> Change | None:
        """The change that notes another failure of a parked record; None if it is gone."""
        found = (await self._store.get(COLLECTION.name, [letter.id])).get(letter.id)
        if found is None:
            return None
        why = _why(reason, error, letter.attempts + attempts, rfc3339(self._clock.now()))
        return Replace(COLLECTION.name, found.id, found.revision, found.body | why)

    async def write(self, changes: Sequence[Change]) -> None:
        """Put records aside. Raises `Unparked`: then the position may not be saved."""
        if not changes:
            return
        try:
            outcomes = await self._store.write(changes)
        except Unavailable as error:
            raise Unparked(f"dead letters of {self._service} cannot be written: {error}") from error
        del outcomes  # a duplicate is parked already; a conflict is someone else's note about the same failure
        for change in changes:
            if isinstance(change, Insert):
                PARKED.labels(self._service, change.body["reason"]).inc()

    async def remove(self, letters: Sequence[Letter]) -> None:
        """Delete what took effect: always last."""
        if letters:
            await self._store.write([Delete(COLLECTION.name, letter.id, letter.revision) for letter in letters])

    async def _all(self, query: Query) -> list[Letter]:
        letters: list[Letter] = []
        cursor: str | None = None
        while True:
            page = await self._store.find(COLLECTION.name, query, cursor)
            letters += map(self._letter, page.documents)
            cursor = page.next
            if cursor is None:
                return sorted(letters, key=place)

    def _letter(self, document: Document) -> Letter:
        body = document.body
        sealed = base64.b64decode(body["value"])
        value = self._cipher.decrypt(sealed[:NONCE], sealed[NONCE:], document.id.encode())
        return Letter(
            id=document.id,
            revision=document.revision,
            record=Record(body["partition"], body["offset"], body["key"], body["headers"], value),
            reason=body["reason"],
            error=body["error"],
            fingerprint=body["fingerprint"],
            attempts=body["attempts"],
            first=parse_rfc3339(body["first"]),
            last=parse_rfc3339(body["last"]),
            code=body["code"],
        )


def _why(reason: Reason, error: Exception | None, attempts: int, now: str) -> Body:
    return {
        "reason": reason,
        "error": type(error).__name__ if error else None,
        "fingerprint": hashlib.sha256(str(error).encode(errors="replace")).hexdigest()[:16] if error else None,
        "attempts": attempts,
        "last": now,
        "code": CODE,
    }

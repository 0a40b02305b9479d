"""The ports as the world may treat them: refusing, doing the work and losing the answer, delivering again.

Both wrappers are ports themselves, so any test runs under faults by wrapping what it is given. Chance comes from a
seed, so a run repeats.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from shared.bus.port import Deliver, EventBus, Positions, Record
from shared.errors import Unavailable
from shared.events.envelope import Envelope
from shared.store.port import Change, Document, DocumentStore, Outcome, Page, Query


class Faults:
    """Draws what goes wrong. `refused`: not executed, and an error. `lost`: executed, and an error."""

    def __init__(self, seed: int, refused: float, lost: float) -> None:
        self.random = random.Random(seed)
        self.refused = refused
        self.lost = lost
        self.count = 0

    def happens(self, probability: float) -> bool:
        hit = self.random.random() < probability
        self.count += hit
        return hit

    def before(self) -> None:
        """Perhaps refuse."""
        if self.happens(self.refused):
            raise Unavailable("a fault: not executed")

    def after(self) -> None:
        """Perhaps lose the answer."""
        if self.happens(self.lost):
            raise Unavailable("a fault: executed, and the answer lost")

    def heal(self) -> None:
        """From now on nothing goes wrong."""
        self.refused = self.lost = 0.0


class FaultyStore(DocumentStore):
    """A store of which each call may be refused, and each write done in part or whole before it fails."""

    def __init__(self, store: DocumentStore, seed: int, *, refused: float = 0.03, lost: float = 0.03) -> None:
        self._store = store
        self.faults = Faults(seed, refused, lost)

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        self.faults.before()
        return await self._store.get(collection, ids)

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        self.faults.before()
        return await self._store.find(collection, query, cursor)

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        self.faults.before()
        return await self._store.count(collection, query, most)

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        self.faults.before()
        return await self._store.due(collection, now, limit)

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self.faults.before()
        if self.faults.happens(self.faults.lost):
            await self._store.write(changes[: self.faults.random.randint(0, len(changes))])
            raise Unavailable("a fault: executed in part or whole, and the answer lost")
        return await self._store.write(changes)

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        self.faults.before()
        return await self._store.pending(limit, ids, older_than)

    async def published(self, event_ids: Sequence[str]) -> None:
        self.faults.before()
        await self._store.published(event_ids)
        self.faults.after()

    async def drop(self, collection: str) -> None:
        self.faults.before()
        await self._store.drop(collection)
        self.faults.after()

    async def close(self) -> None:
        await self._store.close()


class FaultyBus(EventBus):
    """A log whose publishes fail in the ways promise 1 allows, and whose deliveries are cut, repeated and forgotten.

    `again`: the chance that what was delivered is delivered once more at once. `forgotten`: that after a delivery the
    position is not saved, so the whole batch comes again. `reorder`: records of different keys change places.
    """

    def __init__(
        self,
        bus: EventBus,
        seed: int,
        *,
        refused: float = 0.03,
        lost: float = 0.03,
        again: float = 0.1,
        forgotten: float = 0.1,
        sizes: Sequence[int] = (1, 5, 40),
        reorder: bool = False,
    ) -> None:
        self._bus = bus
        self.faults = Faults(seed, refused, lost)
        self._again = again
        self._forgotten = forgotten
        self._sizes = sizes
        self._reorder = reorder

    def heal(self) -> None:
        """From now on nothing goes wrong, but batches are still cut."""
        self.faults.heal()
        self._again = self._forgotten = 0.0

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        self.faults.before()
        if self.faults.happens(self.faults.lost):
            await self._bus.publish(envelopes[: self.faults.random.randint(0, len(envelopes))])
            raise Unavailable("a fault: executed in part or whole, and the answer lost")
        await self._bus.publish(envelopes)

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        async def cut(records: Sequence[Record]) -> None:
            for batch in self._cut(records):
                await deliver(batch)
                if self.faults.happens(self._again):
                    await deliver(batch)
            if self.faults.happens(self._forgotten):
                raise Unavailable("a fault: delivered, and the position lost")

        await self._bus.consume(consumer, cut)

    def read(self, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
        return self._bus.read(start, stop)

    async def ends(self) -> dict[int, int]:
        return await self._bus.ends()

    async def lag(self, consumer: str) -> dict[int, int]:
        return await self._bus.lag(consumer)

    async def reset(self, consumer: str, positions: Positions) -> None:
        await self._bus.reset(consumer, positions)

    async def close(self) -> None:
        await self._bus.close()

    def _cut(self, records: Sequence[Record]) -> list[Sequence[Record]]:
        if self._reorder:
            records = self._shuffled(records)
        batches: list[Sequence[Record]] = []
        start = 0
        while start < len(records):
            size = self.faults.random.choice(self._sizes)
            batches.append(records[start : start + size])
            start += size
        return batches

    def _shuffled(self, records: Sequence[Record]) -> list[Record]:
        """The same records in another order, in which each key's own order is kept."""
        keys = [record.key for record in records]
        self.faults.random.shuffle(keys)
        waiting: dict[str, list[Record]] = {}
        for record in reversed(records):
            waiting.setdefault(record.key, []).append(record)
        return [waiting[key].pop() for key in keys]

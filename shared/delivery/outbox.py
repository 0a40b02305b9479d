"""From a document's outbox to the log: in order per document, removed only once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.bus.port import EventBus
from shared.clock import Clock, Ids
from shared.delivery.retry import Backoff
from shared.events.envelope import Envelope
from shared.store.port import Change, Delete, Document, DocumentStore, Done, Outcome, Page, Query
from shared.telemetry.failpoints import failpoint
from shared.telemetry.logs import log
from shared.telemetry.metrics import OUTBOX_AGE, PUBLISHED

BATCH = 1_000
"""Envelopes, and documents, that are published together at most."""

POLL = 0.5
"""Seconds between two looks for what nobody else published."""

PATIENCE = timedelta(seconds=1)
"""How long an event waits for whoever wrote it before the poll takes it."""


class Outbox(DocumentStore):
    """The service's store, which hears of every event that is written through it, and the relay that publishes them.

    Two relays at once are harmless: an event leaves the outbox only when it is on the log, and none is published
    before its predecessor. A relay that dies leaves everything in the outbox for the next one's poll.
    """

    def __init__(self, store: DocumentStore, service: str, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._backoff = Backoff(clock, ids)
        self._written: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._busy = False
        self._more = False

    # The store.

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        emitting = [(at, c.id) for at, c in enumerate(changes) if not isinstance(c, Delete) and c.emit]
        try:
            outcomes = await self._store.write(changes)
        except Exception:
            self._note([id for _, id in emitting])  # it may have taken effect
            raise
        self._note([id for at, id in emitting if isinstance(outcomes[at], Done)])
        return outcomes

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        return await self._store.get(collection, ids)

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        return await self._store.find(collection, query, cursor)

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        return await self._store.count(collection, query, most)

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        return await self._store.due(collection, now, limit)

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        return await self._store.pending(limit, ids, older_than)

    async def published(self, event_ids: Sequence[str]) -> None:
        await self._store.published(event_ids)

    async def drop(self, collection: str) -> None:
        await self._store.drop(collection)

    async def close(self) -> None:
        await self._store.close()

    # The relay.

    async def run(self, bus: EventBus) -> None:
        """Publish until cancelled. While the log or the store is away, tries again in place; nothing is lost."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll())
            while True:
                await self._wake.wait()
                await self._publish_all(bus)

    async def drained(self) -> bool:
        """Whether every event written so far is on the log."""
        return not self._busy and not self._written and not await self._store.pending(1)

    def _note(self, ids: Sequence[str]) -> None:
        if ids:
            self._written.update(dict.fromkeys(ids))
            self._wake.set()

    async def _poll(self) -> None:
        """Find the documents whose events nobody published: those of an earlier run, or of a replica that died."""
        while True:
            try:
                await self._look()
            except Exception as error:
                log(self._service).warning("the outbox cannot be read", error=type(error).__name__)
            await self._clock.sleep(POLL)

    async def _look(self) -> None:
        now = self._clock.now()
        old = await self._store.pending(BATCH, older_than=now - PATIENCE)
        OUTBOX_AGE.labels(self._service).set((now - old[0].time).total_seconds() if old else 0)
        self._more = len(old) == BATCH
        self._note([envelope.subject for envelope in old])

    async def _publish_all(self, bus: EventBus) -> None:
        """Publish what the noted documents hold, until there are none."""
        failing = False
        while self._written:
            ids = list(self._written)[:BATCH]
            for id in ids:
                del self._written[id]
            self._busy = True
            try:
                await self._publish(bus, ids)
                if self._more and not self._written:  # a long outbox is not left to the pace of the poll
                    await self._look()
            except Exception as error:
                self._note(ids)
                if not failing:
                    log(self._service).warning("events cannot be published yet", error=type(error).__name__)
                failing = True
                await self._backoff.pause()
            else:
                if failing:
                    log(self._service).info("events are published again")
                failing = False
                self._backoff.reset()
            finally:
                self._busy = False
        self._wake.clear()

    async def _publish(self, bus: EventBus, ids: Sequence[str]) -> None:
        """The whole outbox of these documents, oldest first."""
        while envelopes := await self._store.pending(BATCH, ids=ids):
            failpoint(f"{self._service}.publish")
            await bus.publish(envelopes)
            failpoint(f"{self._service}.published")
            await self._store.published([envelope.id for envelope in envelopes])
            PUBLISHED.labels(self._service).inc(len(envelopes))
            if len(envelopes) < BATCH:
                return

"""From a document's outbox to the log: in order per document, removed only once it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeGuard

from shared.bus.port import EventBus
from shared.clock import Clock, Ids
from shared.delivery.retry import Backoff
from shared.events.envelope import Envelope
from shared.store.port import Change, Delete, Document, DocumentStore, Done, Insert, Outcome, Page, Query, Replace
from shared.telemetry.failpoints import failpoint
from shared.telemetry.logs import log
from shared.telemetry.metrics import OUTBOX_AGE, OUTBOX_SIZE, PUBLISH_SECONDS, PUBLISHED, WRITE_SECONDS

BATCH = 1_000
"""Envelopes, and documents, that are published together at most."""

POLL = 0.5
"""Seconds between two looks for what nobody else published."""

FEW, REST = 8, 0.02
"""After more than a few events the relay rests for so many seconds: under load, so that they are published together."""

REMEMBERED = 10_000
"""Documents whose events are kept in memory until they are published; those of more are read when their turn comes."""

PATIENCE = timedelta(seconds=1)
"""How long an event waits for whoever wrote it before the poll takes it."""


class Outbox(DocumentStore):
    """The service's store, which hears of every event that is written through it, and the relay that publishes them.

    Two relays at once are harmless: an event leaves the outbox only when it is on the log, and none is published
    before its predecessor. A relay that dies leaves everything in the outbox for the next one's poll.

    What was just written is published from memory where nothing older can be waiting: from the document's first event
    on. In every other case the store says what its outbox holds.
    """

    def __init__(self, store: DocumentStore, service: str, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._service = service
        self._clock = clock
        self._backoff = Backoff(clock, ids)
        self._written: dict[str, list[Envelope] | None] = {}
        self._wake = asyncio.Event()
        self._busy = False
        self._more = False
        self._published = PUBLISHED.labels(service)
        self._age, self._size = OUTBOX_AGE.labels(service), OUTBOX_SIZE.labels(service)
        self._writing, self._publishing = WRITE_SECONDS.labels(service), PUBLISH_SECONDS.labels(service)

    # The store.

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        started = self._clock.monotonic()
        try:
            outcomes = await self._store.write(changes)
        except Exception:
            self._note([change.id for change in changes if _emits(change)])  # it may have taken effect
            raise
        self._writing.observe(self._clock.monotonic() - started)
        for change, outcome in zip(changes, outcomes, strict=True):
            if isinstance(outcome, Done) and _emits(change):
                self._remember(change.id, change.emit)
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

    def _note(self, ids: Iterable[str]) -> None:
        """The store has to be asked for the events of these documents."""
        self._written.update(dict.fromkeys(ids))
        if self._written:
            self._wake.set()

    def _remember(self, id: str, events: Sequence[Envelope]) -> None:
        """These events of a document were written."""
        known = self._written.get(id)
        if known is not None:
            known.extend(events)
        elif events[0].sequence == 1 and len(self._written) < REMEMBERED:
            self._written[id] = list(events)
            self._wake.set()
        else:
            self._note([id])

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
        self._size.set(len(old))
        self._age.set((now - old[0].time).total_seconds() if old else 0)
        self._more = len(old) == BATCH
        self._note([envelope.subject for envelope in old])

    async def _publish_all(self, bus: EventBus) -> None:
        """Publish what the noted documents hold, until there are none."""
        failing = False
        while self._written:
            ids = list(self._written)[:BATCH]
            taken = {id: self._written.pop(id) for id in ids}
            self._busy = True
            try:
                fresh = [event for events in taken.values() for event in events or ()]
                await self._publish(bus, fresh)
                if FEW < len(fresh) < BATCH:
                    await self._clock.sleep(REST)
                await self._publish_outbox(bus, [id for id, events in taken.items() if events is None])
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

    async def _publish_outbox(self, bus: EventBus, ids: Sequence[str]) -> None:
        """The whole outbox of these documents, oldest first."""
        while ids and (envelopes := await self._store.pending(BATCH, ids=ids)):
            await self._publish(bus, envelopes)
            if len(envelopes) < BATCH:
                return

    async def _publish(self, bus: EventBus, envelopes: Sequence[Envelope]) -> None:
        if not envelopes:
            return
        failpoint(f"{self._service}.publish")
        started = self._clock.monotonic()
        await bus.publish(envelopes)
        self._publishing.observe(self._clock.monotonic() - started)
        failpoint(f"{self._service}.published")
        await self._store.published([envelope.id for envelope in envelopes])
        self._published.inc(len(envelopes))


def _emits(change: Change) -> TypeGuard[Insert | Replace]:
    return not isinstance(change, Delete) and bool(change.emit)

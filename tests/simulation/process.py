"""A process that may die at any await: nothing it would still do after that has an effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from datetime import datetime
from random import Random
from typing import Any, TypeVar

from shared.bus.port import Deliver, EventBus, Positions, Record
from shared.events.envelope import Envelope
from shared.store.port import Change, Document, DocumentStore, Outcome, Page, Query

T = TypeVar("T")

LATENCY = 0.02
"""Seconds that a call to the outside takes at most."""

RUNNING: ContextVar[Process | None] = ContextVar("running", default=None)
"""The process whose task this is; tasks hand it to those they start."""


class Died(Exception):
    """The process that was asked has died: what it was asked for may have been done or not."""


def task_factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Every task belongs to the process that started it."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
    process = RUNNING.get()
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task


class Process:
    """One life of a service's process. `doom`: the chance to die at a call to the outside."""

    def __init__(self, name: str, random: Random, doom: float, on_death: Callable[[Process], None]) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0.0
        self.doom = doom
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._random = random
        self._on_death = on_death

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as this process's own."""
        mark = RUNNING.set(self)
        try:
            return asyncio.get_running_loop().create_task(work)
        finally:
            RUNNING.reset(mark)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What the process answers. Raises `Died`."""
        if not self.alive:
            work.close()
            raise Died
        task = self.start(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # the caller may have left
        await asyncio.wait([task])
        if task.cancelled():
            raise Died
        return task.result()

    def pause(self, seconds: float) -> None:
        """Nothing outside is reached for so long; then it goes on as if nothing had been."""
        self.paused_until = asyncio.get_running_loop().time() + seconds

    def die(self) -> None:
        if self.alive:
            self.alive = False
            for task in list(self.tasks):
                task.cancel()
            self._on_death(self)

    async def outside(self, call: Callable[[], Awaitable[T]]) -> T:
        """A call to the outside: it takes its time, and the process may be dead before it, after it, or both."""
        await self._wait()
        answer = await call()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        if self._random.random() < self.doom:
            self.die()
        if not self.alive:
            raise asyncio.CancelledError
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.random() * LATENCY)
        if (left := self.paused_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
        if not self.alive:
            raise asyncio.CancelledError


class HostileLog(EventBus):
    """The log, on which somebody may put an event behind its successor. It notes when what was written."""

    def __init__(self, bus: EventBus, random: Random, now: Callable[[], datetime]) -> None:
        self._bus, self._random, self._now = bus, random, now
        self._held: dict[str, Envelope] = {}
        self.holds = 0.0
        self.held = 0
        self.written: dict[str, datetime] = {}

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        there: list[Envelope] = []
        for envelope in envelopes:
            spared = envelope.key in self._held or envelope.key == "organisation"
            if not spared and self._random.random() < self.holds:
                self._held[envelope.key] = envelope
                self.held += 1
                continue
            there.append(envelope)
            if (late := self._held.get(envelope.key)) is not None and self._random.random() < 0.5:
                there.append(self._held.pop(late.key))
        await self._append(there)

    async def let_go(self) -> None:
        """What is held back comes now, and nothing is held back any more."""
        self.holds = 0.0
        late, self._held = list(self._held.values()), {}
        await self._append(late)

    async def _append(self, envelopes: Sequence[Envelope]) -> None:
        await self._bus.publish(envelopes)
        for envelope in envelopes:
            self.written.setdefault(envelope.id, self._now())

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        await self._bus.consume(consumer, deliver)

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


class ProcessStore(DocumentStore):
    """A store as one process reaches it."""

    def __init__(self, store: DocumentStore, process: Process) -> None:
        self._store, self._process = store, process

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        return await self._process.outside(lambda: self._store.get(collection, ids))

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        return await self._process.outside(lambda: self._store.find(collection, query, cursor))

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        return await self._process.outside(lambda: self._store.count(collection, query, most))

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        return await self._process.outside(lambda: self._store.due(collection, now, limit))

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._process.outside(lambda: self._store.write(changes))

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        return await self._process.outside(lambda: self._store.pending(limit, ids, older_than))

    async def published(self, event_ids: Sequence[str]) -> None:
        await self._process.outside(lambda: self._store.published(event_ids))

    async def drop(self, collection: str) -> None:
        await self._process.outside(lambda: self._store.drop(collection))

    async def close(self) -> None:
        """The disk outlives the process."""


class ProcessBus(EventBus):
    """The log as one process reaches it."""

    def __init__(self, bus: EventBus, process: Process) -> None:
        self._bus, self._process = bus, process

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        await self._process.outside(lambda: self._bus.publish(envelopes))

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        async def taken(records: Sequence[Record]) -> None:
            # A member that is thought dead leaves; what it had in hand it may still finish, late.
            await asyncio.shield(self._process.start(self._process.outside(lambda: deliver(records))))

        await self._bus.consume(consumer, taken)

    async def read(self, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
        async for records in self._bus.read(start, stop):
            await self._process.outside(_nothing)
            yield records

    async def ends(self) -> dict[int, int]:
        return await self._process.outside(self._bus.ends)

    async def lag(self, consumer: str) -> dict[int, int]:
        return await self._process.outside(lambda: self._bus.lag(consumer))

    async def reset(self, consumer: str, positions: Positions) -> None:
        await self._process.outside(lambda: self._bus.reset(consumer, positions))

    async def close(self) -> None:
        """The log outlives the process."""


async def _nothing() -> None:
    pass

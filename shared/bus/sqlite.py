"""The log in a SQLite file of the data folder: the embedded mode's adapter.

All members of a consumer are in this process and share the partitions: number p belongs to member p mod n.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from shared.bus.port import PARTITIONS, Deliver, EventBus, Positions, Record, partition_of
from shared.bus.table import Append, Item, Save, apply, batch, create, ends_of, positions
from shared.bus.tail import Tail
from shared.clock import Clock
from shared.errors import Unavailable
from shared.events.envelope import Envelope
from shared.sqlite import OpenFile, SqliteFile
from shared.telemetry.logs import log

SAVE = 1.0
"""Seconds between two saves of the positions that moved; after a crash so much comes again."""

GRACE = 10.0
"""Seconds that `close` waits for running deliveries."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between a failed delivery and the next try: doubled each time."""

logger = log("bus")


class _Member:
    """One running call of `consume`. It is given one partition at a time: while the others wait, what comes to them comes
    together, so the higher the load, the larger the deliveries, and the less each record costs."""

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.turn = asyncio.Lock()
        self.wakes = [asyncio.Event() for _ in range(PARTITIONS)]


@dataclass(slots=True)
class _Consumer:
    """Everyone who serves one consumer, and where it is."""

    name: str
    positions: dict[int, int] = field(default_factory=dict)
    unsaved: dict[int, int] = field(default_factory=dict)
    members: list[_Member] = field(default_factory=list)
    locks: list[asyncio.Lock] = field(default_factory=lambda: [asyncio.Lock() for _ in range(PARTITIONS)])

    def owner(self, partition: int) -> _Member:
        return self.members[partition % len(self.members)]

    def wake(self, partitions: Sequence[int] = range(PARTITIONS)) -> None:
        for member in self.members:
            for partition in partitions:
                member.wakes[partition].set()


class SqliteBus(EventBus):
    """The log of the one process that has the data folder."""

    @classmethod
    async def open(cls, path: Path, clock: Clock, open_file: OpenFile = SqliteFile.open) -> SqliteBus:
        """Create the log or go on with it. Raises `Misconfigured`."""
        file: SqliteFile[Item, dict[int, int]] = await open_file(path, create, apply)
        bus = cls(file, clock)
        bus._ends = await file.read(ends_of)
        for name, partition, following in await file.read(positions):
            bus._consumer(name).positions[partition] = following
        return bus

    def __init__(self, file: SqliteFile[Item, dict[int, int]], clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._ends: dict[int, int] = {}
        self._consumers: dict[str, _Consumer] = {}
        self._tail = Tail()
        self._reading = [asyncio.Lock() for _ in range(PARTITIONS)]
        self._saving: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._delivering: set[asyncio.Task[Any]] = set()
        self._closing = False

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        if not envelopes:
            return
        rows = [(partition_of(e.key), e.key, to_json(e.headers()).decode(), e.value) for e in envelopes]
        future = self._file.submit(Append(rows), sum(512 + len(row[3]) for row in rows))
        future.add_done_callback(partial(self._appended, envelopes))
        await self._file.outcome(future)

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        if self._closing:
            return
        group, member = self._consumer(consumer), _Member(deliver)
        group.members.append(member)
        group.wake()
        try:
            async with asyncio.TaskGroup() as tasks:
                for partition in range(PARTITIONS):
                    task = tasks.create_task(self._serve(group, member, partition))
                    self._serving.add(task)
                    task.add_done_callback(self._serving.discard)
        finally:
            group.members.remove(member)
            group.wake()

    async def read(self, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
        for partition, end in sorted(stop.items()):
            offset = start.get(partition, 0)
            while records := await self._fetch(partition, offset, end):
                yield records
                offset = records[-1].offset + 1

    async def ends(self) -> dict[int, int]:
        return dict(self._ends)

    async def lag(self, consumer: str) -> dict[int, int]:
        known = self._consumers.get(consumer)
        positions = known.positions if known else {}
        return {partition: end - positions.get(partition, 0) for partition, end in self._ends.items()}

    async def reset(self, consumer: str, positions: Positions) -> None:
        group = self._consumer(consumer)
        if group.members:
            raise RuntimeError(f"the consumer {consumer} has members")
        await self._file.write(Save(consumer, positions, only=True), 64)
        group.positions, group.unsaved = dict(positions), {}

    async def close(self) -> None:
        self._closing = True
        for task in self._serving - self._delivering:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=GRACE)
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._saving:
            self._saving.cancel()
            await asyncio.gather(self._saving, return_exceptions=True)
        with contextlib.suppress(Unavailable):  # then more comes again, and nothing is lost
            await self._save()
        await self._file.close()

    def _consumer(self, name: str) -> _Consumer:
        return self._consumers.setdefault(name, _Consumer(name))

    def _appended(self, envelopes: Sequence[Envelope], future: asyncio.Future[dict[int, int]]) -> None:
        """Whether or not the publisher still waits: the records are there."""
        if future.cancelled() or future.exception():
            return
        grown = future.result()
        self._ends |= grown
        self._tail.append(envelopes, grown)
        for group in self._consumers.values():
            group.wake(list(grown))

    async def _serve(self, group: _Consumer, member: _Member, partition: int) -> None:
        """Deliver one partition for as long as it is the member's and there is something."""
        wake, pause = member.wakes[partition], FIRST_PAUSE
        while not self._closing:
            wake.clear()
            if group.owner(partition) is not member or group.positions.get(partition, 0) >= self._ends[partition]:
                await wake.wait()
                continue
            try:
                async with member.turn, group.locks[partition]:
                    if group.owner(partition) is member:
                        await self._step(group, member, partition)
                pause = FIRST_PAUSE
            except Exception as error:
                logger.warning("delivery failed", consumer=group.name, partition=partition, error=type(error).__name__)
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _step(self, group: _Consumer, member: _Member, partition: int) -> None:
        start, end = group.positions.get(partition, 0), self._ends[partition]
        async with self._reading[partition]:  # the others who want the same records wait for them, and do not read
            records = self._tail.find(partition, start)
            if not records:
                records = await self._fetch(partition, start, end)
                self._tail.remember(records)
        if not records:
            return
        task = asyncio.current_task()
        assert task
        self._delivering.add(task)
        try:
            await member.deliver(records)
            group.positions[partition] = group.unsaved[partition] = records[-1].offset + 1
            if self._saving is None or self._saving.done():
                self._saving = asyncio.create_task(self._save_soon())
        finally:
            self._delivering.discard(task)

    async def _save_soon(self) -> None:
        """Save what moved, once for all that moves within a second."""
        while any(group.unsaved for group in self._consumers.values()):
            await self._clock.sleep(SAVE)
            try:
                await self._save()
            except Unavailable as error:
                logger.warning("positions cannot be saved yet", error=type(error).__name__)

    async def _save(self) -> None:
        for group in self._consumers.values():
            if moved := dict(group.unsaved):
                await self._file.write(Save(group.name, moved, only=False), 64)
                group.unsaved = {p: at for p, at in group.unsaved.items() if moved.get(p) != at}

    async def _fetch(self, partition: int, start: int, stop: int) -> list[Record]:
        return await self._file.read(lambda connection: batch(connection, partition, start, stop))

"""The port's promises, kept by Kafka's topic, groups and offsets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from aiokafka.errors import CommitFailedError

from shared.bus.kafka.membership import GRACE, Membership
from shared.bus.kafka.producing import Producing
from shared.bus.kafka.reading import PATIENCE, Ends, every_partition, read, reader, saved
from shared.bus.kafka.topic import Topic, admin, check
from shared.bus.port import Deliver, EventBus, Positions, Record
from shared.clock import Clock
from shared.errors import Unavailable
from shared.events.envelope import Envelope


class KafkaBus(EventBus):
    """The log that every process of an installation shares."""

    def __init__(self, topic: Topic, clock: Clock, instance: str | None = None) -> None:
        """Connects when it is first needed; `check` says whether it can be.

        `instance` is a name that this process keeps over restarts: then its partitions wait for it for half a minute
        instead of going to the others and back.
        """
        self._topic = topic
        self._clock = clock
        self._instance = instance
        self._producing = Producing(topic)
        self._ends = Ends(topic)
        self._members: dict[Membership, asyncio.Task[None]] = {}
        self._closed = False

    async def check(self) -> None:
        """Raises `Misconfigured` for a topic that is missing or would lose events, and `Unavailable`."""
        await check(self._topic)

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        if self._closed:
            raise Unavailable("the log is closed")
        if envelopes:
            await self._producing.append(envelopes)

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        if self._closed:
            return
        member = Membership(self._topic, consumer, deliver, self._clock, self._instance)
        running = self._members[member] = asyncio.create_task(member.run())
        try:
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            del self._members[member]

    async def read(self, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
        ends = await self.ends()
        async for records in read(self._topic, start, {p: min(end, ends[p]) for p, end in stop.items()}):
            yield records

    async def ends(self) -> dict[int, int]:
        return await self._ends()

    async def lag(self, consumer: str) -> dict[int, int]:
        async with admin(self._topic) as client:
            group = self._topic.group(consumer)
            positions = saved(self._topic, await client.list_consumer_group_offsets(group))
        for member in self._members:
            if member.consumer == consumer:
                for partition, at in member.positions.items():
                    positions[partition] = max(at, positions.get(partition, 0))
        return {partition: max(0, end - positions.get(partition, 0)) for partition, end in (await self.ends()).items()}

    async def reset(self, consumer: str, positions: Positions) -> None:
        if any(member.consumer == consumer for member in self._members):
            raise RuntimeError(f"the consumer {consumer} has members")
        async with reader(self._topic, self._topic.group(consumer)) as client:
            client.assign(every_partition(self._topic))
            offsets = {at: positions.get(at.partition, 0) for at in every_partition(self._topic)}
            try:
                async with asyncio.timeout(PATIENCE):
                    await client.commit(offsets)
            except CommitFailedError:
                raise RuntimeError(f"the consumer {consumer} has members") from None

    async def close(self) -> None:
        self._closed = True
        for member in self._members:
            member.close()
        running = list(self._members.values())
        if running:
            await asyncio.wait(running, timeout=GRACE)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._producing.close()
        await self._ends.close()

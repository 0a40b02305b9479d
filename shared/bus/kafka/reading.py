"""Reading the log without being a consumer: its records, its ends, and where consumers are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from shared.bus.kafka.errors import told
from shared.bus.kafka.topic import Topic
from shared.bus.port import PARTITIONS, Positions, Record
from shared.errors import Unavailable

PATIENCE = 5.0
"""Seconds that one question may take."""

SILENCE = 30.0
"""Seconds without any record after which a reading that is not at its end gives up."""

BATCH = 500
"""Records that are read at once."""


def records_of(messages: Iterable[Any]) -> list[Record]:
    """Messages as they lie in Kafka, whoever wrote them: also what is no event is a record."""
    return [
        Record(
            message.partition,
            message.offset,
            (message.key or b"").decode(errors="replace"),
            {name: value.decode(errors="replace") for name, value in message.headers},
            message.value or b"",
        )
        for message in messages
    ]


def every_partition(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, partition) for partition in range(PARTITIONS)]


async def stop(client: Any, within: float) -> None:
    """The end of a client, within so many seconds and whatever it says: it may raise what cancelled a task of its own.

    Its connections are closed in any case.
    """
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait([stopping], timeout=within)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    await client._client.close()


@asynccontextmanager
async def reader(topic: Topic, group: str | None = None) -> AsyncIterator[Any]:
    """A client that belongs to no group, or speaks for one without joining it. Raises `Unavailable`."""
    client = AIOKafkaConsumer(
        bootstrap_servers=topic.servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
    )
    try:
        with told(topic.url):
            async with asyncio.timeout(PATIENCE):
                await client.start()
            yield client
    finally:
        await stop(client, PATIENCE)


async def read(topic: Topic, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
    """Batches of records, partition after partition. Raises `Unavailable`."""
    async with reader(topic) as client:
        for partition, end in sorted(stop.items()):
            at, offset = TopicPartition(topic.name, partition), start.get(partition, 0)
            if offset >= end:
                continue
            client.assign([at])
            client.seek(at, offset)
            while offset < end:
                found = await client.getmany(at, timeout_ms=int(SILENCE * 1000), max_records=min(BATCH, end - offset))
                if not found:
                    raise Unavailable("Kafka does not give the records that are there")
                records = records_of(found[at])
                offset = records[-1].offset + 1
                yield records


class Ends:
    """Where the log ends, asked over a connection that is kept."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._partitions = every_partition(topic)
        self._kept = contextlib.AsyncExitStack()
        self._client: Any = None
        self._asking = asyncio.Lock()

    async def __call__(self) -> dict[int, int]:
        async with self._asking:
            try:
                if self._client is None:
                    self._client = await self._kept.enter_async_context(reader(self._topic))
                with told(self._topic.url):
                    async with asyncio.timeout(PATIENCE):
                        found = await self._client.end_offsets(self._partitions)
            except Unavailable:
                await self.close()
                raise
        return {at.partition: end for at, end in sorted(found.items())}

    async def close(self) -> None:
        self._client = None
        await self._kept.aclose()


def saved(topic: Topic, offsets: Mapping[TopicPartition, Any]) -> dict[int, int]:
    """A group's committed offsets as positions in this log."""
    return {at.partition: found.offset for at, found in offsets.items() if at.topic == topic.name and found.offset >= 0}

"""Appending to the log: batches made here, one after the other for each partition, by a producer that is thrown away
after any failure.

A producer that failed once may have lost count of its sequence numbers and then be refused for ever, and what it was
given may still arrive late. So a new one takes over; the outbox still has everything, and readers know repetitions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError

from shared.bus.kafka.topic import Topic
from shared.bus.port import partition_of
from shared.errors import Unavailable
from shared.events.envelope import Envelope

PATIENCE = 15.0
"""Seconds in which what is appended has to be durable."""

GRACE = 5.0
"""Seconds that a producer gets to go away."""

BATCH = 256 * 1024
"""Bytes of one partition that are sent together."""

LARGEST = 1_048_576
"""Bytes of a record at most: an event's largest value, with its headers."""


class Producing:
    """Whatever this process appends goes through here."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic
        self._producer: Any = None
        self._starting = asyncio.Lock()

    async def append(self, envelopes: Sequence[Envelope]) -> None:
        """Returns when all of them are durable. Raises `Unavailable`; then of each key a prefix may be."""
        by_partition = sorted(((partition_of(e.key), e) for e in envelopes), key=lambda one: one[0])
        parts = [(p, [e for _, e in some]) for p, some in groupby(by_partition, key=lambda one: one[0])]
        producer = None
        try:
            async with asyncio.timeout(PATIENCE):
                producer = await self._current()
                async with asyncio.TaskGroup() as tasks:
                    for partition, some in parts:
                        tasks.create_task(self._append(producer, partition, some))
        except* (KafkaError, OSError, TimeoutError) as group:
            await self._discard(producer)
            raise Unavailable(f"Kafka did not take the events: {type(_first(group)).__name__}") from group

    async def close(self) -> None:
        await self._discard(self._producer)

    async def _append(self, producer: Any, partition: int, envelopes: Iterable[Envelope]) -> None:
        """One batch is durable before the next one is sent: so what is there is always a prefix."""
        waiting = list(envelopes)
        while waiting:
            batch = producer.create_batch()
            taken = 0
            for envelope in waiting:
                headers = [(name, value.encode()) for name, value in envelope.headers().items()]
                if (
                    batch.append(key=envelope.key.encode(), value=envelope.value, timestamp=None, headers=headers)
                    is None
                ):
                    break
                taken += 1
            batch.close()
            await (await producer.send_batch(batch, self._topic.name, partition=partition))
            del waiting[:taken]

    async def _current(self) -> Any:
        """The producer, a new one if there is none or its sender died."""
        async with self._starting:
            if self._producer is not None and self._producer._sender.sender_task.done():
                await self._discard(self._producer)
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._topic.servers,
                    enable_idempotence=True,
                    acks="all",
                    compression_type="lz4",
                    max_batch_size=BATCH,
                    max_request_size=LARGEST,
                    request_timeout_ms=10_000,
                    retry_backoff_ms=200,
                )
                try:
                    await producer.start()
                except BaseException:
                    await _abandon(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: Any) -> None:
        if producer is not None and producer is self._producer:
            self._producer = None
            await _abandon(producer)


async def _abandon(producer: Any) -> None:
    """The end of a producer without waiting for what it holds: those who wait for it are told, and it sends no more."""
    producer._closed = True
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(GRACE):
            await producer._sender.close()
            await producer.client.close()
    held = producer._message_accumulator
    batches = {batch for some in held._batches.values() for batch in some} | held._pending_batches
    held._pending_batches.update(batches)  # else it looks in vain for those that it was to send again
    held.fail_all(KafkaConnectionError("the producer was thrown away"))
    for batch in batches:  # nobody may be waiting for it any more
        batch.future.cancelled() or batch.future.exception()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

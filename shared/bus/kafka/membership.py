"""One running call of `consume`: a member of Kafka's group, whose client is replaced when it is stuck.

Records are taken and their position is saved under one lock, which the revocation of partitions waits for. Nothing is
committed by the client itself: it would commit what it handed out, whether or not it took effect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import TopicPartition

from shared.bus.kafka.reading import records_of, stop
from shared.bus.kafka.topic import Topic
from shared.bus.port import Deliver, Record
from shared.clock import Clock
from shared.telemetry.logs import log

BATCH = 250
"""Records in one delivery at most."""

AT_ONCE = 2_000
"""Records taken from the client at once, of all partitions."""

POLL = 1.0
"""Seconds between two looks at the client when nothing comes."""

SAVE = 1.0
"""Seconds between two saves of the positions that moved, under load; when nothing is left they are saved at once."""

GRACE = 10.0
"""Seconds that running deliveries, and a question to the servers, get to finish."""

FAREWELL = 2.0
"""Seconds that a client gets to come to the end of its start, and to leave the group. Its positions are saved, so nothing
is lost without that; and while the group divides its partitions anew, it would wait for members that may be ending too."""

LONGEST = 300.0
"""Seconds that deliveries may take before the group gives the partitions to somebody else."""

STUCK = 60.0
"""Seconds without progress although there are records, or without a place in the group, after which the client is
replaced: it has no sign of its own for that."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Seconds between a failed delivery and the next try: doubled each time."""

logger = log("bus")


class Stuck(Exception):
    """The client makes no progress and says nothing."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """`run` until `close`."""

    def __init__(self, topic: Topic, consumer: str, deliver: Deliver, clock: Clock, instance: str | None) -> None:
        self.consumer = consumer
        self.positions: dict[int, int] = {}
        self._topic, self._deliver, self._clock, self._instance = topic, deliver, clock, instance
        self._unsaved: dict[int, int] = {}
        self._pauses: dict[int, float] = {}
        self._resting: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._closing = asyncio.Event()
        self._client: Any = None
        self._term = 0
        self._saved_at = self._moved_at = clock.monotonic()

    async def run(self) -> None:
        """Serve the partitions until `close`, whatever happens to the connection. A cancelled call leaves the group."""
        pause, failing = FIRST_PAUSE, False
        while not self._closing.is_set():
            try:
                await self._serve()
                pause, failing = FIRST_PAUSE, False
            except OffsetOutOfRangeError:
                logger.critical("records were deleted that were never read: rebuild", consumer=self.consumer)
                pause = LONGEST_PAUSE
            except (KafkaError, Stuck, OSError, TimeoutError) as error:
                if not failing:
                    logger.warning("the log cannot be read yet", consumer=self.consumer, error=type(error).__name__)
                failing = True
            if not self._closing.is_set():
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        """Let the running deliveries finish, save, and return from `run`."""
        self._closing.set()

    async def _serve(self) -> None:
        """One life of one client."""
        self._client = client = AIOKafkaConsumer(
            bootstrap_servers=self._topic.servers,
            group_id=self._topic.group(self.consumer),
            group_instance_id=self._instance,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_partition_fetch_bytes=1024 * 1024,
            session_timeout_ms=30_000,
            heartbeat_interval_ms=3_000,
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=int(LONGEST * 1000),
            request_timeout_ms=40_000,
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )
        client.subscribe([self._topic.name], listener=self)
        closing = asyncio.create_task(self._closing.wait())
        starting = asyncio.create_task(client.start())  # not cancelled at once: it would leave its connection open
        try:
            async with asyncio.timeout(GRACE):
                await asyncio.wait([starting, closing], return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            self._moved_at = self._clock.monotonic()
            while not self._closing.is_set():
                found = await self._poll(client, closing)
                async with self._lock:
                    await self._take(client, found)
                    if not found or self._clock.monotonic() - self._saved_at >= SAVE:
                        await self._save(client)
                await self._watch(client, bool(found))
        finally:
            closing.cancel()
            await asyncio.shield(self._leave(client, starting))

    async def _poll(self, client: Any, closing: asyncio.Task[Any]) -> Mapping[TopicPartition, Sequence[Any]]:
        """What has come; outside the lock, for the client may be giving partitions up meanwhile."""
        wait = int(POLL * 1000) if not self._unsaved else 0
        polling = asyncio.create_task(client.getmany(timeout_ms=wait, max_records=AT_ONCE))
        try:
            await asyncio.wait([polling, closing], return_when=asyncio.FIRST_COMPLETED)
            if not polling.done():
                return {}
            found: Mapping[TopicPartition, Sequence[Any]] = polling.result()
            return found
        except NoOffsetForPartitionError:
            await self._begin(client)
            return {}
        finally:
            polling.cancel()

    async def _begin(self, client: Any) -> None:
        """A new consumer starts at the beginning, and says so itself: the client would also jump there from a position
        whose records are gone."""
        for partition in client.assignment():
            async with asyncio.timeout(GRACE):
                if await client.committed(partition) is None:
                    client.seek(partition, 0)

    async def _take(self, client: Any, found: Mapping[TopicPartition, Sequence[Any]]) -> None:
        await asyncio.gather(*(self._deliver_all(client, at, some, self._term) for at, some in found.items()))

    async def _deliver_all(self, client: Any, at: TopicPartition, messages: Sequence[Any], term: int) -> None:
        """Consecutive records of one partition, a delivery after the other while it is ours."""
        records = records_of(messages)
        for start in range(0, len(records), BATCH):
            if self._closing.is_set() or self._term != term or at not in client.assignment():
                return
            some = records[start : start + BATCH]
            try:
                await self._deliver(some)
            except Exception as error:
                logger.warning(
                    "delivery failed", consumer=self.consumer, partition=at.partition, error=type(error).__name__
                )
                self._rest(client, at, some[0], term)
                return
            if self._term == term:
                self._pauses.pop(at.partition, None)
                self.positions[at.partition] = self._unsaved[at.partition] = some[-1].offset + 1

    def _rest(self, client: Any, at: TopicPartition, first: Record, term: int) -> None:
        """Have the partition's records come again after a pause; the others go on."""
        if self._term != term or at not in client.assignment():
            return
        client.seek(at, first.offset)
        client.pause(at)
        pause = self._pauses.get(at.partition, FIRST_PAUSE)
        self._pauses[at.partition] = min(2 * pause, LONGEST_PAUSE)

        async def resume() -> None:
            await self._clock.sleep(pause)
            if self._term == term and client is self._client and at in client.assignment():
                client.resume(at)

        task = asyncio.create_task(resume())
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)

    async def _save(self, client: Any) -> None:
        """Commit what took effect. Under the lock. While that fails the client is kept: a new one would have to wait
        until the group has given up the old one's place."""
        moved, self._saved_at = dict(self._unsaved), self._clock.monotonic()
        if not moved:
            return
        offsets = {TopicPartition(self._topic.name, partition): at for partition, at in moved.items()}
        try:
            async with asyncio.timeout(GRACE):
                await client.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            logger.info("partitions were given to another member", consumer=self.consumer)
        except (KafkaError, TimeoutError) as error:
            logger.warning("positions cannot be saved yet", consumer=self.consumer, error=type(error).__name__)
            return
        self._unsaved.clear()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Before others may have the partitions: what runs ends, nothing new begins, and what took effect is saved.

        What does not end in time goes on late; its effects are guarded.
        """
        self._term += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE), self._lock:
                await self._save(self._client)
        self.positions.clear()
        self._unsaved.clear()
        self._pauses.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._moved_at = self._clock.monotonic()

    async def _watch(self, client: Any, moved: bool) -> None:
        """Raises `Stuck` for a client that will not come back by itself."""
        coordinator = client._coordinator
        if coordinator._coordination_task.done():
            raise Stuck("the coordination ended")
        if moved:
            self._moved_at = self._clock.monotonic()
        elif self._clock.monotonic() - self._moved_at >= STUCK:
            self._moved_at = self._clock.monotonic()
            if coordinator.need_rejoin(client._subscription.subscription):
                raise Stuck("no place in the group")
            if await self._left_lying(client):
                raise Stuck("no progress although there are records")

    async def _left_lying(self, client: Any) -> bool:
        """Whether there are records that should have come."""
        ours = [at for at in client.assignment() if at not in client.paused()]
        async with asyncio.timeout(GRACE):
            ends = await client.end_offsets(ours) if ours else {}
            positions = {at: await client.position(at) for at in ours}
        return any(positions[at] < end for at, end in ends.items())

    async def _leave(self, client: Any, starting: asyncio.Task[None]) -> None:
        """Save what took effect and leave the group. Records in hand come again to whoever has them next."""
        for task in self._resting:
            task.cancel()
        await asyncio.wait([starting], timeout=FAREWELL)
        starting.cancel()  # connected by now, it waits for a place in the group
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE), self._lock:
                await self._save(client)
        self._term += 1
        if not self._closing.is_set():  # it will not be back soon: also a place that is kept by its name is given up
            client._coordinator._group_instance_id = None
        await stop(client, FAREWELL)
        self.positions.clear()
        self._unsaved.clear()

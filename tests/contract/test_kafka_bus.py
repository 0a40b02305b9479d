"""The log on a real Kafka keeps every promise of the port, and those that are its own."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.bus.kafka import KafkaBus, Topic, apply, membership
from shared.bus.port import EventBus, Record
from shared.clock import SystemClock
from shared.errors import Misconfigured, Undecodable
from tests.contract.bus import BusContract, Opening, Reader, member, no_lag
from tests.support.clock import ManualClock
from tests.support.events import key_in, story
from tests.support.eventually import eventually
from tests.support.servers import kafka_url

pytestmark = pytest.mark.distributed

NUMBERS = itertools.count()


@pytest.fixture
async def topic() -> Topic:
    """A log of its own for each test."""
    topic = Topic(kafka_url(), f"test-{os.getpid()}-{next(NUMBERS)}")
    await apply(topic)
    return topic


class TestKafkaBus(BusContract):
    @pytest.fixture
    def opening(self, clock: ManualClock, topic: Topic) -> Opening:
        async def open() -> EventBus:
            bus = KafkaBus(topic, clock)
            await bus.check()
            return bus

        return open

    @pytest.mark.row("F16")
    async def test_a_producer_whose_sender_died_is_replaced(self, bus: KafkaBus) -> None:
        await bus.publish(story("case", 2))
        sender = bus._producing._producer._sender.sender_task
        sender.cancel()
        await asyncio.wait([sender])
        await bus.publish(story("case", 2, start=3))
        assert sum((await bus.ends()).values()) == 4

    async def test_two_publishes_at_once_over_a_producer_that_dies_are_both_told(self, bus: KafkaBus) -> None:
        await bus.publish(story("case", 1))
        answers = await asyncio.gather(
            *(bus.publish(story(f"k{n}", 3)) for n in range(5)),
            bus._producing._discard(bus._producing._producer),
            return_exceptions=True,
        )
        for n, answer in enumerate(answers[:5]):
            if answer is not None:
                await bus.publish(story(f"k{n}", 3))
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: all(list(dict.fromkeys(reader.of(f"k{n}"))) == [1, 2, 3] for n in range(5)))

    @pytest.mark.row("F17")
    async def test_a_consumer_whose_coordination_died_goes_on_with_another_client(self, topic: Topic) -> None:
        bus, reader = KafkaBus(topic, SystemClock()), Reader()
        async with member(bus, "routing", reader):
            await bus.publish(story("case", 1))
            await eventually(lambda: reader.of("case") == [1])
            (membership,) = bus._members
            first = membership._client
            first._coordinator._coordination_task.cancel()
            await eventually(lambda: membership._client is not first)
            await bus.publish(story("case", 1, start=2))
            await eventually(lambda: reader.of("case")[-1] == 2)
        await bus.close()

    @pytest.mark.row("F19")
    async def test_a_delivery_that_takes_longer_than_the_group_waits_ends_all_the_same(
        self, bus: KafkaBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(membership, "LONGEST", 2.0)
        reader = Reader()

        async def slow(records: Sequence[Record]) -> None:
            await asyncio.sleep(3)
            await reader(records)

        await bus.publish(story("case", 3))
        async with member(bus, "c", slow), member(bus, "c", slow):
            await eventually(lambda: reader.of("case")[:3] == [1, 2, 3], within=30)
            await bus.publish(story("case", 2, start=4))
            await no_lag(bus, "c")
        assert list(dict.fromkeys(reader.of("case"))) == [1, 2, 3, 4, 5]
        assert len(reader.batches) <= 6, "each comes a few times at most"

    @pytest.mark.row("F23")
    async def test_what_is_no_event_is_a_record_like_any_other(self, bus: EventBus, topic: Topic) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=topic.servers)
        await producer.start()
        await producer.send_and_wait(topic.name, b"\xff", partition=3, headers=[("ce_id", b"\xff\x00")])
        await producer.send_and_wait(topic.name, None, key=b"\xfe", partition=3)
        await producer.stop()
        await bus.publish(story(key_in(3), 1))
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: len(reader.records) == 3)
        for record in reader.records[:2]:
            with pytest.raises(Undecodable):
                record.envelope()
        assert [record.value for record in reader.records][:2] == [b"\xff", b""]

    @pytest.mark.row("F26")
    async def test_a_log_whose_partitions_were_increased_is_refused(self, bus: KafkaBus, topic: Topic) -> None:
        async with admin(topic) as client:
            await client.create_partitions({topic.name: NewPartitions(13)})

            async def seen() -> bool:
                return len((await client.describe_topics([topic.name]))[0]["partitions"]) == 13

            await eventually(seen)
        for refusing in (bus.check(), apply(topic)):
            with pytest.raises(Misconfigured, match="has 13 partitions and must have 12"):
                await refusing

    @pytest.mark.row("F27")
    async def test_records_that_were_deleted_unread_stop_the_consumer_and_are_not_jumped_over(
        self, topic: Topic, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bus, key = KafkaBus(topic, SystemClock()), key_in(5)
        await bus.publish(story(key, 3))
        async with member(bus, "routing", Reader()):
            await no_lag(bus, "routing")
        await bus.publish(story(key, 3, start=4))
        async with admin(topic) as client:
            await client.delete_records({TopicPartition(topic.name, 5): RecordsToDelete(before_offset=5)})
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: "deleted that were never read" in capsys.readouterr().err)
        assert reader.records == []
        assert (await bus.lag("routing"))[5] == 3
        await bus.reset("routing", {5: 5})
        async with member(bus, "routing", reader):
            await eventually(lambda: reader.of(key) == [6])
        await bus.close()

    async def test_a_topic_that_would_lose_events_is_refused_until_it_is_applied(self, topic: Topic) -> None:
        bus = KafkaBus(topic, SystemClock())
        await _configure(topic, {"retention.ms": "1000"})

        async def told() -> str:  # what was set is seen a moment later
            try:
                await bus.check()
            except Misconfigured as error:
                return str(error)
            return "fine"

        async def refused() -> bool:
            return "retention.ms=1000" in await told()

        async def accepted() -> bool:
            return await told() == "fine"

        await eventually(refused)
        await apply(topic)
        await eventually(accepted)
        with pytest.raises(Misconfigured, match="huiyin topics apply"):
            await KafkaBus(Topic(topic.url, "nobody"), SystemClock()).check()
        await bus.close()

    async def test_a_named_member_that_comes_back_has_its_partitions_at_once(self, topic: Topic) -> None:
        reader = Reader()
        for life in range(3):
            bus = KafkaBus(topic, SystemClock(), "routing-0")
            consuming = asyncio.create_task(bus.consume("routing", reader))
            await bus.publish(story("case", 1, start=life + 1))
            await eventually(lambda: len(reader.of("case")) > life)  # noqa: B023 (asked within this turn)
            await bus.close()
            await consuming
        assert reader.of("case") == [1, 2, 3]

    async def test_a_delivery_in_hand_ends_before_its_partitions_go_to_another(self, topic: Topic) -> None:
        working: set[int] = set()
        met: list[int] = []

        async def deliver(records: Sequence[Record]) -> None:
            partition = records[0].partition
            if partition in working:
                met.append(partition)
            working.add(partition)
            await asyncio.sleep(0.01)
            working.discard(partition)

        one, two = KafkaBus(topic, SystemClock()), KafkaBus(topic, SystemClock())
        for n in range(40):
            await one.publish([event for k in range(12) for event in story(key_in(k), 5, n * 5 + 1)])
        async with member(one, "routing", deliver):
            await eventually(lambda: working)
            async with member(two, "routing", deliver):
                await no_lag(one, "routing")
        assert met == []
        await one.close()
        await two.close()


@asynccontextmanager
async def admin(topic: Topic) -> AsyncIterator[Any]:
    client = AIOKafkaAdminClient(bootstrap_servers=topic.servers)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def _configure(topic: Topic, settings: dict[str, str]) -> None:
    async with admin(topic) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, settings)])

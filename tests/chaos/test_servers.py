"""What three brokers and a replica set of three may do to the adapters; and each deliberate mistake in them is caught.

A mistake is made by the test, by a patch of what the adapter asks its driver for: there is none to be switched on in the
product.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.native import mongodb
from deploy.native.cluster import Cluster, cluster, home
from deploy.native.node import Node
from shared.bus.kafka import KafkaBus, Topic, apply, membership, producing
from shared.bus.port import PARTITIONS, Record
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.store.mongo import server
from shared.store.mongo.server import Mongo
from shared.store.port import Collection, DocumentStore, Insert
from tests.contract.bus import Reader, member, no_lag
from tests.support.events import envelope, key_in, story
from tests.support.eventually import eventually

pytestmark = [
    pytest.mark.distributed,
    pytest.mark.asyncio(loop_scope="function"),
    # PyMongo leaves the sockets of members that died to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NUMBERS = itertools.count(1)
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = cluster(tmp_path_factory.mktemp("servers"), 3, home() / "packages")
    try:
        found.up()
        yield found
    finally:
        found.down()


@pytest.fixture(autouse=True)
def all_of_them(servers: Cluster) -> Iterator[None]:
    servers.up()
    yield
    gc.collect()  # what the drivers leave lying is found here, not at the end of everything


def right(patch: pytest.MonkeyPatch) -> None:
    """The adapter as it is."""


def told_by_one(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(server.OPTIONS, "w", 1)


def read_where_it_may_be_undone(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(server.OPTIONS, "readConcernLevel", "local")


def committed_by_the_client(patch: pytest.MonkeyPatch) -> None:
    def automatic(**settings: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**settings | {"enable_auto_commit": True, "auto_commit_interval_ms": 100})

    patch.setattr(membership, "AIOKafkaConsumer", automatic)


def committed_before_it_took_effect(patch: pytest.MonkeyPatch) -> None:
    take = membership.Membership._take

    async def early(self: membership.Membership, client: Any, found: Any) -> None:
        self._unsaved |= {at.partition: some[-1].offset + 1 for at, some in found.items()}
        await self._save(client)
        await take(self, client, found)

    patch.setattr(membership.Membership, "_take", early)


def the_producer_kept(patch: pytest.MonkeyPatch) -> None:
    discard = producing.Producing._discard

    async def kept(self: producing.Producing, producer: Any) -> None:
        return

    async def close(self: producing.Producing) -> None:
        await discard(self, self._producer)

    patch.setattr(producing.Producing, "_discard", kept)
    patch.setattr(producing.Producing, "close", close)


@pytest.fixture
def seen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> contextlib.AbstractContextManager[Any]:
    """What is seen of an adapter made in this way: nothing, or that it is caught."""
    request.param(monkeypatch)
    return contextlib.nullcontext() if request.param is right else pytest.raises(AssertionError)


def shown(*mistakes: Patch) -> pytest.MarkDecorator:
    """The adapter shows it; with a mistake in it, it is caught."""
    return pytest.mark.parametrize("seen", [right, *mistakes], indirect=True, ids=lambda made: made.__name__)


@pytest.mark.row("F29")
@shown(told_by_one)
async def test_what_was_acknowledged_outlives_the_primary(servers: Cluster, seen: Any) -> None:
    with seen:
        async with stored(servers) as store:
            await store.write([Insert("things", "first", {})])
            async with the_primary_alone(servers):
                acknowledged = await told(store.write([Insert("things", "second", {})]))
            assert "second" in await store.get("things", ["second"]) or not acknowledged


@pytest.mark.row("F29")
@shown(read_where_it_may_be_undone)
async def test_no_event_leaves_the_outbox_that_may_be_undone(servers: Cluster, seen: Any) -> None:
    with seen:
        async with stored(servers) as store:
            await store.write([Insert("things", "first", {})])
            left: list[str] = []
            over = asyncio.Event()

            async def relay() -> None:
                while not over.is_set():
                    with contextlib.suppress(Unavailable):
                        left.extend(event.subject for event in await store.pending(10))
                    await asyncio.sleep(0.05)

            async with the_primary_alone(servers):
                relaying = asyncio.create_task(relay())
                await told(store.write([Insert("things", "second", {}, emit=tuple(story("second", 1)))]))
                over.set()
                await relaying
            assert "second" in await store.get("things", ["second"]) or not left


@pytest.mark.row("F29")
async def test_a_primary_that_steps_down_loses_nothing(servers: Cluster) -> None:
    async with stored(servers) as store:
        acknowledged: list[str] = []
        over = asyncio.Event()

        async def twenty_more() -> None:
            goal = len(acknowledged) + 20
            await eventually(lambda: len(acknowledged) > goal, within=30)

        async def write() -> None:
            for number in itertools.count():
                if over.is_set():
                    return
                name = f"n{number}"
                if await told(store.write([Insert("things", name, {})])):
                    acknowledged.append(name)

        writing = asyncio.create_task(write())
        for _ in range(2):
            await twenty_more()
            leading = await mongodb.primary(servers.mongodb)
            assert leading
            await mongodb.step_down(leading)
        await twenty_more()
        over.set()
        await writing
        assert set(await store.get("things", acknowledged)) == set(acknowledged)


@shown(committed_by_the_client, committed_before_it_took_effect)
async def test_what_did_not_take_effect_comes_again(servers: Cluster, seen: Any) -> None:
    with seen:
        topic = await log_of(servers)
        async with bus_of(topic) as bus:
            await bus.publish(story("case", 5))
            taken = asyncio.Event()

            async def hangs(records: Any) -> None:
                taken.set()
                await asyncio.Event().wait()

            async with member(bus, "c", hangs):
                await asyncio.wait_for(taken.wait(), 30)
                await asyncio.sleep(1)  # in which a client that saves by itself does so
            reader = Reader()
            async with member(bus, "c", reader):
                await no_lag(bus, "c")
            assert reader.of("case") == [1, 2, 3, 4, 5]


@pytest.mark.row("F14")
@shown(the_producer_kept)
async def test_appending_goes_on_in_order_after_a_partition_had_no_leader(
    servers: Cluster, monkeypatch: pytest.MonkeyPatch, seen: Any
) -> None:
    monkeypatch.setattr(producing, "PATIENCE", 12.0)
    with seen:
        topic = await log_of(servers, copies=1)
        lonely, key = await led_by(servers, topic)
        async with bus_of(topic) as bus:
            await bus.publish([envelope(key, 1)])
            await asyncio.to_thread(lonely.kill)
            assert not await told(bus.publish([envelope(key, 2)]))
            await asyncio.to_thread(servers.up)

            async def published() -> bool:
                return await told(bus.publish([envelope(key, 2), envelope(key, 3)]))

            await eventually(published, within=25)
            first: dict[int, Record] = {}
            async for records in bus.read(dict.fromkeys(range(PARTITIONS), 0), await bus.ends()):
                for record in records:
                    first.setdefault(int(record.headers["ce_sequence"]), record)
            assert list(first) == [1, 2, 3]


@contextlib.asynccontextmanager
async def stored(servers: Cluster) -> AsyncIterator[DocumentStore]:
    mongo = await Mongo.connect(servers.urls["HUIYIN_MONGO_URL"], f"chaos-{os.getpid()}-{next(NUMBERS)}", "pymongo")
    try:
        yield await mongo.store("routing", [Collection("things", "record")])
    finally:
        await mongo.close()


async def told(work: Any) -> bool:
    """Whether it was acknowledged."""
    try:
        await work
    except Unavailable:
        return False
    return True


@contextlib.asynccontextmanager
async def the_primary_alone(servers: Cluster) -> AsyncIterator[None]:
    """The others are dead meanwhile; afterwards it dies, they elect one of themselves, and it comes back to them."""
    old = await mongodb.primary(servers.mongodb)
    assert old
    others = [node for node in servers.mongodb if node is not old]
    for node in others:
        await asyncio.to_thread(node.kill)
    try:
        yield
        await asyncio.to_thread(old.kill)
    finally:
        for node in others:
            node.start()
    await eventually(lambda: mongodb.primary(servers.mongodb), within=60)
    old.start()
    await mongodb.ready(servers.mongodb)


async def log_of(servers: Cluster, copies: int | None = None) -> Topic:
    """A log of its own; `copies`: brokers that keep each record, as no operator would set it."""
    topic = Topic(servers.urls["HUIYIN_KAFKA_URL"], f"chaos-{os.getpid()}-{next(NUMBERS)}")
    if copies is None:
        await apply(topic)
        return topic
    admin = AIOKafkaAdminClient(bootstrap_servers=topic.servers)
    await admin.start()
    try:
        settings = {"min.insync.replicas": str(copies)}
        await admin.create_topics([NewTopic(topic.name, PARTITIONS, copies, topic_configs=settings)])
    finally:
        await admin.close()
    return topic


@contextlib.asynccontextmanager
async def bus_of(topic: Topic) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(topic, SystemClock())
    try:
        yield bus
    finally:
        await bus.close()


async def led_by(servers: Cluster, topic: Topic) -> tuple[Node, str]:
    """A broker, and a key whose only partition lies there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=topic.servers)
    await admin.start()
    try:
        (found,) = await admin.describe_topics([topic.name])
    finally:
        await admin.close()
    one = found["partitions"][0]
    (node,) = [node for node in servers.kafka if node.name == f"kafka-{one['leader']}"]
    return node, key_in(one["partition"])

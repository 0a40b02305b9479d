"""Servers that stop answering and come back: of a cluster that belongs to these tests alone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.native.cluster import Cluster, cluster, home
from deploy.native.node import NotStarted
from shared.bus.kafka import KafkaBus, Topic, apply
from shared.clock import SystemClock
from shared.errors import Misconfigured, Unavailable
from shared.store.mongo import Mongo
from shared.store.port import Done, Duplicate, Insert
from tests.contract.bus import Reader, everything, member
from tests.contract.store import CASES
from tests.support.events import story
from tests.support.eventually import eventually

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One broker and one mongod that may be paused and killed."""
    try:
        own = cluster(tmp_path_factory.mktemp("servers"), packages=home() / "packages")
    except NotStarted as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    try:
        own.up()
        yield own
    finally:
        own.down()


@pytest.mark.row("F15")
async def test_what_was_given_up_may_still_arrive_and_is_repeated_in_order(own: Cluster) -> None:
    topic = Topic(own.urls["HUIYIN_KAFKA_URL"], "late")
    await apply(topic)
    bus = KafkaBus(topic, SystemClock())
    await bus.publish(story("case", 1))
    (broker,) = own.kafka
    broker.pause()
    try:
        publishing = asyncio.create_task(bus.publish(story("case", 3, start=2)))
        await asyncio.wait([publishing], timeout=2)
        assert not publishing.done()
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
    finally:
        broker.resume()
    await bus.publish(story("case", 3, start=2))
    sequences = [int(record.headers["ce_sequence"]) for record in await everything(bus)]
    assert list(dict.fromkeys(sequences)) == [1, 2, 3, 4]
    await bus.close()


@pytest.mark.row("F13")
async def test_a_broker_that_is_away_is_said_in_time_and_everything_goes_on_when_it_is_back(own: Cluster) -> None:
    topic = Topic(own.urls["HUIYIN_KAFKA_URL"], "away")
    await apply(topic)
    bus, reader = KafkaBus(topic, SystemClock()), Reader()
    (broker,) = own.kafka
    async with member(bus, "routing", reader):
        await bus.publish(story("case", 1))
        await eventually(lambda: reader.of("case") == [1])
        broker.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await bus.publish(story("case", 1, start=2))
        assert time.monotonic() - began < 20
        with pytest.raises(Unavailable):
            await bus.ends()
        broker.start()

        async def published() -> bool:
            try:
                await bus.publish(story("case", 1, start=2))
            except Unavailable:
                return False
            return True

        await eventually(published, within=60)
        await eventually(lambda: reader.of("case")[-1] == 2, within=60)
    await bus.close()


@pytest.mark.row("F33")
@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_a_database_that_hangs_is_said_in_time_and_is_used_again_when_it_answers(
    own: Cluster, driver: str
) -> None:
    mongo = await Mongo.connect(own.urls["HUIYIN_MONGO_URL"], f"hangs-{driver}", driver)  # type: ignore[arg-type]
    store = await mongo.store("routing", [CASES])
    (server,) = own.mongodb
    server.pause()
    try:
        for call in (store.write([Insert("cases", "a", {})]), store.get("cases", ["a"])):
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await call
            assert time.monotonic() - began < 6
    finally:
        server.resume()
    (outcome,) = await store.write([Insert("cases", "a", {})])
    assert outcome in (Duplicate("_id"), Done(1))
    assert list(await store.get("cases", ["a"])) == ["a"]
    await mongo.close()


@pytest.mark.parametrize("url", ["mongodb://127.0.0.1:1/", "mongodb://", "http://127.0.0.1:1"])
async def test_a_wrong_address_is_one_line_within_ten_seconds(url: str) -> None:
    began = time.monotonic()
    with pytest.raises(Misconfigured, match="HUIYIN_MONGO_URL") as refusal:
        await Mongo.connect(url)
    assert time.monotonic() - began < 10
    assert "\n" not in str(refusal.value)


def test_what_was_stopped_starts_again_with_what_it_held(tmp_path: Path) -> None:
    first = cluster(tmp_path, packages=home() / "packages")
    first.up()
    pids = [node.pid for node in first.nodes]
    cluster(tmp_path, packages=home() / "packages").up()
    assert [node.pid for node in first.nodes] == pids, "what runs is left alone"
    asyncio.run(apply(Topic(first.urls["HUIYIN_KAFKA_URL"])))
    first.down()
    assert not any(node.running for node in first.nodes)
    again = cluster(tmp_path, packages=home() / "packages")
    again.up()
    assert "is there" in asyncio.run(apply(Topic(again.urls["HUIYIN_KAFKA_URL"])))
    again.down()
    with pytest.raises(NotStarted, match="has 1 of each"):
        cluster(tmp_path, 3, home() / "packages")

"""What every log promises: a test for each numbered promise of `shared/bus/port.py`, and a few beside it.

An adapter's test module subclasses `BusContract` and says how its log is opened.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from shared.bus.port import PARTITIONS, Deliver, EventBus, Record, partition_of
from shared.errors import Unavailable
from shared.events.envelope import Envelope
from tests.support.clock import ManualClock
from tests.support.events import BEGINNING, envelope, key_in, story
from tests.support.eventually import eventually
from tests.support.faults import FaultyBus

Opening = Callable[[], Awaitable[EventBus]]


class Reader:
    """A `deliver` that keeps what it was given, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Record]] = []

    async def __call__(self, records: Sequence[Record]) -> None:
        self.batches.append(records)

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]

    @property
    def ids(self) -> list[str]:
        return [record.headers["ce_id"] for record in self.records]

    def of(self, key: str) -> list[int]:
        """The sequences of one key, as they came."""
        return [int(record.headers["ce_sequence"]) for record in self.records if record.key == key]


@asynccontextmanager
async def member(bus: EventBus, consumer: str, deliver: Deliver) -> AsyncIterator[asyncio.Task[None]]:
    """A member of a consumer, which crashes at the end."""
    task = asyncio.create_task(bus.consume(consumer, deliver))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def everything(bus: EventBus) -> list[Record]:
    return [record async for records in bus.read(BEGINNING, await bus.ends()) for record in records]


async def no_lag(bus: EventBus, consumer: str) -> None:
    async def caught_up() -> bool:
        return not any((await bus.lag(consumer)).values())

    await eventually(caught_up)


class BusContract:
    """Subclass it, name the class `Test…`, and give it `opening`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        """By which the log pauses after a failed delivery."""
        return ManualClock()

    @pytest.fixture
    def opening(self, clock: ManualClock) -> Opening:
        """Opens the same log, however often it is called."""
        raise NotImplementedError

    @pytest.fixture
    async def bus(self, opening: Opening) -> AsyncIterator[EventBus]:
        bus = await opening()
        yield bus
        await bus.close()

    # 1

    async def test_what_was_published_is_there_after_a_restart(self, opening: Opening) -> None:
        bus = await opening()
        sent = [
            envelope(
                "路灯", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", value='{"x":"灯 \U0001f4a1"}'.encode()
            ),
            envelope("case", 2, value=b"\x00\xff not JSON \xc3"),
            envelope("case", 3, value=b""),
        ]
        await bus.publish(sent)
        ends = await bus.ends()
        await bus.close()
        bus = await opening()
        found = await everything(bus)
        assert sorted(map(str, (Envelope.of(r.key, r.headers, r.value) for r in found))) == sorted(map(str, sent))
        assert {record.headers["content-type"] for record in found} == {"application/json"}
        assert await bus.ends() == ends
        await bus.close()

    @pytest.mark.parametrize("seed", range(3))
    async def test_a_failed_publish_leaves_a_prefix_of_each_key(self, bus: EventBus, seed: int) -> None:
        faulty = FaultyBus(bus, seed, refused=0.3, lost=0.3)
        for first in range(1, 100, 5):
            events = [event for key in ("a", "b") for event in story(key, 5, first)]
            while True:
                try:
                    await faulty.publish(events)
                    break
                except Unavailable:
                    continue
        for key in ("a", "b"):
            seen: list[int] = []
            for record in await everything(bus):
                if record.key == key and (sequence := int(record.headers["ce_sequence"])) not in seen:
                    seen.append(sequence)
            assert seen == list(range(1, 101))
        assert faulty.faults.count > 5

    async def test_publishing_nothing_is_nothing(self, bus: EventBus) -> None:
        await bus.publish([])
        assert await bus.ends() == BEGINNING

    # 2

    async def test_a_key_has_one_partition_and_the_order_of_returned_publishes(self, bus: EventBus) -> None:
        for sequence in range(1, 11):
            await bus.publish([envelope(f"k{number}", sequence) for number in range(30)])
        records = await everything(bus)
        assert len(records) == 300
        for number in range(30):
            own = [record for record in records if record.key == f"k{number}"]
            assert {record.partition for record in own} == {partition_of(f"k{number}")}
            assert [int(record.headers["ce_sequence"]) for record in own] == list(range(1, 11))

    async def test_offsets_are_consecutive_under_many_publishers(self, bus: EventBus) -> None:
        await asyncio.gather(*(bus.publish(story(f"k{number}", 7)) for number in range(60)))
        ends = await bus.ends()
        assert sum(ends.values()) == 420
        by_partition = defaultdict(list)
        for record in await everything(bus):
            by_partition[record.partition].append(record.offset)
        for partition, offsets in by_partition.items():
            assert offsets == list(range(ends[partition]))

    # 3

    async def test_a_delivery_holds_consecutive_records_of_one_partition(self, bus: EventBus) -> None:
        await bus.publish([envelope(f"k{number}") for number in range(3000)])
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: len(reader.records) == 3000)
        following = dict(BEGINNING)
        for batch in reader.batches:
            assert len({record.partition for record in batch}) == 1
            assert len(batch) <= 500
            for record in batch:
                assert record.offset == following[record.partition]
                following[record.partition] += 1

    # 4 and 8

    async def test_records_come_again_until_the_position_is_saved(self, opening: Opening) -> None:
        bus = await opening()
        await bus.publish(story("case", 3))
        reached = asyncio.Event()

        async def stuck(records: Sequence[Record]) -> None:
            reached.set()
            await asyncio.Event().wait()

        async with member(bus, "routing", stuck):
            await reached.wait()
            assert sum((await bus.lag("routing")).values()) == 3
        await bus.close()
        bus = await opening()
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: reader.of("case") == [1, 2, 3])
        await bus.close()

    async def test_a_saved_position_survives_a_restart(self, opening: Opening) -> None:
        bus = await opening()
        await bus.publish(story("case", 3))
        async with member(bus, "routing", Reader()):
            await no_lag(bus, "routing")
        await bus.close()
        bus = await opening()
        assert sum((await bus.lag("routing")).values()) == 0
        reader = Reader()
        async with member(bus, "routing", reader):
            await bus.publish(story("case", 2, start=4))
            await eventually(lambda: reader.of("case") == [4, 5])
        await bus.close()

    # 5

    async def test_a_failed_delivery_comes_again(self, bus: EventBus, clock: ManualClock) -> None:
        await bus.publish(story("case", 3))
        reader = Reader()

        async def failing(records: Sequence[Record]) -> None:
            await reader(records)
            if len(reader.batches) < 4:
                raise ValueError("no")

        async with member(bus, "routing", failing):
            while len(reader.batches) < 4:
                await eventually(lambda: clock.awaited)
                assert sum((await bus.lag("routing")).values()) == 3
                clock.advance(5)
                await eventually(lambda: clock.awaited or len(reader.batches) == 4)
            await no_lag(bus, "routing")
        assert reader.of("case") == [1, 2, 3] * 4

    async def test_a_partition_that_fails_does_not_hold_up_the_others(self, bus: EventBus) -> None:
        good, bad = key_in(3), key_in(4)
        reader = Reader()

        async def picky(records: Sequence[Record]) -> None:
            if records[0].key == bad:
                raise ValueError("no")
            await reader(records)

        async with member(bus, "routing", picky):
            await bus.publish([envelope(bad), envelope(good)])
            await eventually(lambda: reader.of(good) == [1])
        assert (await bus.lag("routing"))[4] == 1

    # 6

    async def test_members_share_the_partitions(self, bus: EventBus) -> None:
        one, two = Reader(), Reader()

        async def a_round() -> tuple[int, int]:
            """How many records of a round over all partitions each of them gets."""
            before = len(one.records), len(two.records)
            await bus.publish([envelope(key_in(partition)) for partition in range(PARTITIONS)])
            await no_lag(bus, "routing")
            return len(one.records) - before[0], len(two.records) - before[1]

        async def half_each() -> bool:  # once both have found their places
            return await a_round() == (PARTITIONS // 2, PARTITIONS // 2)

        async with member(bus, "routing", one), member(bus, "routing", two):
            await eventually(half_each)

    async def test_a_member_that_crashes_leaves_its_partitions_to_the_others(self, bus: EventBus) -> None:
        stuck, reader = asyncio.Event(), Reader()

        async def hanging(records: Sequence[Record]) -> None:
            stuck.set()
            await asyncio.Event().wait()

        async with member(bus, "routing", hanging) as first:
            await bus.publish([envelope(key_in(partition)) for partition in range(PARTITIONS)])
            await stuck.wait()
            async with member(bus, "routing", reader):
                first.cancel()
                await eventually(lambda: len(reader.records) == PARTITIONS)
                await no_lag(bus, "routing")

    @pytest.mark.row("F18")
    async def test_nothing_is_lost_while_members_come_and_go(self, bus: EventBus) -> None:
        reader = Reader()
        async with member(bus, "routing", reader):
            for round in range(10):
                async with member(bus, "routing", reader):
                    await bus.publish([envelope(f"k{number}", round + 1) for number in range(50)])
            await no_lag(bus, "routing")
        for number in range(50):
            assert list(dict.fromkeys(reader.of(f"k{number}"))) == list(range(1, 11))

    # 7

    async def test_every_consumer_sees_every_record_from_the_beginning(self, bus: EventBus) -> None:
        await bus.publish(story("case", 4))
        early, late = Reader(), Reader()
        async with member(bus, "routing", early):
            await eventually(lambda: early.of("case") == [1, 2, 3, 4])
            async with member(bus, "notify", late):
                await eventually(lambda: late.of("case") == [1, 2, 3, 4])
                await bus.publish(story("case", 1, start=5))
                await eventually(lambda: late.of("case") == early.of("case") == [1, 2, 3, 4, 5])

    async def test_a_new_consumer_lags_by_everything(self, bus: EventBus) -> None:
        await bus.publish(story("case", 4))
        assert await bus.lag("nobody") == await bus.ends()

    # 9

    async def test_reading_needs_no_consumer_and_moves_none(self, bus: EventBus) -> None:
        key = key_in(2)
        await bus.publish([*story(key, 1200), envelope(key_in(7))])
        batches = [records async for records in bus.read({2: 100}, {2: 1150, 5: 9})]
        assert [record.offset for records in batches for record in records] == list(range(100, 1150))
        assert await bus.lag("routing") == await bus.ends()
        assert [records async for records in bus.read({2: 5}, {2: 5})] == []

    # 10

    async def test_reset_is_refused_while_there_are_members(self, bus: EventBus) -> None:
        await bus.publish(story("case", 3))
        reader = Reader()
        async with member(bus, "routing", reader):
            await no_lag(bus, "routing")
            with pytest.raises(RuntimeError):
                await bus.reset("routing", {})
        assert reader.of("case") == [1, 2, 3]

    async def test_after_a_reset_the_records_come_from_there(self, opening: Opening) -> None:
        bus = await opening()
        key = key_in(1)
        await bus.publish([*story(key, 5), envelope(key_in(2))])
        async with member(bus, "routing", Reader()):
            await no_lag(bus, "routing")
        await bus.reset("routing", {1: 3})
        await bus.close()
        bus = await opening()
        assert [lag for lag in (await bus.lag("routing")).values() if lag] == [2, 1]
        reader = Reader()
        async with member(bus, "routing", reader):
            await no_lag(bus, "routing")
        assert reader.of(key) == [4, 5]
        await bus.close()

    # 11

    async def test_close_lets_the_running_delivery_finish_and_saves(self, opening: Opening) -> None:
        bus = await opening()
        began, go_on, reader = asyncio.Event(), asyncio.Event(), Reader()

        async def slow(records: Sequence[Record]) -> None:
            began.set()
            await go_on.wait()
            await reader(records)

        await bus.publish(story("case", 3))
        consuming = asyncio.create_task(bus.consume("routing", slow))
        await began.wait()
        closing = asyncio.create_task(bus.close())
        await asyncio.sleep(0)
        assert not consuming.done()
        go_on.set()
        await asyncio.wait_for(asyncio.gather(closing, consuming), 5)
        assert reader.of("case") == [1, 2, 3]
        bus = await opening()
        assert sum((await bus.lag("routing")).values()) == 0
        await bus.close()

    async def test_close_ends_consumers_that_wait_or_pause(self, opening: Opening, clock: ManualClock) -> None:
        bus = await opening()

        async def failing(records: Sequence[Record]) -> None:
            raise ValueError("no")

        calls = [asyncio.create_task(bus.consume(name, failing)) for name in ("routing", "notify")]
        await bus.publish(story("case", 1))
        await eventually(lambda: clock.awaited)
        await asyncio.wait_for(bus.close(), 5)
        await asyncio.wait_for(asyncio.gather(*calls), 5)
        await asyncio.wait_for(bus.consume("routing", failing), 5)
        with pytest.raises(Unavailable):
            await bus.publish(story("case", 1))

    # Under faults.

    @pytest.mark.row("F21")
    @pytest.mark.parametrize("reorder", [False, True])
    async def test_under_faults_every_record_comes_at_least_once_and_each_key_in_order(
        self, bus: EventBus, clock: ManualClock, reorder: bool
    ) -> None:
        faulty = FaultyBus(bus, 7, again=0.3, forgotten=0.3, reorder=reorder)
        reader = Reader()
        await bus.publish([envelope(f"k{number % 40}", number // 40 + 1) for number in range(2000)])

        async def caught_up() -> bool:
            clock.advance(5)
            return not any((await bus.lag("routing")).values())

        async with member(faulty, "routing", reader):
            await eventually(caught_up)
        assert len(reader.records) > 2000
        for number in range(40):
            assert list(dict.fromkeys(reader.of(f"k{number}"))) == list(range(1, 51))

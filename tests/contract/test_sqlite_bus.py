"""The log on SQLite keeps every promise of the port, and those that are its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.bus.port import EventBus, Record
from shared.bus.sqlite import SqliteBus
from tests.contract.bus import BusContract, Opening, Reader, member, no_lag
from tests.support.clock import ManualClock
from tests.support.events import envelope, key_in, story
from tests.support.eventually import eventually


class TestSqliteBus(BusContract):
    @pytest.fixture
    def opening(self, clock: ManualClock, tmp_path: Path) -> Opening:
        async def open() -> EventBus:
            return await SqliteBus.open(tmp_path / "log.db", clock)

        return open

    async def test_large_values_make_short_deliveries(self, bus: EventBus) -> None:
        await bus.publish([envelope(key_in(0), sequence, value=b"x" * 250_000) for sequence in range(1, 31)])
        reader = Reader()
        async with member(bus, "routing", reader):
            await eventually(lambda: len(reader.records) == 30)
        assert max(sum(len(record.value) for record in batch) for batch in reader.batches) <= 4 * 1024 * 1024

    async def test_a_publish_nobody_waits_for_any_more_still_wakes_the_consumers(self, bus: EventBus) -> None:
        reader = Reader()
        async with member(bus, "routing", reader):
            await no_lag(bus, "routing")
            publishing = asyncio.create_task(bus.publish(story("case", 1)))
            await asyncio.sleep(0)
            publishing.cancel()
            await eventually(lambda: reader.of("case") == [1])

    async def test_two_members_never_work_on_one_partition_at_once(self, bus: EventBus) -> None:
        working: set[int] = set()

        async def deliver(records: Sequence[Record]) -> None:
            partition = records[0].partition
            assert partition not in working
            working.add(partition)
            await asyncio.sleep(0.001)
            working.discard(partition)

        async with member(bus, "routing", deliver):
            for start in range(1, 200, 20):
                async with member(bus, "routing", deliver):
                    await asyncio.gather(*(bus.publish(story(f"k{n}", 20, start)) for n in range(12)))
                    await no_lag(bus, "routing")

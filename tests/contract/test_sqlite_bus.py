"""The log on SQLite keeps every promise of the port, and those that are its own."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.bus.port import EventBus, Record
from shared.bus.sqlite import SqliteBus
from shared.errors import Damaged, Misconfigured
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

    @pytest.mark.row("F11")
    async def test_a_bit_that_flips_in_a_record_is_found_at_the_start(self, opening: Opening, tmp_path: Path) -> None:
        bus = await opening()
        await bus.publish(story("case", 3))
        await bus.close()
        path = tmp_path / "log.db"
        content = path.read_bytes()
        for at in (content.rindex(b'{"'), content.rindex(b"ce_subject"), content.rindex(b"case")):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(Misconfigured, match=rf"^{path} is damaged \(row \d+ of log\)"):
                await opening()

    @pytest.mark.row("F11")
    async def test_a_record_that_is_damaged_while_the_log_is_open_is_never_delivered(
        self, bus: EventBus, tmp_path: Path
    ) -> None:
        await bus.publish(story("case", 3))
        with sqlite3.connect(tmp_path / "log.db") as other:
            other.execute("UPDATE log SET value = '{}' WHERE place = (SELECT max(place) FROM log)")
        other.close()
        with pytest.raises(Damaged, match="the log is damaged: partition"):
            async for _ in bus.read({}, await bus.ends()):
                pass

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

"""Timers: once over any number of replicas, after whatever the citizen said before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clock import SystemIds
from shared.delivery.subscription import Context
from shared.delivery.timers import TimerLoop
from shared.errors import Unavailable
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Document, DocumentStore
from tests.support.clock import ManualClock
from tests.support.delivery import DIARY, Diary, Toy, opened, received, sent
from tests.support.events import key_in
from tests.support.eventually import eventually
from tests.support.faults import FaultyStore

A, B = key_in(0), key_in(1)


@dataclass
class Alarm:
    """A timer that writes down that it fired."""

    documents: Documents[Diary]
    fire: Callable[[Any, Context], Decision[Any] | None]


@dataclass
class Reading:
    """A consumer that is wherever a test says."""

    progress: Mapping[int, int] = field(default_factory=dict)
    knows: Callable[[], Any] = lambda: "what is known"


def ring(diary: Diary, context: Context) -> Decision[Diary]:
    return Decision(replace(diary, heard=(*diary.heard, str(context.knows)), due=None), [sent("the time came")])


class Bells:
    def __init__(self, toy: Toy) -> None:
        self.toy = toy
        self.clock = ManualClock()
        self.reading = Reading()

    def loop(
        self, fire: Callable[[Any, Context], Decision[Any] | None] = ring, store: DocumentStore | None = None
    ) -> TimerLoop:
        """Another replica's."""
        documents: Documents[Diary] = Documents(store or self.toy.diary_store, DIARY, Diary, self.clock, "/notify")
        return TimerLoop("notify", [Alarm(documents, fire)], self.toy.bus, self.reading, self.clock)

    async def wait_for(self, case: str, due: datetime | None) -> None:
        """Have a case wait for a moment."""

        def decide(kept: Kept[Diary] | None) -> Decision[Diary]:
            return Decision(replace(kept.value, due=due) if kept else Diary(case, due=due))

        await self.toy.documents.change(case, decide)

    def soon(self) -> datetime:
        return self.clock.now() + timedelta(seconds=5)


@pytest.fixture
async def bells(tmp_path: Path) -> AsyncIterator[Bells]:
    async with opened(tmp_path) as toy:
        yield Bells(toy)


async def test_a_timer_fires_when_its_time_has_come_and_not_before(bells: Bells) -> None:
    await bells.wait_for(A, bells.soon())
    loop = bells.loop()
    assert await loop.look() == 0
    bells.clock.advance(5)
    assert await loop.look() == 1
    assert await loop.look() == 0
    kept = await bells.toy.documents.get(A)
    assert kept
    assert (kept.value.heard, kept.value.due, kept.sequence) == (("what is known",), None, 1)


@pytest.mark.row("F41")
async def test_many_replicas_fire_once(bells: Bells) -> None:
    cases = [key_in(0, nth) for nth in range(30)]
    for case in cases:
        await bells.wait_for(case, bells.soon())
    bells.clock.advance(5)
    loops = [bells.loop() for _ in range(4)]
    fired = [await asyncio.gather(*(loop.look() for loop in loops)) for _ in range(3)]
    assert sum(map(sum, fired)) == len(cases)
    assert len(await bells.toy.answers()) == len(cases)


@pytest.mark.row("F12")
async def test_a_clock_that_is_put_back_or_days_ahead_fires_nothing_twice_and_nothing_before_it_says_so(
    bells: Bells,
) -> None:
    await bells.wait_for(A, bells.soon())
    loop = bells.loop()
    bells.clock.advance(-2 * 3600)
    assert await loop.look() == 0
    bells.clock.advance(2 * 3600 + 5)
    assert await loop.look() == 1
    for step in (-2 * 3600, 3 * 86_400, -3 * 86_400, 2 * 3600):
        bells.clock.advance(step)
        assert await loop.look() == 0
    assert len(await bells.toy.answers()) == 1


@pytest.mark.row("F12")
def test_ids_stay_unique_whatever_the_clock_does(bells: Bells) -> None:
    ids = SystemIds(bells.clock)
    made = []
    for step in (0, -7200, 7200, -1, 0, 3 * 86_400, -3 * 86_400):
        bells.clock.advance(step)
        made += [ids.document() for _ in range(200)]
    assert len(set(made)) == len(made)


@pytest.mark.row("F41")
async def test_a_firing_whose_answer_was_lost_is_not_repeated(bells: Bells) -> None:
    cases = [key_in(0, nth) for nth in range(10)]
    for case in cases:
        await bells.wait_for(case, bells.soon())
    bells.clock.advance(5)
    loop = bells.loop(store=FaultyStore(bells.toy.diary_store, seed=3, refused=0.2, lost=0.5))
    for _ in range(30):
        try:
            await loop.look()
        except Unavailable:
            continue
    assert len(await bells.toy.answers()) == len(cases)


async def test_what_the_log_held_when_a_timer_came_due_comes_first(bells: Bells) -> None:
    bus = bells.toy.bus
    await bells.wait_for(A, bells.soon())
    await bus.publish([received(A), received(A)])
    bells.clock.advance(5)
    loop = bells.loop()
    assert await loop.look() == 0
    await bus.publish([received(A)])
    bells.reading.progress = {0: 1}
    assert await loop.look() == 0
    bells.reading.progress = {0: 2}
    assert await loop.look() == 1


async def test_a_partition_that_nobody_here_has_read_yet_is_as_far_as_its_saved_position(bells: Bells) -> None:
    bus = bells.toy.bus
    await bells.wait_for(A, bells.soon())
    await bells.wait_for(B, bells.soon())
    await bus.publish([received(A), received(B)])
    await bus.reset("notify", {0: 1})
    bells.clock.advance(5)
    assert await bells.loop().look() == 1
    assert (await bells.toy.documents.get_many([A, B]))[B].value.due is not None


async def test_a_citizen_who_was_faster_stops_the_timer(bells: Bells) -> None:
    await bells.wait_for(A, bells.soon())
    await bells.toy.bus.publish([received(A)])
    bells.clock.advance(5)
    loop = bells.loop()
    assert await loop.look() == 0
    await bells.wait_for(A, None)
    bells.reading.progress = {0: 1}
    assert await loop.look() == 0
    await bells.wait_for(A, bells.soon())
    bells.clock.advance(5)
    assert await loop.look() == 1


async def test_a_timer_that_is_moved_while_it_is_looked_at_does_not_fire(bells: Bells) -> None:
    class Moved(FaultyStore):
        async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
            await bells.wait_for(A, bells.soon())
            return await super().get(collection, ids)

    await bells.wait_for(A, bells.soon())
    bells.clock.advance(5)
    assert await bells.loop(store=Moved(bells.toy.diary_store, 0, refused=0, lost=0)).look() == 0
    assert await bells.toy.answers() == []


async def test_one_that_fails_or_decides_nothing_does_not_keep_the_others_waiting(bells: Bells) -> None:
    def moody(diary: Diary, context: Context) -> Decision[Diary] | None:
        if diary.number == A:
            raise ValueError("not today")
        return ring(diary, context)

    await bells.wait_for(A, bells.soon())
    await bells.wait_for(B, bells.soon() + timedelta(seconds=1))
    bells.clock.advance(6)
    assert await bells.loop(moody).look() == 1
    assert await bells.loop(lambda diary, context: None).look() == 0


async def test_the_loop_looks_every_second_and_survives_an_absent_store(bells: Bells) -> None:
    await bells.wait_for(A, bells.soon())
    store = FaultyStore(bells.toy.diary_store, seed=0, refused=1.0, lost=0)
    task = asyncio.create_task(bells.loop(store=store).run())
    try:
        bells.clock.advance(5)
        store.faults.heal()

        async def fired() -> bool:
            bells.clock.advance(1)
            return bool(await bells.toy.answers())

        await eventually(fired)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

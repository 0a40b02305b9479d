"""The relay: everything that is written reaches the log, in order per document, whatever is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.bus.port import EventBus
from shared.clock import SystemIds
from shared.delivery.outbox import Outbox
from shared.errors import Unavailable
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Change, DocumentStore, Outcome
from tests.support.delivery import DIARY, Diary, HastyClock, Toy, opened, sent
from tests.support.eventually import eventually
from tests.support.faults import FaultyBus, FaultyStore

CASES = [f"case{n}" for n in range(20)]


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    async with opened(tmp_path) as toy:
        yield toy


def outbox_over(store: DocumentStore, clock: HastyClock | None = None) -> Outbox:
    clock = clock or HastyClock()
    return Outbox(store, "notify", clock, SystemIds(clock))


@asynccontextmanager
async def relaying(outbox: Outbox, bus: EventBus) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run(bus))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def say(store: DocumentStore, case: str, words: int = 1) -> None:
    """Have a document emit so many events."""
    documents: Documents[Diary] = Documents(store, DIARY, Diary, HastyClock(), "/notify")

    def decide(kept: Kept[Diary] | None) -> Decision[Diary]:
        value = kept.value if kept else Diary(case)
        return Decision(value, [sent("x")] * words)

    await documents.change(case, decide)


async def told(toy: Toy) -> dict[str, list[int]]:
    """The sequences on the log, by case."""
    found: dict[str, list[int]] = {}
    for record in await toy.on_the_log():
        found.setdefault(record.key, []).append(int(record.headers["ce_sequence"]))
    return found


async def test_what_is_written_is_on_the_log_at_once_and_out_of_the_outbox(toy: Toy) -> None:
    outbox = outbox_over(toy.diary_store)
    async with relaying(outbox, toy.bus):
        for case in CASES:
            await say(outbox, case)
            await say(outbox, case, 2)
        await eventually(outbox.drained)
    assert await told(toy) == {case: [1, 2, 3] for case in CASES}
    assert await toy.diary_store.pending(1) == []


async def test_an_outbox_is_not_drained_before_everything_is_on_the_log(toy: Toy) -> None:
    outbox = outbox_over(toy.diary_store)
    assert await outbox.drained()
    await say(outbox, "case")
    assert not await outbox.drained()


async def test_what_an_earlier_process_left_is_published_by_the_poll(toy: Toy) -> None:
    for case in CASES:
        await say(toy.diary_store, case, 3)
    outbox = outbox_over(toy.diary_store, _Later())
    async with relaying(outbox, toy.bus):
        await eventually(outbox.drained)
    assert await told(toy) == {case: [1, 2, 3] for case in CASES}


async def test_young_events_of_others_are_left_to_who_wrote_them(toy: Toy) -> None:
    await say(toy.diary_store, "case")
    clock = Frozen()
    async with relaying(outbox_over(toy.diary_store, clock), toy.bus):
        await eventually(lambda: clock.slept > 5)
    assert await told(toy) == {}


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_and_order_is_kept_while_log_and_store_fail(toy: Toy, seed: int) -> None:
    store = FaultyStore(toy.diary_store, seed, refused=0.1, lost=0.1)
    bus = FaultyBus(toy.bus, seed, refused=0.2, lost=0.2)
    outbox = outbox_over(store, _Later())
    async with relaying(outbox, bus):
        for _ in range(5):
            for case in CASES:
                await _insist(outbox, case)
        store.faults.heal()
        bus.heal()
        await eventually(outbox.drained)
    emitted = {case: kept.sequence for case, kept in (await toy.documents.get_many(CASES)).items()}
    for case, sequences in (await told(toy)).items():
        firsts = list(dict.fromkeys(sequences))
        assert firsts == list(range(1, emitted[case] + 1))
    assert set(await told(toy)) == set(CASES)


async def test_two_relays_at_once_are_harmless(toy: Toy) -> None:
    one, other = outbox_over(toy.diary_store, _Later()), outbox_over(toy.diary_store, _Later())
    async with relaying(one, toy.bus), relaying(other, toy.bus):
        for n in range(5):
            for case in CASES:
                await say(one if n % 2 else other, case)
        await eventually(one.drained)
        await eventually(other.drained)
    for sequences in (await told(toy)).values():
        assert list(dict.fromkeys(sequences)) == [1, 2, 3, 4, 5]


async def test_an_event_whose_write_seemed_to_fail_is_published_all_the_same(toy: Toy) -> None:
    class Late(FaultyStore):
        async def write(self, changes: Sequence[Change]) -> list[Outcome]:
            await super().write(changes)
            raise Unavailable("done, but you will not hear of it")

    outbox = outbox_over(Late(toy.diary_store, 0, refused=0, lost=0), Frozen())
    async with relaying(outbox, toy.bus):
        with pytest.raises(Unavailable):
            await say(outbox, "case")
        await eventually(outbox.drained)
    assert await told(toy) == {"case": [1]}


async def test_a_long_outbox_does_not_wait_for_the_poll(toy: Toy) -> None:
    documents: Documents[Diary] = Documents(toy.diary_store, DIARY, Diary, HastyClock(), "/notify")
    many = [
        documents.insert(Kept(f"c{n}", Diary(f"n{n}")), Decision(Diary(f"n{n}"), [sent("x")])) for n in range(3_500)
    ]
    await documents.write(many)
    polls = 0

    class Slow(_Later):
        async def sleep(self, seconds: float) -> None:
            nonlocal polls
            polls += 1
            await asyncio.Event().wait()

    outbox = outbox_over(toy.diary_store, Slow())
    async with relaying(outbox, toy.bus):
        await eventually(outbox.drained)
    assert polls == 1
    assert sum((await toy.bus.ends()).values()) == 3_500


async def test_the_wrapper_is_the_store(toy: Toy) -> None:
    outbox = outbox_over(toy.diary_store)
    await say(outbox, "case")
    assert await outbox.get(DIARY.name, ["case"])
    assert [e.id for e in await outbox.pending(5)] == ["/notify/case/1"]
    await outbox.published(["/notify/case/1"])
    assert await outbox.drained() is False  # it does not know yet that someone else published it


class Frozen(HastyClock):
    """A clock on which no event ever grows old enough for the poll."""

    def __init__(self) -> None:
        self.stopped = super().now()
        self.slept = 0

    def now(self) -> datetime:
        return self.stopped

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        await super().sleep(seconds)


class _Later(HastyClock):
    """Ten seconds ahead: whatever was written has waited long enough."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=10)


async def _insist(store: DocumentStore, case: str) -> None:
    while True:
        try:
            await say(store, case)
            return
        except Unavailable:
            continue

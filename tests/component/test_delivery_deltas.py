"""Counting: figures are exact after any crash, between any two writes, and whoever thinks to own the partition."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from shared.bus.port import Record
from shared.delivery import deltas
from shared.delivery.figures import Figures
from shared.errors import Unavailable
from shared.events.envelope import Envelope
from shared.store.port import Change, Delete, DocumentStore, Insert, Outcome, Query
from tests.support.delivery import COUNTED, Toy, message, opened, received, story
from tests.support.events import key_in
from tests.support.faults import FaultyStore

A, B = key_in(0), key_in(0, 1)
MANY = [key_in(0, nth) for nth in range(12)]


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    async with opened(tmp_path) as toy:
        yield toy


class Killed(BaseException):
    """The process died here."""


class Mortal(FaultyStore):
    """The process dies in the n-th write, before or after it is done."""

    def __init__(self, store: DocumentStore, nth: int, done: bool) -> None:
        super().__init__(store, seed=0, refused=0, lost=0)
        self.left, self.done = nth, done

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self.left -= 1
        if self.left == 0:
            if self.done:
                await super().write(changes)
            raise Killed
        return await super().write(changes)


async def logged(toy: Toy, envelopes: Sequence[Envelope]) -> list[Record]:
    """The envelopes on the log, and as its partition 0 holds them."""
    await toy.bus.publish(envelopes)
    ends = await toy.bus.ends()
    return [record async for batch in toy.bus.read({}, {0: ends[0]}) for record in batch]


async def chain(toy: Toy) -> list[str]:
    """The deltas that there are."""
    found = await toy.counted_store.find(deltas.COLLECTION.name, Query(limit=10_000))
    return [document.id for document in found.documents]


async def check(toy: Toy, envelopes: Sequence[Envelope]) -> None:
    """Every event counted once, in the cells and in the cases' documents, by this process and by a new one."""
    expected = {"total": len({e.key for e in envelopes})}
    last = {e.key: e for e in sorted(envelopes, key=lambda e: e.sequence)}
    for e in last.values():
        expected[f"last:{e.type}"] = expected.get(f"last:{e.type}", 0) + 1
    assert await toy.recounted() == expected
    assert await toy.cells() == expected
    assert await toy.restarted().cells() == expected


async def test_a_batch_is_one_delta_and_the_chain_is_the_position(toy: Toy) -> None:
    envelopes = [*story(A, 2), *story(B, 3), message(A, 3)]
    batch = await logged(toy, envelopes)
    await toy.counter.deliver(batch[:2])
    await toy.counter.deliver(batch[2:])
    assert await chain(toy) == ["0:0", "0:2"]
    second = (await toy.counted_store.get(deltas.COLLECTION.name, ["0:2"]))["0:2"].body
    assert (second["from"], second["to"], second["cases"]) == (2, 6, {"case": [B, A]})
    assert second["deltas"] == {"total": 1, "last:feedback.supplemented": 1}
    await check(toy, envelopes)

    await toy.restarted().counter.deliver(batch)
    assert await chain(toy) == ["0:0", "0:2"]
    await check(toy, envelopes)


async def test_figures_say_how_far_the_log_is_counted_in_them(toy: Toy) -> None:
    figures = Figures(toy.counted_store)
    batch = await logged(toy, story(A, 4))
    await toy.counter.deliver(batch[:3])
    sums = await figures.current()
    assert (sums.positions[0], sums.positions[1], dict(sums.cells)["total"]) == (3, 0, 1)
    await toy.counter.deliver(batch[3:])
    assert (await figures.current()).positions[0] == 4


@pytest.mark.row("F2")
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("nth", range(1, 6))
async def test_death_at_any_write_of_a_batch_leaves_the_figures_exact(toy: Toy, nth: int, done: bool) -> None:
    """The second batch closes a gap and parks a case: letters, delta, documents and removal are all at stake."""
    one, two, three = story(A, 3)
    envelopes = [one, three, *story(B, 2), two, *story(MANY[2], 2), message(B, 3), *story(MANY[3], 2)]
    batch = await logged(toy, envelopes)
    toy.mood.poison = {f"/intake/{MANY[2]}/2"}
    await toy.counter.deliver(batch[:4])
    dying = toy.restarted(lambda store: Mortal(store, nth, done))
    try:
        await dying.counter.deliver(batch[4:])
    except Killed:
        pass
    for start in (0, 4, 7):
        await toy.restarted().counter.deliver(batch[start : start + 4])
    await toy.restarted().counter.deliver(batch)
    assert [reason for _, reason in await toy.letters(toy.counted_store)] == ["failure"]
    await check(toy, [e for e in envelopes if (e.key, e.sequence) != (MANY[2], 2)])

    toy.mood.poison.clear()
    assert await toy.restarted().counter.replay() == 1
    await check(toy, envelopes)


@pytest.mark.row("F25")
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("nth", range(1, 4))
async def test_death_at_any_write_of_a_replay_counts_every_letter_once(toy: Toy, nth: int, done: bool) -> None:
    envelopes = [*story(A, 4), *story(B, 2)]
    batch = await logged(toy, envelopes)
    toy.mood.poison = {f"/intake/{A}/2"}
    await toy.counter.deliver(batch)
    toy.mood.poison.clear()
    with pytest.raises(Killed):
        await toy.restarted(lambda store: Mortal(store, nth, done)).counter.replay(A)

    envelopes += [message(A, 5), message(B, 3)]
    batch = await logged(toy, envelopes[-2:])
    after = toy.restarted()
    await after.counter.deliver(batch[6:])
    assert await toy.recounted() == await toy.cells()
    await after.counter.replay()
    await after.counter.replay()
    assert await toy.letters(toy.counted_store) == []
    await check(toy, envelopes)


@pytest.mark.row("F30")
@pytest.mark.parametrize("seed", range(5))
async def test_lost_answers_and_refusals_leave_the_figures_exact(toy: Toy, seed: int) -> None:
    envelopes = [envelope for key in MANY for envelope in story(key, 5)]
    batch = await logged(toy, [e for n in range(5) for e in envelopes[n::5]])
    faulty = toy.restarted(lambda store: FaultyStore(store, seed=seed, refused=0.1, lost=0.2))
    for start in range(0, len(batch), 5):
        await faulty.counter.deliver(batch[start : start + 5])
    await check(toy, envelopes)


async def test_the_store_may_be_older_than_the_position(toy: Toy) -> None:
    envelopes = [*story(A, 5), *story(B, 2)]
    batch = await logged(toy, envelopes)
    await toy.counter.deliver(batch[5:])
    await check(toy, envelopes)


async def test_a_late_owner_counts_nothing(toy: Toy) -> None:
    envelopes = [envelope for key in MANY for envelope in story(key, 4)]
    batch = await logged(toy, envelopes)
    late, owner = toy.restarted(), toy.restarted()
    await late.counter.deliver(batch[:4])
    await owner.counter.deliver(batch[4:10])
    await late.counter.deliver(batch[4:12])
    await owner.counter.deliver(batch[10:20])
    await late.counter.deliver(batch[8:])
    await check(toy, envelopes)


async def test_a_late_owner_behind_a_compacted_chain_counts_nothing(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deltas, "LONGEST", 3)
    envelopes = [envelope for key in MANY for envelope in story(key, 4)]
    batch = await logged(toy, envelopes)
    late, owner = toy.restarted(), toy.restarted()
    await late.counter.deliver(batch[:4])
    for start in range(4, 24, 2):
        await owner.counter.deliver(batch[start : start + 2])
    assert "0:4" not in await chain(toy)
    await late.counter.deliver(batch[4:9])
    assert "0:4" not in await chain(toy)
    await late.counter.deliver(batch[9:])
    await check(toy, envelopes)


async def test_a_delta_off_the_chain_counts_nothing_and_is_deleted_by_the_next_owner(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "LONGEST", 3)
    envelopes = story(A, 12)
    batch = await logged(toy, envelopes)
    for start in range(0, 10, 2):
        await toy.counter.deliver(batch[start : start + 2])
    stray = {"chain": 0, "epoch": "another", "from": 4, "to": 6, "deltas": {"total": 99}, "cases": {}}
    await toy.counted_store.write([Insert(deltas.COLLECTION.name, "0:4", stray)])
    await check(toy, envelopes[:10])
    await toy.restarted().counter.deliver(batch[10:])
    assert "0:4" not in await chain(toy)
    await check(toy, envelopes)


async def test_compaction_keeps_the_sums_for_those_who_followed_and_for_those_who_begin(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "LONGEST", 4)
    figures = Figures(toy.counted_store)
    envelopes = [envelope for key in MANY for envelope in story(key, 3)]
    batch = await logged(toy, envelopes)
    for n, record in enumerate(batch):
        await toy.counter.deliver([record])
        if n % 7 == 0:
            assert dict((await figures.current()).cells) == await toy.recounted()
    assert len(await chain(toy)) <= 5
    assert dict((await figures.current()).cells) == await toy.recounted()
    await check(toy, envelopes)


@pytest.mark.parametrize("nth", range(1, 5))
async def test_death_in_a_compaction_leaves_the_figures_exact(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    monkeypatch.setattr(deltas, "LONGEST", 3)
    envelopes = story(A, 9)
    batch = await logged(toy, envelopes)
    for start in range(0, 6, 2):
        await toy.counter.deliver(batch[start : start + 2])
    with pytest.raises(Killed):
        await toy.restarted(lambda store: Mortal(store, nth, done=True)).counter.deliver(batch[6:8])
    await toy.restarted().counter.deliver(batch[6:])
    await check(toy, envelopes)


async def test_after_a_rebuild_the_figures_are_the_same(toy: Toy) -> None:
    envelopes = [envelope for key in MANY for envelope in story(key, 3)]
    batch = await logged(toy, envelopes)
    for start in range(0, len(batch), 5):
        await toy.counter.deliver(batch[start : start + 5])
    before = await toy.cells()
    for collection in (COUNTED, deltas.COLLECTION):
        await toy.counted_store.drop(collection.name)
    await toy.counter.forget()
    assert toy.counter.progress == {}
    assert await toy.cells() == {}
    await toy.counter.deliver(batch)
    assert await toy.cells() == before
    await check(toy, envelopes)


async def test_figures_that_lived_through_a_rebuild_do_not_count_replayed_letters_twice(toy: Toy) -> None:
    figures = Figures(toy.counted_store)
    envelopes = [*story(A, 3), *story(B, 2)]
    batch = await logged(toy, envelopes)
    toy.mood.poison = {f"/intake/{A}/2"}
    await toy.counter.deliver(batch)
    toy.mood.poison.clear()
    assert await toy.counter.replay() == 2
    before = dict((await figures.current()).cells)
    for collection in (COUNTED, deltas.COLLECTION):
        await toy.counted_store.drop(collection.name)
    await toy.counter.forget()
    await toy.counter.deliver(batch)
    assert dict((await figures.current()).cells) == before
    await check(toy, envelopes)


async def test_what_is_not_reached_from_the_beginning_of_a_chain_counts_nothing(toy: Toy) -> None:
    batch = await logged(toy, [received(A), received(B)])
    await toy.counter.deliver(batch[:1])
    figures = Figures(toy.counted_store)
    await figures.current()
    stray = {"chain": 0, "epoch": "another", "from": 50, "to": 60, "deltas": {"total": 99}, "cases": {}}
    await toy.counted_store.write([Insert(deltas.COLLECTION.name, "0:50", stray)])
    assert dict((await figures.current()).cells)["total"] == 1
    found = (await toy.counted_store.get(deltas.COLLECTION.name, ["0:50"]))["0:50"]
    await toy.counted_store.write([Delete(deltas.COLLECTION.name, found.id, found.revision)])
    await toy.counter.deliver(batch[1:])
    assert dict((await figures.current()).cells)["total"] == 2


Wrap = Callable[[DocumentStore], DocumentStore]


async def test_unavailable_is_not_taken_for_a_failing_record(toy: Toy) -> None:
    class Away(FaultyStore):
        calls = 0

        async def write(self, changes: Sequence[Change]) -> list[Outcome]:
            Away.calls += 1
            if Away.calls < 12:
                raise Unavailable("away")
            return await super().write(changes)

    wrap: Wrap = lambda store: Away(store, 0, refused=0, lost=0)  # noqa: E731
    batch = await logged(toy, story(A, 2))
    await toy.restarted(wrap).counter.deliver(batch)
    assert await toy.letters(toy.counted_store) == []
    await check(toy, story(A, 2))

"""The pipeline over real stores: once, in order, whatever happens."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared import __version__
from shared.bus.port import Record
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.dead_letters import Unparked
from shared.delivery.pipeline import ConsumerStopped
from shared.errors import Unavailable
from shared.store.documents import Decision, Kept
from shared.store.port import Change, DocumentStore, Insert, Outcome
from tests.support.delivery import (
    Diary,
    Toy,
    message,
    opened,
    rating,
    received,
    records,
    sealed_words,
    story,
    unknown,
)
from tests.support.events import key_in
from tests.support.faults import FaultyStore

A, B = key_in(0), key_in(0, 1)
MANY = [key_in(0, nth) for nth in range(30)]


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    async with opened(tmp_path) as toy:
        yield toy


class Store(FaultyStore):
    """A store over which a test puts its own `write`."""

    def __init__(self, store: DocumentStore) -> None:
        super().__init__(store, seed=0, refused=0, lost=0)


async def test_a_batch_is_folded_per_case_and_each_document_is_written_once(toy: Toy) -> None:
    envelopes = [*story(A, 3), *story(B, 2), message(A, 4)]
    await toy.pipeline.deliver(records(envelopes))
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3", "intake 4"]
    assert await toy.heard(B) == ["intake 1", "intake 2"]
    kept = await toy.documents.get(A)
    assert kept
    assert (kept.revision, kept.sequence, dict(kept.seen)) == (1, 3, {"/intake": 4})
    assert await toy.answers() == [*(f"/notify/{A}/{n}" for n in (1, 2, 3)), f"/notify/{B}/1"]
    assert toy.pipeline.progress == {0: 6}


async def test_words_are_opened_for_who_asks_and_absent_where_the_key_is_destroyed(toy: Toy) -> None:
    keys = await toy.vault.draw()
    await toy.pipeline.deliver(records([received(A, sealed_words(keys, "the lamp is dark")), received(B)]))
    first, second = await toy.documents.get(A), await toy.documents.get(B)
    assert first
    assert second
    assert (first.value.words, second.value.words) == ("the lamp is dark", None)


async def test_words_that_do_not_fit_their_key_park_the_case(toy: Toy) -> None:
    keys = await toy.vault.draw()
    forged = sealed_words(keys, "words").model_copy(update={"ct": "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
    await toy.pipeline.deliver(records([received(A, forged)]))
    assert await toy.letters() == [("0/0", "failure")]


@pytest.mark.row("F21")
async def test_each_record_delivered_up_to_five_times_has_one_effect(toy: Toy) -> None:
    batch = records([*story(A, 3), rating(A, 4)])
    for times, record in enumerate(batch, 1):
        for _ in range(times):
            await toy.pipeline.deliver([record])
    for _ in range(2):
        await toy.restarted().pipeline.deliver(batch)
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3"]
    assert len(await toy.answers()) == 2


@pytest.mark.row("F21")
async def test_an_event_that_is_on_the_log_twice_has_one_effect(toy: Toy) -> None:
    await toy.pipeline.deliver(records([*story(A, 2), *story(A, 3)]))
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3"]


@pytest.mark.row("F22")
async def test_a_case_with_a_missing_event_waits_and_goes_on_by_itself_when_it_comes(toy: Toy) -> None:
    one, two, three, four = story(A, 4)
    await toy.pipeline.deliver(records([one, three, *story(B, 2)]))
    await toy.pipeline.deliver(records([four, unknown(A, 1)], start=4))
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.heard(B) == ["intake 1", "intake 2"]
    assert await toy.letters() == [("0/1", "gap"), ("0/4", "gap"), ("0/5", "gap")]

    await toy.pipeline.deliver(records([two], start=6))
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3", "intake 4"]
    assert await toy.letters() == []
    kept = await toy.documents.get(A)
    assert kept
    assert kept.seen == {"/intake": 4, "/future": 1}


@pytest.mark.row("F22")
async def test_events_that_change_places_within_a_batch_are_put_in_order(toy: Toy) -> None:
    one, two, three = story(A, 3)
    await toy.pipeline.deliver(records([three, two, one]))
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3"]
    assert await toy.letters() == []


async def test_sequences_are_noted_of_what_nobody_handles_and_of_what_changes_nothing(toy: Toy) -> None:
    await toy.pipeline.deliver(records([received(A), unknown(A, 1), rating(A, 2), unknown(A, 2)]))
    kept = await toy.documents.get(A)
    assert kept
    assert kept.seen == {"/intake": 2, "/future": 2}


async def test_a_record_leaves_out_what_its_own_service_wrote(toy: Toy) -> None:
    own = unknown(A, 7, source="/notify")
    await toy.pipeline.deliver(records([received(A), own]))
    kept = await toy.documents.get(A)
    assert kept
    assert kept.seen == {"/intake": 1}


async def test_what_makes_no_document_leaves_no_trace(toy: Toy) -> None:
    await toy.pipeline.deliver(records([unknown(A, 1)]))
    assert await toy.documents.get(A) is None
    assert await toy.letters() == []


async def test_a_command_that_was_faster_is_not_overwritten(toy: Toy) -> None:
    await toy.pipeline.deliver(records([received(A), received(B)]))

    class Raced(Store):
        raced = False

        async def write(self, changes: Sequence[Change]) -> list[Outcome]:
            if not self.raced:
                self.raced = True
                await toy.documents.change(A, _note)
            return await super().write(changes)

    await toy.restarted(Raced).pipeline.deliver(records([message(A, 2), message(B, 2)], start=2))
    assert await toy.heard(A) == ["intake 1", "command 0", "intake 2"]
    assert await toy.heard(B) == ["intake 1", "intake 2"]
    assert len(await toy.answers()) == 2


async def test_a_document_that_appeared_meanwhile_is_read_and_folded_again(toy: Toy) -> None:
    batch = records(story(A, 3))

    class Raced(Store):
        raced = False

        async def write(self, changes: Sequence[Change]) -> list[Outcome]:
            if not self.raced:
                self.raced = True
                await toy.pipeline.deliver(batch[:2])
            return await super().write(changes)

    await toy.restarted(Raced).pipeline.deliver(batch)
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3"]
    assert len(await toy.answers()) == 2


@pytest.mark.row("F30")
async def test_writes_that_are_done_and_reported_as_failed_have_one_effect(toy: Toy) -> None:
    batch = records([envelope for key in MANY for envelope in story(key, 4)])
    faulty = toy.restarted(lambda store: FaultyStore(store, seed=7, refused=0.2, lost=0.3))
    for start in range(0, len(batch), 7):
        await faulty.pipeline.deliver(batch[start : start + 7])
    for key in MANY:
        assert await toy.heard(key) == [f"intake {n}" for n in (1, 2, 3, 4)]
    assert len(await toy.answers()) == 3 * len(MANY)
    assert await toy.letters() == []


@pytest.mark.row("F23")
async def test_a_failing_record_parks_its_case_and_the_others_flow(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/2"}
    await toy.pipeline.deliver(records([*story(A, 3), *story(B, 2)]))
    await toy.pipeline.deliver(records([unknown(A, 1), message(B, 3)], start=5))
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.heard(B) == ["intake 1", "intake 2", "intake 3"]
    assert await toy.letters() == [("0/1", "failure"), ("0/2", "failure"), ("0/5", "failure")]
    letter = await toy.pipeline.dead_letters.show("0/1")
    assert letter
    assert (letter.error, letter.attempts, letter.record.key) == ("ValueError", 5, A)
    assert letter.record == records(story(A, 3))[1]


@pytest.mark.row("F23")
@pytest.mark.parametrize("value", [b"\xff\xfe", b"not json", b"{}", b'{"at":"yesterday"}'])
async def test_bytes_that_are_no_event_park_their_case(toy: Toy, value: bytes) -> None:
    bad = replace(message(A, 2), value=value)
    await toy.pipeline.deliver(records([received(A), bad, message(A, 3), received(B)]))
    assert await toy.letters() == [("0/1", "undecodable"), ("0/2", "undecodable")]
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.heard(B) == ["intake 1"]


@pytest.mark.row("F23")
async def test_a_newer_version_of_what_is_handled_here_parks_its_case_and_one_of_anything_else_is_skipped(
    toy: Toy,
) -> None:
    newer = replace(message(A, 2), version=2)
    await toy.pipeline.deliver(records([received(A), newer, message(A, 3), received(B)]))
    await toy.pipeline.deliver(records([replace(unknown(B, 1), version=7), message(B, 2)], start=4))
    assert await toy.letters() == [("0/1", "undecodable"), ("0/2", "undecodable")]
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.heard(B) == ["intake 1", "intake 2"]


@pytest.mark.row("F23")
async def test_a_dead_letter_says_everything_about_its_record_and_nothing_about_a_person(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/2"}
    batch = records(story(A, 2))
    await toy.pipeline.deliver(batch)
    letter = await toy.pipeline.dead_letters.show("0/1")
    assert letter
    assert letter.record == batch[1]
    assert (letter.error, letter.attempts, letter.code) == ("ValueError", 5, __version__)
    assert letter.fingerprint == hashlib.sha256(b"not to my taste").hexdigest()[:16]
    assert letter.first == letter.last <= toy.clock.now()
    (kept,) = (await toy.diary_store.get("dead-letters", ["0/1"])).values()
    assert batch[1].value.decode() not in str(kept.body), "the bytes lie sealed"


@pytest.mark.row("F23")
async def test_a_record_without_envelope_or_from_a_false_owner_is_parked(toy: Toy) -> None:
    forged = replace(message(B, 1), source="/elsewhere")
    bare = Record(0, 0, A, {}, b"")
    await toy.pipeline.deliver([bare, *records([forged], start=1)])
    assert await toy.letters() == [("0/0", "undecodable"), ("0/1", "undecodable")]


@pytest.mark.row("F23")
async def test_the_consumer_stops_when_more_than_ten_cases_fail(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{key}/1" for key in MANY[:11]}
    await toy.pipeline.deliver(records([received(key) for key in MANY[:10]]))
    assert toy.pipeline.progress == {0: 10}
    late = records([received(MANY[10])], start=10)
    with pytest.raises(ConsumerStopped):
        await toy.pipeline.deliver(late)
    assert toy.pipeline.stopped
    with pytest.raises(ConsumerStopped):
        await toy.pipeline.deliver(records([received(MANY[20])], start=11))
    assert toy.pipeline.progress == {0: 10}
    assert len(await toy.letters()) == 11


class WithoutLetters(Store):
    """Dead letters cannot be written."""

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        if any(isinstance(change, Insert) and change.collection == DEAD_LETTERS.name for change in changes):
            raise Unavailable("the disk is full")
        return await super().write(changes)


@pytest.mark.row("F24")
async def test_the_position_stays_where_dead_letters_cannot_be_written(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/2"}
    batch = records([*story(A, 3), *story(B, 1)])
    broken = toy.restarted(WithoutLetters)
    for _ in range(2):
        with pytest.raises(Unparked):
            await broken.pipeline.deliver(batch)
    assert broken.pipeline.progress == {}
    assert await toy.letters() == []

    await toy.pipeline.deliver(batch)
    assert await toy.letters() == [("0/1", "failure"), ("0/2", "failure")]
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.heard(B) == ["intake 1"]


@pytest.mark.row("F25")
async def test_replaying_dead_letters_twice_has_one_effect_and_keeps_the_order(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/2"}
    batch = records(story(A, 4))
    await toy.pipeline.deliver(batch)
    assert await toy.pipeline.replay(A) == 0
    letter = await toy.pipeline.dead_letters.show("0/1")
    assert letter
    assert letter.attempts == 10

    toy.mood.poison.clear()
    assert await toy.pipeline.replay(A, dry_run=True) == 3
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.pipeline.replay(A) == 3
    assert await toy.pipeline.replay(A) == 0
    await toy.pipeline.deliver(batch)
    await toy.pipeline.deliver(records([message(A, 5)], start=4))
    assert await toy.heard(A) == [f"intake {n}" for n in range(1, 6)]
    assert await toy.letters() == []
    assert len(await toy.answers()) == 4


@pytest.mark.row("F25")
async def test_replay_after_newer_events_takes_the_tail_with_it(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/1", f"/intake/{B}/2"}
    await toy.pipeline.deliver(records([*story(A, 2), *story(B, 3)]))
    await toy.pipeline.deliver(records([message(A, 3)], start=5))
    toy.mood.poison = {f"/intake/{A}/1"}
    assert await toy.pipeline.replay(policy="stop") == 0
    assert await toy.pipeline.replay(policy="park") == 2
    toy.mood.poison.clear()
    assert await toy.pipeline.replay() == 3
    assert await toy.heard(A) == ["intake 1", "intake 2", "intake 3"]


async def test_a_gap_that_closes_before_a_failing_event_becomes_a_failure(toy: Toy) -> None:
    one, two, three, four = story(A, 4)
    toy.mood.poison = {f"/intake/{A}/3"}
    await toy.pipeline.deliver(records([one, three, four]))
    await toy.pipeline.deliver(records([two], start=3))
    assert await toy.heard(A) == ["intake 1", "intake 2"]
    assert await toy.letters() == [("0/1", "failure"), ("0/2", "gap")]
    await toy.pipeline.deliver(records([message(A, 5)], start=4))
    assert await toy.heard(A) == ["intake 1", "intake 2"]
    toy.mood.poison.clear()
    await toy.pipeline.replay(A)
    assert await toy.heard(A) == [f"intake {n}" for n in range(1, 6)]


async def test_a_case_whose_number_another_one_has_is_parked(toy: Toy) -> None:
    await toy.pipeline.deliver(records([received(A, number="same"), received(B, number="same"), message(B, 2)]))
    assert await toy.heard(A) == ["intake 1"]
    assert await toy.letters() == [("0/1", "failure"), ("0/2", "failure")]


async def test_records_of_a_parked_case_that_come_again_from_before_it_are_not_parked(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/3"}
    batch = records(story(A, 4))
    await toy.pipeline.deliver(batch)
    await toy.restarted().pipeline.deliver(batch)
    assert await toy.letters() == [("0/2", "failure"), ("0/3", "failure")]


def _note(kept: Kept[Diary] | None) -> Decision[Diary]:
    assert kept
    return Decision(replace(kept.value, heard=(*kept.value.heard, "/command/x/0")))

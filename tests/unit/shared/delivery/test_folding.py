"""One case's records and its document: what applies, what is skipped, what waits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.delivery.folding import Fold, Work, fold
from shared.delivery.incoming import Incoming, Reader
from shared.delivery.subscription import Context, on
from shared.errors import NotDeclared, Unavailable
from shared.events.envelope import Envelope
from shared.events.intake import FeedbackReceived, FeedbackSupplemented
from shared.events.notify import DeliverySent
from shared.store.documents import Documents, Kept
from shared.store.port import Collection, Insert, Replace
from shared.store.sqlite import SqliteStore
from tests.support.delivery import (
    DIARY,
    MOMENT,
    Diary,
    Mood,
    keeps_a_diary,
    message,
    rating,
    received,
    records,
    short,
    story,
    unknown,
)
from tests.support.events import key_in

A = key_in(0)


@pytest.fixture
async def documents(tmp_path: Path) -> Documents[Diary]:
    store = await SqliteStore.open(tmp_path / "toy.db", [DIARY], SystemClock())
    await store.close()
    return Documents(store, DIARY, Diary, SystemClock(), "/notify")


def work(documents: Documents[Diary], envelopes: list[Envelope], mood: Mood | None = None) -> Work:
    reader = Reader("notify", {"case": documents}, keeps_a_diary(mood or Mood()))
    items = [item for record in records(envelopes) if (item := reader.read(record))]
    return Work(A, "case", documents, items)


def folded(documents: Documents[Diary], envelopes: list[Envelope], kept: Kept[Diary] | None = None) -> Fold:
    return fold(work(documents, envelopes), kept, lambda item: Context(MOMENT))


def sequences(items: list[Incoming]) -> list[str]:
    return [short(item.envelope.id) for item in items if item.envelope]


async def test_a_document_is_made_by_the_first_event_and_numbered_through(documents: Documents[Diary]) -> None:
    result = folded(documents, story(A, 3))
    change = result.change()
    assert isinstance(change, Insert)
    assert [e.sequence for e in change.emit] == [1, 2]
    assert change.body["sequence"] == 2
    assert change.body["seen"] == {"/intake": 3}


async def test_numbers_go_on_from_what_was_kept(documents: Documents[Diary]) -> None:
    kept = Kept(A, Diary("n"), revision=5, sequence=7, seen={"/intake": 2})
    change = folded(documents, [message(A, 2), message(A, 3), message(A, 4)], kept).change()
    assert isinstance(change, Replace)
    assert (change.revision, [e.sequence for e in change.emit]) == (5, [8, 9])


async def test_nothing_is_written_where_everything_was_seen(documents: Documents[Diary]) -> None:
    kept = Kept(A, Diary("n"), revision=5, seen={"/intake": 3})
    result = folded(documents, story(A, 3), kept)
    assert not result.changed
    assert sequences(result.repeated) == ["intake 1", "intake 2", "intake 3"]


async def test_behind_a_gap_everything_waits_in_the_order_of_the_log(documents: Documents[Diary]) -> None:
    result = folded(documents, [received(A), message(A, 3), unknown(A, 1), message(A, 4)])
    assert sequences(result.applied) == ["intake 1"]
    assert sequences(result.waiting) == ["intake 3", "future 1", "intake 4"]
    assert result.reason == "gap"


async def test_a_missing_event_is_taken_from_further_behind(documents: Documents[Diary]) -> None:
    result = folded(documents, [received(A), message(A, 4), unknown(A, 1), message(A, 3), message(A, 2)])
    assert sequences(result.applied) == ["intake 1", "intake 2", "intake 3", "intake 4", "future 1"]
    assert result.reason is None


async def test_a_failing_handler_stops_its_case_there(documents: Documents[Diary]) -> None:
    poisoned = work(documents, [*story(A, 3), rating(A, 4)], Mood({f"/intake/{A}/2"}))
    result = fold(poisoned, None, lambda item: Context(MOMENT))
    assert (result.reason, type(result.error)) == ("failure", ValueError)
    assert sequences(result.waiting) == ["intake 2", "intake 3", "intake 4"]
    assert result.changed


async def test_an_absent_world_is_not_the_records_fault(documents: Documents[Diary]) -> None:
    def away(item: Incoming) -> Context:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        fold(work(documents, story(A, 1)), None, away)


async def test_the_trace_of_the_first_answered_event_goes_on(documents: Documents[Diary]) -> None:
    first, second = (f"00-{digit * 32}-{digit * 16}-01" for digit in "ab")
    envelopes = [
        received(A),
        replace(message(A, 2), traceparent=first),
        replace(message(A, 3), traceparent=second),
    ]
    change = folded(documents, envelopes).change()
    assert {e.traceparent for e in change.emit} == {first}


async def test_what_cannot_be_served_is_refused_at_the_start(documents: Documents[Diary]) -> None:
    def nothing(*_: object) -> None: ...

    derived: Documents[Diary] = Documents(documents._store, Collection("derived", "derived"), Diary, SystemClock())
    twice = [on(FeedbackReceived, nothing), on(FeedbackReceived, nothing)]
    for about, kept, subscriptions in (
        ("case", documents, twice),
        ("organisation", documents, twice[:1]),
        ("case", documents, [on(DeliverySent, nothing)]),
        ("case", derived, [on(FeedbackSupplemented, nothing, opens="message")]),
    ):
        with pytest.raises(NotDeclared):
            Reader("notify", {about: kept}, subscriptions)

"""What every document store promises: a test for each numbered promise of `shared/store/port.py`, and a few beside it.

An adapter's test module subclasses `StoreContract` and says how its store is opened and how the world fails it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest

from shared.errors import NotDeclared, Unavailable
from shared.store.port import (
    Change,
    Collection,
    Conflict,
    Delete,
    DocumentStore,
    Done,
    Duplicate,
    Index,
    Insert,
    Query,
    Replace,
)
from tests.support.events import MOMENT, envelope, story
from tests.support.faults import FaultyStore

CASES = Collection(
    "cases",
    "record",
    unique=("number", "request.key"),
    indexes=(
        Index(("department", "received_at")),
        Index(("department", "state", "received_at")),
        Index(("received_at",)),
        Index(("contact.kind",)),
    ),
)
VIEWS = Collection("case-views", "derived", indexes=(Index(("day",)),))

Opening = Callable[[Sequence[Collection]], Awaitable[DocumentStore]]


def case(nth: int, /, **fields: object) -> Insert:
    """A case of the department `water` unless said otherwise."""
    body = {"number": f"n{nth}", "department": "water", "state": "routed", "received_at": f"t{nth:04}", **fields}
    return Insert("cases", f"c{nth:04}", body)


class StoreContract:
    """Subclass it, name the class `Test…`, and give it `opening` and `outage`."""

    @pytest.fixture
    def opening(self) -> Opening:
        """Opens the same store, however often it is called."""
        raise NotImplementedError

    @pytest.fixture
    def outage(self) -> AbstractContextManager[None]:
        """While it is entered, nothing can be written."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, opening: Opening) -> AsyncIterator[DocumentStore]:
        store = await opening([CASES, VIEWS])
        yield store
        await store.close()

    # 1

    async def test_a_change_and_its_events_are_there_together(self, store: DocumentStore) -> None:
        insert = Insert("cases", "c1", {"number": "1"}, emit=story("c1", 2))
        assert await store.write([insert]) == [Done(1)]
        assert (await store.get("cases", ["c1"]))["c1"].body == {"number": "1"}
        assert await store.pending(10) == list(insert.emit)

    async def test_a_refused_change_emits_nothing(self, store: DocumentStore) -> None:
        await store.write([case(1)])
        refused: list[Change] = [
            Insert("cases", "c0001", {}, emit=story("c0001", 1)),
            Insert("cases", "c2", {"number": "n1"}, emit=story("c2", 1)),
            Replace("cases", "c0001", 7, {}, emit=story("c0001", 1)),
        ]
        assert await store.write(refused) == [Duplicate("_id"), Duplicate("number"), Conflict()]
        assert await store.pending(10) == []

    # 2

    async def test_an_insert_names_the_field_that_exists_already(self, store: DocumentStore) -> None:
        assert await store.write([case(1, request={"key": "k"}), case(2)]) == [Done(1), Done(1)]
        again: list[Change] = [
            Insert("cases", "c0001", {"number": "n1"}),
            Insert("cases", "other", {"number": "n2"}),
            Insert("cases", "third", {"number": "n3", "request": {"key": "k"}}),
        ]
        assert await store.write(again) == [Duplicate("_id"), Duplicate("number"), Duplicate("request.key")]

    async def test_absent_and_null_never_clash(self, store: DocumentStore) -> None:
        changes: list[Change] = [
            Insert("cases", "a", {}),
            Insert("cases", "b", {"number": None}),
            Insert("cases", "c", {}),
        ]
        assert await store.write(changes) == [Done(1)] * 3

    async def test_a_replace_may_not_take_anothers_unique_value_but_keeps_its_own(self, store: DocumentStore) -> None:
        await store.write([case(1), case(2)])
        changes: list[Change] = [
            Replace("cases", "c0002", 1, {"number": "n1"}),
            Replace("cases", "c0001", 1, {"number": "n1", "state": "closed"}),
        ]
        assert await store.write(changes) == [Duplicate("number"), Done(2)]

    async def test_a_unique_value_is_free_once_it_is_given_up(self, store: DocumentStore) -> None:
        await store.write([case(1), case(2)])
        changes: list[Change] = [
            Replace("cases", "c0001", 1, {"number": "n9"}),
            Replace("cases", "c0002", 1, {"number": "n1"}),
            Delete("cases", "c0002", 2),
            Insert("cases", "c3", {"number": "n1"}),
        ]
        assert await store.write(changes) == [Done(2), Done(2), Done(0), Done(1)]

    # 3

    async def test_replace_and_delete_take_effect_only_at_the_expected_revision(self, store: DocumentStore) -> None:
        await store.write([case(1), case(2)])
        assert await store.write([Replace("cases", "c0001", 1, {"a": 1})]) == [Done(2)]
        stale: list[Change] = [
            Replace("cases", "c0001", 1, {"a": 2}),
            Replace("cases", "c0001", 3, {"a": 3}),
            Replace("cases", "nobody", 1, {}),
            Delete("cases", "c0001", 1),
            Delete("cases", "nobody", 1),
            Delete("cases", "c0002", 1),
        ]
        assert await store.write(stale) == [Conflict()] * 5 + [Done(0)]
        found = await store.get("cases", ["c0001", "c0002"])
        assert {id: (d.revision, d.body) for id, d in found.items()} == {"c0001": (2, {"a": 1})}

    async def test_a_document_with_pending_events_is_not_deleted(self, store: DocumentStore) -> None:
        (event,) = story("c1", 1)
        await store.write([Insert("cases", "c1", {}, emit=[event]), Insert("case-views", "c1", {})])
        assert await store.write([Delete("cases", "c1", 1), Delete("case-views", "c1", 1)]) == [Conflict(), Done(0)]
        await store.published([event.id])
        assert await store.write([Delete("cases", "c1", 1)]) == [Done(0)]

    # 4

    async def test_write_answers_for_each_change_in_order_and_independently(self, store: DocumentStore) -> None:
        changes: list[Change] = [
            case(1),
            case(1),
            case(2, number="n1"),
            Replace("cases", "c0001", 1, {"step": 1}),
            Replace("cases", "c0001", 1, {"step": 2}),
            Replace("cases", "c0001", 2, {"step": 3}),
            Insert("case-views", "c0001", {}),
            Delete("cases", "c0001", 3),
            case(1),
        ]
        expected = [
            Done(1),
            Duplicate("_id"),
            Duplicate("number"),
            Done(2),
            Conflict(),
            Done(3),
            Done(1),
            Done(0),
            Done(1),
        ]
        assert await store.write(changes) == expected

    async def test_many_changes_with_some_refused_are_told_apart(self, store: DocumentStore) -> None:
        await store.write([case(number) for number in range(0, 1000, 7)])
        outcomes = await store.write([case(number, number=f"n{number % 900}") for number in range(1000)])
        for number, outcome in enumerate(outcomes):
            if number % 7 == 0:
                assert outcome == Duplicate("_id"), number
            else:
                assert outcome == (Done(1) if number < 900 else Duplicate("number")), number

    async def test_writes_at_the_same_time_are_each_answered(self, store: DocumentStore) -> None:
        answers = await asyncio.gather(*(store.write([case(number % 50)]) for number in range(200)))
        assert sum(answer == [Done(1)] for answer in answers) == 50
        assert sum(answer == [Duplicate("_id")] for answer in answers) == 150

    async def test_a_change_that_cannot_be_stored_does_not_harm_its_neighbours(self, store: DocumentStore) -> None:
        mistakes: list[Change] = [Insert("nowhere", "x", {})]
        good, bad = await asyncio.gather(store.write([case(1)]), store.write(mistakes), return_exceptions=True)
        assert good == [Done(1)]
        assert isinstance(bad, NotDeclared)

    async def test_writing_nothing_is_nothing(self, store: DocumentStore) -> None:
        assert await store.write([]) == []

    # 5

    async def test_what_was_returned_is_there_after_a_restart(self, opening: Opening) -> None:
        store = await opening([CASES, VIEWS])
        body = {
            "text": "路灯坏了 \U0001f4a1 \\ \" '",
            "list": [1, 2.5, None, True],
            "deep": {"größe": -(2**40)},
            "zero": 0.0,
        }
        event = envelope("c1", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", value=b'{"x":"\xe7\x81\xaf"}')
        await store.write([Insert("cases", "c1", body, MOMENT, [event])])
        await store.close()
        store = await opening([CASES, VIEWS])
        document = (await store.get("cases", ["c1"]))["c1"]
        assert (document.revision, document.body, document.due) == (1, body, MOMENT)
        assert await store.pending(10) == [event]
        await store.close()

    async def test_an_index_declared_later_serves_what_is_there(self, opening: Opening) -> None:
        store = await opening([Collection("cases", "record", indexes=(Index(("state",)),))])
        await store.write([case(number, deep={"a": number % 2}) for number in range(10)])
        await store.close()
        store = await opening([Collection("cases", "record", ("number",), (Index(("deep.a",)), Index(("odd",))))])
        assert [d.id for d in (await store.find("cases", Query({"deep.a": 1}))).documents] == [
            f"c{number:04}" for number in range(1, 10, 2)
        ]
        assert await store.count("cases", Query({"odd": None})) == 10
        assert await store.write([Insert("cases", "x", {"number": "n3"})]) == [Duplicate("number")]
        with pytest.raises(NotDeclared):
            await store.find("cases", Query({"state": "routed"}))
        await store.close()

    # 6

    @pytest.mark.row("F30")
    async def test_a_write_that_took_effect_and_raised_is_repeated_without_a_second_effect(
        self, store: DocumentStore
    ) -> None:
        faulty = FaultyStore(store, seed=1, refused=0.0, lost=1.0)
        insert = Insert("cases", "c1", {"number": "1"}, emit=story("c1", 2))
        replace = Replace("cases", "c1", 1, {"number": "2"}, emit=story("c1", 1, start=3))
        delete = Delete("cases", "c1", 2)
        events = [*insert.emit, *replace.emit]
        for change, repeated in ((insert, Duplicate("_id")), (replace, Conflict()), (delete, Conflict())):
            if change is delete:
                await store.published([event.id for event in events])
            while await self._revision(store) == getattr(change, "revision", 0):
                with pytest.raises(Unavailable):
                    await faulty.write([change])
            assert await store.write([change]) == [repeated]
            if change is not delete:
                assert await store.pending(10) == events[: 2 if change is insert else 3]
        assert await store.pending(10) == []

    @pytest.mark.row("F30")
    async def test_a_repeat_after_the_events_are_published_emits_nothing_anew(self, store: DocumentStore) -> None:
        insert = Insert("cases", "c1", {}, emit=story("c1", 1))
        await store.write([insert])
        await store.published([insert.emit[0].id])
        assert await store.write([insert]) == [Duplicate("_id")]
        assert await store.pending(10) == []

    @pytest.mark.row("F30")
    @pytest.mark.parametrize("seed", range(5))
    async def test_repeating_until_it_returns_gives_every_change_once(self, store: DocumentStore, seed: int) -> None:
        faulty = FaultyStore(store, seed, refused=0.2, lost=0.3)
        for number in range(40):
            change = Insert("cases", f"c{number}", {"number": str(number)}, emit=story(f"c{number}", 1))
            outcome = None
            while outcome is None:
                try:
                    (outcome,) = await faulty.write([change])
                except Unavailable:
                    continue
            assert outcome in (Done(1), Duplicate("_id"))
        assert faulty.faults.count > 10
        assert await store.count("cases", Query()) == 40
        assert len(await store.pending(100)) == 40

    async def _revision(self, store: DocumentStore) -> int:
        found = await store.get("cases", ["c1"])
        return found["c1"].revision if found else 0

    # 7

    async def test_get_sees_what_was_just_written(self, store: DocumentStore) -> None:
        for revision in range(1, 30):
            change = (
                Replace("cases", "c1", revision - 1, {"n": revision}) if revision > 1 else Insert("cases", "c1", {})
            )
            await store.write([change])
            assert (await store.get("cases", ["c1"]))["c1"].revision == revision

    async def test_get_leaves_out_what_does_not_exist(self, store: DocumentStore) -> None:
        await store.write([case(number) for number in range(1200)])
        found = await store.get("cases", [f"c{number:04}" for number in range(0, 2400, 2)])
        assert set(found) == {f"c{number:04}" for number in range(0, 1200, 2)}
        assert await store.get("cases", []) == {}

    # 8: see `tests/contract/questions.py`

    # 9

    async def test_due_documents_come_earliest_first(self, store: DocumentStore) -> None:
        late, soon, never = MOMENT + timedelta(hours=1), MOMENT - timedelta(hours=1), None
        await store.write(
            [Insert("cases", id, {}, due) for id, due in (("c", MOMENT), ("a", late), ("b", soon), ("d", never))]
        )
        assert [d.id for d in await store.due("cases", MOMENT, 10)] == ["b", "c"]
        assert [d.id for d in await store.due("cases", late, 2)] == ["b", "c"]
        await store.write([Replace("cases", "b", 1, {}), Replace("cases", "d", 1, {}, soon)])
        assert [(d.id, d.due) for d in await store.due("cases", MOMENT, 10)] == [("d", soon), ("c", MOMENT)]

    # 10

    async def test_pending_events_are_in_order_per_document(self, store: DocumentStore) -> None:
        await store.write([Insert("cases", "a", {}, emit=story("a", 2)), Insert("cases", "b", {}, emit=story("b", 1))])
        await store.write([Replace("cases", "a", 1, {}, emit=story("a", 12, start=3))])
        pending = await store.pending(100)
        assert [e.sequence for e in pending if e.subject == "a"] == list(range(1, 15))
        first = await store.pending(3)
        assert len(first) == 3
        assert [e.sequence for e in first if e.subject == "a"] == list(range(1, 4))[
            : sum(e.subject == "a" for e in first)
        ]
        older = envelope("c", 1, time=MOMENT - timedelta(minutes=1))
        await store.write([Insert("cases", "c", {}, emit=[older])])
        assert sorted(e.subject for e in await store.pending(100)) == ["a"] * 14 + ["b", "c"]
        assert [e.id for e in await store.pending(100, ids=["b", "nobody"])] == ["/intake/b/1"]

    async def test_published_removes_exactly_these(self, store: DocumentStore) -> None:
        await store.write([Insert("cases", "a", {"x": 1}, emit=story("a", 3))])
        await store.published(["/intake/a/1", "/intake/a/3", "/intake/nobody/1"])
        assert [e.sequence for e in await store.pending(10)] == [2]
        await store.published(["/intake/a/1"])
        await store.published([])
        document = (await store.get("cases", ["a"]))["a"]
        assert (document.revision, document.body) == (1, {"x": 1})

    async def test_pending_older_than_takes_the_whole_document_or_nothing_of_it(self, store: DocumentStore) -> None:
        minutes = [MOMENT + timedelta(minutes=minute) for minute in range(4)]
        old = [envelope("old", 1, time=minutes[0]), envelope("old", 2, time=minutes[3])]
        new = [envelope("new", 1, time=minutes[2])]
        await store.write([Insert("cases", "new", {}, emit=new), Insert("cases", "old", {}, emit=old)])
        assert await store.pending(10, older_than=minutes[1]) == old
        assert await store.pending(10, older_than=minutes[0]) == []
        assert await store.pending(10, ids=["new"], older_than=minutes[1]) == []

    # 11

    async def test_only_derived_collections_are_dropped(self, store: DocumentStore) -> None:
        await store.write([case(1), Insert("case-views", "v", {"day": "d"})])
        await store.drop("case-views")
        assert await store.get("case-views", ["v"]) == {}
        assert await store.count("case-views", Query({"day": "d"})) == 0
        with pytest.raises(NotDeclared):
            await store.drop("cases")
        assert await store.count("cases", Query()) == 1
        assert await store.write([Insert("case-views", "v", {})]) == [Done(1)]

    # 12

    async def test_an_outage_is_said_in_time_and_passes_by_itself(
        self, store: DocumentStore, outage: AbstractContextManager[None]
    ) -> None:
        await store.write([case(1)])
        with outage:
            began = time.monotonic()
            answers = await asyncio.gather(*(store.write([case(n)]) for n in range(2, 5)), return_exceptions=True)
            assert time.monotonic() - began < 6
            assert all(isinstance(answer, Unavailable) for answer in answers), answers
            with pytest.raises(Unavailable):
                await store.write([case(5)])
        outcomes = [(await store.write([case(number)]))[0] for number in range(1, 6)]
        assert outcomes[0] == Duplicate("_id")
        assert set(outcomes[1:]) <= {Done(1), Duplicate("_id")}
        assert await store.count("cases", Query()) == 5

    async def test_a_closed_store_says_so(self, opening: Opening) -> None:
        store = await opening([CASES])
        await store.close()
        await store.close()
        with pytest.raises(Unavailable):
            await store.write([case(1)])
        with pytest.raises(Unavailable):
            await store.get("cases", ["c1"])

    async def test_a_collection_must_be_declared(self, store: DocumentStore) -> None:
        with pytest.raises(NotDeclared):
            await store.get("nowhere", ["x"])
        with pytest.raises(NotDeclared):
            await store.count("nowhere", Query())
        with pytest.raises(NotDeclared):
            await store.drop("nowhere")

"""Promise 13 of `shared/store/port.py`: documents found by all of some words, compared with what plain Python answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import NotDeclared
from shared.store.port import (
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
    Words,
)
from tests.contract.store import Opening

SPOKEN = Collection(
    "spoken",
    "derived",
    unique=("number",),
    indexes=(Index(("department",)),),
    words=Words("said.words", within=("department",)),
)

WORDS = ("a", "b1", "0c", "ab", "zz9")
DEPARTMENTS: tuple[Any, ...] = ("water", "wa ter", "路灯", None, 7)


def body(words: Sequence[str], department: Any = "water", **more: Any) -> dict[str, Any]:
    return {"said": {"words": list(words)}, "department": department, **more}


async def walk(store: DocumentStore, query: Query) -> list[str]:
    """Every page of a query."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await store.find("spoken", query, cursor)
        assert len(page.documents) <= query.limit
        ids += [document.id for document in page.documents]
        cursor = page.next
        if cursor is None:
            return ids


class WordsContract:
    """Subclass it beside `StoreContract`."""

    @pytest.fixture
    async def spoken(self, opening: Opening) -> AsyncIterator[DocumentStore]:
        """An empty store with the collection `SPOKEN`."""
        store = await opening([SPOKEN])
        yield store
        await store.close()

    @given(data=st.data())
    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
    )
    async def test_whatever_was_written_is_found_by_its_words(self, spoken: DocumentStore, data: st.DataObject) -> None:
        await spoken.drop("spoken")
        some = st.lists(st.sampled_from(WORDS), max_size=4)
        where = st.sampled_from(DEPARTMENTS)
        held: dict[str, tuple[int, dict[str, Any]]] = {}
        for batch in range(data.draw(st.integers(1, 4))):
            changes: list[Any] = []
            touched: set[str] = set()
            for step in range(data.draw(st.integers(1, 5))):
                old = data.draw(st.sampled_from([None, *(id for id in held if id not in touched)]))
                id = old or f"{batch}{step}"
                touched.add(id)
                new = body(data.draw(some), data.draw(where))
                if old is None:
                    changes.append(Insert("spoken", id, new))
                elif data.draw(st.booleans()):
                    changes.append(Replace("spoken", id, held[id][0], new))
                else:
                    changes.append(Delete("spoken", id, held[id][0]))
            outcomes = await spoken.write(changes)
            for change, outcome in zip(changes, outcomes, strict=True):
                assert isinstance(outcome, Done)
                if isinstance(change, Delete):
                    del held[change.id]
                else:
                    held[change.id] = (outcome.revision, change.body)
        asked = tuple(data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)))
        within = data.draw(st.none() | st.lists(where, max_size=3).map(tuple))
        query = Query({} if within is None else {"department": within}, words=asked, limit=data.draw(st.integers(1, 4)))
        expected = [
            id
            for id, (_, kept) in sorted(held.items(), reverse=True)
            if set(asked) <= set(kept["said"]["words"])
            and (within is None or (isinstance(kept["department"], str) and kept["department"] in within))
        ]
        assert await walk(spoken, query) == expected
        assert await spoken.count("spoken", query) == len(expected)
        assert await spoken.count("spoken", query, 2) == min(2, len(expected))

    async def test_what_is_refused_changes_no_word(self, spoken: DocumentStore) -> None:
        await spoken.write([Insert("spoken", id, body([id], number=id)) for id in ("a", "b")])
        assert await spoken.write([Insert("spoken", "a", body(["c"]))]) == [Duplicate("_id")]
        assert await spoken.write([Replace("spoken", "a", 9, body(["c"]))]) == [Conflict()]
        assert await spoken.write([Replace("spoken", "a", 1, body(["c"], number="b"))]) == [Duplicate("number")]
        assert await spoken.write([Delete("spoken", "a", 9)]) == [Conflict()]
        assert await walk(spoken, Query(words=("a",))) == ["a"]
        assert await walk(spoken, Query(words=("c",))) == []

    async def test_a_department_that_changes_is_asked_by_its_new_name(self, spoken: DocumentStore) -> None:
        await spoken.write([Insert("spoken", "1", body(["a"]))])
        await spoken.write([Replace("spoken", "1", 1, body(["a"], "lamps"))])
        assert await walk(spoken, Query({"department": "water"}, words=("a",))) == []
        assert await walk(spoken, Query({"department": "lamps"}, words=("a",))) == ["1"]

    @pytest.mark.parametrize(
        "query",
        [
            Query(words=("A",)),
            Query(words=("",)),
            Query(words=("a b",)),
            Query(words=('" OR a',)),
            Query(words=("路灯",)),
            Query({"number": "1"}, words=("a",)),
            Query(order="department", words=("a",)),
            Query(words=("a",), since="x"),
        ],
    )
    async def test_what_is_not_declared_cannot_be_asked_by_words(self, spoken: DocumentStore, query: Query) -> None:
        with pytest.raises(NotDeclared):
            await spoken.find("spoken", query)
        with pytest.raises(NotDeclared):
            await spoken.count("spoken", query)

    async def test_what_is_no_word_is_not_kept(self, spoken: DocumentStore) -> None:
        with pytest.raises(NotDeclared):
            await spoken.write([Insert("spoken", "1", body(["a", "B"]))])
        assert await walk(spoken, Query(words=("a",))) == []

    async def test_words_declared_later_find_what_is_there(
        self, opening: Callable[[Sequence[Collection]], Awaitable[DocumentStore]]
    ) -> None:
        for declared, query, found in (
            (None, None, []),
            (Words("said.words"), Query(words=("a",)), ["2", "1"]),
            (Words("said.words", ("department",)), Query({"department": "lamps"}, words=("a",)), ["2"]),
            (Words("other"), Query(words=("a",)), []),
            (None, None, []),
        ):
            store = await opening([Collection("spoken", "record", words=declared)])
            if declared is None and await store.count("spoken", Query()) == 0:
                await store.write(
                    [Insert("spoken", "1", body(["a"])), Insert("spoken", "2", body(["a", "b1"], "lamps"))]
                )
            if query:
                assert await walk(store, query) == found
            await store.close()

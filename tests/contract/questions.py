"""Promise 8 of `shared/store/port.py`: questions over declared indexes, compared with what plain Python answers."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import NotDeclared
from shared.store.port import Collection, DocumentStore, Index, Insert, Query
from tests.contract.store import Opening

PATHS = (("a", "b", "c"), ("a", "c"), ("c",), ("a",), ("d.e",))
NUMBERS = Collection("numbers", "record", indexes=tuple(Index(fields) for fields in PATHS))

VALUES: list[Any] = [None, 0, 1, 2.5, "", "x", "y"]


FORGED = ('[[],"x"]', "[1,2]", '[1,"x",3]', f'[1{"0" * 40},"x"]', '[NaN,"x"]', "[{},null]", "[" * 500)


def disguised(text: str) -> str:
    """Like a cursor from outside."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def rank(value: Any) -> tuple[int, Any]:
    """Absent and null come first, then numbers, then text."""
    return (0, 0) if value is None else (2, value) if isinstance(value, str) else (1, value)


def answer(rows: dict[str, dict[str, Any]], query: Query) -> list[str]:
    """The ids that the query should find, in order and without a limit."""

    def fits(body: dict[str, Any]) -> bool:
        for path, one in query.where.items():
            if body.get(path) not in (one if isinstance(one, tuple) else (one,)):
                return False
        if query.order is None:
            return True
        value = rank(body.get(query.order))
        low = query.since is None or (value[0] > 0 and value >= rank(query.since))
        high = query.until is None or (value[0] > 0 and value < rank(query.until))
        return low and high

    def place(id: str) -> tuple[tuple[int, Any], str]:
        return rank(rows[id].get(query.order) if query.order else None), id

    return sorted((id for id, body in rows.items() if fits(body)), key=place, reverse=query.descending)


async def walk(store: DocumentStore, query: Query) -> list[str]:
    """Every page of a query."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await store.find("numbers", query, cursor)
        assert len(page.documents) <= query.limit
        ids += [document.id for document in page.documents]
        cursor = page.next
        if cursor is None:
            return ids
        assert cursor.isascii()


class QuestionsContract:
    """Subclass it beside `StoreContract`."""

    @pytest.fixture
    async def numbers(self, opening: Opening) -> AsyncIterator[DocumentStore]:
        """An empty store with the collection `NUMBERS`."""
        store = await opening([NUMBERS])
        yield store
        await store.close()

    @given(data=st.data())
    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
    )
    async def test_pages_together_are_exactly_the_answer(self, numbers: DocumentStore, data: st.DataObject) -> None:
        rows = await self._rows(numbers)
        value = st.sampled_from(VALUES)
        equal = value | st.lists(value, max_size=3).map(tuple)
        fields = data.draw(
            st.sampled_from(
                [((), "c"), (("a",), None), (("a",), "c"), (("a", "b"), "c"), ((), None), (("b", "c"), "a")]
            )
        )
        query = Query(
            {path: data.draw(equal) for path in fields[0]},
            fields[1],
            data.draw(st.booleans()),
            data.draw(value) if fields[1] else None,
            data.draw(value) if fields[1] else None,
            data.draw(st.integers(1, 9)),
        )
        expected = answer(rows, query)
        assert await walk(numbers, query) == expected
        assert await numbers.count("numbers", query) == len(expected)
        most = data.draw(st.integers(1, 50))
        assert await numbers.count("numbers", query, most) == min(most, len(expected))

    async def _rows(self, store: DocumentStore) -> dict[str, dict[str, Any]]:
        """The same 120 documents for every example, written once."""
        rows: dict[str, dict[str, Any]] = {}
        for number in range(120):
            body = {"a": VALUES[number % 4], "b": VALUES[number % 3 + 3], "c": VALUES[number // 3 % 7]}
            if number % 5 == 0:
                del body["c"]
            rows[f"{number * 37 % 120:03}"] = body
        await store.write([Insert("numbers", id, body) for id, body in rows.items()])
        return rows

    @pytest.mark.parametrize(
        "query",
        [
            Query({"b": 1}),
            Query({"b": 1, "d.e": 1}, "a"),
            Query({"a": 1}, "d.e"),
            Query({"a": 1, "b": 1}),
            Query({"z": 1}),
            Query(order="b"),
            Query(order="c); DROP TABLE numbers; --"),
        ],
    )
    async def test_a_question_without_an_index_is_refused(self, numbers: DocumentStore, query: Query) -> None:
        with pytest.raises(NotDeclared):
            await numbers.find("numbers", query)

    async def test_a_count_needs_an_index_too(self, numbers: DocumentStore) -> None:
        with pytest.raises(NotDeclared):
            await numbers.count("numbers", Query({"b": 1}))
        assert await numbers.count("numbers", Query({"a": 1, "b": 1})) == 0

    @pytest.mark.parametrize("cursor", ["", "x", "路灯", "AAAA", "e30=", "WzFd", *map(disguised, FORGED)])
    async def test_a_cursor_that_is_not_one_of_ours_is_refused(self, numbers: DocumentStore, cursor: str) -> None:
        with pytest.raises(ValueError):
            await numbers.find("numbers", Query(order="c"), cursor)

    async def test_one_of_many_hundred_values_is_one_question(self, numbers: DocumentStore) -> None:
        await numbers.write([Insert("numbers", f"{n:04}", {"a": n % 900, "b": n % 2, "c": n}) for n in range(1800)])
        many = Query({"a": tuple(range(0, 900, 2)), "b": (0, 1)}, "c", limit=7)
        page = await numbers.find("numbers", many)
        assert [d.body["c"] for d in page.documents] == [0, 2, 4, 6, 8, 10, 12]
        following = await numbers.find("numbers", many, page.next)
        assert [d.body["c"] for d in following.documents] == [14, 16, 18, 20, 22, 24, 26]
        assert await numbers.count("numbers", many) == 900

    async def test_what_is_written_between_two_pages_disturbs_neither(self, numbers: DocumentStore) -> None:
        await numbers.write([Insert("numbers", f"{n:02}", {"c": n}) for n in range(0, 20, 2)])
        query = Query(order="c", limit=5)
        first = await numbers.find("numbers", query)
        await numbers.write([Insert("numbers", "new-early", {"c": 1}), Insert("numbers", "new-late", {"c": 11})])
        second = await numbers.find("numbers", query, first.next)
        assert [d.body["c"] for d in first.documents] == [0, 2, 4, 6, 8]
        assert [d.body["c"] for d in second.documents] == [10, 11, 12, 14, 16]

"""The document store on a real MongoDB keeps every promise of the port, by either driver, and those that are its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from pymongo import MongoClient

from shared.errors import Misconfigured, NotDeclared
from shared.store.mongo import Mongo
from shared.store.mongo.asking import asked
from shared.store.port import Collection, DocumentStore, Done, Index, Insert, Query, Replace
from tests.contract.questions import QuestionsContract
from tests.contract.store import CASES, Opening, StoreContract
from tests.contract.words import SPOKEN, WordsContract
from tests.support.events import story
from tests.support.servers import mongo_url

pytestmark = pytest.mark.distributed

COUNT = itertools.count()


@contextmanager
def nothing_is_written() -> Iterator[None]:
    """The server takes no write, whoever asks."""
    with MongoClient[dict[str, Any]](mongo_url(), timeoutMS=10_000) as client:
        client.admin.command("fsync", lock=True)
        try:
            yield
        finally:
            client.admin.command("fsyncUnlock")


class TestMongoStore(StoreContract, QuestionsContract, WordsContract):
    @pytest.fixture(params=["motor", "pymongo"])
    async def mongo(self, request: pytest.FixtureRequest) -> AsyncIterator[Mongo]:
        namespace = f"test-{os.getpid()}-{next(COUNT)}"
        mongo = await Mongo.connect(mongo_url(), namespace, request.param)
        yield mongo
        await mongo.close()
        with MongoClient[dict[str, Any]](mongo_url(), timeoutMS=10_000) as client:
            client.drop_database(f"{namespace}-routing")

    @pytest.fixture
    def opening(self, mongo: Mongo) -> Opening:
        async def open(collections: Sequence[Collection]) -> DocumentStore:
            return await mongo.store("routing", collections)

        return open

    @pytest.fixture
    def outage(self) -> AbstractContextManager[None]:
        return nothing_is_written()

    async def test_a_body_may_have_any_names(self, opening: Opening) -> None:
        store = await opening([CASES])
        body = {"$set": 1, "a.b": {"$ne": None, "c.": [{"$x": 2}]}, "路": "灯", "seen": {"/intake": 3}}
        await store.write([Insert("cases", "a", body)])
        await store.write([Replace("cases", "a", 1, body | {"": 0})])
        assert (await store.get("cases", ["a"]))["a"].body == body | {"": 0}

    async def test_a_replacement_that_matches_nothing_leaves_nothing(self, opening: Opening) -> None:
        store = await opening([CASES])
        await store.write([Replace("cases", "ghost", 1, {}, emit=story("ghost", 1))])
        assert await store.get("cases", ["ghost"]) == {}
        assert await store.count("cases", Query()) == 0
        assert await store.pending(1) == []

    async def test_what_is_derived_emits_nothing(self, opening: Opening) -> None:
        store = await opening([Collection("views", "derived")])
        with pytest.raises(NotDeclared):
            await store.write([Insert("views", "a", {}, emit=story("a", 1))])

    async def test_a_unique_field_holds_text(self, opening: Opening) -> None:
        store = await opening([CASES])
        with pytest.raises(NotDeclared):
            await store.write([Insert("cases", "a", {"number": 7})])

    async def test_a_value_held_twice_cannot_become_unique(self, opening: Opening) -> None:
        store = await opening([Collection("cases", "record")])
        await store.write([Insert("cases", id, {"number": "1"}) for id in "ab"])
        with pytest.raises(Misconfigured, match="cases"):
            await opening([Collection("cases", "record", unique=("number",))])

    async def test_a_dropped_collection_keeps_its_indexes_and_its_guard(self, opening: Opening) -> None:
        views = Collection("views", "derived", unique=("number",), indexes=(Index(("day",)),))
        store = await opening([views])
        await store.drop("views")
        assert await store.write([Insert("views", "a", {"number": "1"})]) == [Done(1)]
        await store.write([Replace("views", "ghost", 1, {})])
        assert await store.count("views", Query()) == 1

    @pytest.mark.parametrize(
        ("collection", "query"),
        [
            (CASES, Query({"number": "n1"})),
            (CASES, Query({"department": "water", "state": "routed"}, "received_at", limit=5)),
            (CASES, Query({"department": ("water", "lamps")}, "received_at", descending=True, since="t", limit=5)),
            (SPOKEN, Query({"department": "water"}, words=("a",))),
        ],
    )
    async def test_a_question_walks_an_index(self, mongo: Mongo, collection: Collection, query: Query) -> None:
        store = await mongo.store("routing", [collection])
        await store.write([Insert(collection.name, f"{n:03}", {"department": "water"}) for n in range(100)])
        question = asked(collection, query)
        with MongoClient[dict[str, Any]](mongo_url(), timeoutMS=10_000) as client:
            stored = client[store._database.name][collection.name]
            plan = str(
                stored.find(question.filter, sort=question.sort, limit=query.limit).explain()["queryPlanner"][
                    "winningPlan"
                ]
            )
        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan
        assert ("'SORT'" in plan) == (query.where.keys() == {"number"}), "one document needs no order"

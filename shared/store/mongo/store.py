"""The port's promises, kept by MongoDB's single-document writes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from shared.errors import NotDeclared, Unavailable
from shared.events.envelope import Envelope
from shared.store.mongo import changing
from shared.store.mongo.asking import asked
from shared.store.mongo.declared import create_one
from shared.store.mongo.errors import told
from shared.store.port import Change, Collection, Delete, Document, DocumentStore, Outcome, Page, Query
from shared.store.questions import cursor_after
from shared.telemetry.failpoints import failpoint

SHOWN = {"revision": 1, "due": 1, "doc": 1}
"""What a service sees of a document."""


class MongoStore(DocumentStore):
    """One service's documents in one database. The connection is the process's, and stays open."""

    def __init__(self, name: str, database: Any, collections: Sequence[Collection]) -> None:
        self._name = name
        self._database = database
        self._collections = {collection.name: collection for collection in collections}
        self._homes: dict[str, str] = {}
        self._closed = False

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        stored = self._stored(collection)
        if not ids:
            return {}
        with told():
            found = await stored.find({"_id": {"$in": list(ids)}}, SHOWN).to_list(None)
        return {document.id: document for document in map(_document, found)}

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        stored = self._stored(collection)
        question = asked(self._collections[collection], query, cursor)
        with told():
            found = await stored.find(question.filter, SHOWN, sort=question.sort, limit=query.limit + 1).to_list(None)
        documents = [_document(one) for one in found[: query.limit]]
        if len(found) <= query.limit:
            return Page(documents, None)
        return Page(documents, cursor_after(query, documents[-1].id, documents[-1].body))

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        stored = self._stored(collection)
        question = asked(self._collections[collection], query, counting=True)
        with told():
            limit = {} if most is None else {"limit": most}
            return int(await stored.count_documents(question.filter, **limit))

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        stored = self._stored(collection)
        with told():
            earliest = [("due", 1), ("_id", 1)]
            found = await stored.find({"due": {"$lte": now}}, SHOWN, sort=earliest, limit=limit).to_list(None)
        return [_document(one) for one in found]

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        by_collection: dict[str, list[changing.Numbered]] = {}
        for number, change in enumerate(changes):
            self._stored(change.collection)
            changing.checked(self._collections[change.collection], change)
            by_collection.setdefault(change.collection, []).append((number, change))
        for change in changes:
            if not isinstance(change, Delete) and change.emit:
                self._homes[change.id] = change.collection
        with told():
            found = await asyncio.gather(
                *(
                    changing.write(self._stored(name), self._collections[name], some)
                    for name, some in by_collection.items()
                )
            )
        failpoint(f"{self._name}.committed")
        outcomes: dict[int, Outcome] = {}
        for some in found:
            outcomes |= some
        return [outcomes[number] for number in range(len(changes))]

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        wanted: dict[str, Any] = {"outbox.0": {"$exists": True}}
        if ids is not None:
            wanted["_id"] = {"$in": list(ids)}
        if older_than is not None:
            wanted["outbox.0.time"] = {"$lt": older_than}
        with told():
            found = await asyncio.gather(*(self._pending(name, wanted, limit) for name in self._emitting()))
        waiting = [outbox for some in found for outbox in some]
        waiting.sort(key=lambda outbox: outbox[0]["time"])
        return [changing.envelope_of(entry) for entry in islice((e for outbox in waiting for e in outbox), limit)]

    async def published(self, event_ids: Sequence[str]) -> None:
        """One update for each collection in which the events may be."""
        by_subject: dict[str, list[str]] = {}
        for id in event_ids:
            by_subject.setdefault(_subject(id), []).append(id)
        by_collection: dict[str, list[str]] = {}
        for subject in by_subject:
            for name in self._home(subject):
                by_collection.setdefault(name, []).append(subject)
        with told():
            await asyncio.gather(*(self._pull(name, subjects, by_subject) for name, subjects in by_collection.items()))

    async def drop(self, collection: str) -> None:
        stored = self._stored(collection)
        if self._collections[collection].kind != "derived":
            raise NotDeclared(f"{collection} is a record and is never dropped")
        with told():
            await stored.drop()
            await create_one(self._database, self._collections[collection])

    async def close(self) -> None:
        self._closed = True

    def _stored(self, collection: str) -> Any:
        if collection not in self._collections:
            raise NotDeclared(f"there is no collection {collection}")
        if self._closed:
            raise Unavailable("the store is closed")
        return self._database[collection]

    def _emitting(self) -> Iterable[str]:
        return [name for name, collection in self._collections.items() if collection.kind == "record"]

    def _home(self, subject: str) -> Iterable[str]:
        """The collections in which a document with pending events may be: the one, if this process wrote or read it."""
        home = self._homes.pop(subject, None)
        return self._emitting() if home is None else [home]

    async def _pending(self, name: str, wanted: Mapping[str, Any], limit: int) -> list[list[dict[str, Any]]]:
        oldest = [("outbox.0.time", 1)]
        found = await self._stored(name).find(wanted, {"outbox": 1}, sort=oldest, limit=limit).to_list(None)
        self._homes.update((one["_id"], name) for one in found)
        return [one["outbox"] for one in found]

    async def _pull(self, name: str, subjects: Sequence[str], by_subject: Mapping[str, Sequence[str]]) -> None:
        ids = [id for subject in subjects for id in by_subject[subject]]
        await self._stored(name).update_many(
            {"_id": {"$in": list(subjects)}}, {"$pull": {"outbox": {"id": {"$in": ids}}}}
        )


def _document(found: Mapping[str, Any]) -> Document:
    return Document(found["_id"], found["revision"], found["doc"], found.get("due"))


def _subject(event_id: str) -> str:
    """Of `/<source>/<subject>/<sequence>`."""
    return event_id.split("/", 2)[2].rpartition("/")[0]

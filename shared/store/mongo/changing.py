"""Changes as batches of single-document writes, each answered by itself.

Nothing here is atomic beyond one document. An insert that meets an existing id or unique value is refused by the
server. A replacement is an update guarded by the revision; one that matches nothing would insert a document with a
field that the validator refuses (see `declared`), so that the server names it among the batch's errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from shared.errors import NotDeclared, Unavailable
from shared.events.envelope import Envelope
from shared.store.mongo.declared import DUPLICATE_KEY, NEVER, doc
from shared.store.port import Change, Collection, Conflict, Delete, Done, Duplicate, Insert, Outcome, Replace
from shared.store.questions import value_at
from shared.store.words import words_of

INVALID = 121
"""The validator's refusal."""

Numbered = tuple[int, Change]


def checked(collection: Collection, change: Change) -> None:
    """Raises `NotDeclared` for a change that a collection cannot hold."""
    if isinstance(change, Delete):
        return
    if change.emit and collection.kind == "derived":
        raise NotDeclared(f"{collection.name} is derived and emits nothing")
    for path in collection.unique:
        value = value_at(change.body, path)
        if value is not None and not isinstance(value, str):
            raise NotDeclared(f"{collection.name}: the unique field {path} holds text")
    if collection.words:
        words_of(collection.words, change.body)


async def write(stored: Any, collection: Collection, changes: Sequence[Numbered]) -> dict[int, Outcome]:
    """The outcomes of changes of one collection, by their numbers; those that may meet each other in their order."""
    outcomes: dict[int, Outcome] = {}
    for run in _runs(collection, changes):
        kind = type(run[0][1])
        if kind is Insert:
            outcomes |= await _insert(stored, run)
        elif kind is Replace:
            outcomes |= await _replace(stored, run)
        else:
            outcomes |= await _delete(stored, run)
    return outcomes


def _runs(collection: Collection, changes: Sequence[Numbered]) -> Iterable[list[Numbered]]:
    """Changes of one kind that may be sent together: the server takes those of a batch one after the other."""
    apart = len({change.id for _, change in changes}) == len(changes) and not collection.unique
    order = [Insert, Replace, Delete]
    some = sorted(changes, key=lambda one: order.index(type(one[1]))) if apart else changes
    return [list(run) for _, run in groupby(some, key=lambda one: type(one[1]))]


async def _insert(stored: Any, run: Sequence[Numbered]) -> dict[int, Outcome]:
    documents = []
    for _, change in run:
        assert isinstance(change, Insert)
        document: dict[str, Any] = {"_id": change.id, "revision": 1, "doc": change.body}
        if change.due is not None:
            document["due"] = change.due
        if change.emit:
            document["outbox"] = [entry(envelope) for envelope in change.emit]
        documents.append(document)
    refused = await _refused(stored.insert_many(documents, ordered=False))
    return {number: _duplicate(refused[at]) if at in refused else Done(1) for at, (number, _) in enumerate(run)}


async def _replace(stored: Any, run: Sequence[Numbered]) -> dict[int, Outcome]:
    updates = []
    for _, change in run:
        assert isinstance(change, Replace)
        update: dict[str, Any] = {
            "$set": {"doc": change.body, "revision": change.revision + 1},
            "$setOnInsert": {NEVER: True},
        }
        if change.due is None:
            update["$unset"] = {"due": ""}
        else:
            update["$set"]["due"] = change.due
        if change.emit:
            update["$push"] = {"outbox": {"$each": [entry(envelope) for envelope in change.emit]}}
        updates.append(UpdateOne({"_id": change.id, "revision": change.revision}, update, upsert=True))
    refused = await _refused(stored.bulk_write(updates, ordered=False))
    outcomes: dict[int, Outcome] = {}
    for at, (number, change) in enumerate(run):
        assert isinstance(change, Replace)
        if at not in refused:
            outcomes[number] = Done(change.revision + 1)
        elif refused[at]["code"] == INVALID or "_id" in refused[at].get("keyPattern", {}):
            outcomes[number] = Conflict()
        else:
            outcomes[number] = _duplicate(refused[at])
    return outcomes


async def _delete(stored: Any, run: Sequence[Numbered]) -> dict[int, Outcome]:
    """Each by itself: of a batch the server says only how many it was."""

    async def one(change: Change) -> Outcome:
        assert isinstance(change, Delete)
        idle = {"_id": change.id, "revision": change.revision, "outbox.0": {"$exists": False}}
        return Done(0) if (await stored.delete_one(idle)).deleted_count else Conflict()

    outcomes = await asyncio.gather(*(one(change) for _, change in run))
    return {number: outcome for (number, _), outcome in zip(run, outcomes, strict=True)}


async def _refused(writing: Any) -> Mapping[int, Mapping[str, Any]]:
    """What the server refused, by its place in the batch. Raises `Unavailable` for every other failure."""
    try:
        await writing
    except BulkWriteError as error:
        details = error.details
        found = {refusal["index"]: refusal for refusal in details["writeErrors"]}
        if details.get("writeConcernErrors") or {r["code"] for r in found.values()} - {DUPLICATE_KEY, INVALID}:
            raise Unavailable("MongoDB did not keep the changes") from error
        return found
    return {}


def _duplicate(refusal: Mapping[str, Any]) -> Outcome:
    (path,) = refusal["keyPattern"]
    return Duplicate(path.removeprefix(doc("x").removesuffix("x")))


def entry(envelope: Envelope) -> dict[str, Any]:
    """An event in its document's outbox."""
    return {
        "id": envelope.id,
        "source": envelope.source,
        "subject": envelope.subject,
        "sequence": envelope.sequence,
        "type": envelope.type,
        "version": envelope.version,
        "key": envelope.key,
        "time": envelope.time,
        "traceparent": envelope.traceparent,
        "value": envelope.value,
    }


def envelope_of(entry: Mapping[str, Any]) -> Envelope:
    """The inverse of `entry`."""
    return Envelope(**{name: value for name, value in entry.items() if name != "id"})

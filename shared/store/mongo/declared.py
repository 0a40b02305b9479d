"""What a service declares, as MongoDB's collections and indexes.

A document is `{_id, revision, due?, doc, outbox}`. `outbox` holds the events that are not on the log yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.errors import CollectionInvalid, OperationFailure

from shared.errors import Misconfigured, NotDeclared
from shared.store.port import Collection
from shared.store.questions import PATH
from shared.telemetry.logs import log

NEVER = "never"
"""A field that no document has: the validator refuses it. A replacement that matches nothing would insert a document
with it, and so fails, each one by itself: in a batch the server says which."""

VALIDATOR = {NEVER: {"$exists": False}}

DUE = "due"
WAITING = "waiting"
WORDS = "words"
UNIQUE = "unique "

NAMESPACE_EXISTS = 48
DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One index."""

    keys: tuple[tuple[str, int], ...]
    options: dict[str, Any] = field(default_factory=dict)


def doc(path: str) -> str:
    """Where a declared field lies. Raises `NotDeclared` for what cannot be a field's name."""
    if not PATH.fullmatch(path):
        raise NotDeclared(f"{path!r} cannot be the name of a field")
    return f"doc.{path}"


def indexes_of(collection: Collection) -> dict[str, Wanted]:
    """By name. The rows of a question's index are ordered by its fields, then by id; what only narrows stands behind."""
    wanted = {
        DUE: Wanted(((DUE, 1), ("_id", 1)), {"partialFilterExpression": {DUE: {"$exists": True}}}),
        WAITING: Wanted((("outbox.0.time", 1),), {"partialFilterExpression": {"outbox.0": {"$exists": True}}}),
    }
    for index in collection.indexes:
        paths = [*map(doc, index.fields), "_id", *map(doc, index.behind)]
        wanted[f"by {','.join((*index.fields, *index.behind))}"] = Wanted(tuple((path, 1) for path in paths))
    for path in collection.unique:
        text = {"partialFilterExpression": {doc(path): {"$gte": ""}}}
        wanted[UNIQUE + path] = Wanted(((doc(path), 1),), {"unique": True, **text})
    if collection.words:
        for path in collection.words.within:
            doc(path)
        wanted[WORDS] = Wanted(((doc(collection.words.field), 1), ("_id", -1)))
    return wanted


async def create(database: Any, collections: Sequence[Collection]) -> None:
    """Make what is missing. Raises `Misconfigured` where a unique field holds a value twice.

    An index that is no longer declared stays, for a replica of an earlier version may need it; a unique one goes, for it
    would refuse what is right now.
    """
    for collection in collections:
        await create_one(database, collection)


async def create_one(database: Any, collection: Collection) -> None:
    wanted = indexes_of(collection)
    try:
        await database.create_collection(collection.name, validator=VALIDATOR)
    except CollectionInvalid:
        await database.command("collMod", collection.name, validator=VALIDATOR)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise
    stored = database[collection.name]
    present = await stored.index_information()
    for name in present:
        if name != "_id_" and name not in wanted:
            if name.startswith(UNIQUE):
                await stored.drop_index(name)
            else:
                log("store").info("an index is no longer declared", collection=collection.name, index=name)
    for name, index in wanted.items():
        if name in present and [tuple(key) for key in present[name]["key"]] == list(index.keys):
            continue
        if name in present:
            await stored.drop_index(name)
        try:
            await stored.create_index(list(index.keys), name=name, **index.options)
        except OperationFailure as error:
            if error.code == DUPLICATE_KEY:
                raise Misconfigured(f"a unique field of {collection.name} holds a value twice: {name}") from None
            raise

"""A collection as a table of SQLite, and the outbox beside it: their columns, their indexes, changes to many rows.

A table is named like its collection: `(id, revision, due, body, sum)`, with `body` as JSON text, and a column for each
declared field, so that an index costs no reading of JSON.
"""

# ruff: noqa: S608 (the names in these statements come from declarations and are checked; values are parameters)

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from shared.clock import rfc3339
from shared.errors import Misconfigured, NotDeclared
from shared.events.envelope import Envelope
from shared.sqlite import Connection, Summed, checksum, chunks, put
from shared.store.port import (
    Body,
    Change,
    Collection,
    Conflict,
    Delete,
    Done,
    Duplicate,
    Insert,
    Outcome,
    Replace,
)
from shared.store.questions import column_of, indexes_of, value_at
from shared.store.words import WordIndex

OUTBOX = """
CREATE TABLE IF NOT EXISTS _outbox(
  seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, document TEXT NOT NULL, event TEXT NOT NULL UNIQUE,
  time TEXT NOT NULL, head TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL)
"""
COLUMNS = "_outbox(collection, document, event, time, head, value, sum)"

OVERHEAD = 256
"""Bytes counted for a row besides what it holds."""

NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change as the writer takes it, serialised by whoever asks for it. `weight` is its size in bytes."""

    change: Change
    weight: int
    body: str = ""
    due: str | None = None
    events: Sequence[tuple[object, ...]] = ()

    @classmethod
    def of(cls, change: Change) -> Prepared:
        if isinstance(change, Delete):
            return cls(change, OVERHEAD)
        body = to_json(change.body).decode()
        weight = OVERHEAD + len(body)
        due = rfc3339(change.due) if change.due else None
        if not change.emit:
            return cls(change, weight, body, due)
        weight += sum(OVERHEAD + len(envelope.value) for envelope in change.emit)
        return cls(change, weight, body, due, [_row(change, envelope) for envelope in change.emit])


def _row(change: Insert | Replace, e: Envelope) -> tuple[object, ...]:
    time = rfc3339(e.time)
    head = to_json((e.source, e.subject, e.sequence, e.type, e.version, e.key, time, e.traceparent)).decode()
    return change.collection, change.id, e.id, time, head, e.value, checksum(f"{e.id}\0{head}\0", e.value)


def sum_of(id: str, revision: int, due: str | None, body: bytes) -> int:
    """What a document's column `sum` holds."""
    return checksum(f"{id}\0{revision}\0{due or ''}\0", body)


class Table:
    """The table of one collection. Its methods run in the writer's thread, and get no document twice in one call."""

    def __init__(self, collection: Collection) -> None:
        if not NAME.fullmatch(collection.name):
            raise NotDeclared(f"{collection.name!r} cannot be the name of a collection")
        self.collection = collection
        self.name = f'"{collection.name}"'
        self.indexes = indexes_of(collection)
        self.paths = sorted({path for index in self.indexes for path in index.fields})
        self.index = WordIndex(collection) if collection.words else None
        columns = ["revision", "due", "body", "sum", *map(column_of, self.paths), *(["words"] if self.index else [])]
        self._into = f"{self.name}(id, {', '.join(columns)})"
        self._update = f"ON CONFLICT(id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in columns)}"

    def create(self, connection: Connection) -> None:
        """Make the table and its indexes what the collection declares. Raises `Misconfigured`."""
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.name}"
            "(id TEXT PRIMARY KEY NOT NULL, revision INTEGER NOT NULL, due TEXT, body TEXT NOT NULL, sum INTEGER NOT NULL)"
        )
        (self.index or WordIndex(self.collection)).create(connection)
        due = f'"{self.collection.name} due"'
        wanted = {due: f"CREATE INDEX {due} ON {self.name}(due, id) WHERE due IS NOT NULL"}
        wanted |= {index.name: index.sql for index in self.indexes}
        present = connection.execute(
            "SELECT '\"' || name || '\"', sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql NOTNULL",
            (self.collection.name,),
        ).fetchall()
        for name, sql in present:
            if wanted.get(name) != sql:
                connection.execute(f"DROP INDEX {name}")
        self._create_columns(connection)
        try:
            for sql in set(wanted.values()) - {sql for _, sql in present}:
                connection.execute(sql)
        except sqlite3.IntegrityError as error:
            raise Misconfigured(f"a unique field of {self.collection.name} holds a value twice: {error}") from error

    def _create_columns(self, connection: Connection) -> None:
        """A column for each declared field, filled from the bodies where it is new, and no other."""
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({self.name})")]
        for name in columns:
            if name.startswith(".") and name[1:] not in self.paths:
                connection.execute(f'ALTER TABLE {self.name} DROP COLUMN "{name}"')
        for path in self.paths:
            if f".{path}" not in columns:
                at = "'$" + "".join(f'."{step}"' for step in path.split(".")) + "'"
                scalar = f"CASE WHEN json_type(body, {at}) NOT IN ('array', 'object') THEN json_extract(body, {at}) END"
                connection.execute(f"ALTER TABLE {self.name} ADD COLUMN {column_of(path)}")
                connection.execute(f"UPDATE {self.name} SET {column_of(path)} = {scalar}")

    def insert(self, connection: Connection, rows: Sequence[Prepared]) -> list[Outcome]:
        outcomes = self._put(connection, rows, "")
        if self.index:
            done = [row.change.id for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, Done)]
            self.index.learn(connection, done)
        return outcomes

    def replace(self, connection: Connection, rows: Sequence[Prepared]) -> list[Outcome]:
        fresh = self._at_their_revision(connection, rows)
        right = [row for row, is_right in zip(rows, fresh, strict=True) if is_right]
        others: list[str] = []
        if self.index:
            others = self.index.changed(
                connection, {row.change.id: self.index.terms(_body(row.change)) for row in right}
            )
            self.index.forget(connection, others)
        done = iter(self._put(connection, right, self._update))
        if self.index:  # also what was refused: its words are what they were
            self.index.learn(connection, others)
        return [next(done) if is_right else Conflict() for is_right in fresh]

    def delete(self, connection: Connection, rows: Sequence[Prepared]) -> list[Outcome]:
        held = set(
            _one(
                connection,
                "SELECT json_group_array(document) FROM _outbox"
                " WHERE collection = ? AND document IN (SELECT value FROM json_each(?))",
                (self.collection.name, _ids(rows)),
            )
        )
        fresh = [
            right and row.change.id not in held
            for row, right in zip(rows, self._at_their_revision(connection, rows), strict=True)
        ]
        gone = _ids([row for row, right in zip(rows, fresh, strict=True) if right])
        if self.index:
            self.index.forget(connection, from_json(gone))
        connection.execute(f"DELETE FROM {self.name} WHERE id IN (SELECT value FROM json_each(?))", (gone,))
        return [Done(0) if right else Conflict() for right in fresh]

    def clear(self, connection: Connection) -> None:
        """Remove every document."""
        connection.execute(f"DELETE FROM {self.name}")
        if self.index:
            self.index.clear(connection)

    def _at_their_revision(self, connection: Connection, rows: Sequence[Prepared]) -> list[bool]:
        """Whether each row's document is where its change expects it."""
        revisions = _one(
            connection,
            f"SELECT json_group_object(id, revision) FROM {self.name} WHERE id IN (SELECT value FROM json_each(?))",
            (_ids(rows),),
        )
        return [revisions.get(row.change.id) == _expected(row.change) for row in rows]

    def _put(self, connection: Connection, rows: Sequence[Prepared], then: str) -> list[Outcome]:
        """Write the rows. A statement that meets a duplicate does nothing: its rows are told apart, and tried again."""
        outcomes: list[Outcome] = []
        for some in chunks(rows):
            try:
                put(connection, self._into, [self._fields(row) for row in some], then)
                outcomes += [Done(_expected(row.change) + 1) for row in some]
            except sqlite3.IntegrityError:
                outcomes += self._put_apart(connection, some, then)
        return outcomes

    def _fields(self, row: Prepared) -> tuple[object, ...]:
        body = _body(row.change)
        values = (value_at(body, path) for path in self.paths)
        words = (self.index.terms(body),) if self.index else ()
        id, revision = row.change.id, _expected(row.change) + 1
        return id, revision, row.due, row.body, sum_of(id, revision, row.due, row.body.encode()), *values, *words

    def _put_apart(self, connection: Connection, rows: Sequence[Prepared], then: str) -> list[Outcome]:
        # A replace may take what the one before it has just let go, so replaces are asked one by one.
        taken = self._taken(connection, rows) if len(rows) == 1 or not then else {}
        if taken:
            free = iter(self._put(connection, [row for at, row in enumerate(rows) if at not in taken], then))
            return [Duplicate(taken[at]) if at in taken else next(free) for at in range(len(rows))]
        if len(rows) == 1:
            raise NotDeclared(f"{self.collection.name} refuses a document, and not for a field declared unique")
        half = len(rows) // 2
        return self._put(connection, rows[:half], then) + self._put(connection, rows[half:], then)

    def _taken(self, connection: Connection, rows: Sequence[Prepared]) -> dict[int, str]:
        """Which rows meet what is stored, and on which field; the id comes first."""
        taken: dict[int, str] = {}
        questions = {
            path: f"{column_of(path)} = json_extract(e.value, '$[1]') AND id <> json_extract(e.value, '$[0]')"
            for path in self.collection.unique
        }
        if isinstance(rows[0].change, Insert):
            questions = {"_id": "id = json_extract(e.value, '$[0]')"} | questions
        for path, question in questions.items():
            asked = to_json([(row.change.id, value_at(_body(row.change), path)) for row in rows]).decode()
            exists = f"EXISTS (SELECT 1 FROM {self.name} WHERE {question})"
            sql = f"SELECT json_group_array(e.key) FROM json_each(?) e WHERE {exists}"
            for at in _one(connection, sql, (asked,)):
                taken.setdefault(at, path)
        return taken


def _one(connection: Connection, sql: str, parameters: Sequence[object]) -> Any:
    (answer,) = connection.execute(sql, parameters).fetchone()
    return from_json(answer)


def _ids(rows: Sequence[Prepared]) -> str:
    return to_json([row.change.id for row in rows]).decode()


def _expected(change: Change) -> int:
    """The revision before the change; 0 where there must be no document."""
    return 0 if isinstance(change, Insert) else change.revision


def _body(change: Change) -> Body:
    return {} if isinstance(change, Delete) else change.body


class Tables:
    """All tables of one file, with the outbox."""

    def __init__(self, collections: Sequence[Collection]) -> None:
        self._tables = {collection.name: Table(collection) for collection in collections}

    def __getitem__(self, collection: str) -> Table:
        """Raises `NotDeclared`."""
        try:
            return self._tables[collection]
        except KeyError:
            raise NotDeclared(f"the collection {collection} is not declared") from None

    def create(self, connection: Connection) -> Summed:
        """Make all of them what is declared; which columns their sums are over. Raises `Misconfigured`."""
        connection.execute(OUTBOX)
        connection.execute("CREATE INDEX IF NOT EXISTS _outbox_document ON _outbox(document)")
        for table in self._tables.values():
            table.create(connection)
        documents = dict.fromkeys([table.name for table in self._tables.values()], ("id", "revision", "due", "body"))
        return {"_outbox": ("event", "head", "value"), **documents}

    def write(self, connection: Connection, rows: Sequence[Prepared]) -> list[Outcome]:
        """One outcome for each row, as if they were written one after the other.

        Changes of one kind to one collection are written together, where nothing between them could tell.
        """
        outcomes: dict[int, Outcome] = {}
        together: dict[tuple[str, type[Change]], dict[str, int]] = {}

        def flush() -> None:
            for (collection, kind), places in together.items():
                table = self._tables[collection]
                method = {Insert: table.insert, Replace: table.replace, Delete: table.delete}[kind]
                some = [rows[place] for place in places.values()]
                outcomes.update(zip(places.values(), method(connection, some), strict=True))
            emitted = [
                event
                for places in together.values()
                for place in places.values()
                if isinstance(outcomes[place], Done)
                for event in rows[place].events
            ]
            for events in chunks(emitted):
                put(connection, COLUMNS, events, "ON CONFLICT(event) DO NOTHING")
            together.clear()

        for place, row in enumerate(rows):
            collection, kind = row.change.collection, type(row.change)
            places = together.get((collection, kind))
            if places is not None and len(together) == 1 and row.change.id not in places:  # mostly more of the same
                places[row.change.id] = place
                continue
            others = [key for key in together if key[0] == collection]
            unique = self._tables[collection].collection.unique
            if any(row.change.id in together[key] or (unique and key[1] is not kind) for key in others):
                flush()
            together.setdefault((collection, kind), {})[row.change.id] = place
        flush()
        return [outcomes[place] for place in range(len(rows))]

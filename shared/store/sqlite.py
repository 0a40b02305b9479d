"""Documents in a SQLite file of the data folder: the embedded mode's adapter."""

# ruff: noqa: S608 (the names in these statements come from declarations and are checked; values are parameters)

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from shared.clock import Clock, parse_rfc3339, rfc3339
from shared.errors import Damaged, NotDeclared, Unavailable
from shared.events.envelope import Envelope
from shared.sqlite import Connection, OpenFile, SqliteFile
from shared.store import words
from shared.store.port import Change, Collection, Delete, Document, DocumentStore, Outcome, Page, Query
from shared.store.questions import DOCUMENT, DOCUMENTS, array, cursor_after, page, tally
from shared.store.tables import OVERHEAD, Prepared, Tables, sum_of
from shared.telemetry.logs import log

DROP_LIMIT = 120.0
"""Seconds that emptying a collection may take."""

LARGE = 1_000_000
"""Bytes of a document beyond which somebody should look at it: stores that we could move to refuse sixteen times that."""

ENVELOPES = (
    f"SELECT {array('head')}, {array('length(value)')}, CAST(group_concat(CAST(value AS TEXT), '') AS BLOB) "
    "FROM (SELECT head, value FROM _outbox o WHERE {} ORDER BY seq LIMIT ?)"
)
"""Every head, the length of every value, and all values in a row."""

Item = list[Prepared] | tuple[str, ...] | str
"""What the writer is given: changes, the ids of published events, or the collection to drop."""


class SqliteStore(DocumentStore):
    """One service's documents in one file."""

    @classmethod
    async def open(
        cls,
        path: Path,
        collections: Sequence[Collection],
        clock: Clock,
        open_file: OpenFile = SqliteFile.open,
        full: Callable[[], bool] = lambda: False,
    ) -> SqliteStore:
        """Create the file or bring its indexes up to what is declared. Raises `Misconfigured`.

        Tables that are no longer declared stay. The file needs no clock: callers say what time it is. `open_file` is
        how the simulation puts a file without threads in its place. While the disk is `full`, only deletes and changes to
        urgent collections are written.
        """
        del clock
        tables = Tables(collections)
        return cls(path.name, tables, await open_file(path, tables.create, _Writer(tables)), full)

    def __init__(
        self, name: str, tables: Tables, file: SqliteFile[Item, list[Outcome]], full: Callable[[], bool]
    ) -> None:
        self._name = name
        self._tables = tables
        self._full = full
        self._file = file

    async def get(self, collection: str, ids: Sequence[str]) -> dict[str, Document]:
        table = self._tables[collection].name
        sql = f"SELECT {DOCUMENT} FROM {table} d WHERE id IN (SELECT value FROM json_each(?))"
        sql = f"SELECT {DOCUMENTS} FROM ({sql})"
        return {d.id: d for d in await self._documents(sql, (to_json(ids).decode(),))} if ids else {}

    async def find(self, collection: str, query: Query, cursor: str | None = None) -> Page:
        asking = words.page if query.words else page
        question = asking(self._tables[collection].collection, query, cursor)
        documents = await self._documents(question.sql, question.parameters)
        if len(documents) <= query.limit:
            return Page(documents, None)
        documents = documents[: query.limit]
        last = documents[-1]
        return Page(documents, cursor_after(query, last.id, last.body))

    async def count(self, collection: str, query: Query, most: int | None = None) -> int:
        counting = words.tally if query.words else tally
        question = counting(self._tables[collection].collection, query, most)
        return int((await self._row(question.sql, question.parameters))[0])

    async def due(self, collection: str, now: datetime, limit: int) -> list[Document]:
        table = self._tables[collection].name
        earliest = f"SELECT * FROM {table} WHERE due <= ? ORDER BY due, id LIMIT ?"
        return await self._documents(
            f"SELECT {DOCUMENTS} FROM (SELECT {DOCUMENT} FROM ({earliest}) d)", (rfc3339(now), limit)
        )

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        urgent = [self._tables[c.collection].collection.urgent or isinstance(c, Delete) for c in changes]
        if self._full() and not all(urgent):
            raise Unavailable("the disk is full")
        rows = [Prepared.of(change) for change in changes]
        weight = sum(row.weight for row in rows)
        if weight > LARGE:
            for row in rows:
                if len(row.body) > LARGE:
                    log("store").warning(
                        "a document is large", collection=row.change.collection, document=row.change.id
                    )
        return await self._file.write(rows, weight) if rows else []

    async def pending(
        self, limit: int, ids: Sequence[str] | None = None, older_than: datetime | None = None
    ) -> list[Envelope]:
        conditions, parameters = ["1"], list[Any]()
        if ids is not None:
            conditions.append("document IN (SELECT value FROM json_each(?))")
            parameters.append(to_json(ids).decode())
        if older_than is not None:
            conditions.append("(SELECT time FROM _outbox WHERE document = o.document ORDER BY seq LIMIT 1) < ?")
            parameters.append(rfc3339(older_than))
        row = await self._row(ENVELOPES.format(" AND ".join(conditions)), [*parameters, limit])
        return _envelopes(*row)

    async def published(self, event_ids: Sequence[str]) -> None:
        if event_ids:
            await self._file.write(tuple(event_ids), OVERHEAD + sum(map(len, event_ids)))

    async def drop(self, collection: str) -> None:
        if self._tables[collection].collection.kind != "derived":
            raise NotDeclared(f"{collection} is a record and is never dropped")
        await self._file.write(collection, OVERHEAD, DROP_LIMIT)

    async def close(self) -> None:
        await self._file.close()

    async def _documents(self, sql: str, parameters: Sequence[Any]) -> list[Document]:
        heads, bodies = await self._row(sql, parameters)
        documents, at = [], 0
        try:
            for id, revision, due, sum, length in from_json(heads):
                body = bodies[at : at + length]
                at += length
                if sum != sum_of(id, revision, due, body):
                    raise self._damaged(id)
                documents.append(Document(id, revision, from_json(body), parse_rfc3339(due) if due else None))
        except ValueError as error:
            raise self._damaged("a document") from error
        return documents

    def _damaged(self, what: str) -> Damaged:
        log("store").critical("what is stored is damaged: restore the file from a backup", file=self._name, row=what)
        return Damaged(f"{self._name} is damaged: {what}")

    async def _row(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        def ask(connection: Connection) -> Sequence[Any]:
            row: Sequence[Any] = connection.execute(sql, parameters).fetchone()
            return row

        return await self._file.read(ask)


class _Writer:
    """Applies a group of items in the writer's thread, changes that stand side by side together."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __call__(self, connection: Connection, items: Sequence[Item]) -> list[list[Outcome]]:
        results: list[list[Outcome]] = []
        waiting: list[list[Prepared]] = []

        def flush() -> None:
            outcomes = iter(self._tables.write(connection, [row for rows in waiting for row in rows]))
            results.extend([next(outcomes) for _ in rows] for rows in waiting)
            waiting.clear()

        for item in items:
            if isinstance(item, list):
                waiting.append(item)
                continue
            flush()
            if isinstance(item, str):
                self._tables[item].clear(connection)
            else:
                ids = to_json(item).decode()
                connection.execute("DELETE FROM _outbox WHERE event IN (SELECT value FROM json_each(?))", (ids,))
            results.append([])
        flush()
        return results


def _envelopes(heads: bytes, lengths: bytes, values: bytes) -> list[Envelope]:
    envelopes, start = [], 0
    for head, length in zip(from_json(heads), from_json(lengths), strict=True):
        source, subject, sequence, type, version, key, time, traceparent = head
        value = values[start : start + length]
        start += length
        envelopes.append(
            Envelope(source, subject, sequence, type, version, key, parse_rfc3339(time), traceparent, value)
        )
    return envelopes

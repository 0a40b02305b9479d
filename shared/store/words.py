"""Words of a collection as a full-text table of SQLite beside it: written with the document, asked by all of some words.

The collection's table has a column `words` that holds the document's words and, as words too, the values of the fields
declared `within`; the full-text table keeps only which row has which word, in about a byte for each. It is contentless,
so taking a row out needs the words that it was put in with: that is what the column is for. Rows are told apart by
rowid, which stays what it is as long as the file is not vacuumed.
"""

# ruff: noqa: S608 (the names in these statements come from declarations and are checked; values are parameters)

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from shared.errors import NotDeclared
from shared.sqlite import Connection
from shared.store.port import Body, Collection, Query, Scalar, Words
from shared.store.questions import DOCUMENT, DOCUMENTS, Question, column_of, read_cursor, value_at

WORDS = re.compile("[0-9a-z]{1,64}(?: [0-9a-z]{1,64})*", re.ASCII)
"""Words as they are kept: a blank between two of them."""


class WordIndex:
    """The full-text table of one collection. Its methods run in the writer's thread."""

    def __init__(self, collection: Collection) -> None:
        self._table = f'"{collection.name}"'
        self._name = table_of(collection)
        self._declared = collection.words
        paths = (self._declared.field, *self._declared.within) if self._declared else ()
        self._column = f'"{" ".join(paths)}"'
        for path in paths:
            column_of(path)

    def terms(self, body: Body) -> str:
        """The words of a body, as they are kept. Raises `NotDeclared` for what is no word."""
        assert self._declared
        words = words_of(self._declared, body)
        values = [(path, value_at(body, path)) for path in self._declared.within]
        return " ".join([*words, *(_term(path, value) for path, value in values if isinstance(value, str))])

    def create(self, connection: Connection) -> None:
        """Make column and table what the collection declares, filled from the documents where they are new."""
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({self._table})")]
        present = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND '\"' || name || '\"' = ?", (self._name,)
        ).fetchone()
        if self._declared is None:
            if present:
                connection.execute(f"DROP TABLE {self._name}")
            if "words" in columns:
                connection.execute(f"ALTER TABLE {self._table} DROP COLUMN words")
            return
        # What is declared stands in the statement, which SQLite keeps: another declaration is another table.
        sql = (
            f"CREATE VIRTUAL TABLE {self._name} USING "
            f"fts5({self._column}, content='', detail=none, columnsize=0, tokenize=\"ascii tokenchars '_'\")"
        )
        if present and present[0] == sql:
            return
        if present:
            connection.execute(f"DROP TABLE {self._name}")
        if "words" not in columns:
            connection.execute(f"ALTER TABLE {self._table} ADD COLUMN words TEXT")
        connection.execute(sql)
        connection.create_function("terms_of", 1, lambda body: self.terms(from_json(body)), deterministic=True)
        connection.execute(f"UPDATE {self._table} SET words = terms_of(body)")
        connection.create_function("terms_of", 1, None)
        connection.execute(f"INSERT INTO {self._name}(rowid, {self._column}) SELECT rowid, words FROM {self._table}")

    def changed(self, connection: Connection, terms: Mapping[str, str]) -> list[str]:
        """Which of these documents had other words than these until now."""
        sql = (
            "SELECT json_group_array(d.id) FROM json_each(?) e "
            f"CROSS JOIN {self._table} d ON d.id = e.key WHERE d.words IS NOT e.value"
        )
        (found,) = connection.execute(sql, (to_json(terms).decode(),)).fetchone()
        return list(from_json(found))

    def learn(self, connection: Connection, ids: Sequence[str]) -> None:
        """Have documents found by the words that their rows hold now."""
        self._tell(connection, "rowid", "rowid", ids)

    def forget(self, connection: Connection, ids: Sequence[str]) -> None:
        """Have documents no longer found by the words that their rows hold now."""
        self._tell(connection, f"{self._name}, rowid", "'delete', rowid", ids)

    def _tell(self, connection: Connection, into: str, values: str, ids: Sequence[str]) -> None:
        if ids and self._declared:
            connection.execute(
                f"INSERT INTO {self._name}({into}, {self._column}) SELECT {values}, words FROM {self._table} "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (to_json(ids).decode(),),
            )

    def clear(self, connection: Connection) -> None:
        connection.execute(f"INSERT INTO {self._name}({self._name}) VALUES ('delete-all')")


def table_of(collection: Collection) -> str:
    return f'"{collection.name} words"'


def page(collection: Collection, query: Query, cursor: str | None) -> Question:
    """Asks for one document more than `query.limit`, the last inserted first. Raises `NotDeclared` and ValueError."""
    name, table, values = table_of(collection), f'"{collection.name}"', [_match(collection, query)]
    after = ""
    if cursor is not None:
        values.append(read_cursor(cursor)[1])
        after = f"AND rowid < (SELECT rowid FROM {table} WHERE id = ?)"
    found = f"SELECT rowid AS row FROM {name} WHERE {name} MATCH ? {after} ORDER BY rowid DESC LIMIT {query.limit + 1}"
    documents = f"SELECT {DOCUMENT} FROM ({found}) p CROSS JOIN {table} d ON d.rowid = p.row ORDER BY p.row DESC"
    return Question(f"SELECT {DOCUMENTS} FROM ({documents})", values)


def tally(collection: Collection, query: Query, most: int | None) -> Question:
    """Asks how many there are, or whether there are `most`. Raises `NotDeclared`."""
    name, limit = table_of(collection), "" if most is None else f"LIMIT {most:d}"
    found = f"SELECT rowid FROM {name} WHERE {name} MATCH ? {limit}"
    return Question(f"SELECT count(*) FROM ({found})", [_match(collection, query)])


def _match(collection: Collection, query: Query) -> Scalar:
    """What a row must hold, in the full-text table's language."""
    declared = collection.words
    plain = query.order is None and query.since is None and query.until is None
    if declared is None or not plain or not set(query.where) <= set(declared.within):
        raise NotDeclared(f"{collection.name} has no words that are asked with {', '.join(query.where) or 'nothing'}")
    wanted = [f'"{word}"' for word in checked_words(query.words)]
    for path, one in query.where.items():
        terms = [_term(path, value) for value in (one if isinstance(one, tuple) else (one,)) if isinstance(value, str)]
        # One of nothing is never so: no row holds a lone underscore.
        wanted.append("(" + " OR ".join(f'"{term}"' for term in terms or ["_"]) + ")")
    return " AND ".join(wanted)


def words_of(declared: Words, body: Body) -> Sequence[str]:
    """The words that a body holds where they are declared. Raises `NotDeclared` for what is no word."""
    found: Any = body
    for step in declared.field.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return checked_words(found or ())


def checked_words(words: Sequence[str]) -> Sequence[str]:
    """The words. Raises `NotDeclared` for what is none."""
    joined = " ".join(words)
    if words and (not WORDS.fullmatch(joined) or joined.count(" ") >= len(words)):
        raise NotDeclared("a word has small Latin letters and digits")
    return words


def _term(path: str, value: str) -> str:
    """A field's value as a word; with its underscore it is never taken for one that is asked for."""
    return f"_{f'{path}={value}'.encode().hex()}"

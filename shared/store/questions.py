"""What can be asked of a collection, as SQL: only over a declared index, and a page costs what the page holds.

A declared field has a column, named like it with a dot before it. "One of" several values, and what comes after a
cursor, are several short walks along the index, each cut to the page's length, whose results are put in order.
"""

# ruff: noqa: S608 (the names in these statements come from declarations and are checked; values are parameters)

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from shared.errors import NotDeclared
from shared.store.port import Body, Collection, Query, Scalar

PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)*", re.ASCII)

WALKS = 100
"""How many walks are put in order by one statement; more are put together in steps (SQLite's limit is 500)."""

DOCUMENT = (
    "'[' || json_quote(d.id) || ',' || d.revision || ',' || json_quote(d.due) || ',' || d.sum || ',' "
    "|| length(CAST(d.body AS BLOB)) || ']' AS head, d.body AS body"
)
"""A document `d` as columns: its head as JSON, with the length of its body in bytes, and the body."""


def array(json: str) -> str:
    """An aggregate: a JSON array, as bytes, of an expression that is JSON text."""
    return f"CAST('[' || coalesce(group_concat({json}), '') || ']' AS BLOB)"


DOCUMENTS = f"{array('head')}, CAST(coalesce(group_concat(body, ''), '') AS BLOB)"
"""All of them in one row: every head, and all bodies one after the other, to be judged by their sums before they are read."""


def column_of(path: str) -> str:
    """The column of a declared field. Raises `NotDeclared` for what cannot be a field's name."""
    if not PATH.fullmatch(path):
        raise NotDeclared(f"{path!r} cannot be the name of a field")
    return f'".{path}"'


def value_at(body: Body, path: str) -> Scalar:
    """What a body holds at a dotted path; None where there is nothing, or no scalar."""
    value: Any = body.get(path)
    if "." in path:
        value = body
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, (str, int, float)) else None


@dataclass(frozen=True, slots=True)
class TableIndex:
    """One index of a table; its rows are ordered by the fields, then by id."""

    name: str
    fields: tuple[str, ...]
    sql: str


def indexes_of(collection: Collection) -> list[TableIndex]:
    """The indexes that serve questions: the declared ones, and one for each unique field."""
    indexes = []
    for index in collection.indexes:
        fields = (*index.fields, *index.behind)
        name = f'"{collection.name} by {",".join(fields)}"'
        columns = ", ".join(map(column_of, fields))
        indexes.append(TableIndex(name, fields, f'CREATE INDEX {name} ON "{collection.name}"({columns}, id)'))
    for path in collection.unique:
        name = f'"{collection.name} unique {path}"'
        sql = f'CREATE UNIQUE INDEX {name} ON "{collection.name}"({column_of(path)})'
        indexes.append(TableIndex(name, (path,), sql))
    return indexes


@dataclass(frozen=True, slots=True)
class Question:
    """A statement that answers with one row."""

    sql: str
    parameters: Sequence[Scalar]


Condition = tuple[str, tuple[Scalar, ...]]


def page(collection: Collection, query: Query, cursor: str | None) -> Question:
    """Asks for one document more than `query.limit`, in order. Raises `NotDeclared`, and `ValueError` for a cursor."""
    plan = _plan(collection, query, exact=query.order is None)
    direction = "DESC" if query.descending else "ASC"
    order = f"ORDER BY at {direction}, id {direction} LIMIT {query.limit + 1}"
    table, at = f'"{collection.name}"', f"{plan.field} AS at, id, rowid AS row"
    walks = [
        (f"SELECT * FROM (SELECT {at} FROM {plan.source} WHERE {condition} {order})", values)
        for condition, values in _conditions(query, plan, _after(query, plan.field, cursor))
    ]
    walked, values = _together(walks, order)
    # CROSS JOIN keeps SQLite from walking the table first.
    documents = (
        f"SELECT {DOCUMENT} FROM ({walked} {order}) p CROSS JOIN {table} d ON d.rowid = p.row "
        f"ORDER BY p.at {direction}, p.id {direction} LIMIT {query.limit + 1}"
    )
    return Question(f"SELECT {DOCUMENTS} FROM ({documents})", values)


def tally(collection: Collection, query: Query, most: int | None) -> Question:
    """Asks how many there are, whatever `query.limit` says, or whether there are `most`. Raises `NotDeclared`."""
    plan = _plan(collection, query, exact=False)
    conditions = _conditions(query, plan, [("1", ())])
    if most is None:
        walks = [
            (f"SELECT count(*) AS n FROM {plan.source} WHERE {condition}", values) for condition, values in conditions
        ]
        counted, values = _together(walks, "")
        return Question(f"SELECT sum(n) FROM ({counted})", values)
    # A LIMIT over walks one after the other stops the last of them.
    walks = [(f"SELECT 1 FROM {plan.source} WHERE {condition}", values) for condition, values in conditions]
    found, values = _together(walks, "")
    return Question(f"SELECT count(*) FROM (SELECT 1 FROM ({found}) LIMIT {most:d})", values)


def cursor_after(query: Query, id: str, body: Body) -> str:
    """The cursor of what follows a document in the query's order."""
    value = value_at(body, query.order) if query.order else None
    return base64.urlsafe_b64encode(to_json([value, id])).decode()


def read_cursor(cursor: str) -> tuple[Scalar, str]:
    """The place in the order and the id that a cursor names. Raises ValueError."""
    try:
        value, id = from_json(base64.b64decode(cursor, altchars=b"-_", validate=True), allow_inf_nan=False)
    except (ValueError, TypeError):
        raise ValueError("not a cursor") from None
    known = value is None or isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < 2**63)
    if not known or not isinstance(id, str):
        raise ValueError("not a cursor")
    return value, id


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where a query is walked: the table by one of its indexes, the column that orders it, and which of the fields it
    asks for lie behind that one."""

    source: str
    field: str
    behind: frozenset[str] = frozenset()


def _plan(collection: Collection, query: Query, exact: bool) -> _Plan:
    """The longest prefix wins. `exact`: no field may follow the prefix of a query without an order."""
    asked, table = frozenset(query.where), f'"{collection.name}"'
    if not asked and query.order is None:
        return _Plan(table, "id")
    plans: dict[int, _Plan] = {}
    for index in reversed(indexes_of(collection)):
        source, fields = f"{table} INDEXED BY {index.name}", index.fields
        if query.order is None:
            if asked == set(fields[: len(asked)]) and not (exact and fields[len(asked) :]):
                return _Plan(source, "id")
        elif query.order in fields:
            at = fields.index(query.order)
            prefix = frozenset(fields[:at])
            if prefix <= asked and asked - prefix <= set(fields[at + 1 :]):
                plans[at] = _Plan(source, column_of(query.order), asked - prefix)
    if not plans:
        raise NotDeclared(
            f"{collection.name} has no index on {', '.join(sorted(asked)) or 'nothing'} and {query.order}"
        )
    return plans[max(plans)]


def _conditions(query: Query, plan: _Plan, after: Sequence[Condition]) -> list[Condition]:
    """One condition for each combination of wanted values and each part of what comes after the cursor.

    One of nothing is never so.
    """
    wanted = []
    behind: list[Condition] = []
    for path, one in query.where.items():
        values = dict.fromkeys(one if isinstance(one, tuple) else (one,))
        equal = [
            (f"{column_of(path)} IS NULL", ()) if value is None else (f"{column_of(path)} = ?", (value,))
            for value in values
        ]
        if path in plan.behind:
            either = " OR ".join(condition for condition, _ in equal) or "0"
            behind.append((f"({either})", tuple(itertools.chain(*(values for _, values in equal)))))
        else:
            wanted.append(equal)
    bounds: list[Condition] = [
        (f"{plan.field} {sign} ?", (bound,))
        for sign, bound in ((">=", query.since), ("<", query.until))
        if bound is not None
    ]
    nothing: list[Condition] = [("0", ())]
    return [
        (" AND ".join(condition for condition, _ in parts), tuple(itertools.chain(*(values for _, values in parts))))
        for combination in itertools.product(*wanted, after)
        for parts in [(*combination, *bounds, *behind)]
    ] or nothing


def _after(query: Query, field: str, cursor: str | None) -> list[Condition]:
    """What follows the cursor, in parts that are each one walk along the index. Absent and null come first."""
    if cursor is None:
        return [("1", ())]
    value, id = read_cursor(cursor)
    sign = "<" if query.descending else ">"
    if query.order is None:
        return [(f"id {sign} ?", (id,))]
    if value is None:
        equal: Condition = (f"{field} IS NULL AND id {sign} ?", (id,))
        return [equal] if query.descending else [equal, (f"{field} IS NOT NULL", ())]
    further: list[Condition] = [(f"{field} = ? AND id {sign} ?", (value, id)), (f"{field} {sign} ?", (value,))]
    return [*further, (f"{field} IS NULL", ())] if query.descending else further


def _together(walks: Sequence[tuple[str, Sequence[Scalar]]], order: str) -> tuple[str, list[Scalar]]:
    """The walks as one statement."""
    sql = [walk for walk, _ in walks]
    while len(sql) > WALKS:
        parts = [sql[start : start + WALKS] for start in range(0, len(sql), WALKS)]
        sql = [f"SELECT * FROM ({' UNION ALL '.join(part)} {order})" for part in parts]
    return " UNION ALL ".join(sql), [value for _, values in walks for value in values]

"""What can be asked of a collection, as a filter and an order: only over a declared index.

MongoDB compares within one type only, and this port's order goes over all of them: absent and null, then numbers, then
text. So a range, or what follows a cursor, is a few conditions, one for each type, of which each is one walk along the
index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import NotDeclared
from shared.store.mongo.declared import doc
from shared.store.port import Collection, Query, Scalar
from shared.store.questions import read_cursor
from shared.store.words import checked_words

Filter = dict[str, Any]

SMALLEST: Mapping[type, Any] = {float: float("-inf"), str: ""}
"""What every number, and every text, is at least."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for and in which order."""

    filter: Filter
    sort: list[tuple[str, int]]


def asked(collection: Collection, query: Query, cursor: str | None = None, counting: bool = False) -> Question:
    """Raises `NotDeclared`, and ValueError for a cursor."""
    if query.words:
        return _asked_by_words(collection, query, cursor)
    _declared(collection, query, exact=query.order is None and not counting)
    sign = -1 if query.descending else 1
    where = {doc(path): _equal(one) for path, one in query.where.items()}
    if query.order is None:
        after = {"_id": {"$lt" if query.descending else "$gt": read_cursor(cursor)[1]}} if cursor is not None else {}
        return Question(where | after, [("_id", sign)])
    field = doc(query.order)
    walks = _walks(field, query, cursor)
    sort = [(field, sign), ("_id", sign)]
    if walks is None:
        return Question(where, sort)
    return Question({"$or": [where | walk for walk in walks]} if walks else {"_id": {"$in": []}}, sort)


def _equal(one: Scalar | tuple[Scalar, ...]) -> Any:
    return {"$in": list(one)} if isinstance(one, tuple) else one


def _declared(collection: Collection, query: Query, exact: bool) -> None:
    """`exact`: no field may follow the prefix of a query without an order."""
    wanted, order = frozenset(query.where), query.order
    if not wanted and order is None:
        return
    for fields in [(*index.fields, *index.behind) for index in collection.indexes] + [(p,) for p in collection.unique]:
        if order is None:
            if wanted == set(fields[: len(wanted)]) and not (exact and fields[len(wanted) :]):
                return
        elif order in fields:
            at = fields.index(order)
            if set(fields[:at]) <= wanted <= {*fields[:at], *fields[at + 1 :]}:
                return
    raise NotDeclared(f"{collection.name} has no index on {', '.join(sorted(wanted)) or 'nothing'} and {order}")


@dataclass(frozen=True, slots=True)
class _Span:
    """Numbers, or texts, from `low` (itself included unless `beyond`) to before `high`."""

    kind: type
    low: Any
    beyond: bool = False
    high: Any = None

    def filter(self, field: str) -> Filter:
        low = {"$gt" if self.beyond else "$gte": self.low}
        return {field: low if self.high is None else {**low, "$lt": self.high}}


def _walks(field: str, query: Query, cursor: str | None) -> list[Filter] | None:
    """The conditions of which one must hold; None: there is none to hold."""
    bounded = query.since is not None or query.until is not None
    if cursor is None and not bounded:
        return None
    low = {kind: smallest for kind, smallest in SMALLEST.items() if not _above(query.since, kind)}
    if query.since is not None:
        low[_kind(query.since)] = query.since
    high = {kind: None for kind in SMALLEST if not _below(query.until, kind)}
    if query.until is not None:
        high[_kind(query.until)] = query.until  # type: ignore[assignment]
    spans = [_Span(kind, low[kind], high=high[kind]) for kind in SMALLEST if kind in low and kind in high]
    absent: list[Filter] = [] if bounded else [{field: None}]
    if cursor is None:
        return [*absent, *(span.filter(field) for span in spans)]
    value, id = read_cursor(cursor)
    same = {field: value, "_id": {"$lt" if query.descending else "$gt": id}}
    following = _following(spans, value, query.descending)
    rest = [span.filter(field) for span in following]
    if query.descending:
        return [same, *rest, *(absent if value is not None else [])]
    return [same, *rest]


def _following(spans: Sequence[_Span], value: Scalar, descending: bool) -> list[_Span]:
    """What of the spans comes after a value; the value itself is not in it."""
    if value is None:
        return [] if descending else list(spans)
    kinds = list(SMALLEST)
    at = kinds.index(_kind(value))
    found = []
    for span in spans:
        position = kinds.index(span.kind)
        if position == at:
            found.append(
                _Span(span.kind, span.low, span.beyond, value)
                if descending
                else _Span(span.kind, value, True, span.high)
            )
        elif (position < at) == descending:
            found.append(span)
    return found


def _kind(value: Scalar) -> type:
    return str if isinstance(value, str) else float


def _above(since: Scalar, kind: type) -> bool:
    """Whether everything of a kind is before `since`."""
    return isinstance(since, str) and kind is float


def _below(until: Scalar, kind: type) -> bool:
    """Whether nothing of a kind is before `until`."""
    return until is not None and not isinstance(until, str) and kind is str


def _asked_by_words(collection: Collection, query: Query, cursor: str | None) -> Question:
    declared = collection.words
    plain = query.order is None and query.since is None and query.until is None
    if declared is None or not plain or not set(query.where) <= set(declared.within):
        raise NotDeclared(f"{collection.name} has no words that are asked with {', '.join(query.where) or 'nothing'}")
    found: Filter = {doc(declared.field): {"$all": list(checked_words(query.words))}}
    for path, one in query.where.items():
        values = one if isinstance(one, tuple) else (one,)
        found[doc(path)] = {"$in": [value for value in values if isinstance(value, str)]}
    if cursor is not None:
        found["_id"] = {"$lt": read_cursor(cursor)[1]}
    return Question(found, [("_id", -1)])

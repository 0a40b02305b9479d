"""A collection as its service sees it: typed values, with the events they emit, guarded by revision.

Beside the value's own fields a stored body holds `sequence` (how many events the document has emitted) and `seen`
(the last sequence of every source that was folded into it), so a value has no fields of those names. A value's `due`
attribute, if it has one, is what the document waits for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from shared.clock import Clock
from shared.errors import Busy, NotDeclared
from shared.events.envelope import Envelope, Event, enclose
from shared.store.port import (
    Body,
    Change,
    Collection,
    Conflict,
    Document,
    DocumentStore,
    Done,
    Duplicate,
    Insert,
    Outcome,
    Query,
    Replace,
)
from shared.telemetry.tracing import current_traceparent

T = TypeVar("T")


@functools.cache
def _codec(shape: type[T]) -> TypeAdapter[T]:
    """Made once for each shape: that takes longer than a thousand values."""
    return TypeAdapter(shape)


TRIES = 8
"""How often a lost guard is decided again before the caller is told to come back."""


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A value and how it is kept. `sequence` is the number of its last own event (a case's public version)."""

    id: str
    value: T
    revision: int = 0
    sequence: int = 0
    seen: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision(Generic[T]):
    """What was decided about one document: its new value and the events that say so."""

    value: T
    emit: Sequence[Event] = ()


class Documents(Generic[T]):
    """One collection of one service, holding values of the frozen dataclass `shape`."""

    def __init__(
        self, store: DocumentStore, collection: Collection, shape: type[T], clock: Clock, source: str | None = None
    ) -> None:
        self.collection = collection
        self._store = store
        self._codec: TypeAdapter[T] = _codec(shape)  # type: ignore[arg-type]  # a type is hashable
        self._clock = clock
        self._source = source

    async def get(self, id: str) -> Kept[T] | None:
        return (await self.get_many([id])).get(id)

    async def get_many(self, ids: Sequence[str]) -> dict[str, Kept[T]]:
        """Those that exist, by id, in one round trip."""
        return {id: self.kept(d) for id, d in (await self._store.get(self.collection.name, ids)).items()}

    async def find(self, query: Query, cursor: str | None = None) -> tuple[list[Kept[T]], str | None]:
        """One page and the next cursor."""
        page = await self._store.find(self.collection.name, query, cursor)
        return [self.kept(document) for document in page.documents], page.next

    async def count(self, query: Query, most: int | None = None) -> int:
        return await self._store.count(self.collection.name, query, most)

    async def due(self, now: datetime, limit: int) -> list[Kept[T]]:
        return [self.kept(document) for document in await self._store.due(self.collection.name, now, limit)]

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return await self._store.write(changes)

    def insert(self, new: Kept[T], decision: Decision[T], seen: Mapping[str, int] | None = None) -> Insert:
        """The change that creates the document `new.id`; `new.value` is not looked at."""
        body, due, emit = self._parts(new, decision, seen)
        return Insert(self.collection.name, new.id, body, due, emit)

    def replace(self, kept: Kept[T], decision: Decision[T], seen: Mapping[str, int] | None = None) -> Replace:
        """The change that gives `kept` the decided value and emits the decided events, guarded by its revision."""
        body, due, emit = self._parts(kept, decision, seen)
        return Replace(self.collection.name, kept.id, kept.revision, body, due, emit)

    def after(self, kept: Kept[T], decision: Decision[T], revision: int) -> Kept[T]:
        """How the document is kept once the decision was written at `revision`."""
        sequence = kept.sequence + len(decision.emit)
        return replace(kept, value=decision.value, revision=revision, sequence=sequence)

    async def change(self, id: str, decide: Callable[[Kept[T] | None], Decision[T] | None]) -> Kept[T] | None:
        """Read, decide, write under the guard; decide again when someone was faster.

        `decide` is pure and may raise a `Problem`; returning None leaves everything as it is. After eight lost guards
        `Busy` is raised.
        """
        for _ in range(TRIES):
            kept = await self.get(id)
            decision = decide(kept)
            if decision is None:
                return kept
            now = kept or Kept(id, decision.value)
            change: Change = self.replace(now, decision) if kept else self.insert(now, decision)
            (outcome,) = await self._store.write([change])
            match outcome:
                case Done(revision):
                    return self.after(now, decision, revision)
                case Conflict() | Duplicate("_id"):
                    continue
                case Duplicate(clash):
                    raise NotDeclared(f"{self.collection.name}: {clash} must be unique")
        raise Busy()

    def kept(self, document: Document) -> Kept[T]:
        """A stored document, typed."""
        body = document.body
        return Kept(
            document.id,
            self._codec.validator.validate_python(body),
            document.revision,
            body.get("sequence", 0),
            body.get("seen", {}),
        )

    def _parts(
        self, kept: Kept[T], decision: Decision[T], seen: Mapping[str, int] | None
    ) -> tuple[Body, datetime | None, Sequence[Envelope]]:
        """Body, due and events of the change."""
        body: Body = self._codec.serializer.to_python(decision.value, mode="json")
        body["sequence"] = kept.sequence + len(decision.emit)
        body["seen"] = dict(kept.seen if seen is None else seen)
        due = getattr(decision.value, "due", None)
        return body, due, self._envelopes(kept, decision.emit) if decision.emit else ()

    def _envelopes(self, kept: Kept[T], events: Sequence[Event]) -> list[Envelope]:
        now, traceparent = self._clock.now(), current_traceparent()
        for event in events:
            if event.source != self._source:
                raise NotDeclared(f"{event.type} belongs to {event.source}, not to {self._source}")
        return [
            enclose(event, subject=kept.id, sequence=number, key=kept.id, time=now, traceparent=traceparent)
            for number, event in enumerate(events, kept.sequence + 1)
        ]

"""What one case's records make of its document: pure, in order, each event once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.delivery.dead_letters import Reason
from shared.delivery.incoming import Incoming
from shared.delivery.subscription import Context
from shared.errors import Unavailable
from shared.events.envelope import Event
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Insert, Replace
from shared.telemetry.tracing import continue_trace


@dataclass(slots=True, eq=False)
class Work:
    """The records of one case that came together: those to be folded, in the order of the log, and those that only join
    the case's dead letters."""

    key: str
    about: str
    documents: Documents[Any]
    items: Sequence[Incoming]
    joining: Sequence[Incoming] = ()
    reason: Reason | None = None
    """Why the case is parked already."""


@dataclass(slots=True, eq=False)
class Fold:
    """What became of one case's records. Nothing of it is stored yet."""

    work: Work
    kept: Kept[Any] | None
    value: Any
    seen: dict[str, int]
    emit: list[Event] = field(default_factory=list)
    applied: list[Incoming] = field(default_factory=list)
    repeated: list[Incoming] = field(default_factory=list)
    adds: list[tuple[Incoming, Mapping[str, int]]] = field(default_factory=list)
    waiting: list[Incoming] = field(default_factory=list)
    reason: Reason | None = None
    failed: Incoming | None = None
    error: Exception | None = None
    traceparent: str | None = None
    cause: Incoming | None = None
    """The first event that had others follow, and where these continue its trace."""

    @property
    def changed(self) -> bool:
        """Whether there is anything to write: a new value, or a sequence that was not noted yet."""
        return self.value is not None and bool(self.applied)

    def refuse(self, error: Exception) -> None:
        """The store cannot take it: everything that was applied waits instead."""
        self.waiting = sorted([*self.applied, *self.waiting], key=lambda item: item.offset)
        self.reason, self.failed, self.error = "failure", self.applied[0], error
        self.applied, self.adds = [], []

    def change(self) -> Insert | Replace:
        """The guarded write of it all, continuing the trace of the first event that had others follow."""
        kept = self.kept or Kept(self.work.key, self.value)
        decision = Decision(self.value, self.emit)
        write = self.work.documents.insert if self.kept is None else self.work.documents.replace
        if not self.emit:
            return write(kept, decision, self.seen)
        with continue_trace(self.traceparent):
            return write(kept, decision, self.seen)


def fold(work: Work, kept: Kept[Any] | None, context: Callable[[Incoming], Context]) -> Fold:
    """Apply a case's records to its document as far as they go.

    An event seen before is skipped. At a gap in a source's sequence the missing event is taken from further behind, if
    it is there, else everything from the gap on waits; likewise from an event on that cannot be read or whose handler
    fails. An event for which there is no document, and none is made, leaves no trace: so the first event of a key that
    a service sees has to make its document.
    """
    result = Fold(work, kept, kept.value if kept else None, dict(kept.seen) if kept else {})
    queue = list(work.items)
    while queue:
        item = queue.pop(_next(queue, result.seen) if len(queue) > 1 else 0)
        envelope, last = item.envelope, 0
        if envelope is not None:
            last = result.seen.get(envelope.source, 0)
            if envelope.sequence <= last:
                result.repeated.append(item)
                continue
        if item.error is not None or envelope is None:
            return _stop(result, "undecodable", item, queue, item.error)
        if envelope.sequence > last + 1:
            return _stop(result, "gap", item, queue, None)
        try:
            _apply(result, item, context)
        except Unavailable:
            raise
        except Exception as error:
            return _stop(result, "failure", item, queue, error)
        if result.value is not None:
            result.seen[envelope.source] = envelope.sequence
        result.applied.append(item)
    return result


def _next(queue: Sequence[Incoming], seen: Mapping[str, int]) -> int:
    """The first in line, or, where that leaves a gap, the missing one if it is further behind."""
    first = queue[0].envelope
    if first is None:
        return 0
    missing = seen.get(first.source, 0) + 1
    if first.sequence <= missing:
        return 0
    for place, item in enumerate(queue):
        if item.envelope and item.envelope.source == first.source and item.envelope.sequence == missing:
            return place
    return 0


def _apply(result: Fold, item: Incoming, context: Callable[[Incoming], Context]) -> None:
    subscription = item.subscription
    if subscription is None:
        return
    if subscription.counts:
        counted = subscription.handler(result.value, item.event)
        if counted is not None:
            result.value = counted.value
            result.adds.append((item, counted.adds))
        return
    decision = subscription.handler(result.value, item.event, context(item))
    if decision is not None:
        result.value = decision.value
        if decision.emit and not result.emit and item.envelope:
            result.traceparent, result.cause = item.envelope.traceparent, item
        result.emit.extend(decision.emit)


def _stop(result: Fold, reason: Reason, item: Incoming, queue: list[Incoming], error: Exception | None) -> Fold:
    result.reason, result.failed, result.error = reason, item, error
    result.waiting = sorted([item, *queue], key=lambda one: one.offset)
    return result

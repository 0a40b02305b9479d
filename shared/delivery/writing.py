"""Writing folds: each document once, guarded; who lost the guard is read and folded again, alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from shared.delivery.folding import Fold
from shared.delivery.gathering import Gatherer
from shared.errors import NotDeclared, Unavailable
from shared.store.documents import TRIES
from shared.store.port import Done, Duplicate
from shared.telemetry.tracing import follow, recorded, recording


async def write(folds: Sequence[Fold], gatherer: Gatherer, position: int | None = None) -> list[Fold]:
    """What became of it all, once it is stored. Raises `Unavailable`; some may then be stored.

    `position`: how far the log is counted with these documents, noted in each.
    """
    done: list[Fold] = []
    for _ in range(TRIES):
        lost = await _write_once(folds, position)
        done += [fold for fold in folds if fold not in lost]
        if not lost:
            return done
        folds = await gatherer.folds([fold.work for fold in lost])
    raise Unavailable("a document changes too often")


async def _write_once(folds: Sequence[Fold], position: int | None) -> set[Fold]:
    """Answers those whose document had changed."""
    lost = set()
    for documents in dict.fromkeys(fold.work.documents for fold in folds):
        some = [fold for fold in folds if fold.work.documents is documents and fold.changed]
        with _followed(some):
            changes = [fold.change() for fold in some]
            if position is not None:
                for change in changes:
                    change.body["position"] = position
            outcomes = await documents.write(changes) if changes else []
        for fold, outcome in zip(some, outcomes, strict=True):
            if isinstance(outcome, Duplicate) and outcome.field != "_id":
                fold.refuse(NotDeclared(f"{documents.collection.name}: another document has this {outcome.field}"))
            elif not isinstance(outcome, Done):
                lost.add(fold)
    return lost


@contextmanager
def _followed(folds: Sequence[Fold]) -> Iterator[None]:
    """A span for the effect of each event whose trace is recorded, until it is stored; what it emits continues there."""
    if not recording():
        yield
        return
    with ExitStack() as spans:
        for fold in folds:
            for item in fold.applied:
                if item.subscription and item.envelope and recorded(item.envelope.traceparent):
                    name = f"{item.subscription.handler.__name__} ({item.envelope.type})"
                    own = spans.enter_context(follow(name, item.envelope.traceparent))
                    if item is fold.cause:
                        fold.traceparent = own
        yield

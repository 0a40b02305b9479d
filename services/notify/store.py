"""What notify remembers: the deliveries of every case, and the digests to departments. Both are the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from services.notify.domain import CaseDeliveries, Digest
from shared.clock import Clock
from shared.errors import Unavailable
from shared.store.documents import TRIES, Decision, Documents, Kept
from shared.store.port import Change, Collection, DocumentStore, Done, Insert, Outcome, Query

T = TypeVar("T")

DELIVERIES = Collection("deliveries", "record", unique=("number",))
DIGESTS = Collection("digests", "record")

PATIENCE = 1.0
"""Seconds between two tries to write what has already happened."""


class Deliveries(Documents[CaseDeliveries]):
    """The cases' deliveries. Every write sets `written`, so that the sender looks at once."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, DELIVERIES, CaseDeliveries, clock, "/notify")
        self.written = asyncio.Event()

    async def write(self, changes: Sequence[Change]) -> list[Outcome]:
        outcomes = await super().write(changes)
        self.written.set()
        return outcomes

    async def by_number(self, number: str) -> Kept[CaseDeliveries] | None:
        found, _ = await self.find(Query({"number": number}, limit=1))
        return found[0] if found else None


class Digests(Documents[Digest]):
    """The departments' digests. None is ever deleted and no list ever changes: that keeps deliveries single."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        super().__init__(store, DIGESTS, Digest, clock, "/notify")

    async def begin(self, id: str, digest: Digest) -> Kept[Digest] | None:
        """Keep a new digest; None if there is one of that id."""
        new = Kept(id, digest)
        change: Insert = self.insert(new, Decision(digest))
        (outcome,) = await self.write([change])
        return self.after(new, Decision(digest), outcome.revision) if isinstance(outcome, Done) else None


async def change_all(
    documents: Documents[T], kept: Iterable[Kept[T]], decide: Callable[[Kept[T]], Decision[T] | None]
) -> dict[str, Kept[T]]:
    """Decide about many documents and write them together; who lost the guard is read and decided about again.

    Answers how the documents that were written are now kept. Raises `Unavailable`; some may then have been written.
    """
    changed: dict[str, Kept[T]] = {}
    for _ in range(TRIES):
        decided = [(one, decision) for one in kept if (decision := decide(one)) is not None]
        if not decided:
            return changed
        outcomes = await documents.write([documents.replace(one, decision) for one, decision in decided])
        lost = []
        for (one, decision), outcome in zip(decided, outcomes, strict=True):
            if isinstance(outcome, Done):
                changed[one.id] = documents.after(one, decision, outcome.revision)
            else:
                lost.append(one.id)
        if not lost:
            return changed
        kept = (await documents.get_many(lost)).values()
    raise Unavailable("a document changes too often")


async def change_surely(
    documents: Documents[T], kept: Iterable[Kept[T]], decide: Callable[[Kept[T]], Decision[T] | None], clock: Clock
) -> None:
    """Like `change_all` for what has already happened outside: it is written, however long the store is away.

    `decide` must leave alone what an earlier call has written.
    """
    kept = list(kept)
    while True:
        try:
            await change_all(documents, kept, decide)
            return
        except Unavailable:
            await clock.sleep(PATIENCE)
            kept = await _read_again(documents, [one.id for one in kept], clock)


async def _read_again(documents: Documents[T], ids: Sequence[str], clock: Clock) -> list[Kept[T]]:
    while True:
        try:
            return list((await documents.get_many(ids)).values())
        except Unavailable:
            await clock.sleep(PATIENCE)

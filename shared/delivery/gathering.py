"""What a batch needs before it can be folded: who is parked, the documents, the keys. One question each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.bus.port import Record
from shared.clock import Clock
from shared.delivery.dead_letters import DeadLetters, Letter, Reason
from shared.delivery.folding import Fold, Work, fold
from shared.delivery.incoming import Incoming, Reader
from shared.delivery.subscription import Context
from shared.store.documents import Documents, Kept
from shared.vault.vault import Keys, Vault, key_name

TRIES = 5
"""How often a failing record is tried before its case is parked."""

SLICE = 25
"""Cases, or records, that are taken in one go; then whoever waits at the door has a turn."""

PAUSE = 0.05
"""Seconds before the second try; doubled each time."""


class Gatherer:
    """Turns records into folds. Reads only; raises `Unavailable`."""

    def __init__(
        self,
        reader: Reader,
        documents: Mapping[str, Documents[Any]],
        letters: DeadLetters,
        vault: Vault,
        clock: Clock,
        knows: Callable[[], Any],
    ) -> None:
        self._reader = reader
        self._documents = documents
        self._letters = letters
        self._vault = vault
        self._clock = clock
        self._knows = knows

    async def works(self, partition: int, records: Sequence[Record]) -> list[Work]:
        """A batch's records by case. Where the case is parked they join it; behind a gap, all of them are looked at."""
        incoming: dict[tuple[str, str], list[Incoming]] = {}
        for number, record in enumerate(records, 1):
            if number % SLICE == 0:
                await self._clock.sleep(0)
            item = self._reader.read(record)
            if item is not None:
                incoming.setdefault((item.about, record.key), []).append(item)
        if not incoming:
            return []
        parked: dict[tuple[str, str], list[Incoming]] = {}
        for letters in (await self._letters.of_keys(partition, {key for _, key in incoming})).values():
            for item in self._parked(letters):
                parked.setdefault((item.about, item.record.key), []).append(item)
        return [self._work(case, items, parked.get(case, [])) for case, items in incoming.items()]

    def replayed(self, letters: Sequence[Letter]) -> list[Work]:
        """Parked records of one case as work."""
        by_about: dict[str, list[Incoming]] = {}
        for item in self._parked(letters):
            by_about.setdefault(item.about, []).append(item)
        return [
            Work(items[0].record.key, about, self._documents[about], items, reason=_reason(items))
            for about, items in by_about.items()
        ]

    async def folds(self, works: Sequence[Work]) -> list[Fold]:
        """What becomes of each. A failing record is tried five times, each time with what is known then."""
        kept = await self._kept(works)
        keys = await self._keys(works, kept)
        folds = await self._fold(works, kept, keys)
        for attempt in range(TRIES - 1):
            failing = [fold.work for fold in folds if fold.reason == "failure"]
            if not failing:
                break
            await self._clock.sleep(PAUSE * 2**attempt)
            again = {fold.work: fold for fold in await self._fold(failing, kept, keys)}
            folds = [again.get(fold.work, fold) for fold in folds]
        return folds

    def _parked(self, letters: Sequence[Letter]) -> list[Incoming]:
        return [item for letter in letters if (item := self._reader.read(letter.record, letter))]

    def _work(self, case: tuple[str, str], items: Sequence[Incoming], parked: Sequence[Incoming]) -> Work:
        about, key = case
        documents = self._documents[about]
        if not parked:
            return Work(key, about, documents, items)
        known = {item.offset for item in parked}
        fresh = [item for item in items if item.offset not in known]
        reason = _reason(parked)
        if reason == "gap":
            return Work(key, about, documents, sorted([*parked, *fresh], key=_offset), reason=reason)
        first = min(known)
        before = [item for item in fresh if item.offset < first]
        return Work(key, about, documents, before, [item for item in fresh if item.offset > first], reason)

    async def _kept(self, works: Sequence[Work]) -> dict[Work, Kept[Any] | None]:
        found: dict[Work, Kept[Any] | None] = {}
        for about, documents in self._documents.items():
            some = [work for work in works if work.about == about]
            if some:
                kept = await documents.get_many([work.key for work in some])
                found.update((work, kept.get(work.key)) for work in some)
        return found

    async def _keys(self, works: Sequence[Work], kept: Mapping[Work, Kept[Any] | None]) -> Mapping[str, Keys]:
        """The keys of everything that will be opened."""
        names: set[str] = set()
        for work in works:
            document = kept[work]
            seen = document.seen if document else {}
            for item in work.items:
                if not (item.subscription and item.subscription.opens and item.envelope):
                    continue
                if item.envelope.sequence > seen.get(item.envelope.source, 0):
                    fields = (getattr(item.event, field) for field in item.subscription.opens)
                    names.update(key_name(sealed) for sealed in fields if sealed)
        return await self._vault.fetch(names) if names else {}

    async def _fold(
        self, works: Sequence[Work], kept: Mapping[Work, Kept[Any] | None], keys: Mapping[str, Keys]
    ) -> list[Fold]:
        plain = Context(self._clock.now(), self._knows())
        derived = {about for about, documents in self._documents.items() if documents.collection.kind == "derived"}

        def context(item: Incoming) -> Context:
            """A record's handler knows the moment and the service's knowledge, a derived document's only the event."""
            if item.about in derived:
                return Context(item.event.envelope.time)
            opens = item.subscription.opens if item.subscription else ()
            if not opens:
                return plain
            words: dict[str, str | None] = {}
            for field in opens:
                sealed = getattr(item.event, field)
                holder = keys.get(key_name(sealed)) if sealed else None
                words[field] = holder.open(sealed, field) if holder else None
            return Context(plain.now, plain.knows, words)

        folds = []
        for number, work in enumerate(works, 1):
            if number % SLICE == 0:
                await self._clock.sleep(0)
            folds.append(fold(work, kept[work], context))
        return folds


def _offset(item: Incoming) -> int:
    return item.offset


def _reason(parked: Sequence[Incoming]) -> Reason:
    """Why a case is parked: only a gap closes by itself."""
    reasons = [item.letter.reason for item in parked if item.letter]
    return next((reason for reason in reasons if reason != "gap"), "gap")

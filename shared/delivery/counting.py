"""Taking batches for a service that counts: first the delta, which commits the batch, then the cases' documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.bus.port import EventBus, Record
from shared.clock import Ids
from shared.delivery.dead_letters import DeadLetters, Letter
from shared.delivery.deltas import COLLECTION, Chain, Link, sum_of
from shared.delivery.figures import Figures
from shared.delivery.folding import Fold
from shared.delivery.gathering import Gatherer
from shared.delivery.parking import park, settled
from shared.delivery.writing import write
from shared.errors import Unavailable
from shared.store.documents import TRIES, Documents
from shared.store.port import DocumentStore
from shared.telemetry.failpoints import failpoint


class Counting:
    """Deltas and cases' documents of one service. A batch is decided on documents from before it, its delta is inserted,
    then its documents are written; only the last batch of a partition can be half done, and is brought up first."""

    def __init__(
        self,
        service: str,
        store: DocumentStore,
        bus: EventBus,
        gatherer: Gatherer,
        letters: DeadLetters,
        documents: Mapping[str, Documents[Any]],
        ids: Ids,
    ) -> None:
        self._service = service
        self._store = store
        self._bus = bus
        self._gatherer = gatherer
        self._letters = letters
        self._documents = documents
        self._ids = ids
        self._chain = Chain(store, ids)
        self._figures = Figures(store)

    async def take(self, partition: int, records: Sequence[Record]) -> list[Fold]:
        """Count a batch once. Records before the end of the chain are counted already. Raises `Unavailable`."""
        try:
            return await self._take(partition, records)
        except BaseException:
            self._chain.forget(partition)
            raise

    async def replay(self, partition: int, letters: Sequence[Letter]) -> list[Fold]:
        """Count dead letters beside the chain. Raises `Unavailable`."""
        try:
            end = await self._caught_up(partition)
            folds = await self._gatherer.folds(self._gatherer.replayed(letters))
            adds = [(item.letter, cells) for fold in folds for item, cells in fold.adds if item.letter]
            await self._chain.count_parked(adds)
            failpoint(f"{self._service}.replayed")
            return await self._finish(folds, end)
        except BaseException:
            self._chain.forget(partition)
            raise

    async def summed(self) -> Mapping[str, Mapping[str, int]]:
        """The cells of the delta collection."""
        return {COLLECTION.name: dict((await self._figures.current()).cells)}

    def forget(self) -> None:
        """The deltas were dropped."""
        self._chain = Chain(self._store, self._ids)
        self._figures.forget()

    async def _take(self, partition: int, records: Sequence[Record]) -> list[Fold]:
        for _ in range(TRIES):
            end = await self._caught_up(partition)
            if records[0].offset > end:
                end = await self._fill(partition, records[0].offset)
            fresh = [record for record in records if record.offset >= end]
            if not fresh:
                return []
            folds = await self._append(partition, fresh)
            if folds is not None:
                return folds
        raise Unavailable("another owner keeps counting this partition")

    async def _append(self, partition: int, records: Sequence[Record]) -> list[Fold] | None:
        """Park what fails, commit what counts, write the documents. None: the chain went on without us."""
        folds = await self._gatherer.folds(await self._gatherer.works(partition, records))
        await park(self._letters, folds)
        adds = sum_of(cells for fold in folds for _, cells in fold.adds)
        cases: dict[str, list[str]] = {}
        for fold in folds:
            if fold.changed:
                cases.setdefault(fold.work.about, []).append(fold.work.key)
        end = records[-1].offset + 1
        failpoint(f"{self._service}.count")
        if not await self._chain.append(partition, end, adds, cases):
            return None
        failpoint(f"{self._service}.counted")
        folds = await write(folds, self._gatherer, end)
        await self._letters.remove(settled(folds))
        await self._chain.compact(partition)
        return folds

    async def _caught_up(self, partition: int) -> int:
        """The end of the chain, with everything before it in the documents too."""
        if not self._chain.known(partition):
            last = await self._chain.load(partition)
            letters = await self._letters.of_partition(partition)
            if last and (letters or not await self._is_brought(last)):
                await self._bring_up(partition, last)
            await self._bring_up_replayed(letters, last.end if last else 0)
        return self._chain.end(partition)

    async def _fill(self, partition: int, until: int) -> int:
        """Another owner may have gone on; else count from the log what is missing (the store is older than the
        position). Answers the end of the chain."""
        self._chain.forget(partition)
        end = await self._caught_up(partition)
        async for missing in self._bus.read({partition: end}, {partition: until}):
            await self._take(partition, missing)
        return await self._caught_up(partition)

    async def _is_brought(self, last: Link) -> bool:
        """Whether every document of the last batch was written."""
        for about, ids in last.cases.items():
            found = await self._store.get(self._documents[about].collection.name, ids)
            if any(id not in found or found[id].body.get("position", 0) < last.end for id in ids):
                return False
        return True

    async def _bring_up(self, partition: int, last: Link) -> None:
        """Fold the last batch again without counting it: what is in a document already is skipped."""
        span = self._bus.read({partition: last.start}, {partition: last.end})
        records = [record async for batch in span for record in batch]
        folds = await self._gatherer.folds(await self._gatherer.works(partition, records))
        await self._finish(folds, last.end)

    async def _bring_up_replayed(self, letters: Sequence[Letter], end: int) -> None:
        """A replay was counted and then interrupted: only the documents and the letters are behind."""
        counted = await self._chain.counted(letters)
        by_key: dict[str, list[Letter]] = {}
        for letter in letters:
            if letter.id in counted:
                by_key.setdefault(letter.record.key, []).append(letter)
        works = [work for some in by_key.values() for work in self._gatherer.replayed(some)]
        if works:
            folds = await write(await self._gatherer.folds(works), self._gatherer, end)
            await self._letters.remove(settled(folds))

    async def _finish(self, folds: Sequence[Fold], end: int) -> list[Fold]:
        done = await write(folds, self._gatherer, end)
        await park(self._letters, done)
        await self._letters.remove(settled(done))
        return done

"""From the log to a service's documents: a batch of one partition is read, folded per case, written once, guarded.

Whatever crashes, comes twice or is cut differently: every event takes effect in its case's document exactly once and in
order, and what cannot be taken waits, with everything of its case that comes after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from shared.bus.port import PARTITIONS, EventBus, Record
from shared.clock import Clock, Ids
from shared.delivery.breaker import Breaker
from shared.delivery.counting import Counting
from shared.delivery.dead_letters import DeadLetters, Letter, Unparked
from shared.delivery.folding import Fold
from shared.delivery.gaps import watch_gaps
from shared.delivery.gathering import Gatherer
from shared.delivery.incoming import Reader
from shared.delivery.parking import newly_failed, park, settled
from shared.delivery.retry import persist
from shared.delivery.subscription import Subscription
from shared.delivery.writing import write
from shared.errors import HuiyinError
from shared.store.documents import Documents
from shared.store.port import DocumentStore
from shared.telemetry.failpoints import failpoint
from shared.telemetry.logs import log
from shared.telemetry.metrics import APPLIED, BATCH_SECONDS, BATCH_SIZE, CONSUMED, DUPLICATE, STOPPED
from shared.vault.vault import Vault


class ConsumerStopped(HuiyinError):
    """Too many cases failed: this consumer takes nothing more until it is started again."""


class Pipeline:
    """One service's consumer. `deliver` is what the log calls.

    `store` keeps the dead letters (and the deltas of a service that counts), in the collections declared beside them;
    `knows` is asked once for each batch.
    """

    def __init__(
        self,
        service: str,
        documents: Mapping[str, Documents[Any]],
        subscriptions: Sequence[Subscription],
        *,
        store: DocumentStore,
        vault: Vault,
        bus: EventBus,
        clock: Clock,
        ids: Ids,
        knows: Callable[[], Any] = lambda: None,
    ) -> None:
        self.knows = knows
        self._service = service
        self._clock = clock
        self._ids = ids
        self._letters = DeadLetters(service, store, vault, clock, ids)
        reader = Reader(service, documents, subscriptions)
        self._gatherer = Gatherer(reader, documents, self._letters, vault, clock, knows)
        counts = any(subscription.counts for subscription in subscriptions)
        self._counting = (
            Counting(service, store, bus, self._gatherer, self._letters, documents, ids) if counts else None
        )
        self._breaker = Breaker()
        self._locks = [asyncio.Lock() for _ in range(PARTITIONS)]
        self._progress: dict[int, int] = {}
        self._stopped: str | None = None
        STOPPED.labels(service).set(0)

    @property
    def progress(self) -> Mapping[int, int]:
        """Partition → next offset, for the partitions of which this process has taken anything."""
        return self._progress

    @property
    def stopped(self) -> str | None:
        """Why the consumer has stopped itself; None: it has not."""
        return self._stopped

    @property
    def dead_letters(self) -> DeadLetters:
        return self._letters

    async def deliver(self, records: Sequence[Record]) -> None:
        """Take consecutive records of one partition. When it returns, all of them took effect or are parked, durably.

        While the outside world is away it waits. Raises `Unparked` if what failed cannot be put aside and
        `ConsumerStopped`; then the position must not be saved, and the same records may come again.
        """
        if not records:
            return
        partition = records[0].partition
        async with self._locks[partition]:
            self._refuse_if_stopped()
            started = self._clock.monotonic()
            try:
                folds = await persist(lambda: self._take(partition, records), self._service, self._clock, self._ids)
            except Unparked as error:
                log(self._service).error("the position stays: dead letters cannot be written", error=str(error))
                raise
            self._judge(folds)
            self._refuse_if_stopped()
            self._progress[partition] = records[-1].offset + 1
            CONSUMED.labels(self._service).inc(len(records))
            BATCH_SIZE.labels(self._service).observe(len(records))
            BATCH_SECONDS.labels(self._service).observe(self._clock.monotonic() - started)

    async def replay(
        self,
        key: str | None = None,
        limit: int = 1_000,
        since: datetime | None = None,
        policy: Literal["stop", "park"] = "park",
        dry_run: bool = False,
    ) -> int:
        """Take the dead letters of a case, or of all (at most `limit` letters), again, in the order of the log.

        Answers how many are settled (`dry_run`: would be). With the policy `stop` the first case that fails again ends
        it, with `park` it stays parked and the next one's turn comes. Taking a letter twice has one effect.
        """
        found = await self._letters.page(key, since, limit)
        cases = dict.fromkeys((letter.record.partition, letter.record.key) for letter in found)
        total = 0
        for partition, case in cases:
            async with self._locks[partition]:
                letters = (await self._letters.of_keys(partition, [case])).get(case, [])
                folds = await self._replay(partition, letters, dry_run)
            total += len(settled(folds))
            if policy == "stop" and any(fold.reason for fold in folds):
                break
        if not dry_run:
            log(self._service).info("dead letters replayed", cases=len(cases), settled=total)
        return total

    async def summed(self) -> Mapping[str, Mapping[str, int]] | None:
        """For a service that counts: collection → cell → sum. None for the others."""
        return await self._counting.summed() if self._counting else None

    async def watch(self) -> None:
        """Sound the alarm about cases that wait too long for a missing event. Runs until cancelled."""
        await watch_gaps(self._service, self._letters, self._clock)

    async def forget(self) -> None:
        """Forget everything between batches: derived documents were dropped and the position was reset."""
        self._progress.clear()
        self._breaker = Breaker()
        if self._counting:
            self._counting.forget()

    async def _take(self, partition: int, records: Sequence[Record]) -> list[Fold]:
        if self._counting:
            return await self._counting.take(partition, records)
        folds = await self._gatherer.folds(await self._gatherer.works(partition, records))
        folds = await write(folds, self._gatherer)
        failpoint(f"{self._service}.folded")
        await park(self._letters, folds)
        await self._letters.remove(settled(folds))
        return folds

    async def _replay(self, partition: int, letters: Sequence[Letter], dry_run: bool) -> list[Fold]:
        if dry_run:
            return await self._gatherer.folds(self._gatherer.replayed(letters))
        if self._counting:
            return await self._counting.replay(partition, letters)
        folds = await write(await self._gatherer.folds(self._gatherer.replayed(letters)), self._gatherer)
        await park(self._letters, folds)
        await self._letters.remove(settled(folds))
        return folds

    def _judge(self, folds: Sequence[Fold]) -> None:
        """Count what failed, and stop when it is too much."""
        applied, repeated = sum(len(fold.applied) for fold in folds), sum(len(fold.repeated) for fold in folds)
        APPLIED.labels(self._service).inc(applied)
        DUPLICATE.labels(self._service).inc(repeated)
        self._breaker.take(applied + repeated)
        for fold in filter(newly_failed, folds):
            self._breaker.fail()
            log(self._service).error(
                "a case is parked", case=fold.work.key, reason=fold.reason, error=type(fold.error).__name__
            )
        if self._breaker.open and not self._stopped:
            self._stopped = "the consumer stopped: more than 10 cases failed; see its dead letters"
            STOPPED.labels(self._service).set(1)
            log(self._service).critical(self._stopped)

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise ConsumerStopped(self._stopped)

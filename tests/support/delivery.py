"""A toy consumer over real stores: it writes down what it hears, answers some of it, and fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.bus.port import EventBus, Record, partition_of
from shared.bus.sqlite import SqliteBus
from shared.clock import SystemClock, SystemIds
from shared.delivery import deltas
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.pipeline import Pipeline
from shared.delivery.subscription import Context, Counted, Subscription, counting, on
from shared.events.envelope import Actor, Envelope, Event, Sealed, enclose
from shared.events.intake import FeedbackRated, FeedbackReceived, FeedbackSupplemented, FeedbackWithdrawn
from shared.events.notify import DeliverySent
from shared.store.documents import Decision, Documents
from shared.store.port import Collection, DocumentStore, Query
from shared.store.sqlite import SqliteStore
from shared.vault.vault import COLLECTIONS as VAULT_COLLECTIONS
from shared.vault.vault import Keys, Vault

MOMENT = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
CITIZEN = Actor(kind="citizen")
SEALED = Sealed(key="nobody/text", nonce="AAAAAAAAAAAAAAAA", ct="AAAA")

DIARY = Collection("diaries", "record", unique=("number",))
COUNTED = Collection("counted", "derived")


class HastyClock(SystemClock):
    """The machine's clock, except that nobody sleeps longer than a moment."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.001))


@dataclass(frozen=True, slots=True)
class Diary:
    """What a toy service heard of one case, by event id, in order."""

    number: str
    heard: tuple[str, ...] = ()
    words: str | None = None
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a toy counter knows of one case."""

    heard: tuple[str, ...] = ()
    last: str = "nothing"


@dataclass
class Mood:
    """Which events the toy handlers fail on, by event id."""

    poison: set[str] = field(default_factory=set)

    def taste(self, event: Event) -> str:
        if event.envelope.id in self.poison:
            raise ValueError("not to my taste")
        return event.envelope.id


def keeps_a_diary(mood: Mood) -> list[Subscription]:
    """The toy record service, `notify`: it answers every message."""

    def begin(diary: Diary | None, event: FeedbackReceived, context: Context) -> Decision[Diary]:
        assert diary is None
        return Decision(Diary(event.number, (mood.taste(event),), context.words.get("text")))

    def hear(diary: Diary | None, event: FeedbackSupplemented, context: Context) -> Decision[Diary] | None:
        id = mood.taste(event)
        return Decision(replace(diary, heard=(*diary.heard, id)), (sent(id),)) if diary else None

    def shrug(diary: Diary | None, event: FeedbackRated, context: Context) -> None:
        mood.taste(event)

    return [on(FeedbackReceived, begin, opens="text"), on(FeedbackSupplemented, hear), on(FeedbackRated, shrug)]


def counts(mood: Mood) -> list[Subscription]:
    """The toy counter, `analytics`: how many cases there are, and what the last thing heard of them was."""

    def count(tally: Tally | None, event: Event) -> Counted[Tally]:
        id, word = mood.taste(event), event.type
        if tally is None:
            return Counted(Tally((id,), word), {"total": 1, f"last:{word}": 1})
        adds = {f"last:{tally.last}": -1}
        adds[f"last:{word}"] = adds.get(f"last:{word}", 0) + 1
        return Counted(Tally((*tally.heard, id), word), adds)

    return [counting(shape, count) for shape in (FeedbackReceived, FeedbackSupplemented, FeedbackWithdrawn)]


def sent(cause: str) -> DeliverySent:
    return DeliverySent(
        at=MOMENT,
        actor=Actor(kind="system"),
        delivery="d",
        cause=cause,
        channel="toy",
        recipient_role="citizen",
        attempt=1,
    )


def received(key: str, text: Sealed = SEALED, number: str | None = None) -> Envelope:
    """The first event of a case."""
    event = FeedbackReceived(
        at=MOMENT,
        actor=CITIZEN,
        number=number or f"number of {key}",
        channel="web",
        language="en",
        text=text,
        contact=SEALED,
        received_at=MOMENT,
    )
    return _enclosed(event, key, 1)


def message(key: str, sequence: int) -> Envelope:
    return _enclosed(FeedbackSupplemented(at=MOMENT, actor=CITIZEN, message=SEALED), key, sequence)


def rating(key: str, sequence: int) -> Envelope:
    return _enclosed(FeedbackRated(at=MOMENT, actor=CITIZEN, solved=True), key, sequence)


def unknown(key: str, sequence: int, source: str = "/future") -> Envelope:
    """An event of a service that nobody knows yet."""
    return Envelope(source, key, sequence, "future.imagined", 1, key, MOMENT, None, b"{}")


def story(key: str, length: int) -> list[Envelope]:
    """A case with so many events."""
    return [received(key), *(message(key, sequence) for sequence in range(2, length + 1))]


def _enclosed(event: Event, key: str, sequence: int) -> Envelope:
    return enclose(event, subject=key, sequence=sequence, key=key, time=MOMENT, traceparent=None)


def records(envelopes: Sequence[Envelope], start: int = 0) -> list[Record]:
    """Envelopes as they lie in one partition, from an offset on. Every key must be of one partition."""
    partitions = {partition_of(e.key) for e in envelopes}
    assert len(partitions) == 1, "keys of several partitions"
    (partition,) = partitions
    return [Record(partition, start + n, e.key, e.headers(), e.value) for n, e in enumerate(envelopes)]


class Toy:
    """One process of the toy services over their files. `restarted` gives the next process."""

    def __init__(self, vault: Vault, diaries: DocumentStore, counted: DocumentStore, bus: EventBus) -> None:
        self.clock = HastyClock()
        self.ids = SystemIds(self.clock)
        self.vault, self.bus = vault, bus
        self.diary_store, self.counted_store = diaries, counted
        self.mood = Mood()
        self.documents: Documents[Diary] = Documents(diaries, DIARY, Diary, self.clock, "/notify")
        self.tallies: Documents[Tally] = Documents(counted, COUNTED, Tally, self.clock)
        self.pipeline = self._pipeline("notify", self.documents, keeps_a_diary(self.mood), diaries)
        self.counter = self._pipeline("analytics", self.tallies, counts(self.mood), counted)

    def _pipeline(
        self, name: str, documents: Documents[Any], subscriptions: Sequence[Subscription], store: DocumentStore
    ) -> Pipeline:
        return Pipeline(
            name,
            {"case": documents},
            subscriptions,
            store=store,
            vault=self.vault,
            bus=self.bus,
            clock=self.clock,
            ids=self.ids,
        )

    def restarted(
        self, wrap: Callable[[DocumentStore], DocumentStore] = lambda store: store, bus: EventBus | None = None
    ) -> Toy:
        """Another process over the same files, perhaps seeing its stores through `wrap`."""
        toy = Toy(self.vault, wrap(self.diary_store), wrap(self.counted_store), bus or self.bus)
        toy.mood.poison = self.mood.poison
        return toy

    async def heard(self, key: str) -> list[str]:
        """What the diary of a case says, without the case: `/intake/k/2` is `intake 2`."""
        kept = await self.documents.get(key)
        return [short(id) for id in kept.value.heard] if kept else []

    async def letters(self, store: DocumentStore | None = None) -> list[tuple[str, str]]:
        """Id and reason of every dead letter, in the order of the log."""
        found = await (store or self.diary_store).find(DEAD_LETTERS.name, Query(limit=10_000))
        bodies = sorted((d.body for d in found.documents), key=lambda body: (body["partition"], body["offset"]))
        return [(f"{body['partition']}/{body['offset']}", body["reason"]) for body in bodies]

    async def answers(self) -> list[str]:
        """The ids of what was emitted, in order."""
        return [envelope.id for envelope in await self.diary_store.pending(10_000)]

    async def cells(self) -> dict[str, int]:
        summed = await self.counter.summed()
        assert summed is not None
        return dict(summed[deltas.COLLECTION.name])

    async def recounted(self) -> dict[str, int]:
        """The figures as the cases' documents say they should be."""
        found = await self.counted_store.find(COUNTED.name, Query(limit=100_000))
        cells: dict[str, int] = {}
        for document in found.documents:
            for cell in ("total", f"last:{document.body['last']}"):
                cells[cell] = cells.get(cell, 0) + 1
        return cells

    async def on_the_log(self) -> list[Record]:
        """Everything, partition by partition."""
        ends = await self.bus.ends()
        return [record async for batch in self.bus.read({}, ends) for record in batch]


def short(id: str) -> str:
    _, source, _, sequence = id.split("/")
    return f"{source} {sequence}"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Toy]:
    """The toy services over real files."""
    clock = SystemClock()
    stores = {
        "vault": VAULT_COLLECTIONS,
        "diaries": (DIARY, DEAD_LETTERS),
        "counted": (COUNTED, DEAD_LETTERS, deltas.COLLECTION),
    }
    files = {name: await SqliteStore.open(folder / f"{name}.db", some, clock) for name, some in stores.items()}
    bus = await SqliteBus.open(folder / "log.db", clock)
    vault = await Vault.open(files["vault"], folder / "key", SystemIds(clock), clock)
    try:
        yield Toy(vault, files["diaries"], files["counted"], bus)
    finally:
        await bus.close()
        await vault.close()
        for file in files.values():
            await file.close()


def sealed_words(keys: Keys, words: str) -> Sealed:
    return keys.seal("text", "text", words)

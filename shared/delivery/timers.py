"""Firing what documents wait for: once over any number of replicas, and never before a citizen's word in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from shared.bus.port import EventBus, partition_of
from shared.clock import Clock
from shared.delivery.subscription import Context
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Done
from shared.telemetry.logs import log
from shared.telemetry.metrics import TIMERS

LOOK = 1.0
"""Seconds between two looks at what is due."""

LIMIT = 200
"""Due documents taken in one look, besides those that already wait for the consumer."""


class Timed(Protocol):
    """A collection whose documents wait for moments, and the pure decision when one has come."""

    @property
    def documents(self) -> Documents[Any]: ...

    @property
    def fire(self) -> Callable[[Any, Context], Decision[Any] | None]: ...


class Consumer(Protocol):
    """How far the service has read, and what it knows."""

    @property
    def progress(self) -> Mapping[int, int]: ...

    @property
    def knows(self) -> Callable[[], Any]: ...


class TimerLoop:
    """The timers of one service. `run` never ends; `look` is one turn of it."""

    def __init__(self, service: str, timers: Sequence[Timed], bus: EventBus, consumer: Consumer, clock: Clock) -> None:
        self._service = service
        self._bus = bus
        self._consumer = consumer
        self._clock = clock
        self._waiting: list[tuple[Timed, dict[tuple[str, datetime], int]]] = [(timer, {}) for timer in timers]

    async def run(self) -> None:
        """Look every second until cancelled. A turn that fails is said so; the next one goes on."""
        while True:
            try:
                await self.look()
            except Exception as error:
                log(self._service).warning("timers could not be fired", error=type(error).__name__)
            await self._clock.sleep(LOOK)

    async def look(self) -> int:
        """Fire what is due where the consumer has read to where the log ended when it was found due; how many."""
        return sum([await self._look(timer, bounds) for timer, bounds in self._waiting])

    async def _look(self, timer: Timed, bounds: dict[tuple[str, datetime], int]) -> int:
        now = self._clock.now()
        found = await timer.documents.due(now, LIMIT + len(bounds))
        due = {(kept.id, moment): kept for kept in found if (moment := kept.value.due) is not None}
        for gone in bounds.keys() - due.keys():
            del bounds[gone]
        new = due.keys() - bounds.keys()
        if new:  # the log's end is asked after they were found: what it holds by now comes first
            ends = await self._bus.ends()
            bounds.update((one, ends[partition_of(one[0])]) for one in new)
        if not bounds:
            return 0
        positions = await self._positions(bounds)
        ready = [id for (id, _), bound in bounds.items() if positions[partition_of(id)] >= bound]
        return await self._fire(timer, ready, now) if ready else 0

    async def _positions(self, bounds: Mapping[tuple[str, datetime], int]) -> Mapping[int, int]:
        """How far each partition was taken, by this process or, as far as its saved position tells, by another."""
        wanted: dict[int, int] = {}
        for (id, _), bound in bounds.items():
            wanted[partition_of(id)] = max(bound, wanted.get(partition_of(id), 0))
        positions = {partition: self._consumer.progress.get(partition, 0) for partition in wanted}
        if any(positions[partition] < bound for partition, bound in wanted.items()):
            ends, lag = await self._bus.ends(), await self._bus.lag(self._service)  # in this order: never too far
            positions = {p: max(position, ends[p] - lag.get(p, ends[p])) for p, position in positions.items()}
        return positions

    async def _fire(self, timer: Timed, ids: Iterable[str], now: datetime) -> int:
        """Decide on what is kept now and write it under the guard. Who loses it is found due again, or was fired."""
        documents = timer.documents
        context = Context(now, self._consumer.knows())
        changes = []
        for kept in (await documents.get_many(list(ids))).values():
            decision = self._decide(timer, kept, context)
            if decision is not None:
                changes.append(documents.replace(kept, decision))
        outcomes = await documents.write(changes) if changes else []
        fired = sum(isinstance(outcome, Done) for outcome in outcomes)
        TIMERS.labels(self._service).inc(fired)
        return fired

    def _decide(self, timer: Timed, kept: Kept[Any], context: Context) -> Decision[Any] | None:
        if kept.value.due is None or kept.value.due > context.now:
            return None
        try:
            return timer.fire(kept.value, context)
        except Exception as error:  # one document must not keep the others waiting
            log(self._service).error("a timer failed", document=kept.id, error=type(error).__name__)
            return None

"""The way out to whoever has a page open: what happens to cases, as it happens, told by number and never in words.

One job for each process reads what is new in the log, and only while somebody listens. Who was away for a while, or
has a page that was drawn before it began to listen, names the time from which on it wants to hear: the last few messages
are kept in memory for that. Where they do not reach back so far it hears `reload`, and looks at the page again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic_core import to_json

from services.notify.channels.recent import Recent, Told
from services.notify.domain import within
from shared.bus.port import EventBus, Positions, Record
from shared.clock import Clock, rfc3339
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, Unavailable, Undecodable, UnknownType
from shared.events.registry import read
from shared.events.routing import CaseEvent
from shared.http.roles import Scope

EVERY = 1.0
"""Seconds between two looks at the log."""

MOST = 2_000
"""Records read at one look; when more have come at once, everybody is told to look again instead."""

WAITING = 200
"""Messages that may wait for one listener; a slower one is dropped, and told to look again."""

BACK = 50
"""Records of each partition that are read again for those who begin to listen while nobody else does."""

MARGIN = timedelta(seconds=0.5)
"""How much later than an event came to be a page may still not show it: the time it takes to be written."""

LISTENERS = 500
"""Listeners of a process."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent, so that nobody on the way takes the connection for dead."""

BEGIN = b"event: begin\ndata: {}\n\n"
RELOAD = b"event: reload\ndata: {}\n\n"
COMMENT = b": still here\n\n"


@dataclass(eq=False)
class Listener:
    """One page that is open. `messages` ends with None when nothing more comes. `since`: what came to be before it is
    not told; `behind`: what came to be from then on, before the page listened, has yet to be."""

    scope: Scope
    since: datetime | None = None
    behind: bool = False
    messages: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(WAITING + 2))

    def hears(self, told: Told, parents: Mapping[str, str | None]) -> bool:
        """Whether it is told of this."""
        late = self.since is not None and told.time + MARGIN < self.since
        return not late and sees(self.scope, told.department, parents)

    def tell(self, message: bytes) -> bool:
        """Whether there was room for it."""
        if self.messages.qsize() >= WAITING:
            return False
        self.messages.put_nowait(message)
        return True

    def end(self, *last: bytes) -> None:
        """Nothing more comes; what waited is not said any more."""
        while not self.messages.empty():
            self.messages.get_nowait()
        for message in (*last, None):
            self.messages.put_nowait(message)


class Live:
    """The listeners of this process. `follow` is its job."""

    def __init__(self, organisation: OrganisationCopy, clock: Clock) -> None:
        self._organisation = organisation
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._recent = Recent()
        self._wanted = asyncio.Event()

    def join(self, scope: Scope, since: datetime | None = None) -> Listener:
        """A listener, until it leaves; with `since` it hears what came to be then or later, and nothing from before.
        Raises `Busy` where there are too many."""
        if len(self._listeners) >= LISTENERS:
            raise Busy(retry_after=10)
        listener = Listener(scope, since, behind=since is not None)
        listener.tell(BEGIN)
        self._listeners.add(listener)
        self._wanted.set()
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    async def follow(self, bus: EventBus) -> None:
        """Tell the listeners what happens, from when the first of them came."""
        while True:
            await self._wanted.wait()
            try:
                await self._tell_while_heard(bus)
            except Unavailable:
                self._drop(set(self._listeners))
                await self._clock.sleep(EVERY)

    async def _tell_while_heard(self, bus: EventBus) -> None:
        seen = await bus.ends()
        await self._look_back(bus, seen)
        while self._listeners:
            self._catch_up()
            await self._clock.sleep(EVERY)
            ends = await bus.ends()
            new = {partition: end for partition, end in ends.items() if end > seen.get(partition, 0)}
            self._catch_up()
            if sum(end - seen.get(partition, 0) for partition, end in new.items()) > MOST:
                self._recent.misses(self._clock.now())
                self._drop(set(self._listeners))
            elif new:
                await self._organisation.current()
                async for records in bus.read({partition: seen.get(partition, 0) for partition in new}, new):
                    for record in records:
                        if told := _told(record):
                            self._recent.add(told)
                            self._tell(told)
            seen = ends
        self._wanted.clear()

    async def _look_back(self, bus: EventBus, ends: Positions) -> None:
        """Read the last of what happened while nobody listened."""
        self._recent = recent = Recent()
        await self._organisation.current()
        starts = {partition: max(0, end - BACK) for partition, end in ends.items()}
        cut = {partition for partition, start in starts.items() if start}
        async for records in bus.read(starts, ends):
            for record in records:
                if record.partition in cut:
                    cut.discard(record.partition)
                    recent.misses(_time(record) or self._clock.now())
                if told := _told(record):
                    recent.add(told)

    def _catch_up(self) -> None:
        """Tell those who came lately what they ask for."""
        parents = self._parents()
        for listener in [one for one in self._listeners if one.behind]:
            listener.behind = False
            if listener.since and listener.since < self._recent.whole_since + MARGIN:
                listener.tell(RELOAD)
                continue
            missed = [told for told in self._recent if listener.hears(told, parents)]
            if not all(listener.tell(told.message) for told in missed):
                self._drop({listener})

    def _tell(self, told: Told) -> None:
        parents = self._parents()
        heard = [one for one in self._listeners if one.hears(told, parents)]
        self._drop({one for one in heard if not one.tell(told.message)})

    def _drop(self, listeners: set[Listener]) -> None:
        for listener in listeners:
            self._listeners.discard(listener)
            listener.end(RELOAD)

    def _parents(self) -> Mapping[str, str | None]:
        announced = self._organisation.last
        return {d.id: d.parent for d in announced.content.departments} if announced else {}


def sees(scope: Scope, department: str | None, parents: Mapping[str, str | None]) -> bool:
    """Whether a department's cases are in the scope."""
    return scope.everything or within(department, scope.departments, parents)


async def spoken(listener: Listener, silence: float = KEEP_ALIVE) -> AsyncIterator[bytes]:
    """What the listener hears, with a comment after each silence of so many seconds, until nothing more comes."""
    while True:
        try:
            async with asyncio.timeout(silence):
                message = await listener.messages.get()
        except TimeoutError:
            message = COMMENT
        if message is None:
            return
        yield message


def _time(record: Record) -> datetime | None:
    """When its event came to be; None where that cannot be read."""
    try:
        return record.envelope().time
    except Undecodable:
        return None


def _told(record: Record) -> Told | None:
    """What is told of a record; None for what is not about a case."""
    try:
        envelope = record.envelope()
        if not envelope.type.startswith("case."):
            return None
        event = record.event(read)
    except (Undecodable, UnknownType):
        return None
    if not isinstance(event, CaseEvent):
        return None
    told = {
        "number": event.number,
        "event": event.type,
        "state": event.to,
        "department": event.department,
        "version": envelope.sequence,
        "at": rfc3339(event.at),
    }
    # The id is what a browser names when it comes back after the connection broke.
    message = b"event: case\ndata: %b\nid: %b\n\n" % (to_json(told), rfc3339(envelope.time).encode())
    return Told(envelope.time, event.department, message)

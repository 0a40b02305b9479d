"""The way out to whoever has a page open: what happens to cases, as it happens, told by number and never in words.

One job for each process reads what is new in the log, and only while somebody listens. Nothing is kept: who was away
hears `reload` or begins anew, and looks at the page again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from pydantic_core import to_json

from services.notify.domain import within
from shared.bus.port import EventBus, Record
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

LISTENERS = 500
"""Listeners of a process."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which a comment is sent, so that nobody on the way takes the connection for dead."""

BEGIN = b"event: begin\ndata: {}\n\n"
RELOAD = b"event: reload\ndata: {}\n\n"
COMMENT = b": still here\n\n"


@dataclass(eq=False)
class Listener:
    """One page that is open. `messages` ends with None when nothing more comes."""

    scope: Scope
    messages: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(WAITING + 2))

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
        self._wanted = asyncio.Event()

    def join(self, scope: Scope) -> Listener:
        """A listener, until it leaves. Raises `Busy` where there are too many."""
        if len(self._listeners) >= LISTENERS:
            raise Busy(retry_after=10)
        listener = Listener(scope)
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
        while self._listeners:
            await self._clock.sleep(EVERY)
            ends = await bus.ends()
            new = {partition: end for partition, end in ends.items() if end > seen.get(partition, 0)}
            if sum(end - seen.get(partition, 0) for partition, end in new.items()) > MOST:
                self._drop(set(self._listeners))
            elif new:
                await self._organisation.current()
                async for records in bus.read({partition: seen.get(partition, 0) for partition in new}, new):
                    for record in records:
                        self._tell(record)
            seen = ends
        self._wanted.clear()

    def _tell(self, record: Record) -> None:
        try:
            if not record.envelope().type.startswith("case."):
                return
            event = record.event(read)
        except (Undecodable, UnknownType):
            return
        if not isinstance(event, CaseEvent):
            return
        message = _message(event, record.envelope().sequence)
        parents = self._parents()
        heard = [one for one in self._listeners if sees(one.scope, event.department, parents)]
        self._drop({one for one in heard if not one.tell(message)})

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
            message = await asyncio.wait_for(listener.messages.get(), silence)
        except TimeoutError:
            message = COMMENT
        if message is None:
            return
        yield message


def _message(event: CaseEvent, version: int) -> bytes:
    told = {
        "number": event.number,
        "event": event.type,
        "state": event.to,
        "department": event.department,
        "version": version,
        "at": rfc3339(event.at),
    }
    return b"event: case\ndata: " + to_json(told) + b"\n\n"

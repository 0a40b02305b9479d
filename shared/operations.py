"""What an operator asks of a running installation: lag, dumps, rebuilds, dead letters, keys.

Every call is HTTP under `/control`, answered only over `control.sock`; on any other way in it is an unknown path.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from shared.bus.port import PARTITIONS, EventBus, Record
from shared.clock import Clock, parse_rfc3339
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.errors import FieldError, InUse, Invalid, NotFound, Unavailable
from shared.http.access import ROLES, Access, operated
from shared.service import Service
from shared.store.port import Collection, Delete, Document, DocumentStore, Insert, Query
from shared.telemetry.logs import log
from shared.telemetry.metrics import DEAD_LETTERS as LYING
from shared.telemetry.metrics import LAG

MARKS = Collection("marks", "record")
"""What a service has begun and not finished: a start that finds `rebuild` begins it again."""

REBUILD = "rebuild"

BEGINNING = dict.fromkeys(range(PARTITIONS), 0)

PLACE = 35.0
"""Seconds after which a member that was stopped has no place in the group any more."""

LOOK = 0.1
"""Seconds between two looks at how far a rebuild has come."""


EVERY = 10.0
"""Seconds between two measurements of what only the log and the store know."""


class Taker(Protocol):
    """What takes a service's records: a pipeline."""

    @property
    def progress(self) -> Mapping[int, int]:
        """Partition → next offset, as far as this process has taken them."""

    @property
    def stopped(self) -> str | None:
        """Why the consumer stopped itself, or None."""

    async def deliver(self, records: Sequence[Record]) -> None: ...

    async def forget(self) -> None:
        """Drop what is remembered between batches: the documents were dropped."""

    async def replay(
        self,
        key: str | None = None,
        limit: int = 1_000,
        since: datetime | None = None,
        policy: Literal["stop", "park"] = "park",
        dry_run: bool = False,
    ) -> int:
        """Take dead letters again, in order; how many are settled now."""

    async def summed(self) -> Mapping[str, Mapping[str, int]] | None:
        """For a service that counts: its cells, in the place of its delta documents."""


class Member:
    """One service of the installation, and its consumer."""

    def __init__(self, service: Service, store: DocumentStore, taker: Taker, bus: EventBus, clock: Clock) -> None:
        self.service, self.store, self.taker = service, store, taker
        self._bus, self._clock = bus, clock
        self._consumer: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start the consumer; a rebuild that was interrupted begins again."""
        if await self.store.get(MARKS.name, [REBUILD]):
            await self._clear()
        self._consumer = asyncio.create_task(self._bus.consume(self.service.name, self.taker.deliver))

    async def measure(self) -> None:
        """Keep the metrics of the consumer's lag and of its dead letters. Runs until cancelled."""
        name = self.service.name
        lag, lying = LAG.labels(name), LYING.labels(name)
        while True:
            with contextlib.suppress(Unavailable):  # then the last figures stay, and others tell what is away
                lag.set(sum((await self._bus.lag(name)).values()))
                lying.set(await self.store.count(DEAD_LETTERS.name, Query()))
            await self._clock.sleep(EVERY)

    async def end(self) -> None:
        """Stop the consumer where it stands; records in hand come again."""
        if self._consumer:
            self._consumer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._consumer
            self._consumer = None

    async def rebuild(self) -> None:
        """Drop every derived document and have the consumer read the log again; `progress` tells how far it is.

        Raises `InUse`, with everything as it was, if other processes serve the same consumer. One that was stopped may
        still have its place for half a minute, in which it would have come back.
        """
        await self.end()
        waited = 0.0
        while True:
            try:
                await self._bus.reset(self.service.name, BEGINNING)
                break
            except RuntimeError:
                if waited >= PLACE:
                    await self.begin()
                    raise InUse("other processes serve this consumer: stop them first") from None
                await self._clock.sleep(1)
                waited += 1
        await self.store.write([Insert(MARKS.name, REBUILD, {})])
        await self.begin()

    async def progress(self) -> AsyncIterator[dict[str, int]]:
        """How far a rebuild is, in records, until it is done."""
        goal = await self._bus.ends()
        while True:
            taken = sum(min(self.taker.progress.get(p, 0), end) for p, end in goal.items())
            yield {"taken": taken, "of": sum(goal.values())}
            if taken == sum(goal.values()):
                break
            await self._clock.sleep(LOOK)
        for mark in (await self.store.get(MARKS.name, [REBUILD])).values():
            await self.store.write([Delete(MARKS.name, mark.id, mark.revision)])

    async def _clear(self) -> None:
        log(self.service.name).info("rebuilding the derived documents from the log")
        await self._bus.reset(self.service.name, BEGINNING)
        letters = [document async for document in every(self.store, DEAD_LETTERS.name)]
        await self.store.write([Delete(DEAD_LETTERS.name, letter.id, letter.revision) for letter in letters])
        for collection in self.service.collections:
            if collection.kind == "derived":
                await self.store.drop(collection.name)
        await self.taker.forget()

    async def dump(self) -> AsyncIterator[bytes]:
        """The canonical dump: a JSON object a line, derived documents by collection and id, keys sorted, without
        revision, positions and batch borders; deltas summed per cell."""
        summed = await self.taker.summed()
        for collection in sorted(self.service.collections, key=lambda c: c.name):
            if collection.kind != "derived":
                continue
            if summed is not None and collection.name in summed:
                for cell, value in sorted(summed[collection.name].items()):
                    yield _line(collection.name, cell, value)
                continue
            async for document in every(self.store, collection.name):
                yield _line(collection.name, document.id, {k: v for k, v in document.body.items() if k != "position"})


async def every(store: DocumentStore, collection: str) -> AsyncIterator[Document]:
    """Every document of a collection, by id."""
    cursor: str | None = None
    while True:
        page = await store.find(collection, Query(limit=500), cursor)
        for document in page.documents:
            yield document
        cursor = page.next
        if cursor is None:
            return


def _line(collection: str, id: str, body: Any) -> bytes:
    return to_json(_sorted({"collection": collection, "id": id, "body": body})) + b"\n"


def _sorted(value: Any) -> Any:
    match value:
        case dict():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list() | tuple():
            return [_sorted(item) for item in value]
        case _:
            return value


class KeyWanted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    role: str
    departments: list[str] = Field(default_factory=list, max_length=100)


class ReplayWanted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    key: str | None = None
    limit: int = Field(default=1000, ge=1, le=100_000)
    since: str | None = Field(default=None, max_length=40)
    policy: Literal["stop", "park"] = "park"
    dry_run: bool = False


def router(members: Mapping[str, Member], bus: EventBus, access: Access) -> APIRouter:
    """The calls under `/control`."""

    def member(service: str) -> Member:
        if service not in members:
            raise NotFound()
        return members[service]

    Asked = Annotated[Member, Depends(member)]
    routes = APIRouter(prefix="/control", dependencies=[Depends(operated)], include_in_schema=False)

    @routes.get("/lag")
    async def lag() -> dict[str, dict[str, Any]]:
        """For each service, how many records its saved position is behind, and why it stopped if it did."""
        return {
            name: {"lag": sum((await bus.lag(name)).values()), "stopped": member.taker.stopped}
            for name, member in members.items()
        }

    @routes.get("/quiet")
    async def quiet() -> dict[str, bool]:
        """Whether all that was written is on the log, and every service has read all of it."""
        before = await bus.ends()
        behind = [sum((await bus.lag(name)).values()) for name in members]
        waiting = [bool(await member.store.pending(1)) for member in members.values()]
        return {"quiet": not any(behind) and not any(waiting) and await bus.ends() == before}

    @routes.post("/keys")
    async def create_key(wanted: KeyWanted) -> dict[str, str]:
        """A new bearer key, told this once."""
        if wanted.role not in ROLES:
            raise Invalid([FieldError("/role", "unknown")])
        return {"key": await access.create_key(wanted.role, tuple(wanted.departments))}

    @routes.get("/dump/{service}")
    async def dump(member: Asked) -> StreamingResponse:
        """The canonical dump of a service's derived documents."""
        return StreamingResponse(member.dump(), media_type="application/x-ndjson")

    @routes.post("/rebuild/{service}")
    async def rebuild(member: Asked) -> StreamingResponse:
        """Rebuild; a line of progress every tenth of a second, the last one with `taken` equal to `of`."""
        await member.rebuild()

        async def lines() -> AsyncIterator[bytes]:
            async for progress in member.progress():
                yield to_json(progress) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @routes.get("/dead-letters/{service}")
    async def list_letters(member: Asked) -> StreamingResponse:
        """A line for each dead letter: where, which key, why, since when. No content."""

        async def lines() -> AsyncIterator[bytes]:
            async for letter in every(member.store, DEAD_LETTERS.name):
                yield to_json({"id": letter.id, **_shown(letter.body)}) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @routes.get("/dead-letters/{service}/{partition}/{offset}")
    async def show_letter(member: Asked, partition: int, offset: int) -> dict[str, Any]:
        """One dead letter with its headers; its bytes stay sealed."""
        id = f"{partition}/{offset}"
        found = (await member.store.get(DEAD_LETTERS.name, [id])).get(id)
        if found is None:
            raise NotFound()
        return {"id": id, **_shown(found.body), "headers": found.body.get("headers", {})}

    @routes.post("/dead-letters/{service}/replay")
    async def replay(member: Asked, wanted: ReplayWanted) -> dict[str, int]:
        """Take dead letters again, in order per case; how many are settled now."""
        try:
            since = parse_rfc3339(wanted.since) if wanted.since else None
        except ValueError:
            raise Invalid([FieldError("/since", "not_a_time")]) from None
        return {"settled": await member.taker.replay(wanted.key, wanted.limit, since, wanted.policy, wanted.dry_run)}

    return routes


SHOWN: tuple[Literal["key", "reason", "error", "attempts", "first", "last"], ...] = (
    "key",
    "reason",
    "error",
    "attempts",
    "first",
    "last",
)


def _shown(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) for name in SHOWN}

"""HTTP of notify: what became of a case's deliveries, sending one again, and what happens live. No contact data and no
words in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel

from services.notify.channels.live import RELOAD, Listener, Live, sees, spoken
from services.notify.domain import CaseDeliveries, Delivery, case_of
from services.notify.handlers import replay
from services.notify.store import Deliveries
from shared.clock import Clock, Moment
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, NotFound, Unavailable
from shared.http.access import Principal, requires, still
from shared.http.health import Health
from shared.http.problems import problems
from shared.store.documents import Decision, Kept


class DeliveryShown(BaseModel):
    """One delivery. `next_at` is when it is tried (again); `reason` a code that says why it was not sent."""

    id: str
    cause: str
    kind: str
    channel: str
    recipient_role: str
    department: str | None
    state: str
    attempts: int
    submitted_at: Moment | None
    next_at: Moment | None
    reason: str | None

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryShown:
        progress = delivery.progress
        return cls(
            id=delivery.id,
            cause=delivery.cause,
            kind=delivery.kind,
            channel=delivery.channel,
            recipient_role=delivery.recipient_role,
            department=delivery.department,
            state=progress.state,
            attempts=progress.attempts,
            submitted_at=progress.submitted_at,
            next_at=progress.next_at,
            reason=progress.reason,
        )


class DeliveryList(BaseModel):
    """All deliveries of a case, in the order of their causes; a case has few, so `next` is always null."""

    items: list[DeliveryShown]
    next: str | None = None


EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {"event": {"enum": ["begin", "case", "reload"]}, "data": {"type": "string"}},
}
"""What OpenAPI says of one event of the stream."""

LIVE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": EVENT}}},
    **problems(401, 403, 422, 503),
}

CHECK = 5.0
"""Seconds between two looks at whether a listener may still listen."""


def router(deliveries: Deliveries, organisation: OrganisationCopy, live: Live, clock: Clock) -> APIRouter:
    """The calls under `/v1/deliveries`, and `/v1/live`."""
    routes = APIRouter(prefix="/v1", tags=["deliveries"])

    async def visible(case: CaseDeliveries, principal: Principal) -> bool:
        announced = await organisation.current()
        parents = {d.id: d.parent for d in announced.content.departments} if announced else {}
        return sees(principal.scope, case.department, parents)

    @routes.get("/deliveries", responses=problems(401, 403))
    async def list_deliveries(
        number: Annotated[str, Query(max_length=40)],
        principal: Annotated[Principal, Depends(requires("deliveries.read"))],
    ) -> DeliveryList:
        """The deliveries of a case; none for a number that is unknown or not yours."""
        kept = await deliveries.by_number(number)
        if kept is None or not await visible(kept.value, principal):
            return DeliveryList(items=[])
        return DeliveryList(items=[DeliveryShown.of(delivery) for delivery in kept.value.deliveries])

    @routes.post("/deliveries/{id}/replay", responses=problems(401, 403, 404, 409))
    async def replay_delivery(
        id: str, principal: Annotated[Principal, Depends(requires("deliveries.replay"))]
    ) -> DeliveryShown:
        """Send a delivery again that failed, died or whose fate is unknown."""
        case = await deliveries.get(case_of(id))
        if case is None or not await visible(case.value, principal):
            raise NotFound()
        now: datetime = clock.now()

        def decide(kept: Kept[CaseDeliveries] | None) -> Decision[CaseDeliveries]:
            return replay(kept.value if kept else None, id, now)

        changed = await deliveries.change(case.id, decide)
        delivery = changed.value.delivery(id) if changed else None
        if delivery is None:
            raise NotFound()
        return DeliveryShown.of(delivery)

    @routes.get("/live", response_class=StreamingResponse, responses=LIVE)
    async def listen(
        request: Request,
        principal: Annotated[Principal, Depends(requires("cases.read"))],
        since: Annotated[AwareDatetime | None, Query()] = None,
        last: Annotated[AwareDatetime | None, Header(alias="Last-Event-ID")] = None,
    ) -> StreamingResponse:
        """What happens to the cases that one may see, from now on, as server-sent events.

        `since` asks for what has happened from that time on as well, and so does the id of the last event, which
        browsers send when they connect again. `case` carries number, event, state, department, version and time,
        `reload` says that something was missed, and `begin` is said once. The stream ends when the process stops, and
        when whoever listens may no longer.
        """
        health: Health = request.app.state.health
        if health.stopping:
            raise Busy(retry_after=5)
        listener = live.join(principal.scope, last or since)

        async def told() -> AsyncIterator[bytes]:
            watching = asyncio.create_task(_watch(request, principal, listener, health))
            try:
                async for message in spoken(listener):
                    yield message
            finally:
                watching.cancel()
                live.leave(listener)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told(), media_type="text/event-stream", headers=headers)

    return routes


async def _watch(request: Request, principal: Principal, listener: Listener, health: Health) -> None:
    """End the stream with the process, or when the key or the session no longer allows it."""
    while True:
        try:
            async with asyncio.timeout(CHECK):
                await health.ending.wait()
            return listener.end()
        except TimeoutError:
            pass
        try:
            now = await still(request, "cases.read")
        except Unavailable:
            continue
        if now is None:
            return listener.end()
        if now.scope != principal.scope:
            return listener.end(RELOAD)

"""HTTP of notify: what became of a case's deliveries, and sending one again. No contact data and no words in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.notify.domain import CaseDeliveries, Delivery, case_of
from services.notify.handlers import replay
from services.notify.store import Deliveries
from shared.clock import Clock, Moment
from shared.delivery.organisation import OrganisationCopy
from shared.errors import NotFound
from shared.http.access import Principal, requires
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


def router(deliveries: Deliveries, organisation: OrganisationCopy, clock: Clock) -> APIRouter:
    """The calls under `/v1/deliveries`."""
    routes = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

    async def visible(case: CaseDeliveries, principal: Principal) -> bool:
        if principal.scope.everything:
            return True
        announced = await organisation.current()
        parents = {d.id: d.parent for d in announced.content.departments} if announced else {}
        return _within(case.department, principal.scope.departments, parents)

    @routes.get("", responses=problems(401, 403))
    async def list_deliveries(
        number: Annotated[str, Query(max_length=40)],
        principal: Annotated[Principal, Depends(requires("deliveries.read"))],
    ) -> DeliveryList:
        """The deliveries of a case; none for a number that is unknown or not yours."""
        kept = await deliveries.by_number(number)
        if kept is None or not await visible(kept.value, principal):
            return DeliveryList(items=[])
        return DeliveryList(items=[DeliveryShown.of(delivery) for delivery in kept.value.deliveries])

    @routes.post("/{id}/replay", responses=problems(401, 403, 404, 409))
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

    return routes


def _within(department: str | None, roots: frozenset[str], parents: Mapping[str, str | None]) -> bool:
    """Whether a department lies in one of the subtrees."""
    while department is not None:
        if department in roots:
            return True
        department = parents.get(department)
    return False

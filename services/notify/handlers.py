"""What notify does when something happens: who is to be told. Pure; sending is the work of `channels/sender.py`.

Feedback marked historic makes nobody's mail. A department without an address is not written to.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.notify.domain import (
    CaseDeliveries,
    Delivery,
    Kind,
    Knowledge,
    Progress,
    delivery_id,
    window_end,
)
from shared.delivery.subscription import Context
from shared.errors import IllegalMove, NotFound
from shared.events.envelope import Actor, Event, Sealed
from shared.events.intake import FeedbackReceived
from shared.events.notify import DeliveryDead, DeliveryEvent, DeliveryFailed, DeliverySent
from shared.events.routing import (
    CaseAnswered,
    CaseAwaitingCitizen,
    CaseClosed,
    CaseEvent,
    CaseOverdue,
    CaseReassigned,
    CaseReturned,
    CaseRouted,
    CaseTriaged,
)
from shared.store.documents import Decision
from shared.telemetry.tracing import recorded

CHANNEL = "email"

Change = Decision[CaseDeliveries] | None
"""The case's deliveries as they are next; None: as they were."""

OUTCOMES: dict[str, type[DeliveryEvent]] = {"sent": DeliverySent, "failed": DeliveryFailed, "dead": DeliveryDead}


def acknowledge_citizen(case: CaseDeliveries | None, event: FeedbackReceived, context: Context) -> Change:
    """The case's deliveries begin, with the acknowledgement if there is an address for it."""
    if case is not None:
        return None
    case = CaseDeliveries(
        number=event.number,
        language=event.language,
        contact=event.contact,
        reachable="email" in event.contact_kinds,
        received_at=event.received_at,
        historic=event.historic,
    )
    return Decision(_telling_citizen(case, "acknowledgement", event, None, context))


def ask_citizen(case: CaseDeliveries | None, event: CaseAwaitingCitizen, context: Context) -> Change:
    """The department's question goes to the citizen."""
    return Decision(_telling_citizen(case, "question", event, event.text, context)) if case else None


def answer_citizen(case: CaseDeliveries | None, event: CaseAnswered, context: Context) -> Change:
    """The answer goes to the citizen."""
    return Decision(_telling_citizen(case, "answer", event, event.text, context)) if case else None


def close_with_citizen(case: CaseDeliveries | None, event: CaseClosed, context: Context) -> Change:
    """The citizen hears that the case is closed and is asked to rate it."""
    return Decision(_telling_citizen(case, "closing", event, event.text, context)) if case else None


def tell_department(
    case: CaseDeliveries | None, event: CaseRouted | CaseTriaged | CaseReassigned, context: Context
) -> Change:
    """The department whose case it now is hears of it."""
    return _telling_department(case, "new-case", event, context)


def warn_department(case: CaseDeliveries | None, event: CaseOverdue, context: Context) -> Change:
    """The department hears that the deadline has passed."""
    return _telling_department(case, "overdue", event, context)


def follow_case(case: CaseDeliveries | None, event: CaseReturned, context: Context) -> Change:
    """Nobody is told, but from now on the case is another department's to see."""
    del context
    return Decision(replace(case, department=event.department)) if case else None


def replay(case: CaseDeliveries | None, id: str, now: datetime) -> Decision[CaseDeliveries]:
    """Send a delivery again that failed, died or whose fate is unknown. Raises `NotFound` or `IllegalMove`."""
    delivery = case.delivery(id) if case else None
    if case is None or delivery is None:
        raise NotFound()
    if not delivery.replayable:
        raise IllegalMove(delivery.progress.state, [])
    return Decision(case.changing(delivery.replayed(now)))


def outcome_of(delivery: Delivery, now: datetime) -> list[Event]:
    """What the others are told about where a delivery now stands: nothing while it is under way or unknown."""
    shape = OUTCOMES.get(delivery.progress.state)
    if shape is None:
        return []
    return [
        shape(
            at=delivery.progress.submitted_at or now,
            actor=Actor(kind="system"),
            delivery=delivery.id,
            cause=delivery.cause,
            channel=delivery.channel,
            recipient_role=delivery.recipient_role,
            attempt=delivery.progress.attempts,
            submitted_at=delivery.progress.submitted_at,
        )
    ]


def _telling_citizen(
    case: CaseDeliveries, kind: Kind, event: FeedbackReceived | CaseEvent, text: Sealed | None, context: Context
) -> CaseDeliveries:
    if not case.reachable or case.historic or event.historic:
        return case
    cause = event.envelope
    return case.adding(
        Delivery(
            id=delivery_id(cause.key, cause.id, "citizen", CHANNEL),
            cause=cause.id,
            kind=kind,
            recipient_role="citizen",
            channel=CHANNEL,
            progress=Progress(next_at=context.now),
            text=text,
            traceparent=recorded(cause.traceparent),
        )
    )


def _telling_department(case: CaseDeliveries | None, kind: Kind, event: CaseEvent, context: Context) -> Change:
    if case is None:
        return None
    case = replace(case, department=event.department)
    knows: Knowledge = context.knows
    silent = knows.with_address is not None and event.department not in knows.with_address
    if silent or case.historic or event.historic:
        return Decision(case)
    cause = event.envelope
    return Decision(
        case.adding(
            Delivery(
                id=delivery_id(cause.key, cause.id, f"department:{event.department}", CHANNEL),
                cause=cause.id,
                kind=kind,
                recipient_role="department",
                channel=CHANNEL,
                progress=Progress(next_at=window_end(context.now, knows.digest)),
                department=event.department,
                category=event.category,
                deadline=event.deadline,
            )
        )
    )

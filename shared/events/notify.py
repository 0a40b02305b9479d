"""Events that notify owns: what happened to each message to a person."""

from __future__ import annotations

from typing import ClassVar

from shared.clock import Moment
from shared.events.envelope import Event


class DeliveryEvent(Event):
    """Subject and key are the case's id. `cause` is the id of the event that was to be told."""

    source: ClassVar[str] = "/notify"

    delivery: str
    cause: str
    channel: str
    recipient_role: str
    attempt: int
    submitted_at: Moment | None = None


class DeliverySent(DeliveryEvent):
    """Handed to the channel, once."""

    type: ClassVar[str] = "delivery.sent"


class DeliveryFailed(DeliveryEvent):
    """One attempt failed; another is scheduled."""

    type: ClassVar[str] = "delivery.failed"


class DeliveryDead(DeliveryEvent):
    """Given up; an operator may replay it."""

    type: ClassVar[str] = "delivery.dead"

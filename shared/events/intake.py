"""Events that intake owns: what the citizen said and did. They are facts; routing decides what follows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.clock import Moment
from shared.events.envelope import Event, Model, Sealed

Kind = Literal["complaint", "help", "enquiry", "suggestion", "praise", "report"]


class Point(Model):
    """A place as WGS-84, rounded to three decimals (about 100 m)."""

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]


class IntakeEvent(Event):
    """Subject and key are the feedback's id, which is the case's id."""

    source: ClassVar[str] = "/intake"


class FeedbackReceived(IntakeEvent):
    """A person said something, and it is on disk."""

    type: ClassVar[str] = "feedback.received"

    number: str
    channel: str
    kind: Kind | None = None
    category: str | None = None
    language: str
    text: Sealed
    contact: Sealed
    contact_kinds: tuple[str, ...] = ()
    place: Sealed | None = None
    point: Point | None = None
    answers: Sealed | None = None
    anonymous: bool = False
    received_at: Moment
    historic: bool = False


class FeedbackSupplemented(IntakeEvent):
    """The citizen added a message."""

    type: ClassVar[str] = "feedback.supplemented"

    message: Sealed
    attachments: tuple[str, ...] = ()


class FeedbackRated(IntakeEvent):
    """The submitter's verdict. `solved` None says nothing about the state."""

    type: ClassVar[str] = "feedback.rated"

    contacted: bool | None = None
    solved: bool | None = None
    satisfaction: Annotated[int, Field(ge=1, le=5)] | None = None
    comment: Sealed | None = None


class FeedbackReopened(IntakeEvent):
    """The citizen says it is not settled."""

    type: ClassVar[str] = "feedback.reopened"

    reason: Sealed | None = None


class FeedbackWithdrawn(IntakeEvent):
    """The citizen takes it back."""

    type: ClassVar[str] = "feedback.withdrawn"

    reason: Sealed | None = None

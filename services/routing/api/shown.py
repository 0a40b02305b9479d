"""What cases and the organisation's words look like from outside."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from services.routing.domain.case import Case
from services.routing.domain.states import moves
from services.routing.handlers import Opened
from shared.clock import Moment
from shared.events.intake import Point
from shared.events.routing import Explanation, Label, State


class Shown(BaseModel):
    """What is sent out."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class CaseItem(Shown):
    """A case as staff see it in a list, and what every call that changes one answers."""

    number: str
    version: int
    state: State
    kind: str | None
    category: str | None
    department: str
    area: str | None
    priority: str
    channel: str
    language: str
    received_at: Moment
    deadline: Moment | None
    overdue: bool
    historic: bool
    anonymous: bool
    contact_kinds: tuple[str, ...]
    first_receiver: str | None
    worker: str | None
    hops: int
    since: Moment | None
    moves: tuple[str, ...]


class TimelineItem(Shown):
    """One step; `event` says what happened, also where the state stayed, `by` which of the staff did it."""

    at: Moment
    state: State
    department: str
    event: str
    version: int
    by: str | None
    cause: str | None


class MessageItem(Shown):
    """Words on the case. `text` is None where they were erased."""

    at: Moment
    from_: Annotated[str, Field(alias="from")]
    what: str
    text: str | None


class RatingItem(Shown):
    at: Moment
    contacted: bool | None
    solved: bool | None
    satisfaction: int | None


class CaseDetail(CaseItem):
    """A case with its history and its words."""

    place: str | None
    point: Point | None
    answers: str | None
    past_deadlines: tuple[Moment, ...]
    explanation: Explanation
    rating: RatingItem | None
    timeline: list[TimelineItem]
    messages: list[MessageItem]


class CasePage(Shown):
    items: list[CaseItem]
    next: str | None


class Place(Shown):
    """A category, a department or an area."""

    id: str
    parent: str | None
    label: Label


class PlaceList(Shown):
    items: list[Place]
    next: None = None


def _fields(case: Case) -> dict[str, Any]:
    own = {name: getattr(case, name) for name in CaseItem.model_fields if name != "moves"}
    return {**own, "moves": moves(case.state)}


def item_of(case: Case) -> CaseItem:
    """A case without its words."""
    return CaseItem.model_construct(**_fields(case))


def detail_of(case: Case, opened: Opened) -> CaseDetail:
    """A case with its words, as far as they could be opened."""
    rating = case.rating
    return CaseDetail(
        **_fields(case),
        place=opened.place,
        point=case.point,
        answers=opened.answers,
        past_deadlines=case.past_deadlines,
        explanation=case.explanation,
        rating=RatingItem(**{name: getattr(rating, name) for name in RatingItem.model_fields}) if rating else None,
        timeline=[
            TimelineItem(**{name: getattr(step, name) for name in TimelineItem.model_fields}) for step in case.timeline
        ],
        messages=[
            MessageItem(at=m.at, from_=m.author, what=m.what, text=text)
            for m, text in zip(case.messages, opened.messages, strict=True)
        ],
    )

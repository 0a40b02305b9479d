"""Events that routing owns: the work on a case, and the organisation that does it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from shared.clock import Moment
from shared.events.envelope import Event, Model, Sealed

State = Literal[
    "received",
    "triage",
    "routed",
    "accepted",
    "in-progress",
    "awaiting-citizen",
    "answered",
    "closed",
    "returned",
    "withdrawn",
]

OPEN_STATES: frozenset[str] = frozenset(
    {"received", "triage", "routed", "accepted", "in-progress", "awaiting-citizen", "answered", "returned"}
)
"""Every state but closed and withdrawn."""


class Explanation(Model):
    """Why a case got its category and department: re-runnable from method, version and inputs."""

    method: str
    version: str
    confidence: float
    bar: float
    words: tuple[str, ...] = ()
    scores: dict[str, float] = Field(default_factory=dict)


class CaseEvent(Event):
    """Subject and key are the case's id. Carries every dimension, so figures need nothing but the event."""

    source: ClassVar[str] = "/routing"

    number: str
    channel: str
    kind: str | None = None
    category: str | None = None
    department: str
    area: str | None = None
    priority: Literal["normal", "high"] = "normal"
    language: str
    received_at: Moment
    deadline: Moment | None = None
    historic: bool = False
    from_: Annotated[State, Field(alias="from")]
    to: State


class CaseTriaged(CaseEvent):
    """Below the confidence bar: a person decides; it belongs to reception."""

    type: ClassVar[str] = "case.triaged"
    explanation: Explanation


class CaseRouted(CaseEvent):
    """A department has it. `repeat` counts how often the case was routed before."""

    type: ClassVar[str] = "case.routed"
    explanation: Explanation
    repeat: int = 0


class CaseAccepted(CaseEvent):
    """A case worker of the department has taken it."""

    type: ClassVar[str] = "case.accepted"


class CaseStarted(CaseEvent):
    """Work on it has begun."""

    type: ClassVar[str] = "case.started"


class CaseReturned(CaseEvent):
    """The department says it is not theirs. `hop` counts returns from 1; the deadline stays."""

    type: ClassVar[str] = "case.returned"
    reason_code: str
    reason: Sealed | None = None
    hop: int


class CaseReassigned(CaseEvent):
    """Another department has it, or another category."""

    type: ClassVar[str] = "case.reassigned"
    reason: Sealed | None = None


class CaseAwaitingCitizen(CaseEvent):
    """The department asked the citizen; the deadline is paused."""

    type: ClassVar[str] = "case.awaiting-citizen"
    text: Sealed


class CaseResumed(CaseEvent):
    """The clock runs again: `cause` says why."""

    type: ClassVar[str] = "case.resumed"
    cause: Literal["message", "staff", "cap"]


class CaseSupplemented(CaseEvent):
    """A citizen's word that moves nothing: kept as a message on the case."""

    type: ClassVar[str] = "case.supplemented"
    text: Sealed | None = None
    what: Literal["message", "rating", "reopening", "withdrawal"] = "message"


class CaseAnswered(CaseEvent):
    """The department has answered the citizen."""

    type: ClassVar[str] = "case.answered"
    text: Sealed


class CaseClosed(CaseEvent):
    """`cause`: the citizen rated it solved, staff closed it, or seven working days of silence (which is not satisfaction)."""

    type: ClassVar[str] = "case.closed"
    cause: Literal["rated", "staff", "silence"]
    text: Sealed | None = None


class CaseReopened(CaseEvent):
    """Not settled after all. A new deadline; the old one stays in the history."""

    type: ClassVar[str] = "case.reopened"
    cause: Literal["reopening", "rating"]


class CaseWithdrawn(CaseEvent):
    """The citizen took it back, and the work has stopped."""

    type: ClassVar[str] = "case.withdrawn"


class CaseNoted(CaseEvent):
    """An internal note; citizens never see it."""

    type: ClassVar[str] = "case.noted"
    text: Sealed


class CaseRescheduled(CaseEvent):
    """The organisation's calendar changed, and with it the deadline: the same working time from the same moment.

    `previous` is the deadline until now; `overdue` whether the new one, too, has passed. `organisation_version` is the
    SHA-256 of the file that has the calendar.
    """

    type: ClassVar[str] = "case.rescheduled"
    previous: Moment
    overdue: bool
    organisation_version: str


class CaseOverdue(CaseEvent):
    """The deadline has passed unanswered. `revision` is the timer's, so a moved deadline ignores old firings."""

    type: ClassVar[str] = "case.overdue"
    timer: str
    due: Moment
    revision: int


class Label(Model):
    """The words of a name in both languages."""

    zh: str
    en: str


class Department(Model):
    """Who answers. A tree by `parent`; `email` is the team's address for new and overdue cases."""

    id: str
    parent: str | None = None
    label: Label
    email: str | None = None


class Category(Model):
    """What a case is about. A tree by `parent`."""

    id: str
    parent: str | None = None
    label: Label
    department: str | None = None


class Area(Model):
    """Where."""

    id: str
    label: Label


class Organisation(Model):
    """What every service knows of the organisation. `time_zone` is an IANA name; `reception` a department's id."""

    name: Label
    time_zone: str
    reception: str
    reopen_days: int = 30
    departments: tuple[Department, ...]
    categories: tuple[Category, ...] = ()
    areas: tuple[Area, ...] = ()


class OrganisationPublished(Event):
    """The organisation file as announced. `organisation_version` is the SHA-256 of the file."""

    type: ClassVar[str] = "organisation.published"
    source: ClassVar[str] = "/routing"
    about: ClassVar[str] = "organisation"

    organisation_version: str
    content: Organisation

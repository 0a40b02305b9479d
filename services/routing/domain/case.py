"""The case: what routing knows about one piece of feedback, and how one event changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from services.routing.domain.organisation import Organisation
from services.routing.domain.states import is_open
from shared.clock import Moment, rfc3339
from shared.events.envelope import Actor, Sealed
from shared.events.intake import Point
from shared.events.routing import CaseEvent, Explanation, State

MESSAGES = 200
"""How many messages a case keeps: the first and the newest. All of them stay in the log."""

STEPS = 1000
"""How many steps of its history a case keeps: the first and the newest."""

WORDS = 3_000_000
"""Bytes of all sealed words of staff on one case: three hundred pages. Every service keeps a case in one document."""

T = TypeVar("T")

Author = Literal["citizen", "staff"]

TimerName = Literal["deadline", "silence", "cap"]

What = Literal[
    "feedback",
    "message",
    "rating",
    "reopening",
    "withdrawal",
    "question",
    "answer",
    "closure",
    "return",
    "reassignment",
    "note",
]


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that happens by itself. `revision` grows with every timer of the case, so each is recognised."""

    name: TimerName
    due: Moment
    revision: int


@dataclass(frozen=True, slots=True)
class Step:
    """One own event of the case, as people look back on it.

    `by` is the id of the staff who did it, `cause` the event's cause, reason code or what was added.
    """

    version: int
    event: str
    at: Moment
    state: State
    department: str
    by: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """Words on the case. `field` is the event's field that they were sealed for, `version` that of their step."""

    at: Moment
    author: Author
    what: What
    field: str
    words: Sealed
    version: int = 0


@dataclass(frozen=True, slots=True)
class Rating:
    """The submitter's last verdict."""

    at: Moment
    contacted: bool | None
    solved: bool | None
    satisfaction: int | None


@dataclass(frozen=True, slots=True)
class Case:
    """`version` counts the case's own events. `changed_at` is the time of the last one, `since` that of the state.

    `deadline` is None for historic feedback, which has no timers either; otherwise it is `counted_from` and `allowed`
    seconds of the calendar's working time. While the case waits for the citizen,
    `paused_at` is set; `paused` is the working time, in seconds, by which the deadline has been put off so far.
    `until` is when a state ends by itself: the pause by its cap, the answer by silence. `overdue`: the present
    deadline has passed and case.overdue has said so. `routings` and `hops` count how often it was routed and returned.
    `urgency` sorts the queue: cases whose deadline runs by deadline, those that wait for the citizen, open historic
    ones, and the rest by when they ended; no two have the same.
    `written`: the bytes of what staff have written, sealed. `words` are keyed digests of what was said, by which the case is found.
    """

    number: str
    state: State
    channel: str
    kind: str | None
    category: str | None
    department: str
    area: str | None
    priority: Literal["normal", "high"]
    language: str
    received_at: Moment
    historic: bool
    anonymous: bool
    contact_kinds: tuple[str, ...]
    key_name: str
    explanation: Explanation
    place: Sealed | None = None
    point: Point | None = None
    answers: Sealed | None = None
    version: int = 0
    changed_at: Moment | None = None
    since: Moment | None = None
    deadline: Moment | None = None
    counted_from: Moment | None = None
    allowed: float = 0.0
    past_deadlines: tuple[Moment, ...] = ()
    overdue: bool = False
    paused_at: Moment | None = None
    paused: float = 0.0
    until: Moment | None = None
    first_receiver: str | None = None
    worker: str | None = None
    routings: int = 0
    hops: int = 0
    rating: Rating | None = None
    timers: tuple[Timer, ...] = ()
    timer_revision: int = 0
    written: int = 0
    timeline: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()
    urgency: str = ""
    words: tuple[str, ...] = ()

    @property
    def due(self) -> datetime | None:
        """The earliest thing that the case waits for."""
        return min((timer.due for timer in self.timers), default=None)

    @property
    def answered(self) -> bool:
        """Whether it was ever answered."""
        return any(message.what == "answer" for message in self.messages)


@dataclass(frozen=True, slots=True)
class Turn:
    """Who does something to a case, when, and under which organisation."""

    at: datetime
    actor: Actor
    organisation: Organisation

    @classmethod
    def on(cls, case: Case, at: datetime, actor: Actor, organisation: Organisation) -> Turn:
        """A turn at `at`, or with the case's last event if that is later: its time never runs backwards."""
        return cls(at if case.changed_at is None else max(at, case.changed_at), actor, organisation)


@dataclass(frozen=True, slots=True)
class Moved:
    """What one move made of a case, and the event that says so."""

    case: Case
    event: CaseEvent


def words(turn: Turn, author: Author, what: What, field: str, sealed: Sealed | None) -> Message | None:
    """The message that `sealed` becomes, if there is one."""
    return Message(turn.at, author, what, field, sealed) if sealed else None


def moved(
    before: Case,
    turn: Turn,
    shape: type[CaseEvent],
    to: State,
    message: Message | None = None,
    says: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Moved:
    """The case after one event of `shape`, with its timers, history and place in the queue brought up.

    `says` is what the event carries besides the dimensions, `changes` which other fields of the case change.
    """
    at = turn.at
    after = replace(
        before,
        state=to,
        version=before.version + 1,
        changed_at=at,
        since=before.since if to == before.state and before.since else at,
        **changes,
    )
    timers, revision = _timers(after)
    by = turn.actor.id if turn.actor.kind == "staff" else None
    cause = next((says[name] for name in ("cause", "reason_code", "what") if says and name in says), None)
    step = Step(after.version, shape.type, at, to, after.department, by, cause)
    if message:
        message = replace(message, version=after.version)
    after = replace(
        after,
        timers=timers,
        timer_revision=revision,
        timeline=_bounded(before.timeline, step, STEPS),
        messages=_bounded(before.messages, message, MESSAGES) if message else before.messages,
        written=before.written + (len(message.words.ct) if message and message.author == "staff" else 0),
        urgency=_urgency(after),
    )
    event = shape(
        at=at,
        actor=turn.actor,
        number=after.number,
        channel=after.channel,
        kind=after.kind,
        category=after.category,
        department=after.department,
        area=after.area,
        priority=after.priority,
        language=after.language,
        received_at=after.received_at,
        deadline=after.deadline,
        historic=after.historic,
        from_=before.state,
        to=to,
        **(says or {}),
    )
    return Moved(after, event)


def _timers(case: Case) -> tuple[tuple[Timer, ...], int]:
    """What the case now waits for, and the last revision given: a timer that stays as it was keeps its own."""
    wanted: list[tuple[TimerName, datetime]] = []
    if case.state == "answered" and case.until:
        wanted.append(("silence", case.until))
    elif case.state == "awaiting-citizen" and case.until:
        wanted.append(("cap", case.until))
    elif is_open(case.state) and case.deadline and not case.overdue and case.state != "answered":
        wanted.append(("deadline", case.deadline))
    timers, revision = [], case.timer_revision
    for name, due in wanted:
        timer = next((t for t in case.timers if t.name == name and t.due == due), None)
        if timer is None:
            revision += 1
            timer = Timer(name, due, revision)
        timers.append(timer)
    return tuple(timers), revision


def runs(case: Case) -> bool:
    """Whether the deadline is still to be kept: neither met by an answer nor paused before it had passed."""
    if case.deadline is None or not is_open(case.state) or case.state == "answered":
        return False
    return case.paused_at is None or case.deadline <= case.paused_at


def _urgency(case: Case) -> str:
    if not is_open(case.state):
        return f"3 {rfc3339(case.since or case.received_at)} {case.number}"
    if case.deadline is None:
        return f"2 {case.number}"
    return f"1 {'' if runs(case) else 'waits '}{rfc3339(case.deadline)} {case.number}"


def _bounded(items: tuple[T, ...], item: T, limit: int) -> tuple[T, ...]:
    kept = items if len(items) < limit else (items[0], *items[2:])
    return (*kept, item)

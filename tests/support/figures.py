"""Many cases' lives, woven as the log would have them, and what they come to when counted by hand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from services.analytics.domain.flow import middle
from services.analytics.store import Board
from services.routing.domain.states import MOVES
from shared.events import routing
from shared.events.envelope import Actor, Envelope, Event, Sealed, enclose
from shared.events.intake import FeedbackReceived
from shared.events.routing import CaseEvent, Explanation

MONDAY = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""In Shanghai it becomes Tuesday an hour later."""

SEALED = Sealed(key="nobody/text", nonce="AAAAAAAAAAAAAAAA", ct="AAAA")
CITIZEN, STAFF, IMPORTER = Actor(kind="citizen"), Actor(kind="staff", id="w-1"), Actor(kind="import", id="town-2025")
EXPLANATION = Explanation(method="keywords", version="1", confidence=1.0, bar=0.5)

CHANNELS = ("portal", "phone", "sms")
KINDS = (None, "complaint", "help")
CATEGORIES = (None, "lighting", "water")
DEPARTMENTS = ("reception", "works", "lighting")
AREAS = (None, "north", "south")

PAUSES = (0.0, 0.3, 1.0, 1.001, 59.0, 3_600.0, 86_400.0 * 3, 86_400.0 * 400)
"""Seconds between two events of a case, roughly."""

EXTRA: dict[type[CaseEvent], dict[str, Any]] = {
    routing.CaseTriaged: {"explanation": EXPLANATION},
    routing.CaseRouted: {"explanation": EXPLANATION},
    routing.CaseReturned: {"reason_code": "not-ours", "hop": 1},
    routing.CaseAwaitingCitizen: {"text": SEALED},
    routing.CaseResumed: {"cause": "message"},
    routing.CaseAnswered: {"text": SEALED},
    routing.CaseClosed: {"cause": "silence"},
    routing.CaseReopened: {"cause": "reopening"},
    routing.CaseOverdue: {"timer": "deadline", "due": MONDAY, "revision": 1},
    routing.CaseRescheduled: {"previous": MONDAY, "overdue": False, "organisation_version": "2"},
    routing.CaseNoted: {"text": SEALED},
}

SHAPES: dict[str, type[CaseEvent]] = {
    "question": routing.CaseAwaitingCitizen,
    "answer": routing.CaseAnswered,
    "return": routing.CaseReturned,
    "acceptance": routing.CaseAccepted,
    "start": routing.CaseStarted,
    "reassignment": routing.CaseReassigned,
    "message": routing.CaseResumed,
    "resumption": routing.CaseResumed,
    "cap": routing.CaseResumed,
    "solved": routing.CaseClosed,
    "closure": routing.CaseClosed,
    "silence": routing.CaseClosed,
    "reopening": routing.CaseReopened,
    "unsolved": routing.CaseReopened,
    "withdrawal": routing.CaseWithdrawn,
}


@dataclass
class Life:
    """One case: its feedback, and what became of it."""

    key: str
    received: FeedbackReceived
    events: list[CaseEvent] = field(default_factory=list)

    @classmethod
    def begin(cls, key: str, at: datetime = MONDAY, actor: Actor = CITIZEN, **given: Any) -> Life:
        fields: dict[str, Any] = {
            "number": key,
            "channel": "portal",
            "language": "zh",
            "text": SEALED,
            "contact": SEALED,
        }
        return cls(key, FeedbackReceived(at=at, actor=actor, received_at=at, **fields | given))

    @property
    def state(self) -> str:
        return self.events[-1].to if self.events else "received"

    def happens(self, shape: type[CaseEvent], to: str, after: float = 60.0, actor: Actor = STAFF, **given: Any) -> Life:
        """One more event, `after` seconds after the one before, with the dimensions of before unless given."""
        last: Any = self.events[-1] if self.events else self.received
        fields: dict[str, Any] = {
            "number": self.received.number,
            "language": "zh",
            "received_at": self.received.received_at,
            "from_": self.state,
            "to": to,
            **{name: getattr(last, name, None) for name in ("channel", "kind", "category", "area")},
            "department": getattr(last, "department", "reception"),
        }
        fields |= EXTRA.get(shape, {}) | given
        at = last.at + timedelta(seconds=after)
        self.events.append(shape(at=at.replace(microsecond=at.microsecond // 1000 * 1000), actor=actor, **fields))
        return self

    def envelopes(self) -> list[Envelope]:
        """The whole life as it lies on the log."""
        return [
            _enclosed(self.received, self.key, 1),
            *(_enclosed(e, self.key, n) for n, e in enumerate(self.events, 1)),
        ]


def _enclosed(event: Event, key: str, sequence: int) -> Envelope:
    return enclose(event, subject=key, sequence=sequence, key=key, time=event.at, traceparent=None)


def life(chance: random.Random, key: str) -> Life:
    """A random legal walk, from a live or an imported feedback, over live and imported steps."""
    importing = chance.random() < 0.4
    at = MONDAY + timedelta(minutes=15 * chance.randrange(8))
    if chance.random() < 0.8:
        at += timedelta(milliseconds=chance.randrange(900_000))
    found = Life.begin(
        key,
        at,
        IMPORTER if importing else CITIZEN,
        channel=chance.choice(CHANNELS),
        kind=chance.choice(KINDS),
        category=chance.choice(CATEGORIES),
    )
    deadline: datetime | None = None
    for _ in range(chance.randrange(12)):
        shape, to = _next(chance, found.state)
        if shape is None:
            break
        new: dict[str, Any] = {}
        if shape in (routing.CaseTriaged, routing.CaseRouted, routing.CaseReassigned):
            lists = {"department": DEPARTMENTS, "category": CATEGORIES, "area": AREAS, "kind": KINDS}
            new = {name: chance.choice(values) for name, values in lists.items()}
        if shape is not routing.CaseNoted and chance.random() < 0.3:
            deadline = chance.choice((None, MONDAY + timedelta(hours=chance.randrange(200))))
        after = chance.choice(PAUSES) * chance.choice((1, 1, 1, 1.37, -1))
        importing = importing and chance.random() < 0.8
        found.happens(shape, to, after, IMPORTER if importing else STAFF, deadline=deadline, **new)
    return found


def _next(chance: random.Random, state: str) -> tuple[type[CaseEvent] | None, str]:
    """What may happen next; from `received`, what the classifier may say."""
    if state == "received":
        return (routing.CaseTriaged, "triage") if chance.random() < 0.5 else (routing.CaseRouted, "routed")
    steps = MOVES[state]  # type: ignore[index]  # every state of an event is a State
    aside = chance.random()
    if aside < 0.1:
        return routing.CaseNoted, state
    if aside < 0.25 and state not in ("answered", "closed", "withdrawn"):
        return routing.CaseOverdue, state
    if aside < 0.3:
        return routing.CaseRescheduled, state  # to a deadline that has not passed
    if not steps:
        return None, state
    move = chance.choice([*steps, *(step for step in steps if step != "withdrawal")])
    return SHAPES[move], steps[move]


@st.composite
def lives(draw: st.DrawFn, keys: Sequence[str]) -> list[Life]:
    """Lives of some of these cases."""
    chance = draw(st.randoms(use_true_random=False))
    return [life(chance, key) for key in keys[: draw(st.integers(1, len(keys)))]]


def woven(chance: random.Random, stories: Iterable[Life]) -> list[Envelope]:
    """All envelopes, each case's in order; some come again later, and some of routing's change places."""
    left = [story.envelopes() for story in stories]
    log: list[Envelope] = []
    while left:
        one = chance.choice(left)
        log.append(one.pop(0))
        if not one:
            left.remove(one)
        if chance.random() < 0.2:
            log.append(chance.choice(log))
    for place in range(len(log) - 1):
        if chance.random() < 0.1 and log[place].source == log[place + 1].source == "/routing":
            log[place : place + 2] = log[place + 1], log[place]
    return log


@dataclass
class Recount:
    """What lives come to, from their events alone."""

    by: dict[str, Counter[str]]
    quarters: Counter[str]
    overdue: int
    promises: Counter[str]
    late: Counter[str]
    flow: dict[tuple[str, str], list[float]]

    @classmethod
    def of(cls, stories: Iterable[Life]) -> Recount:
        names = ("channel", "kind", "category", "department", "area", "state")
        told = cls({name: Counter() for name in names}, Counter(), 0, Counter(), Counter(), {})
        for story in stories:
            told._add(story)
        return told

    def _add(self, story: Life) -> None:
        last: Any = story.events[-1] if story.events else story.received
        for name in ("channel", "kind", "category", "department", "area"):
            self.by[name][getattr(last, name, None) or "unspecified"] += 1
        self.by["state"][story.state] += 1
        received = story.received.received_at
        self.quarters[_quarter(received)] += 1
        self.overdue += _is_overdue(story)
        if _is_overdue(story) and last.deadline:
            self.late[_quarter(last.deadline)] += 1
        if verdict := _verdict(story):
            self.promises[f"{last.department}|{verdict}"] += 1
        for start, end, seconds in _steps(story):
            self.flow.setdefault((start, end), []).append(seconds)


def _quarter(moment: datetime) -> str:
    start = moment.astimezone(UTC).replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    return f"{start:%Y-%m-%dT%H:%M}Z"


def _verdict(story: Life) -> str | None:
    """Whether the first answer came in time: told by the first answer or overdue event that had a deadline. Before any
    answer a moved deadline decides anew."""
    found: str | None = None
    answered = False
    for event in story.events:
        if isinstance(event, routing.CaseRescheduled):
            if not answered:
                found = "missed" if event.overdue else None
        elif not found and event.deadline and not event.historic:
            if isinstance(event, routing.CaseAnswered):
                found = "kept" if event.at <= event.deadline else "missed"
            elif isinstance(event, routing.CaseOverdue):
                found = "missed"
        answered = answered or event.to == "answered"
    return found


def _is_overdue(story: Life) -> bool:
    for event in reversed(story.events):
        if event.to in ("answered", "closed", "withdrawn"):
            return False
        if isinstance(event, routing.CaseOverdue):
            return True
        if isinstance(event, routing.CaseRescheduled):
            return event.overdue
    return False


def _steps(story: Life) -> Iterable[tuple[str, str, float]]:
    """Every change of state, and the first way from receipt to an answer and to the end."""
    been: list[tuple[str, datetime, bool]] = [
        ("received", story.received.received_at, story.received.actor == IMPORTER)
    ]
    been += [(e.to, e.at, e.actor == IMPORTER) for e in story.events if e.to != e.from_]
    pairs = list(pairwise(been))
    for goal in ("answered", "closed"):
        first = next((stop for stop in been if stop[0] == goal), None)
        if first is not None:
            pairs.append((been[0], first))
    for (start, since, imported), (end, until, also) in pairs:
        if imported == also and until >= since:
            yield start, end, (until - since).total_seconds()


def assert_told(board: Board, stories: Sequence[Life]) -> None:
    """The board says what a recount of these lives says."""
    expected = Recount.of(stories)
    assert {name: {k: n for k, n in series.items() if n} for name, series in board.by.items()} == expected.by
    assert {quarter: n for quarter, n in board.quarters.items() if n} == expected.quarters
    assert board.overdue == expected.overdue
    assert {k: n for k, n in board.late.items() if n} == expected.late
    assert {k: n for k, n in board.promises.items() if n} == expected.promises
    assert board.total == len(stories)
    assert board.open == sum(story.state not in ("closed", "withdrawn") for story in stories)
    flow = {step: counts for step, counts in board.flow.items() if any(counts.values())}
    assert flow.keys() == expected.flow.keys()
    for step, counts in flow.items():
        told = [middle(number) for number in sorted(counts) for _ in range(counts[number])]
        assert all(map(close, told, sorted(expected.flow[step]))), step
        assert len(told) == len(expected.flow[step])


def close(told: float, exact: float) -> bool:
    """Whether a duration is told well enough: within 1.6 %, and up to a second as nothing."""
    return told == 0 if exact <= 1 else abs(told - exact) <= 0.016 * exact

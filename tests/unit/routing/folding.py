"""Routing's own events, folded: what anyone who only reads the log knows of a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.routing.domain.case import Case
from shared.events.routing import CaseEvent


@dataclass(frozen=True)
class Folded:
    """A case as its events tell it."""

    version: int
    state: str
    department: str
    category: str | None
    deadline: datetime | None
    priority: str
    historic: bool
    changed_at: datetime
    timeline: tuple[tuple[datetime, str, str], ...]

    @classmethod
    def of(cls, case: Case) -> Folded:
        """What the case itself says."""
        assert case.changed_at
        return cls(
            case.version,
            case.state,
            case.department,
            case.category,
            case.deadline,
            case.priority,
            case.historic,
            case.changed_at,
            tuple((step.at, step.state, step.department) for step in case.timeline),
        )


def fold(events: Iterable[CaseEvent]) -> Folded | None:
    """The case that these events, in order, make; None for none. Asserts that each begins where the last one ended."""
    folded: Folded | None = None
    for event in events:
        assert event.from_ == (folded.state if folded else "received")
        before = folded.timeline if folded else ()
        folded = Folded(
            (folded.version if folded else 0) + 1,
            event.to,
            event.department,
            event.category,
            event.deadline,
            event.priority,
            event.historic,
            event.at,
            (*before, (event.at, event.to, event.department)),
        )
    return folded

"""Where words would go, told before they are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.routing.handlers.cases import Knowledge
from shared.clock import Clock
from shared.events.routing import Explanation


@dataclass(frozen=True, slots=True)
class Foretold:
    """Where words would go if they were sent now. `department` None: a person would decide."""

    category: str | None
    department: str | None
    deadline: datetime
    explanation: Explanation


Foreteller = Callable[[str, str], Foretold | None]
"""Foretells from a text and a place; None where nothing was written."""


def foretelling(knowledge: Knowledge, clock: Clock) -> Foreteller:
    """A foreteller that decides as `open_case` does, and keeps nothing."""

    def foretell(text: str, place: str) -> Foretold | None:
        if not text.strip():
            return None
        assigned = knowledge.classifier.assign(text, None, place)
        organisation = knowledge.organisation
        deadline = organisation.calendar.add(clock.now(), organisation.budget(assigned.category))
        return Foretold(assigned.category, assigned.department, deadline, assigned.explanation)

    return foretell

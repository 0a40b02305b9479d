"""How a case stands: the sides of its mark, and its deadline in words and as a bar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.routing.domain.case import Case
from services.routing.domain.states import is_open
from shared.events.routing import State
from shared.web.pages import Language, lasting, translate

KEPT = {"received": 1, "triage": 1, "returned": 1, "answered": 3, "closed": 4, "withdrawn": 0}
"""Sides of the mark that are kept in a state; two in every other one."""

WAITING = frozenset({"awaiting-citizen", "answered"})
"""States in which we wait for the citizen: the mark's inner square is hollow."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark: how many sides are kept, whether we wait for the citizen, whether the answer is late."""

    kept: int
    waits: bool
    late: bool = False


@dataclass(frozen=True, slots=True)
class Promise:
    """How the deadline stands. `share` is how much of the time has passed, in percent."""

    words: str
    state: Literal["running", "paused", "late", "met"]
    share: int = 0


def mark_of(state: State, late: bool = False) -> Mark:
    return Mark(KEPT.get(state, 2), state in WAITING, late)


def promise_of(case: Case, language: Language, now: datetime) -> Promise | None:
    """None where no deadline was promised, or none is left to keep."""
    due = case.deadline
    if due is None:
        return None
    if case.state in ("answered", "closed"):
        answered = [step.at for step in case.timeline if step.event == "case.answered"]
        if not answered:
            return None
        key = "deadline.early" if answered[-1] <= due else "deadline.late"
        return Promise(translate(language, key, time=lasting(language, abs(due - answered[-1]))), "met")
    if not is_open(case.state):
        return None
    if case.state == "awaiting-citizen" and due > (case.paused_at or due):
        return Promise(translate(language, "deadline.paused"), "paused")
    if now > due:
        return Promise(translate(language, "deadline.late", time=lasting(language, now - due)), "late", 100)
    whole = max((due - case.received_at).total_seconds(), 1)
    passed = (now - case.received_at).total_seconds()
    words = translate(language, "deadline.left", time=lasting(language, due - now))
    return Promise(words, "running", max(0, min(100, round(100 * passed / whole))))

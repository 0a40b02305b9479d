"""What events and time do to a case: one pure function each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.routing.classifier import Classifier
from services.routing.domain import citizen, work
from services.routing.domain.case import Case, Moved, Turn
from services.routing.domain.organisation import Organisation
from services.routing.domain.terms import Terms
from shared.delivery.subscription import Context
from shared.events.envelope import Actor
from shared.events.intake import (
    FeedbackRated,
    FeedbackReceived,
    FeedbackReopened,
    FeedbackSupplemented,
    FeedbackWithdrawn,
)
from shared.store.documents import Decision

SYSTEM = Actor(kind="system")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a handler may know besides the case and the event."""

    organisation: Organisation
    classifier: Classifier
    terms: Terms


def open_case(case: Case | None, event: FeedbackReceived, context: Context) -> Decision[Case] | None:
    """A case for new feedback, with whoever answers and by when; below the bar a person decides."""
    if case is not None:
        return None
    knows: Knowledge = context.knows
    assigned = knows.classifier.assign(
        context.words.get("text") or "", event.category, context.words.get("place") or ""
    )
    opened = work.open_case(event, assigned, Turn(event.at, SYSTEM, knows.organisation))
    return _findable(opened, context, event.number[9:17], context.words.get("place"), context.words.get("text"))


def hear_citizen(case: Case | None, event: FeedbackSupplemented, context: Context) -> Decision[Case] | None:
    """The citizen's message ends the wait for it; in any other state it is added to the case."""
    if case is None:
        return None
    done = citizen.hear(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("message"))


def take_rating(case: Case | None, event: FeedbackRated, context: Context) -> Decision[Case] | None:
    """Solved closes an answered case, unsolved puts it back to work."""
    if case is None:
        return None
    done = citizen.rate(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("comment"))


def reopen_case(case: Case | None, event: FeedbackReopened, context: Context) -> Decision[Case] | None:
    """Back to work, where the state and the organisation's days allow it."""
    if case is None:
        return None
    done = citizen.reopen(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("reason"))


def withdraw_case(case: Case | None, event: FeedbackWithdrawn, context: Context) -> Decision[Case] | None:
    """The end of every open case."""
    if case is None:
        return None
    done = citizen.withdraw(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("reason"))


def fire_timer(case: Case, context: Context) -> Decision[Case] | None:
    """Overdue, the pause's cap, or silence: what is due now, once."""
    done = work.fire(case, _turn(case, context.now, SYSTEM, context))
    return decision_of(done) if done else None


def decision_of(done: Moved) -> Decision[Case]:
    return Decision(done.case, (done.event,))


def _turn(case: Case, at: datetime, actor: Actor, context: Context) -> Turn:
    knows: Knowledge = context.knows
    return Turn.on(case, at, actor, knows.organisation)


def _findable(done: Moved, context: Context, *said: str | None) -> Decision[Case]:
    """The decision, with the case found by what was said too."""
    knows: Knowledge = context.knows
    words = knows.terms.with_words(done.case.words, *said)
    return decision_of(replace(done, case=replace(done.case, words=words)))

"""What the citizen does to a case. Feedback's events are facts: what the state does not allow is kept as a message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from services.routing.domain.case import Case, Message, Moved, Rating, Turn, moved, words
from services.routing.domain.states import MOVES
from services.routing.domain.work import running_again, silent_until
from shared.events.envelope import Sealed
from shared.events.intake import FeedbackRated, FeedbackReopened, FeedbackSupplemented, FeedbackWithdrawn
from shared.events.routing import CaseClosed, CaseReopened, CaseResumed, CaseSupplemented, CaseWithdrawn

Word = Literal["message", "rating", "reopening", "withdrawal"]

FIELDS: dict[Word, str] = {"message": "message", "rating": "comment", "reopening": "reason", "withdrawal": "reason"}
"""The field of intake's event in which the words of each are sealed."""


def hear(case: Case, event: FeedbackSupplemented, turn: Turn) -> Moved:
    """A message: it ends the wait for the citizen, elsewhere it is added."""
    to = MOVES[case.state].get("message")
    if to is None:
        return _kept(case, turn, "message", event.message)
    said = _words(turn, "message", event.message)
    return moved(case, turn, CaseResumed, to, said, {"cause": "message"}, **running_again(case, turn))


def rate(case: Case, event: FeedbackRated, turn: Turn) -> Moved:
    """A verdict: solved closes an answered case, unsolved puts it back to work; without one nothing moves."""
    rating = Rating(turn.at, event.contacted, event.solved, event.satisfaction)
    said = _words(turn, "rating", event.comment)
    if event.solved is False and _may_reopen(case, turn):
        return _reopened(case, turn, said, "rating", rating=rating)
    if event.solved and (to := MOVES[case.state].get("solved")):
        return moved(case, turn, CaseClosed, to, said, {"cause": "rated"}, rating=rating, until=None)
    return _kept(case, turn, "rating", event.comment, rating=rating)


def reopen(case: Case, event: FeedbackReopened, turn: Turn) -> Moved:
    """Not settled: back to work from answered, and from closed within the organisation's days."""
    if not _may_reopen(case, turn):
        return _kept(case, turn, "reopening", event.reason)
    return _reopened(case, turn, _words(turn, "reopening", event.reason), "reopening")


def withdraw(case: Case, event: FeedbackWithdrawn, turn: Turn) -> Moved:
    """Taken back: the end of every open case."""
    to = MOVES[case.state].get("withdrawal")
    if to is None:
        return _kept(case, turn, "withdrawal", event.reason)
    said = _words(turn, "withdrawal", event.reason)
    return moved(case, turn, CaseWithdrawn, to, said, **(running_again(case, turn) | {"until": None}))


def _may_reopen(case: Case, turn: Turn) -> bool:
    if "reopening" not in MOVES[case.state]:
        return False
    if case.state != "closed" or case.since is None:
        return True
    return turn.at - case.since <= timedelta(days=turn.organisation.reopen_days)


def _reopened(
    case: Case, turn: Turn, said: Message | None, cause: Literal["reopening", "rating"], **changes: Any
) -> Moved:
    """Back to work, with a new deadline and a new budget for pauses; the old deadline stays in the history."""
    if case.deadline is not None:
        calendar, budget = turn.organisation.calendar, turn.organisation.budget(case.category)
        changes |= {
            "deadline": calendar.add(turn.at, budget),
            "counted_from": turn.at,
            "allowed": budget,
            "past_deadlines": (*case.past_deadlines, case.deadline),
            "overdue": False,
            "paused": 0.0,
        }
    to = MOVES[case.state]["reopening"]
    return moved(case, turn, CaseReopened, to, said, {"cause": cause}, until=None, **changes)


def _kept(case: Case, turn: Turn, what: Word, sealed: Sealed | None, **changes: Any) -> Moved:
    """Nothing moves; the words are added. Who speaks is not silent: an answered case waits anew."""
    if case.state == "answered":
        changes["until"] = silent_until(case, turn)
    said = _words(turn, what, sealed)
    return moved(case, turn, CaseSupplemented, case.state, said, {"text": sealed, "what": what}, **changes)


def _words(turn: Turn, what: Word, sealed: Sealed | None) -> Message | None:
    return words(turn, "citizen", what, FIELDS[what], sealed)

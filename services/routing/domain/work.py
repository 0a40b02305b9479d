"""What opens a case, what staff do with it, and what time does to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.routing.domain.case import Case, Moved, Turn, moved, words
from services.routing.domain.states import MOVES, is_open, target
from shared.events.envelope import Sealed
from shared.events.intake import FeedbackReceived
from shared.events.routing import (
    CaseAccepted,
    CaseAnswered,
    CaseAwaitingCitizen,
    CaseClosed,
    CaseNoted,
    CaseOverdue,
    CaseReassigned,
    CaseRescheduled,
    CaseResumed,
    CaseReturned,
    CaseRouted,
    CaseStarted,
    CaseTriaged,
    Explanation,
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a case is about and who answers; `department` None: a person decides."""

    category: str | None
    department: str | None
    area: str | None
    explanation: Explanation


def open_case(feedback: FeedbackReceived, assigned: Assignment, turn: Turn) -> Moved:
    """The case of a new piece of feedback: routed, or in triage at the reception."""
    organisation = turn.organisation
    category = organisation.categories.get(assigned.category) if assigned.category else None
    allowed = organisation.budget(assigned.category)
    new = Case(
        number=feedback.number,
        state="received",
        channel=feedback.channel,
        kind=feedback.kind,
        category=assigned.category,
        department=assigned.department or organisation.reception,
        area=assigned.area,
        priority=category.priority if category else "normal",
        language=feedback.language,
        received_at=feedback.received_at,
        historic=feedback.historic,
        anonymous=feedback.anonymous,
        contact_kinds=feedback.contact_kinds,
        key_name=feedback.text.key.rpartition("/")[0],
        explanation=assigned.explanation,
        place=feedback.place,
        point=feedback.point,
        answers=feedback.answers,
        deadline=None if feedback.historic else organisation.calendar.add(feedback.received_at, allowed),
        counted_from=None if feedback.historic else feedback.received_at,
        allowed=0.0 if feedback.historic else allowed,
    )
    said = words(turn, "citizen", "feedback", "text", feedback.text)
    says = {"explanation": assigned.explanation}
    if assigned.department is None:
        return moved(new, turn, CaseTriaged, "triage", said, says)
    return moved(new, turn, CaseRouted, "routed", said, says, first_receiver=assigned.department, routings=1)


def accept(case: Case, turn: Turn) -> Moved:
    """The department takes it on; who accepts is the case worker."""
    return moved(case, turn, CaseAccepted, target(case.state, "acceptance"), worker=turn.actor.id)


def start(case: Case, turn: Turn) -> Moved:
    return moved(case, turn, CaseStarted, target(case.state, "start"), worker=turn.actor.id)


def send_back(case: Case, turn: Turn, reason_code: str, reason: Sealed | None) -> Moved:
    """Not theirs: it goes to the reception. The deadline and the first receiver stay."""
    to = target(case.state, "return")
    hop = case.hops + 1
    says = {"reason_code": reason_code, "reason": reason, "hop": hop}
    return moved(
        case,
        turn,
        CaseReturned,
        to,
        words(turn, "staff", "return", "reason", reason),
        says,
        hops=hop,
        department=turn.organisation.reception,
        worker=None,
    )


def reassign(case: Case, turn: Turn, department: str, category: str | None, reason: Sealed | None) -> Moved:
    """Another department has it: the way out of triage and returned (case.routed), and a hand-over elsewhere.

    A case without a category gets that of the new one, with its deadline counted from when it was received;
    otherwise the deadline stays, so that handing over never gains time.
    """
    to = target(case.state, "reassignment")
    changes = running_again(case, turn)
    if category and case.category is None and not case.historic and not case.overdue and not case.past_deadlines:
        changes["allowed"] = turn.organisation.budget(category) + changes.get("paused", case.paused)
        changes["deadline"] = turn.organisation.calendar.add(case.received_at, changes["allowed"])
    known = turn.organisation.categories.get(category) if category else None
    explanation = Explanation(
        method="person", version=turn.organisation.version, confidence=1.0, bar=turn.organisation.bar
    )
    changes |= {
        "department": department,
        "category": category or case.category,
        "priority": known.priority if known else case.priority,
        "explanation": explanation,
        "first_receiver": case.first_receiver or department,
        "routings": case.routings + 1,
        "worker": None,
        "until": None,
    }
    said = words(turn, "staff", "reassignment", "reason", reason)
    if case.state in ("triage", "returned"):
        says: dict[str, Any] = {"explanation": explanation, "repeat": case.routings}
        return moved(case, turn, CaseRouted, to, said, says, **changes)
    return moved(case, turn, CaseReassigned, to, said, {"reason": reason}, **changes)


def ask(case: Case, turn: Turn, text: Sealed) -> Moved:
    """A question to the citizen: the deadline pauses, at most for what is left of the cap."""
    to = target(case.state, "question")
    said = words(turn, "staff", "question", "text", text)
    until = None
    if not case.historic:
        left = turn.organisation.pause_hours * 3600 - case.paused
        until = turn.organisation.calendar.add(turn.at, left)
    return moved(case, turn, CaseAwaitingCitizen, to, said, {"text": text}, paused_at=turn.at, until=until)


def resume(case: Case, turn: Turn) -> Moved:
    to = target(case.state, "resumption")
    return moved(case, turn, CaseResumed, to, None, {"cause": "staff"}, **running_again(case, turn))


def answer(case: Case, turn: Turn, text: Sealed) -> Moved:
    to = target(case.state, "answer")
    said = words(turn, "staff", "answer", "text", text)
    return moved(case, turn, CaseAnswered, to, said, {"text": text}, until=silent_until(case, turn))


def close(case: Case, turn: Turn, text: Sealed | None) -> Moved:
    to = target(case.state, "closure")
    said = words(turn, "staff", "closure", "text", text)
    return moved(case, turn, CaseClosed, to, said, {"cause": "staff", "text": text}, until=None)


def note(case: Case, turn: Turn, text: Sealed) -> Moved:
    """Among staff; possible in every state, moves nothing."""
    return moved(case, turn, CaseNoted, case.state, words(turn, "staff", "note", "text", text), {"text": text})


def fire(case: Case, turn: Turn) -> Moved | None:
    """What time does: the earliest timer that is due, or None if none is (it was moved or cancelled meanwhile)."""
    timer = min((t for t in case.timers if t.due <= turn.at), key=lambda t: t.due, default=None)
    if timer is None:
        return None
    if timer.name == "deadline":
        if again := reschedule(case, turn):  # the calendar changed, and this case's turn has not come yet
            return again
        says = {"timer": "deadline", "due": timer.due, "revision": timer.revision}
        return moved(case, turn, CaseOverdue, case.state, None, says, overdue=True)
    to = MOVES[case.state][timer.name]
    if timer.name == "silence":
        return moved(case, turn, CaseClosed, to, None, {"cause": "silence"}, until=None)
    return moved(case, turn, CaseResumed, to, None, {"cause": "cap"}, **running_again(case, turn))


def reschedule(case: Case, turn: Turn) -> Moved | None:
    """The deadline by the calendar of `turn`: the same working time from the same moment. None where it stays.

    What was overdue only by the old calendar is so no longer.
    """
    if not is_open(case.state) or case.deadline is None or case.counted_from is None:
        return None
    deadline = turn.organisation.calendar.add(case.counted_from, case.allowed)
    if deadline == case.deadline:
        return None
    needed_by = case.since if case.state == "answered" and case.since else turn.at
    overdue = case.overdue and deadline <= needed_by
    says = {"previous": case.deadline, "overdue": overdue, "organisation_version": turn.organisation.version}
    return moved(case, turn, CaseRescheduled, case.state, None, says, deadline=deadline, overdue=overdue)


def running_again(case: Case, turn: Turn) -> dict[str, Any]:
    """What ends a pause: the deadline moves by the working time that passed, never beyond the cap.

    A deadline that had passed before the question stays where it was.
    """
    if case.paused_at is None:
        return {}
    ended: dict[str, Any] = {"paused_at": None, "until": None}
    if case.until is not None and case.deadline is not None and case.counted_from is not None:
        calendar = turn.organisation.calendar
        passed = calendar.between(case.paused_at, min(turn.at, case.until))
        ended["paused"] = case.paused + passed
        if case.deadline > case.paused_at:
            ended["allowed"] = case.allowed + passed
            ended["deadline"] = calendar.add(case.counted_from, ended["allowed"])
    return ended


def silent_until(case: Case, turn: Turn) -> datetime | None:
    """When an answer that nobody contradicts closes the case."""
    if case.historic:
        return None
    return turn.organisation.calendar.end_of_day(turn.at, turn.organisation.silence_days)

"""What analytics does: one pure function per kind of event, from a case's figures to the next and what that adds."""

from __future__ import annotations

from dataclasses import replace

from services.analytics.domain.cases import UNSPECIFIED, CaseFigures, Promise, Reached, moved, stamp
from services.analytics.domain.flow import WHOLE, step
from shared.delivery.subscription import Counted
from shared.events.intake import FeedbackReceived
from shared.events.routing import CaseAnswered, CaseEvent, CaseOverdue, CaseRescheduled

SETTLED = frozenset({"answered", "closed", "withdrawn"})
"""States in which nothing is overdue."""


def count_feedback(case: CaseFigures | None, event: FeedbackReceived) -> Counted[CaseFigures] | None:
    """A feedback is counted once, and is in no department yet."""
    if case is not None:
        return None
    reached = Reached(event.received_at, event.actor.kind == "import")
    new = CaseFigures(
        received_at=stamp(event.received_at),
        channel=event.channel,
        kind=event.kind or UNSPECIFIED,
        category=event.category or UNSPECIFIED,
        last=reached,
        reached={"received": reached},
    )
    return Counted(new, moved(None, new))


def count_case(case: CaseFigures | None, event: CaseEvent) -> Counted[CaseFigures] | None:
    """The case stands in the cells of its current values; a step that it took is measured once."""
    if case is None:
        return None
    after = replace(
        case,
        channel=event.channel,
        kind=event.kind or UNSPECIFIED,
        category=event.category or UNSPECIFIED,
        department=event.department,
        area=event.area or UNSPECIFIED,
        state=event.to,
        overdue=event.to not in SETTLED and _overdue(case, event),
        deadline=stamp(event.deadline) if event.deadline else None,
        promise=_promise(case, event),
    )
    if event.to != case.state and case.last:
        now = Reached(event.at, event.actor.kind == "import")
        steps = (*case.steps, *_steps(case, case.last, event.to, now))
        after = replace(after, last=now, reached={event.to: now, **case.reached}, steps=steps)
    return Counted(after, moved(case, after))


def _overdue(case: CaseFigures, event: CaseEvent) -> bool:
    if isinstance(event, CaseRescheduled):
        return event.overdue
    return case.overdue or isinstance(event, CaseOverdue)


def _promise(case: CaseFigures, event: CaseEvent) -> Promise:
    """What is known of the first answer's deadline after this event: nothing yet, kept, or missed.

    A deadline that the calendar moves may be still to come although the one before it had passed.
    """
    if isinstance(event, CaseRescheduled) and "answered" not in case.reached:
        return "missed" if event.overdue else ""
    if case.promise or event.deadline is None or event.historic:
        return case.promise
    if isinstance(event, CaseAnswered):
        return "kept" if event.at <= event.deadline else "missed"
    return "missed" if isinstance(event, CaseOverdue) else ""


def _steps(case: CaseFigures, last: Reached, state: str, now: Reached) -> list[str]:
    """The steps that end in this state now: from the state before, and from the first, once."""
    taken = {case.state: last}
    taken |= {start: case.reached[start] for start, end in WHOLE if end == state and state not in case.reached}
    return [
        step(start, state, since.at, now.at)
        for start, since in taken.items()
        if since.imported == now.imported and now.at >= since.at
    ]

"""The citizen's view follows the case."""

from __future__ import annotations

from dataclasses import replace

from services.intake.domain import Step, Told, View
from shared.delivery.subscription import Context
from shared.events import routing
from shared.events.intake import FeedbackReceived
from shared.store.documents import Decision

UNTAKEN = frozenset({"triage", "routed", "returned"})
"""States in which nobody works on a case."""


def open_view(view: View | None, event: FeedbackReceived, context: Context) -> Decision[View] | None:
    """Received, and not yet with a department."""
    del context
    if view is not None:
        return None
    received = Step(event.received_at, "received", None)
    return Decision(View(event.number, "received", category=event.category, kind=event.kind, timeline=(received,)))


def show_progress(view: View | None, event: routing.CaseEvent, context: Context) -> Decision[View]:
    """What the citizen sees follows the case."""
    del context
    view = view or View(event.number, event.to, event.department)
    view = replace(
        view,
        state=event.to,
        department=event.department,
        category=event.category,
        kind=event.kind,
        deadline=event.deadline,
        worker=None if event.to in UNTAKEN else view.worker,
    )
    step = Step(event.at, event.to, event.department)
    if isinstance(event, routing.CaseRouted):
        why = event.explanation
        step = replace(step, why=why.method, words=why.words, deadline=event.deadline)
    elif isinstance(event, routing.CaseAccepted | routing.CaseStarted):
        view, step = replace(view, worker=event.actor.id), replace(step, by=event.actor.id)
    view = view.at_step(step)
    text = getattr(event, "text", None)
    if text is not None and isinstance(event, routing.CaseAwaitingCitizen | routing.CaseAnswered | routing.CaseClosed):
        view = replace(view, messages=(*view.messages, Told(event.at, text, event.actor.id)))
    return Decision(view)

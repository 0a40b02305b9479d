"""Who is told what: the handlers, event by event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.notify.app import SERVICE
from services.notify.domain import CaseDeliveries, Delivery, Knowledge, Progress
from services.notify.handlers import outcome_of, replay
from shared.delivery.subscription import Context
from shared.errors import IllegalMove, NotFound
from shared.events.envelope import Actor, Event, Sealed, enclose
from shared.events.intake import FeedbackReceived
from shared.events.notify import DeliverySent
from shared.events.registry import read
from shared.events.routing import (
    CaseAnswered,
    CaseAwaitingCitizen,
    CaseClosed,
    CaseEvent,
    CaseOverdue,
    CaseReassigned,
    CaseReturned,
    CaseRouted,
    CaseTriaged,
    Explanation,
)

NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)
WINDOW = NOW.replace(minute=5, second=0)
WHY = Explanation(method="keywords", version="1", confidence=1.0, bar=0.5)
SEALED = Sealed(key="k/reply", nonce="AAAA", ct="AAAA")
CASE = CaseDeliveries("20260302-00000001-1", "zh", Sealed(key="k/contact", nonce="A", ct="A"), True, NOW)


def handled(case: CaseDeliveries | None, event: Event, sequence: int = 1) -> CaseDeliveries:
    known = read(enclose(event, subject="c", sequence=sequence, key="c", time=NOW, traceparent=None))
    (subscription,) = (one for one in SERVICE.subscriptions if one.event is type(event))
    decision = subscription.handler(case, known, Context(NOW, Knowledge(300, frozenset({"lighting", "reception"}))))
    assert decision is not None
    value = decision.value
    assert isinstance(value, CaseDeliveries)
    return value


def received(**more: Any) -> FeedbackReceived:
    given: dict[str, Any] = {
        "at": NOW, "actor": Actor(kind="citizen"), "number": CASE.number, "channel": "web", "language": "zh",
        "text": SEALED, "contact": CASE.contact, "contact_kinds": ("phone", "email"), "received_at": NOW,
    }  # fmt: skip
    return FeedbackReceived(**given | more)


def moved(shape: type[CaseEvent], **more: Any) -> CaseEvent:
    given: dict[str, Any] = {
        "at": NOW, "actor": Actor(kind="system"), "number": CASE.number, "channel": "web", "department": "lighting",
        "category": "street-lamp", "deadline": NOW, "language": "zh", "received_at": NOW, "from": "received",
        "to": "routed",
    }  # fmt: skip
    return shape.model_validate(given | more)


def test_a_citizen_with_an_address_gets_an_acknowledgement_now() -> None:
    (delivery,) = handled(None, received()).deliveries
    assert (delivery.kind, delivery.recipient_role, delivery.cause) == ("acknowledgement", "citizen", "/intake/c/1")
    assert delivery.progress == Progress(next_at=NOW)


def test_a_citizen_without_an_address_is_not_written_to() -> None:
    case = handled(None, received(contact_kinds=("phone",)))
    assert handled(case, moved(CaseAnswered, text=SEALED)).deliveries == ()


@pytest.mark.parametrize(
    ("shape", "kind", "more"),
    [
        (CaseAwaitingCitizen, "question", {"text": SEALED}),
        (CaseAnswered, "answer", {"text": SEALED}),
        (CaseClosed, "closing", {"text": SEALED, "cause": "staff"}),
        (CaseClosed, "closing", {"cause": "silence"}),
    ],
)
def test_what_the_department_says_goes_to_the_citizen(shape: type[CaseEvent], kind: str, more: dict[str, Any]) -> None:
    (delivery,) = handled(CASE, moved(shape, **more)).deliveries
    assert (delivery.kind, delivery.recipient_role, delivery.text) == (kind, "citizen", more.get("text"))


@pytest.mark.parametrize(
    ("shape", "kind", "more"),
    [
        (CaseRouted, "new-case", {"explanation": WHY}),
        (CaseTriaged, "new-case", {"explanation": WHY, "department": "reception"}),
        (CaseReassigned, "new-case", {}),
        (CaseOverdue, "overdue", {"timer": "t", "due": NOW, "revision": 1}),
    ],
)
def test_a_department_hears_of_it_when_the_window_ends(shape: type[CaseEvent], kind: str, more: dict[str, Any]) -> None:
    case = handled(CASE, moved(shape, **more))
    (delivery,) = case.deliveries
    assert (delivery.kind, delivery.recipient_role, delivery.category) == (kind, "department", "street-lamp")
    assert delivery.department == case.department == more.get("department", "lighting")
    assert delivery.progress.due == case.due == WINDOW


def test_a_department_without_an_address_is_not_written_to() -> None:
    case = handled(CASE, moved(CaseRouted, explanation=WHY, department="silent"))
    assert (case.department, case.deliveries) == ("silent", ())


def test_a_returned_case_is_another_departments_to_see() -> None:
    case = handled(CASE, moved(CaseReturned, reason_code="not-ours", hop=1, department="reception"))
    assert (case.department, case.deliveries) == ("reception", ())


def test_nobody_is_told_of_historic_feedback() -> None:
    case = handled(None, received(historic=True))
    case = handled(case, moved(CaseRouted, explanation=WHY, historic=True))
    assert handled(case, moved(CaseAnswered, text=SEALED, historic=True), 2).deliveries == ()


def test_the_same_event_twice_makes_one_delivery() -> None:
    once = handled(CASE, moved(CaseAnswered, text=SEALED))
    assert handled(once, moved(CaseAnswered, text=SEALED)) == once
    assert len(handled(once, moved(CaseAnswered, text=SEALED), 2).deliveries) == 2


def with_progress(progress: Progress, digest: str | None = None) -> CaseDeliveries:
    return CASE.adding(Delivery("c-1", "/routing/c/1", "answer", "citizen", "email", progress, digest=digest))


@pytest.mark.parametrize("state", ["dead", "unknown", "failed"])
def test_what_did_not_arrive_can_be_replayed(state: Any) -> None:
    case = replay(with_progress(Progress(state, 8)), "c-1", NOW).value
    assert (case.deliveries[0].progress, case.due) == (Progress(next_at=NOW), NOW)


@pytest.mark.parametrize("state", ["pending", "sending", "sent"])
def test_what_arrived_or_is_under_way_cannot_be_replayed(state: Any) -> None:
    with pytest.raises(IllegalMove):
        replay(with_progress(Progress(state)), "c-1", NOW)


def test_what_comes_again_with_its_digest_cannot_be_replayed() -> None:
    with pytest.raises(IllegalMove):
        replay(with_progress(Progress("failed", 1), digest="lighting:0"), "c-1", NOW)


def test_an_unknown_delivery_cannot_be_replayed() -> None:
    for case in (None, CASE):
        with pytest.raises(NotFound):
            replay(case, "c-1", NOW)


def test_a_sent_delivery_says_when_it_was_submitted() -> None:
    (delivery,) = with_progress(Progress("sent", 2, submitted_at=NOW)).deliveries
    (event,) = outcome_of(delivery, NOW + timedelta(seconds=9))
    assert isinstance(event, DeliverySent)
    assert (event.at, event.submitted_at, event.attempt, event.cause) == (NOW, NOW, 2, "/routing/c/1")


@pytest.mark.parametrize("state", ["pending", "sending", "unknown"])
def test_nothing_is_told_while_nothing_is_known(state: Any) -> None:
    assert outcome_of(with_progress(Progress(state)).deliveries[0], NOW) == []

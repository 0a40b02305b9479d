"""What routing does about an event: pure functions from a case and what happened to the case and what to say."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.routing import handlers
from services.routing.app import SERVICE, load_organisation
from services.routing.classifier import Classifier
from services.routing.domain.case import Case
from services.routing.domain.terms import Terms
from services.routing.handlers import Knowledge
from shared.delivery.subscription import Context
from shared.errors import Misconfigured
from shared.events import routing as events
from shared.events.envelope import Event
from shared.events.intake import (
    FeedbackRated,
    FeedbackReceived,
    FeedbackReopened,
    FeedbackSupplemented,
    FeedbackWithdrawn,
)
from shared.store.documents import Decision
from tests.unit.routing.building import CITIZEN, MONDAY, SAMPLE, TOWN, feedback, opened, sealed

KNOWS = Knowledge(TOWN, Classifier.of(TOWN), Terms(lambda word: hashlib.sha256(word).hexdigest()))


def context(text: str | None = None, place: str | None = None, after: timedelta = timedelta()) -> Context:
    return Context(MONDAY + after, KNOWS, {"text": text, "place": place})


def test_new_feedback_opens_a_case_with_one_event() -> None:
    decision = handlers.open_case(None, feedback(), context("路灯不亮", "城北"))
    assert decision
    case, (event,) = decision.value, decision.emit
    assert isinstance(event, events.CaseRouted)
    assert (event.from_, event.to, event.at, event.actor.kind) == ("received", "routed", MONDAY, "system")
    assert (case.department, case.category, case.area) == ("lighting", "lamps", "north")
    assert event.explanation == case.explanation


def test_feedback_that_has_a_case_opens_no_second_one() -> None:
    assert handlers.open_case(opened(), feedback(), context("路灯")) is None


def test_feedback_whose_words_were_erased_is_left_to_a_person() -> None:
    decision = handlers.open_case(None, feedback(), context(None))
    assert decision
    assert decision.value.state == "triage"


def test_the_citizens_own_choice_is_taken() -> None:
    decision = handlers.open_case(None, feedback(category="pipes"), context("路灯"))
    assert decision
    assert (decision.value.department, decision.value.explanation.method) == ("water", "given")


CITIZENS: list[tuple[Callable[[Case | None, Any, Context], Decision[Case] | None], Event]] = [
    (handlers.hear_citizen, FeedbackSupplemented(at=MONDAY, actor=CITIZEN, message=sealed())),
    (handlers.take_rating, FeedbackRated(at=MONDAY, actor=CITIZEN, satisfaction=3)),
    (handlers.reopen_case, FeedbackReopened(at=MONDAY, actor=CITIZEN)),
    (handlers.withdraw_case, FeedbackWithdrawn(at=MONDAY, actor=CITIZEN)),
]


@pytest.mark.parametrize(("handler", "event"), CITIZENS, ids=[event.type for _, event in CITIZENS])
def test_what_the_citizen_does_is_said_in_one_event_of_the_citizens(
    handler: Callable[[Case | None, Any, Context], Decision[Case] | None], event: Event
) -> None:
    decision = handler(opened(), event, context(after=timedelta(days=1)))
    assert decision
    (told,) = decision.emit
    assert (told.actor, told.at) == (CITIZEN, MONDAY)
    assert handler(None, event, context()) is None


def test_a_timer_fires_at_the_batchs_moment_and_only_when_due() -> None:
    case = opened()
    assert handlers.fire_timer(case, context()) is None
    decision = handlers.fire_timer(case, context(after=timedelta(days=2)))
    assert decision
    (event,) = decision.emit
    assert isinstance(event, events.CaseOverdue)
    assert event.at == MONDAY + timedelta(days=2)


def test_everything_that_routing_may_say_is_declared() -> None:
    owned = {shape for shape in vars(events).values() if isinstance(shape, type) and issubclass(shape, Event)}
    assert {shape for shape in owned if "type" in vars(shape)} == set(SERVICE.emits)
    assert {subscription.event for subscription in SERVICE.subscriptions} == {
        FeedbackReceived,
        FeedbackSupplemented,
        FeedbackRated,
        FeedbackReopened,
        FeedbackWithdrawn,
    }


def test_the_version_of_the_organisation_is_the_digest_of_its_file() -> None:
    organisation = load_organisation(SAMPLE)
    assert len(organisation.version) == 64
    assert organisation.published().reception == "reception"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Any, content: bytes | None) -> None:
    file = tmp_path / "town.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(Misconfigured, match=r"town\.yaml"):
        load_organisation(file)

"""Deadlines, pauses, silence, who has a case, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.routing.domain import citizen, work
from services.routing.domain.case import MESSAGES, STEPS, Turn
from shared.events.intake import FeedbackReopened
from shared.events.routing import (
    CaseClosed,
    CaseOverdue,
    CaseReassigned,
    CaseResumed,
    CaseReturned,
    CaseRouted,
    CaseTriaged,
)
from tests.unit.routing.building import (
    CITIZEN,
    HOUR,
    MONDAY,
    REPLY,
    SYSTEM,
    TOWN,
    WAYS,
    at,
    by,
    feedback,
    opened,
    said,
    turn,
)


def test_a_case_is_due_in_working_hours_of_its_category() -> None:
    assert opened("路灯").deadline == at("2026-09-07T18:00")
    assert opened("水管").deadline == at("2026-09-08T18:00")
    assert opened("水管").priority == "high"


def test_below_the_bar_the_reception_has_it() -> None:
    event = feedback()
    case = opened("?")
    assert (case.state, case.department, case.category) == ("triage", "desk", None)
    assert case.first_receiver is None
    assert case.deadline == TOWN.calendar.add(event.received_at, 16 * 3600)
    assert case.timeline[0].event == CaseTriaged.type


def test_out_of_triage_the_category_gives_the_deadline() -> None:
    done = work.reassign(opened("?"), turn(MONDAY + HOUR), "lighting", "lamps", None)
    assert isinstance(done.event, CaseRouted)
    assert (done.event.repeat, done.event.explanation.method) == (0, "person")
    assert done.case.deadline == opened("路灯").deadline
    assert done.case.first_receiver == "lighting"


def test_a_return_keeps_the_deadline_and_the_first_receiver_and_counts_the_hop() -> None:
    case = opened("路灯")
    done = work.send_back(case, turn(MONDAY + HOUR), "not-ours", REPLY)
    assert isinstance(done.event, CaseReturned)
    assert (done.event.hop, done.event.reason_code, done.event.reason) == (1, "not-ours", REPLY)
    assert (done.case.deadline, done.case.first_receiver) == (case.deadline, "lighting")
    assert done.case.department == "desk"
    again = work.reassign(done.case, turn(MONDAY + 2 * HOUR), "water", "pipes", None)
    assert isinstance(again.event, CaseRouted)
    assert again.event.repeat == 1
    assert (again.case.deadline, again.case.first_receiver, again.case.category) == (
        case.deadline,
        "lighting",
        "pipes",
    )
    assert work.send_back(again.case, turn(MONDAY + 3 * HOUR), "not-ours", None).case.hops == 2


def test_a_hand_over_keeps_the_deadline() -> None:
    case = WAYS["in-progress"]()
    done = work.reassign(case, turn(MONDAY + HOUR), "water", None, REPLY)
    assert isinstance(done.event, CaseReassigned)
    assert (done.case.department, done.case.category, done.case.deadline) == ("water", "lamps", case.deadline)
    assert (done.case.worker, done.case.state) == (None, "routed")


def test_the_deadline_stands_still_while_the_case_waits_for_the_citizen() -> None:
    case = work.ask(WAYS["accepted"](), turn(MONDAY + HOUR), REPLY).case
    answered_at = at("2026-09-07T15:00")
    done = citizen.hear(case, said(answered_at), by(case, answered_at))
    assert done.case.deadline == at("2026-09-08T14:00")  # four working hours later than 18:00
    assert done.case.paused == 4 * 3600


def test_the_pause_ends_at_its_cap_and_gives_no_more_than_that() -> None:
    case = work.ask(WAYS["accepted"](), turn(MONDAY + HOUR), REPLY).case
    assert [(timer.name, timer.due) for timer in case.timers] == [("cap", at("2026-09-08T10:00"))]
    late = at("2026-09-10T10:00")
    done = work.fire(case, Turn.on(case, late, SYSTEM, TOWN))
    assert done
    assert isinstance(done.event, CaseResumed)
    assert (done.event.cause, done.case.state) == ("cap", "in-progress")
    assert done.case.deadline == at("2026-09-08T18:00")
    again = work.ask(done.case, by(done.case, late), REPLY).case
    assert again.due == late, "nothing is left of the cap"


def test_a_question_does_not_save_a_deadline_that_has_passed() -> None:
    case = WAYS["accepted"]()
    late = at("2026-09-08T10:00")
    asked = work.ask(case, by(case, late), REPLY).case
    later = late + HOUR
    resumed = work.resume(asked, by(asked, later)).case
    assert resumed.deadline == case.deadline
    overdue = work.fire(resumed, Turn.on(resumed, later, SYSTEM, TOWN))
    assert overdue
    assert isinstance(overdue.event, CaseOverdue)


@pytest.mark.row("F42")
def test_a_deadline_is_missed_once_per_timer() -> None:
    case = opened()
    assert work.fire(case, Turn.on(case, at("2026-09-07T17:59"), SYSTEM, TOWN)) is None
    late = Turn.on(case, at("2026-09-07T18:00"), SYSTEM, TOWN)
    done = work.fire(case, late)
    assert done
    assert isinstance(done.event, CaseOverdue)
    assert (done.event.due, done.event.revision, done.event.to) == (case.deadline, 1, "routed")
    assert done.case.overdue
    assert done.case.due is None
    assert work.fire(done.case, late) is None


@pytest.mark.row("F42")
def test_a_moved_deadline_has_a_new_timer_and_the_old_one_is_ignored() -> None:
    case = work.ask(WAYS["accepted"](), turn(MONDAY + HOUR), REPLY).case
    case = citizen.hear(case, said(MONDAY + 2 * HOUR), by(case, MONDAY + 2 * HOUR)).case
    old = opened().timers[0]
    assert case.timers[0].revision > old.revision
    assert work.fire(case, Turn.on(case, old.due, SYSTEM, TOWN)) is None


def test_seven_working_days_of_silence_close_an_answered_case_as_silence() -> None:
    case = WAYS["answered"]()
    assert [(timer.name, timer.due) for timer in case.timers] == [("silence", at("2026-09-16T18:00"))]
    done = work.fire(case, Turn.on(case, at("2026-09-16T18:00"), SYSTEM, TOWN))
    assert done
    assert isinstance(done.event, CaseClosed)
    assert (done.event.cause, done.case.state) == ("silence", "closed")


def test_who_speaks_is_not_silent() -> None:
    case = WAYS["answered"]()
    later = MONDAY + timedelta(days=2)
    spoken = citizen.hear(case, said(later), by(case, later)).case
    assert spoken.due == at("2026-09-18T18:00")


def test_a_reopened_case_has_a_new_deadline_and_keeps_the_old_one() -> None:
    case = WAYS["closed"]()
    later = at("2026-09-14T09:00")
    done = citizen.reopen(case, FeedbackReopened(at=later, actor=CITIZEN), by(case, later))
    assert done.case.deadline == at("2026-09-14T18:00")
    assert done.case.past_deadlines == (case.deadline,)
    assert done.case.due == done.case.deadline


def test_historic_feedback_has_neither_deadline_nor_timers() -> None:
    case = opened(historic=True)
    assert (case.deadline, case.due, case.urgency) == (None, None, f"2 {case.number}")
    case = work.answer(work.accept(case, turn()).case, turn(), REPLY).case
    assert (case.deadline, case.due) == (None, None)


def test_business_time_never_runs_backwards_on_a_case() -> None:
    case = work.accept(opened(), turn(MONDAY + HOUR)).case
    late = citizen.hear(case, said(MONDAY), by(case, MONDAY))
    assert late.event.at == MONDAY + HOUR


def test_a_case_keeps_the_first_and_the_newest_messages() -> None:
    case = opened()
    for number in range(MESSAGES + 50):
        moment = MONDAY + timedelta(seconds=number)
        case = citizen.hear(case, said(moment), by(case, moment)).case
    assert len(case.messages) == MESSAGES
    assert case.messages[0].what == "feedback"
    assert case.messages[-1].at == moment
    assert case.version == MESSAGES + 51


def test_a_case_keeps_a_bounded_history() -> None:
    case = opened()
    case = replace(case, timeline=case.timeline * STEPS, version=STEPS)
    assert len(work.accept(case, turn()).case.timeline) == STEPS


def test_the_queue_has_the_earliest_deadline_first_and_what_is_closed_last() -> None:
    cases = [WAYS["closed"](), opened(historic=True), opened("水管"), opened("路灯")]
    assert [c.deadline for c in sorted(cases, key=lambda c: c.urgency)][:2] == [
        opened("路灯").deadline,
        opened("水管").deadline,
    ]
    assert [c.urgency[0] for c in sorted(cases, key=lambda c: c.urgency)] == ["1", "1", "2", "3"]


def test_the_case_knows_the_name_of_its_keys() -> None:
    assert opened().key_name == "k1"

"""The organisation's calendar changes, and the deadlines of open cases with it."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.routing.domain import work
from services.routing.domain.case import Case, Moved, Turn
from shared.events.routing import CaseOverdue, CaseRescheduled
from tests.unit.routing.building import HOUR, MONDAY, REPLY, SMALL, SYSTEM, TOWN, WAYS, at, by, opened, small_town, turn

FEAST = small_town(SMALL.replace("[2026-10-01]", "[2026-09-07, 2026-10-01]"))
"""The same town, in which this Monday is a holiday after all."""

pytestmark = pytest.mark.row("F42")


def under(organisation: object, case: Case, moment: datetime) -> Turn:
    return Turn.on(case, moment, SYSTEM, organisation)  # type: ignore[arg-type]


def rescheduled(case: Case, moment: datetime = MONDAY + HOUR) -> Moved:
    done = work.reschedule(case, under(FEAST, case, moment))
    assert done
    assert isinstance(done.event, CaseRescheduled)
    return done


def test_a_holiday_moves_the_deadline_and_the_old_timer_is_ignored() -> None:
    case = WAYS["accepted"]()
    done = rescheduled(case)
    assert (case.deadline, done.case.deadline) == (at("2026-09-07T18:00"), at("2026-09-08T18:00"))
    assert isinstance(done.event, CaseRescheduled)
    assert (done.event.previous, done.event.deadline, done.event.overdue) == (case.deadline, done.case.deadline, False)
    assert (done.event.from_, done.event.to, done.event.organisation_version) == ("accepted", "accepted", FEAST.version)
    assert (done.case.version, done.case.past_deadlines) == (case.version + 1, ())
    assert done.case.timers[0].revision > case.timers[0].revision
    assert work.fire(done.case, under(FEAST, done.case, at("2026-09-07T18:00"))) is None
    missed = work.fire(done.case, under(FEAST, done.case, at("2026-09-08T18:00")))
    assert missed
    assert isinstance(missed.event, CaseOverdue)
    assert missed.event.revision == done.case.timers[0].revision


@pytest.mark.parametrize("state", list(WAYS))
def test_the_same_calendar_moves_nothing(state: str) -> None:
    case = WAYS[state]()
    assert work.reschedule(case, under(small_town(), case, MONDAY + HOUR)) is None


@pytest.mark.parametrize("state", ["closed", "withdrawn"])
def test_what_is_finished_stays_as_it_is(state: str) -> None:
    case = WAYS[state]()
    assert work.reschedule(case, under(FEAST, case, MONDAY + HOUR)) is None


def test_historic_feedback_gets_no_deadline() -> None:
    case = opened(historic=True)
    assert work.reschedule(case, under(FEAST, case, MONDAY + HOUR)) is None


def test_a_timer_that_fires_before_its_case_had_its_turn_reschedules_it() -> None:
    case = opened()
    done = work.fire(case, under(FEAST, case, at("2026-09-07T18:00")))
    assert done
    assert isinstance(done.event, CaseRescheduled)
    assert (done.case.overdue, done.case.due) == (False, at("2026-09-08T18:00"))


def test_what_was_overdue_by_the_old_calendar_only_is_so_no_longer() -> None:
    case = opened()
    late = work.fire(case, under(TOWN, case, at("2026-09-07T18:00")))
    assert late
    again = rescheduled(late.case, at("2026-09-08T09:00"))
    assert not again.case.overdue
    assert again.case.due == at("2026-09-08T18:00")


def test_what_is_overdue_by_both_calendars_is_not_told_again() -> None:
    case = opened()
    late = work.fire(case, under(TOWN, case, at("2026-09-07T18:00")))
    assert late
    again = rescheduled(late.case, at("2026-09-09T09:00"))
    assert again.case.overdue
    assert again.case.due is None


def test_an_answer_that_is_in_time_by_the_new_calendar_was_in_time() -> None:
    case = WAYS["accepted"]()
    missed = work.fire(case, under(TOWN, case, at("2026-09-07T18:00")))
    assert missed
    answered = work.answer(missed.case, by(missed.case, at("2026-09-08T10:00")), REPLY).case
    assert not rescheduled(answered, at("2026-09-10T09:00")).case.overdue


@given(st.integers(0, 30), st.integers(0, 30))
def test_a_pause_counts_as_it_did(waited: int, then: int) -> None:
    asked = work.ask(WAYS["accepted"](), turn(MONDAY), REPLY).case
    back = work.resume(asked, by(asked, MONDAY + waited * HOUR / 4)).case
    moved = work.reschedule(back, under(FEAST, back, MONDAY + (waited + then) * HOUR / 4))
    assert moved
    assert moved.case.counted_from
    allowed = 8 * 3600 + back.paused
    assert (moved.case.allowed, moved.case.paused) == (allowed, back.paused)
    assert moved.case.deadline == FEAST.calendar.add(moved.case.counted_from, allowed)
    assert work.reschedule(moved.case, under(FEAST, moved.case, MONDAY + (waited + then) * HOUR)) is None

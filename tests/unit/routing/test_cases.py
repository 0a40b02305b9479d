"""What each move does to a case: the rows of the state table, deadlines, pauses, and who has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.routing.domain import citizen, work
from services.routing.domain.case import MESSAGES, STEPS, Case, Turn
from services.routing.domain.states import MOVES, moves
from shared.errors import IllegalMove
from shared.events.intake import FeedbackRated, FeedbackReopened, FeedbackSupplemented, FeedbackWithdrawn
from shared.events.routing import (
    OPEN_STATES,
    CaseClosed,
    CaseOverdue,
    CaseReassigned,
    CaseReopened,
    CaseResumed,
    CaseReturned,
    CaseRouted,
    CaseSupplemented,
    CaseTriaged,
    State,
)
from tests.unit.routing.building import CITIZEN, HOUR, MONDAY, SYSTEM, TOWN, feedback, opened, sealed, turn

REPLY = sealed("reply")


def at(text: str) -> datetime:
    """A moment by the small town's own clock."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def by(case: Case, moment: datetime) -> Turn:
    return Turn.on(case, moment, turn().actor, TOWN)


def said(moment: datetime = MONDAY) -> FeedbackSupplemented:
    return FeedbackSupplemented(at=moment, actor=CITIZEN, message=sealed())


def rated(solved: bool | None, moment: datetime = MONDAY) -> FeedbackRated:
    return FeedbackRated(at=moment, actor=CITIZEN, solved=solved)


WAYS: dict[str, Callable[[], Case]] = {
    "triage": lambda: opened("?"),
    "routed": lambda: opened(),
    "accepted": lambda: work.accept(opened(), turn()).case,
    "in-progress": lambda: work.start(WAYS["accepted"](), turn()).case,
    "awaiting-citizen": lambda: work.ask(WAYS["accepted"](), turn(), REPLY).case,
    "answered": lambda: work.answer(WAYS["accepted"](), turn(), REPLY).case,
    "closed": lambda: work.close(WAYS["answered"](), turn(), None).case,
    "returned": lambda: work.send_back(opened(), turn(), "not-ours", None).case,
    "withdrawn": lambda: citizen.withdraw(opened(), FeedbackWithdrawn(at=MONDAY, actor=CITIZEN), turn()).case,
}


def test_every_state_is_reached_and_has_a_row() -> None:
    assert set(WAYS) == set(MOVES)
    assert {state for state in MOVES if state in OPEN_STATES} == set(MOVES) - {"closed", "withdrawn"}
    for state, way in WAYS.items():
        assert way().state == state


TABLE: dict[State, dict[str, State]] = {
    "triage": {"reassignment": "routed"},
    "returned": {"reassignment": "routed"},
    "routed": {"acceptance": "accepted", "return": "returned", "reassignment": "routed"},
    "accepted": {
        "start": "in-progress",
        "question": "awaiting-citizen",
        "answer": "answered",
        "return": "returned",
        "reassignment": "routed",
    },
    "in-progress": {
        "question": "awaiting-citizen",
        "answer": "answered",
        "return": "returned",
        "reassignment": "routed",
    },
    "awaiting-citizen": {"resumption": "in-progress", "reassignment": "routed"},
    "answered": {"closure": "closed", "reassignment": "routed"},
    "closed": {},
    "withdrawn": {},
}


@pytest.mark.parametrize("state", MOVES)
def test_the_staff_moves_are_those_of_the_table(state: State) -> None:
    assert {move: MOVES[state][move] for move in moves(state)} == TABLE[state]


def test_an_illegal_move_names_the_legal_ones() -> None:
    with pytest.raises(IllegalMove) as refused:
        work.answer(opened(), turn(), REPLY)
    assert refused.value.extra == {"state": "routed", "legal": ["acceptance", "return", "reassignment"]}


@pytest.mark.parametrize("state", MOVES)
def test_a_citizens_message_moves_only_a_case_that_waits_for_it(state: State) -> None:
    done = citizen.hear(WAYS[state](), said(), turn())
    assert done.case.messages[-1].what == "message"
    if state == "awaiting-citizen":
        assert (done.case.state, done.event.type) == ("in-progress", CaseResumed.type)
    else:
        assert (done.case.state, done.event.type) == (state, CaseSupplemented.type)


@pytest.mark.parametrize("state", MOVES)
@pytest.mark.parametrize("solved", [None, True, False])
def test_a_rating_moves_what_the_table_says(state: State, solved: bool | None) -> None:
    done = citizen.rate(WAYS[state](), rated(solved), turn())
    if solved and state == "answered":
        assert isinstance(done.event, CaseClosed)
        assert (done.case.state, done.event.cause) == ("closed", "rated")
    elif solved is False and state in ("answered", "closed"):
        assert isinstance(done.event, CaseReopened)
        assert (done.case.state, done.event.cause) == ("in-progress", "rating")
    else:
        assert isinstance(done.event, CaseSupplemented)
        assert (done.case.state, done.event.what) == (state, "rating")
    assert done.case.rating
    assert done.case.rating.solved is solved


@pytest.mark.parametrize("state", MOVES)
def test_a_withdrawal_ends_every_open_case(state: State) -> None:
    done = citizen.withdraw(WAYS[state](), FeedbackWithdrawn(at=MONDAY, actor=CITIZEN, reason=sealed()), turn())
    assert done.case.state == ("withdrawn" if state in OPEN_STATES else state)
    assert done.case.messages[-1].what == "withdrawal"


@pytest.mark.parametrize("state", MOVES)
def test_a_reopening_puts_back_what_was_answered_or_closed(state: State) -> None:
    done = citizen.reopen(WAYS[state](), FeedbackReopened(at=MONDAY, actor=CITIZEN), turn())
    assert done.case.state == ("in-progress" if state in ("answered", "closed") else state)


@pytest.mark.parametrize(("days", "state"), [(30, "in-progress"), (30.001, "closed")])
def test_a_closed_case_is_reopened_within_the_organisations_days_only(days: float, state: str) -> None:
    case = WAYS["closed"]()
    later = MONDAY + timedelta(days=days)
    event = FeedbackReopened(at=later, actor=CITIZEN)
    assert citizen.reopen(case, event, by(case, later)).case.state == state
    assert citizen.rate(case, rated(False, later), by(case, later)).case.state == state


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
    assert (case.deadline, case.due, case.urgency) == (None, None, "2")
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

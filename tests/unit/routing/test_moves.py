"""The rows of the state table: what staff, citizen and time do to a case in each state."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.routing.domain import citizen, work
from services.routing.domain.states import MOVES, moves
from shared.errors import IllegalMove
from shared.events.intake import FeedbackReopened, FeedbackWithdrawn
from shared.events.routing import (
    OPEN_STATES,
    CaseClosed,
    CaseReopened,
    CaseResumed,
    CaseSupplemented,
    State,
)
from tests.unit.routing.building import (
    CITIZEN,
    MONDAY,
    REPLY,
    WAYS,
    by,
    opened,
    rated,
    said,
    sealed,
    turn,
)


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

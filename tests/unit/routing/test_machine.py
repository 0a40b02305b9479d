"""Any history at all: never an illegal move, one version per event, and what the log says is what the case says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.routing.classifier import Classifier
from services.routing.domain import citizen, work
from services.routing.domain.case import Case, Moved, Turn
from services.routing.domain.states import MOVES, STAFF_MOVES, StaffMove, is_open, moves
from shared.errors import IllegalMove
from shared.events.envelope import Actor
from shared.events.intake import FeedbackRated, FeedbackReopened, FeedbackSupplemented, FeedbackWithdrawn
from shared.events.routing import CaseClosed, CaseEvent, CaseOverdue
from tests.unit.routing.building import CITIZEN, MONDAY, STAFF, SYSTEM, TOWN, feedback, opened, sealed, turn
from tests.unit.routing.folding import Folded, fold

REPLY = sealed("reply")

STAFF_CALLS: dict[StaffMove, Callable[[Case, Turn], Moved]] = {
    "acceptance": work.accept,
    "start": work.start,
    "return": lambda case, turn: work.send_back(case, turn, "not-ours", REPLY),
    "reassignment": lambda case, turn: work.reassign(case, turn, "water", "pipes", REPLY),
    "question": lambda case, turn: work.ask(case, turn, REPLY),
    "resumption": work.resume,
    "answer": lambda case, turn: work.answer(case, turn, REPLY),
    "closure": lambda case, turn: work.close(case, turn, REPLY),
}


class Histories(RuleBasedStateMachine):
    """Staff, citizen and time act in any order, on a clock that moves forward by minutes or weeks."""

    def __init__(self) -> None:
        super().__init__()
        self.now = MONDAY
        self.case: Case = opened()  # until `open`, which comes first
        self.events: list[CaseEvent] = []
        self.fired: list[tuple[str, int]] = []

    def turn(self, actor: Actor) -> Turn:
        return Turn.on(self.case, self.now, actor, TOWN)

    def take(self, done: Moved) -> None:
        before, self.case = self.case, done.case
        self.events.append(done.event)
        assert done.event.from_ == before.state
        assert done.event.to == done.case.state
        assert done.case.version == before.version + 1
        if done.event.to != done.event.from_:
            assert done.event.to in MOVES[before.state].values()

    @initialize(known=st.booleans(), historic=st.booleans())
    def open(self, known: bool, historic: bool) -> None:
        assigned = Classifier.of(TOWN).assign("路灯" if known else "?")
        done = work.open_case(feedback(historic=historic), assigned, turn(self.now, SYSTEM))
        self.case, self.events = done.case, [done.event]
        self.received = done.case

    @rule(minutes=st.one_of(st.integers(1, 600), st.integers(1440, 60 * 1440)))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(move=st.sampled_from(STAFF_MOVES))
    def staff(self, move: StaffMove) -> None:
        call = STAFF_CALLS[move]
        if move in moves(self.case.state):
            self.take(call(self.case, self.turn(STAFF)))
        else:
            with pytest.raises(IllegalMove) as refused:
                call(self.case, self.turn(STAFF))
            assert refused.value.extra["legal"] == list(moves(self.case.state))

    @rule()
    def staff_note(self) -> None:
        self.take(work.note(self.case, self.turn(STAFF), REPLY))

    @rule()
    def citizen_message(self) -> None:
        event = FeedbackSupplemented(at=self.now, actor=CITIZEN, message=sealed())
        self.take(citizen.hear(self.case, event, self.turn(CITIZEN)))

    @rule(solved=st.sampled_from([None, True, False]), commented=st.booleans())
    def citizen_rating(self, solved: bool | None, commented: bool) -> None:
        event = FeedbackRated(at=self.now, actor=CITIZEN, solved=solved, comment=sealed() if commented else None)
        self.take(citizen.rate(self.case, event, self.turn(CITIZEN)))

    @rule()
    def citizen_reopening(self) -> None:
        event = FeedbackReopened(at=self.now, actor=CITIZEN, reason=sealed())
        self.take(citizen.reopen(self.case, event, self.turn(CITIZEN)))

    @rule()
    def citizen_withdrawal(self) -> None:
        event = FeedbackWithdrawn(at=self.now, actor=CITIZEN)
        self.take(citizen.withdraw(self.case, event, self.turn(CITIZEN)))

    @rule()
    def time(self) -> None:
        before = self.case
        done = work.fire(before, self.turn(SYSTEM))
        if done is None:
            assert before.due is None or before.due > self.now
            return
        timer = next(t for t in before.timers if t.due <= self.now)
        assert (timer.name, timer.revision) not in self.fired
        self.fired.append((timer.name, timer.revision))
        self.take(done)
        assert timer not in done.case.timers

    @invariant()
    def the_log_tells_the_same_case(self) -> None:
        assert fold(self.events) == Folded.of(self.case)

    @invariant()
    def the_version_counts_the_events(self) -> None:
        assert self.case.version == len(self.events) == self.case.timeline[-1].version

    @invariant()
    def what_is_finished_waits_for_nothing(self) -> None:
        if not is_open(self.case.state):
            assert self.case.due is None
            assert not moves(self.case.state)
            assert self.case.urgency.startswith("3 ")
        assert (self.case.paused_at is not None) == (self.case.state == "awaiting-citizen")

    @invariant()
    def a_historic_case_has_neither_deadline_nor_timers(self) -> None:
        if self.case.historic:
            assert (self.case.deadline, self.case.timers, self.case.past_deadlines) == (None, (), ())
        elif is_open(self.case.state):
            assert self.case.deadline is not None
            assert self.case.due is not None or self.case.overdue

    @invariant()
    def a_deadline_is_the_allowed_working_time_by_the_calendar(self) -> None:
        assert work.reschedule(self.case, self.turn(SYSTEM)) is None

    @invariant()
    def nothing_is_lost_of_the_first_receiver(self) -> None:
        if self.received.first_receiver:
            assert self.case.first_receiver == self.received.first_receiver

    @invariant()
    def each_deadline_is_missed_once_at_most(self) -> None:
        missed = [event.due for event in self.events if isinstance(event, CaseOverdue)]
        assert len(missed) == len(set(missed))

    @invariant()
    def silence_is_recorded_as_silence(self) -> None:
        closed = [event for event in self.events if isinstance(event, CaseClosed)]
        assert all((event.cause == "silence") == (event.actor.kind == "system") for event in closed)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

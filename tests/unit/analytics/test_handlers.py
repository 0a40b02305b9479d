"""What the events of cases add up to is what a recount of the same events finds."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from services.analytics.app import SERVICE
from services.analytics.domain.cases import CaseFigures, quarter_of
from services.analytics.domain.flow import middle, steps
from services.analytics.handlers import count_case, count_feedback
from shared.events import routing
from tests.support.figures import IMPORTER, MONDAY, STAFF, Life, Recount, close, lives

HANDLERS = {subscription.event: subscription.handler for subscription in SERVICE.subscriptions}


def counted(story: Life) -> tuple[CaseFigures, Counter[str]]:
    """A case as figures know it at the end, and the sum of what its events added."""
    first = count_feedback(None, story.received)
    assert first
    case, total = first.value, Counter(first.adds)
    for event in story.events:
        if (handler := HANDLERS.get(type(event))) and (step := handler(case, event)):
            case = step.value
            total.update(step.adds)
    return case, total


def values(cells: Counter[str]) -> dict[str, Counter[str]]:
    """Dimension → value → count, over all quarters."""
    found: dict[str, Counter[str]] = {}
    for cell, n in cells.items():
        _, name, value = cell.split("|", 2)
        found.setdefault(name, Counter())[value] += n
    return {name: Counter({value: n for value, n in series.items() if n}) for name, series in found.items()}


@settings(max_examples=150, deadline=None)
@given(stories=lives([f"case-{n}" for n in range(30)]))
def test_the_sum_of_what_is_added_is_a_recount_of_the_events(stories: list[Life]) -> None:
    total: Counter[str] = Counter()
    for story in stories:
        case, adds = counted(story)
        total.update(adds)
        assert adds == case.cells()
        assert min(adds.values()) >= 0
        assert {cell.split("|")[0] for cell in adds if adds[cell]} == {quarter_of(story.received.received_at)}
    expected, told = Recount.of(stories), values(total)
    assert {name: told[name] for name in expected.by} == expected.by
    assert told.get("overdue", Counter())["yes"] == expected.overdue
    assert told.get("late", Counter()) == expected.late
    assert told.get("promise", Counter()) == expected.promises
    quarters: Counter[str] = Counter()
    for cell, n in total.items():
        if cell.split("|")[1] == "state":
            quarters[cell.split("|")[0]] += n
    assert +quarters == expected.quarters
    flow = steps(told.get("flow", {}).items())
    assert flow.keys() == expected.flow.keys()
    for step, histogram in flow.items():
        durations = [middle(number) for number in sorted(histogram) for _ in range(histogram[number])]
        assert len(durations) == len(expected.flow[step])
        assert all(map(close, durations, sorted(expected.flow[step])))


def test_a_feedback_that_comes_again_and_a_case_without_feedback_count_nothing() -> None:
    story = Life.begin("k").happens(routing.CaseRouted, "routed")
    case, _ = counted(story)
    assert count_feedback(case, story.received) is None
    assert count_case(None, story.events[0]) is None


def test_an_overdue_case_is_overdue_until_it_is_answered_and_not_again_when_it_is_reopened() -> None:
    story = Life.begin("k").happens(routing.CaseRouted, "routed").happens(routing.CaseOverdue, "routed")
    assert counted(story)[0].overdue
    story.happens(routing.CaseReassigned, "routed", department="works").happens(routing.CaseAccepted, "accepted")
    assert counted(story)[0].overdue
    story.happens(routing.CaseAnswered, "answered")
    assert not counted(story)[0].overdue
    story.happens(routing.CaseReopened, "in-progress")
    assert not counted(story)[0].overdue
    story.happens(routing.CaseOverdue, "in-progress")
    assert counted(story)[0].overdue


@pytest.mark.row("F42")
@pytest.mark.parametrize("still", [True, False])
def test_what_is_overdue_after_a_new_calendar_is_what_that_calendar_says(still: bool) -> None:
    story = Life.begin("k").happens(routing.CaseRouted, "routed").happens(routing.CaseOverdue, "routed")
    story.happens(routing.CaseRescheduled, "routed", overdue=still)
    assert counted(story)[0].overdue == still


def test_a_step_with_one_end_imported_and_one_live_is_in_no_flow() -> None:
    story = Life.begin("k", actor=IMPORTER).happens(routing.CaseRouted, "routed", actor=IMPORTER)
    story.happens(routing.CaseAccepted, "accepted", actor=STAFF).happens(routing.CaseAnswered, "answered", actor=STAFF)
    _, adds = counted(story)
    assert steps(values(adds)["flow"].items()).keys() == {("received", "routed"), ("accepted", "answered")}


def test_only_the_first_answer_ends_the_way_from_receipt() -> None:
    story = Life.begin("k").happens(routing.CaseRouted, "routed").happens(routing.CaseAccepted, "accepted")
    story.happens(routing.CaseAnswered, "answered").happens(routing.CaseReopened, "in-progress")
    story.happens(routing.CaseAnswered, "answered")
    flow = steps(values(counted(story)[1])["flow"].items())
    assert sum(flow["received", "answered"].values()) == 1
    assert close(middle(*flow["received", "answered"]), 180)
    assert sum(flow["accepted", "answered"].values()) == sum(flow["in-progress", "answered"].values()) == 1


def test_a_quarter_is_told_in_four_digits_of_a_year_whenever_it_was() -> None:
    assert quarter_of(MONDAY.replace(minute=59, second=59, microsecond=999_000)) == "2026-03-02T15:45Z"
    assert quarter_of(MONDAY.replace(year=1)) == "0001-03-02T15:00Z"
    assert quarter_of(MONDAY.replace(year=1900, minute=14)) == "1900-03-02T15:00Z"

"""What the public can find out from all the answers it may ask for: never a count below the smallest."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.cases import quarter_of
from services.analytics.domain.days import start_of
from services.analytics.domain.promises import EVERYONE, WEEKS, kept_in_full, kept_in_public
from services.analytics.domain.publicity import SUPPRESSED, blocks, runs, tells, within
from services.analytics.domain.published import Extent, Published
from services.analytics.domain.tally import Tally

SMALLEST = 5
FIRST = date(2026, 3, 2)
ZONE = ZoneInfo("Asia/Shanghai")
VALUES = ("works", "water", "roads", "unspecified")

DAYS = st.lists(
    st.dictionaries(st.sampled_from(VALUES), st.sampled_from([0, 1, 1, 2, 3, 4, 5, 6, 9, 20]), max_size=4),
    min_size=1,
    max_size=14,
)


def tallied(days: list[dict[str, int]]) -> Tally:
    """A tally of so many cases per department on each of these days, every second one answered or closed."""
    tally = Tally(ZONE)
    for n, day in enumerate(days):
        quarter = quarter_of(start_of(FIRST + timedelta(days=n), ZONE) + timedelta(hours=n % 20))
        for department, count in day.items():
            for one in range(count):
                state = ("routed", "answered", "closed")[(one + n) % 3]
                tally.add(f"{quarter}|department|{department}", 1)
                tally.add(f"{quarter}|state|{state}", 1)
                if state == "answered":
                    tally.add(f"{quarter}|flow|received>answered>{300 + one}", 1)
                if state == "routed" and one % 4 == 1:
                    tally.add(f"{quarter}|overdue|yes", 1)
    return tally


def extents(published: Published) -> list[Extent]:
    """Every window the public can get."""
    n = len(published.runs)
    return [(start, end) for start in range(n) for end in range(start + 1, n + 1)]


def inside(inner: Extent, outer: Extent) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


@pytest.mark.row("A46")
@settings(max_examples=150, deadline=None)
@given(days=DAYS)
def test_no_small_count_follows_from_two_public_windows(days: list[dict[str, int]]) -> None:
    published = Published(tallied(days), SMALLEST)
    total = sum(sum(day.values()) for day in days)
    asked = extents(published)
    answers = {
        extent: {
            "total": Counter({"": published.total(extent)}),
            "day": Counter(published.days(extent)),
            "hour": Counter(published.hours(extent)),
            "department": Counter(published.cells("department", extent)),
            "state": Counter(published.cells("state", extent)),
            "steps": Counter({step: sum(found.values()) for step, found in published.steps(extent).items()}),
            "ranges": Counter(published.ranges(extent)),
        }
        for extent in asked
    }
    for extent, told in answers.items():
        for name in ("day", "hour", "department", "state"):
            assert sum(told[name].values()) == published.total(extent)
        for series in told.values():
            assert all(tells(n, SMALLEST) for n in series.values()) or total < SMALLEST
    if total < SMALLEST:
        return
    for inner, outer in combinations(sorted(asked, key=lambda extent: extent[1] - extent[0]), 2):
        if inside(inner, outer):
            for name, series in answers[outer].items():
                for key in (series.keys() | answers[inner][name].keys()) - {SUPPRESSED}:
                    if key in answers[inner][name]:
                        assert tells(series[key] - answers[inner][name][key], SMALLEST), (name, key)


@pytest.mark.row("A46")
@settings(max_examples=150, deadline=None)
@given(days=DAYS)
def test_every_small_count_of_a_run_could_be_another_for_all_that_is_told(days: list[dict[str, int]]) -> None:
    """What is told are sums over whole runs and whole blocks. For every hidden small count there is another table with the
    same sums: one case changes its run against a case of another value, within the block."""
    published = Published(tallied(days), SMALLEST)
    whole = Counter[str]()
    tables = []
    for run in published.runs:
        table = Counter[str]()
        for day in run.days:
            table.update(days[(date.fromisoformat(day) - FIRST).days])
        tables.append(+table)
        whole.update(table)
    apart = {key for key in published.cells("department", (0, len(tables))) if key != SUPPRESSED}
    for block in blocks(tables, apart, SMALLEST):
        own = [_merged(table, apart) for table in tables[block.start : block.end]]
        for table in own:
            for key, n in table.items():
                if 0 < n < SMALLEST:
                    others = [other for other in own if other is not table and other[key]]
                    assert others
                    assert [value for value in table if value != key]


def _merged(table: Counter[str], apart: set[str]) -> Counter[str]:
    found = Counter[str]()
    for key, n in table.items():
        found[key if key in apart else SUPPRESSED] += n
    return +found


@settings(max_examples=100, deadline=None)
@given(days=DAYS)
def test_open_and_overdue_are_told_to_the_public_over_everything_and_for_no_window(days: list[dict[str, int]]) -> None:
    tally = tallied(days)
    published = Published(tally, SMALLEST)
    whole = (0, len(published.runs))
    if not published.runs:
        return
    open, overdue = published.open(whole), published.overdue(whole)
    assert open is not None
    assert overdue is not None
    assert 0 <= overdue <= open <= published.total(whole)
    for extent in extents(published):
        if extent != whole:
            assert published.open(extent) is None
            assert published.overdue(extent) is None


def test_days_with_few_are_told_with_their_neighbours_and_the_last_join_those_before() -> None:
    found = runs({"a": 7, "b": 0, "c": 2, "d": 4, "e": 9, "f": 1}, 5)
    assert [(run.days, run.total) for run in found] == [(("a",), 7), (("c", "d"), 6), (("e", "f"), 10)]
    assert [run.days for run in runs({"a": 1, "b": 2}, 5)] == [("a", "b")]
    assert runs({"a": 0}, 5) == []


def test_a_block_ends_where_every_value_has_none_or_enough() -> None:
    tables = [{"x": 5}, {"x": 3, "y": 1}, {"x": 2, "y": 4}, {"z": 9, "x": 6}, {"x": 5, "y": 1}]
    found = blocks(tables, {"x", "y"}, 5)
    assert [(block.start, block.end, block.cells) for block in found] == [
        (0, 1, {"x": 5}),
        (1, 5, {"x": 16, "y": 6, SUPPRESSED: 9}),
    ]
    assert within(found, 0, 4) == found[:1]
    assert blocks([{"x": 2}], {"x"}, 5) == []


def week(kept: int, missed: int = 0) -> dict[str, int]:
    return {"kept": kept, "missed": missed}


@pytest.mark.row("A46")
def test_the_public_sees_weeks_joined_until_both_verdicts_are_none_or_enough() -> None:
    weeks = {
        "works": [week(20)] * 3 + [week(9, 2), week(8, 3)] + [week(10)] * 7,
        "water": [week(30)] * 11 + [week(30, 2)],
        "roads": [week(0)] * 11 + [week(3, 1)],
        "parks": [week(0)] * 11 + [week(3)],
    }
    water, works = kept_in_public(weeks, 5)
    assert [(point.start, point.end, point.kept, point.missed) for point in works.points[2:5]] == [
        (2, 3, 20, 0),
        (3, 5, 17, 5),
        (5, 6, 10, 0),
    ]
    assert (water.count, water.missed, water.points) == (362, None, ())
    assert water.share == pytest.approx(1 - 4 / 362)
    full = {one.department: one for one in kept_in_full(weeks)}
    assert list(full) == [EVERYONE, "water", "works", "roads", "parks"]
    assert (full["roads"].count, full["roads"].missed, full["roads"].share) == (4, 1, 0.75)
    assert full[EVERYONE].missed == 8
    assert len(full["water"].points) == WEEKS


@settings(max_examples=200, deadline=None)
@given(
    weeks=st.dictionaries(
        st.sampled_from(["works", "water", "roads"]),
        st.lists(st.builds(week, st.integers(0, 12), st.sampled_from([0, 0, 1, 3, 6])), min_size=WEEKS, max_size=WEEKS),
    )
)
def test_no_verdict_on_few_is_told_or_follows_from_the_others(weeks: dict[str, list[dict[str, int]]]) -> None:
    told = {one.department: one for one in kept_in_public(weeks, SMALLEST)}
    everyone = told.pop(EVERYONE, None)
    for one in told.values():
        for point in one.points:
            assert tells(point.kept, SMALLEST)
            assert tells(point.missed, SMALLEST)
        if one.missed is not None:
            assert sum(point.missed for point in one.points) == one.missed
    exact = [one for one in told.values() if one.missed is not None]
    if everyone is not None and everyone.missed is not None:
        missed = everyone.missed - sum(one.missed or 0 for one in exact)
        assert tells(missed, SMALLEST)
        assert tells(everyone.count - sum(one.count for one in exact) - missed, SMALLEST)

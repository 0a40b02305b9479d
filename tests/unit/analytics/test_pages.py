"""What charts are drawn from, what spreadsheets read, and how numbers are said."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.promises import WEEKS, Kept, Point
from services.analytics.domain.publicity import Run
from services.analytics.domain.tally import Span, Tally, whole_quarters
from services.analytics.pages import charts
from services.analytics.pages.periods import period_of
from services.analytics.pages.sheets import Column, Sheet, harmless
from services.analytics.pages.telling import Telling
from tests.support.analytics import TOWN

SHANGHAI = ZoneInfo("Asia/Shanghai")
TODAY = date(2026, 3, 8)


@pytest.mark.row("A18")
@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\0=1",
        "  =1",
        "\ufeff=1",
        "\u3000=1",
        " \u3000\ufeff-1",
        "＝1",
        "＋1",
        "－1",
        "＠SUM",
        "\u00a0＝1",
        "|calc",
        "%0A",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("//evil.example")',
    ],
)
def test_no_field_of_a_spreadsheet_is_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    sheet = Sheet(
        (Column("key", text), Column("count", "n", number=True)), [((text, text), (3, "3")), (("x", "1-1"), (4, "4"))]
    )
    told = sheet.csv()
    assert told.startswith(b"\xef\xbb\xbf")
    lines = told[3:].decode()
    assert lines.endswith('"1-1","4"\r\n')
    rows = list(csv.reader(io.StringIO(lines, newline="")))
    assert rows == [[f"'{text}", "n"], [f"'{text}", "3"], ["1-1", "4"]]
    for row in rows:
        for field in row:
            assert field.lstrip(" \u00a0\u3000\ufeff")[:1] not in set("=+-@\t\r\n\0＝＋－＠")


@pytest.mark.parametrize("text", ["", "路灯", "a=b", "'quoted", "10", " plain", "\u3000"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


@given(text=st.text(st.sampled_from("=+-@\t\r\n\0 \u3000\ufeff\"',ａ路x＝－"), max_size=8))
def test_a_field_comes_back_as_it_was_but_for_the_apostrophe(text: str) -> None:
    told = Sheet((Column("key", "k"),), [((text, text),)]).csv()[3:].decode()
    rows = list(csv.reader(io.StringIO(told, newline="")))
    assert rows[1][0] in (text, f"'{text}")


@given(counts=st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_bars_stand_side_by_side_within_the_plot_and_are_as_high_as_they_count(counts: list[int]) -> None:
    first = TODAY - timedelta(days=len(counts) - 1)
    days = {first + timedelta(days=n): count for n, count in enumerate(counts)}
    plotted = charts.plot(charts.daily(days, first, TODAY, {first}), first, TODAY)
    edge = 0.0
    for drawn, count in zip(plotted.bars, counts, strict=True):
        assert edge <= drawn.x
        edge = drawn.x + drawn.width
        assert drawn.y + drawn.height == pytest.approx(charts.PLOT)
        assert drawn.height == pytest.approx(count / plotted.top * charts.PLOT, abs=0.06)
    assert edge <= 100
    assert max(counts) <= plotted.top <= max(4, 3 * max(counts))
    assert [drawn.bar.free for drawn in plotted.bars] == [True] + [False] * (len(counts) - 1)


def test_days_told_as_one_are_one_wide_bar_as_high_as_their_mean() -> None:
    runs: Sequence[Run] = (Run(("2026-03-02",), 8), Run(("2026-03-04", "2026-03-05"), 6))
    alone, joined = charts.plot(charts.of_runs(runs, ()), date(2026, 3, 2), date(2026, 3, 6)).bars
    assert (alone.x, alone.width) == (1.6, 16.8)
    assert (joined.x, joined.width) == (41.6, 36.8)
    assert joined.height == pytest.approx(alone.height * 3 / 8, abs=0.1)


def test_weeks_add_up_and_end_today() -> None:
    bars = charts.daily(
        {TODAY: 3, TODAY - timedelta(days=6): 2, TODAY - timedelta(days=7): 1}, date(2026, 2, 25), TODAY, ()
    )
    assert [(bar.first, bar.last, bar.count) for bar in charts.weekly(bars, date(2026, 2, 25), date(2026, 3, 7))] == [
        (date(2026, 2, 25), date(2026, 3, 1), 1),
        (date(2026, 3, 2), date(2026, 3, 7), 5),
    ]


def test_lines_share_one_scale_and_a_single_point_is_drawn_over_its_weeks() -> None:
    steady = Kept("a", 40, 0, 1.0, (Point(0, WEEKS, 40, 0),))
    falling = Kept("b", 40, 12, 0.7, (Point(0, 6, 20, 0), Point(6, 12, 8, 12)))
    silent = Kept("c", 40, None, 0.9)
    low, lines = charts.lines([steady, falling, silent], 0.95)
    assert low == 40
    assert lines[0].points == "0,0 120,0"
    assert lines[1].points == "30,0 90,100"
    assert [*lines[1].dot] == [75.0, charts.SMALL]
    assert lines[2].points == ""
    assert len({line.target for line in lines}) == 1


@pytest.mark.parametrize(
    ("days", "since", "before"),
    [
        ("7", "2026-03-01T16:00Z", ("2026-02-22T16:00Z", "2026-03-01T16:00Z")),
        ("30", "2026-02-06T16:00Z", ("2026-01-07T16:00Z", "2026-02-06T16:00Z")),
        ("365", "2025-12-31T16:00Z", ("2024-12-31T16:00Z", "2025-03-08T16:00Z")),
        ("nonsense", "2026-02-06T16:00Z", ("2026-01-07T16:00Z", "2026-02-06T16:00Z")),
    ],
)
def test_a_period_ends_today_and_the_one_before_is_as_long(days: str, since: str, before: tuple[str, str]) -> None:
    period = period_of(days, TODAY, SHANGHAI)
    assert period.window.since == datetime.fromisoformat(since)
    assert period.window.until is None
    assert (period.before.since, period.before.until) == tuple(map(datetime.fromisoformat, before))


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0, "1 分", "1 min"),
        (59, "1 分", "1 min"),
        (3_600, "1 小时", "1 h"),
        (15_120, "4 小时 12 分", "4 h 12 min"),
        (190_800, "2 天 5 小时", "2 d 5 h"),
        (86_400 + 59 * 60, "1 天", "1 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, zh: str, en: str) -> None:
    assert Telling("zh", TOWN.content).duration(seconds) == zh
    assert Telling("en", TOWN.content).duration(seconds) == en


@given(
    quarters=st.lists(st.integers(-400, 400), max_size=40),
    since=st.none() | st.integers(-420, 420),
    until=st.none() | st.integers(-420, 420),
    name=st.sampled_from(["Asia/Shanghai", "Asia/Kathmandu", "America/New_York"]),
)
def test_sums_of_months_and_days_are_those_of_the_days_that_a_window_does_not_cut(
    quarters: list[int], since: int | None, until: int | None, name: str
) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    moments = [start + timedelta(minutes=15 * n) for n in quarters]
    tally = Tally(ZoneInfo(name))
    for moment in moments:
        tally.add(f"{moment:%Y-%m-%dT%H:%M}Z|state|routed", 2)
        tally.add(f"{moment:%Y-%m-%dT%H:%M}Z|state|routed", -1)
        tally.add(f"{moment:%Y-%m-%dT%H:%M}Z|flow|received>answered>7", 1)
    ends = [None if n is None else start + timedelta(minutes=15 * n) for n in (since, until)]
    covered = [at for at in moments if (not ends[0] or at >= ends[0]) and (not ends[1] or at < ends[1])]
    span = whole_quarters(*ends)
    assert sum(tally.quarters(span).values()) == len(covered)
    cut = tally.cut(span)
    expected = [at for at in covered if not any(first <= f"{at:%Y-%m-%dT%H:%M}Z" <= last for first, last in cut)]
    found = tally.of(span)
    assert sum(found.get("state", {}).values()) == len(expected)
    assert found.get("steps", {}).get("received>answered", 0) == len(expected)
    assert (
        sum(found.get("ranges", {}).values()) == sum(found.get("flow received>answered", {}).values()) == len(expected)
    )
    if days := tally.days():
        low, *_, high = [*days, *days]
        assert tally.series("state", low, high) == tally.of(Span()).get("state")

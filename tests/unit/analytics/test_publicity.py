"""What the public sees of a series, and the hours and days of a zone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.analytics.domain.cases import quarter_of
from services.analytics.domain.days import in_zone
from services.analytics.domain.publicity import SUPPRESSED, suppressed
from shared.clock import parse_rfc3339

SERIES = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 12), max_size=12)


@given(cells=SERIES, smallest=st.integers(1, 8))
def test_no_small_cell_is_shown_or_follows_from_the_others(cells: dict[str, int], smallest: int) -> None:
    told = suppressed(cells, smallest)
    there = {key: n for key, n in cells.items() if n}
    assert sum(told.values()) == sum(cells.values())
    shown = {key: n for key, n in told.items() if key != SUPPRESSED}
    assert all(n >= smallest and cells[key] == n for key, n in shown.items())
    hidden = there.keys() - shown.keys()
    if not hidden:
        assert SUPPRESSED not in told
        return
    assert any(n < smallest for n in there.values()), "something is hidden without need"
    if shown:
        assert len(hidden) > 1
        assert told[SUPPRESSED] >= smallest
        assert max(there[key] for key in hidden) <= min(shown.values()), "a larger cell is hidden than a shown one"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({}, {}),
        ({"a": 5, "b": 0}, {"a": 5}),
        ({"a": 4}, {SUPPRESSED: 4}),
        ({"a": 4, "b": 9}, {SUPPRESSED: 13}),
        ({"a": 4, "b": 9, "c": 10}, {SUPPRESSED: 13, "c": 10}),
        ({"a": 1, "b": 1, "c": 6, "d": 7}, {SUPPRESSED: 8, "d": 7}),
        ({"a": 2, "b": 3, "c": 6}, {SUPPRESSED: 5, "c": 6}),
    ],
)
def test_the_smallest_are_merged_until_they_tell_nothing(cells: dict[str, int], told: dict[str, int]) -> None:
    assert suppressed(cells, 5) == told


def quarters(start: datetime, count: int) -> dict[str, int]:
    """One case in each of so many quarters."""
    return {quarter_of(start + timedelta(minutes=15 * n)): 1 for n in range(count)}


def test_a_day_in_shanghai_begins_at_four_in_the_afternoon_of_utc() -> None:
    found = in_zone(quarters(datetime(2026, 3, 1, 16, tzinfo=UTC), 2 * 96), "day", ZoneInfo("Asia/Shanghai"))
    assert found == {"2026-03-01T16:00:00.000Z": 96, "2026-03-02T16:00:00.000Z": 96}
    late = in_zone({"2026-03-02T15:45Z": 2, "2026-03-02T16:00Z": 3}, "day", ZoneInfo("Asia/Shanghai"))
    assert late == {"2026-03-01T16:00:00.000Z": 2, "2026-03-02T16:00:00.000Z": 3}


@pytest.mark.parametrize(
    ("zone", "start", "lengths"),
    [
        ("Europe/Berlin", "2026-03-27T23:00Z", [24, 23, 24]),
        ("Europe/Berlin", "2026-10-23T22:00Z", [24, 25, 24]),
        ("America/Sao_Paulo", "2018-11-03T03:00Z", [24, 23, 24]),  # the clock went from 0:00 to 1:00
        ("Atlantic/Azores", "2026-10-24T00:00Z", [24, 25, 24]),  # midnight came twice
        ("Asia/Kathmandu", "2026-03-01T18:15Z", [24, 24]),
    ],
)
def test_days_are_as_long_as_the_zone_says(zone: str, start: str, lengths: list[int]) -> None:
    begin = datetime.fromisoformat(start)
    cells = quarters(begin, 4 * sum(lengths))
    assert list(in_zone(cells, "day", ZoneInfo(zone)).values()) == [4 * hours for hours in lengths]
    assert set(in_zone(cells, "hour", ZoneInfo(zone)).values()) == {4}


@given(
    moments=st.lists(
        st.datetimes(datetime(2016, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
        max_size=40,
    ),
    name=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Atlantic/Azores"]),
)
def test_a_case_is_in_the_day_and_hour_on_the_zones_own_clock(moments: list[datetime], name: str) -> None:
    zone = ZoneInfo(name)
    cells = Counter(map(quarter_of, moments))
    days = in_zone(cells, "day", zone)
    assert {parse_rfc3339(key).astimezone(zone).date(): n for key, n in days.items()} == Counter(
        moment.astimezone(zone).date() for moment in moments
    )
    for key in days:
        local = parse_rfc3339(key).astimezone(zone)
        before = (parse_rfc3339(key) - timedelta(milliseconds=1)).astimezone(zone)
        assert before.date() < local.date(), "a day's key is its first moment"
    hours = in_zone(cells, "hour", zone)
    assert sum(hours.values()) == len(moments)
    for moment in moments:
        assert any(timedelta() <= moment - parse_rfc3339(key) < timedelta(hours=1) for key in hours)

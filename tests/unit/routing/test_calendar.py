"""Working time: what counts, over nights, weekends, holidays, make-up days and changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.calendar import Calendar, Span, holidays_known, public_holidays

DAY: tuple[Span, ...] = ((540, 720), (780, 1080))
WEEK = (DAY, DAY, DAY, DAY, DAY, (), ())
SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
OFFICE = Calendar(SHANGHAI, WEEK, free=frozenset({date(2026, 10, 1)}), worked=frozenset({date(2026, 10, 10)}))
CALENDARS = [
    OFFICE,
    Calendar(SHANGHAI, WEEK, country="CN"),
    Calendar(BERLIN, WEEK, country="DE"),
    Calendar(BERLIN, (((0, 1440),),) * 7),  # works through both changes of the clock
    Calendar(BERLIN, (((0, 150), (170, 185), (200, 1440)),) * 7),  # spans that begin and end in the skipped hour
    Calendar(ZoneInfo("America/New_York"), ((), (), ((60, 125), (130, 170)), (), (), (), ((90, 200),))),
    Calendar(ZoneInfo("Australia/Lord_Howe"), (((0, 1440),),) * 7),  # changes by half an hour
]

moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 6, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
budgets = st.integers(1, 60 * 3600)


def local(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-09-07T09:00", 2, "2026-09-07T11:00"),
        ("2026-09-07T11:00", 2, "2026-09-07T14:00"),  # over the midday break
        ("2026-09-07T12:30", 1, "2026-09-07T14:00"),  # begins in the break
        ("2026-09-07T17:00", 2, "2026-09-08T10:00"),  # over a night
        ("2026-09-11T17:00", 2, "2026-09-14T10:00"),  # over a weekend
        ("2026-09-12T03:00", 8, "2026-09-14T18:00"),  # begins at a weekend, ends with the day
        ("2026-09-30T17:00", 2, "2026-10-02T10:00"),  # over a holiday
        ("2026-10-09T17:00", 2, "2026-10-10T10:00"),  # a Saturday that is worked instead
    ],
)
def test_working_hours_are_added_around_what_does_not_count(start: str, hours: float, end: str) -> None:
    assert OFFICE.add(local(start), hours * 3600) == local(end)


def test_no_time_is_no_time() -> None:
    night = local("2026-09-12T03:00")
    assert OFFICE.add(night, 0) == night
    assert OFFICE.between(night, night) == 0
    assert OFFICE.between(night, night - timedelta(days=3)) == 0


@pytest.mark.parametrize("calendar", CALENDARS)
@settings(deadline=None)
@given(start=moments, seconds=budgets)
@pytest.mark.row("F42")
def test_the_working_time_up_to_a_deadline_is_the_budget(calendar: Calendar, start: datetime, seconds: int) -> None:
    end = calendar.add(start, seconds)
    assert end > start
    assert calendar.between(start, end) == seconds


@pytest.mark.parametrize("calendar", CALENDARS)
@settings(deadline=None)
@given(start=moments, later=st.integers(0, 14 * 86400), seconds=budgets, more=st.integers(0, 3600 * 20))
@pytest.mark.row("F42")
def test_a_later_start_or_a_larger_budget_never_ends_earlier(
    calendar: Calendar, start: datetime, later: int, seconds: int, more: int
) -> None:
    end = calendar.add(start, seconds)
    assert calendar.add(start + timedelta(seconds=later), seconds) >= end
    assert calendar.add(start, seconds + more) >= end
    assert calendar.add(end, more) == calendar.add(start, seconds + more) or more == 0


@settings(deadline=None)
@given(a=moments, b=moments, c=moments)
def test_working_time_adds_up(a: datetime, b: datetime, c: datetime) -> None:
    a, b, c = sorted((a, b, c))
    assert OFFICE.between(a, b) + OFFICE.between(b, c) == pytest.approx(OFFICE.between(a, c))


@pytest.mark.row("F42")
def test_an_hour_that_the_clock_skips_is_not_worked_and_one_it_repeats_counts_twice() -> None:
    always = CALENDARS[3]
    assert always.between(local("2026-03-29T00:00", BERLIN), local("2026-03-30T00:00", BERLIN)) == 23 * 3600
    assert always.between(local("2026-10-25T00:00", BERLIN), local("2026-10-26T00:00", BERLIN)) == 25 * 3600


@pytest.mark.row("F42")
def test_office_hours_keep_their_local_time_over_a_change_of_the_clock() -> None:
    office = CALENDARS[2]
    assert office.add(local("2026-03-27T17:00", BERLIN), 2 * 3600) == local("2026-03-30T10:00", BERLIN)


def test_a_country_brings_its_holidays_and_make_up_days() -> None:
    china = CALENDARS[1]
    assert china.add(local("2026-09-30T17:00"), 2 * 3600) > local("2026-10-07T00:00")
    assert date(2026, 10, 10) in public_holidays("CN", 2026).worked
    assert china.between(local("2026-10-10T00:00"), local("2026-10-11T00:00")) == 8 * 3600
    own = Calendar(SHANGHAI, WEEK, "CN", worked=frozenset({date(2026, 10, 1)}))
    assert own.between(local("2026-10-01T00:00"), local("2026-10-02T00:00")) == 8 * 3600


@pytest.mark.parametrize(("country", "known"), [("CN", True), ("DE", True), ("XX", False), ("", False), ("os", False)])
def test_a_country_is_known_by_its_code(country: str, known: bool) -> None:
    assert holidays_known(country) is known


def test_silence_ends_with_a_working_day() -> None:
    assert OFFICE.end_of_day(local("2026-09-07T10:00"), 7) == local("2026-09-16T18:00")
    assert OFFICE.end_of_day(local("2026-09-12T10:00"), 1) == local("2026-09-14T18:00")

"""Working time: which hours count, and when so many of them have passed. Durations are real seconds, also over DST."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[int, int]
"""Working minutes of a local day, from (inclusive) to (exclusive): 540, 720 is 9:00 to 12:00."""

DAY = timedelta(days=1)
MIDNIGHT = 24 * 60


@dataclass(frozen=True, slots=True)
class Holidays:
    """A country's public holidays of one year, and the days at weekends that are worked instead."""

    free: frozenset[date]
    worked: frozenset[date]


def holidays_known(country: str) -> bool:
    """Whether a country's holidays can be asked for, by its code. Loads no country."""
    from holidays.registry import COUNTRIES

    return any(country in names[1:] for names in COUNTRIES.values())


def public_holidays(country: str, year: int) -> Holidays:
    """The holidays of a known country. The first call loads the library's data (a third of a second)."""
    import holidays

    days = holidays.country_holidays(country, years=(year, year + 1))  # January's bridges are worked in December
    worked = frozenset(day for day in getattr(days, "weekend_workdays", ()) if day.year == year)
    return Holidays(frozenset(day for day in days if day.year == year) - worked, worked)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The body's working hours.

    `week` has the spans of Monday to Sunday, at least one of them not empty. `free` and `worked` are the body's own
    exceptions and win over the country's. A day that is worked instead of another has the hours of the first working
    day of the week, unless its own weekday has hours.
    """

    zone: ZoneInfo
    week: tuple[tuple[Span, ...], ...]
    country: str | None = None
    free: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()
    _years: dict[int, Holidays] = field(default_factory=dict, compare=False, repr=False)
    _days: dict[date, Sequence[tuple[datetime, datetime]]] = field(default_factory=dict, compare=False, repr=False)

    def add(self, start: datetime, seconds: float) -> datetime:
        """The moment at which `seconds` of working time have passed since `start`; `start` itself for none."""
        if seconds <= 0:
            return start
        left = timedelta(seconds=seconds)
        for begin, end in self._from(start):
            begin = max(begin, start)
            if end - begin >= left:
                return begin + left
            left -= max(end - begin, timedelta())
        raise AssertionError("a calendar without end ended")  # pragma: no cover

    def between(self, start: datetime, stop: datetime) -> float:
        """Working seconds from `start` to `stop`; 0 if `stop` is not later."""
        passed = timedelta()
        for begin, end in self._from(start):
            if begin >= stop:
                break
            passed += max(min(end, stop) - max(begin, start), timedelta())
        return passed.total_seconds()

    def end_of_day(self, start: datetime, days: int) -> datetime:
        """The end of the `days`-th working day after the local day of `start`."""
        day = start.astimezone(self.zone).date()
        while days:
            day += DAY
            days -= bool(self._spans(day))
        return self._spans(day)[-1][1]

    def _from(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Working spans in UTC and in order, from the local day of `start` on, without end."""
        day = start.astimezone(self.zone).date()
        while True:
            yield from self._spans(day)
            day += DAY

    def _spans(self, day: date) -> Sequence[tuple[datetime, datetime]]:
        spans = self._days.get(day)
        if spans is None:
            spans = self._days[day] = self._in_utc(day)
        return spans

    def _in_utc(self, day: date) -> Sequence[tuple[datetime, datetime]]:
        spans: list[tuple[datetime, datetime]] = []
        for first, last in self._hours(day):
            begin, end = self._moment(day, first), self._moment(day, last)
            if spans:  # where a clock is put forward, local times of the skipped hour fall behind the next span
                begin = max(begin, spans[-1][1])
            if begin < end:
                spans.append((begin, end))
        return spans

    def _hours(self, day: date) -> Sequence[Span]:
        usual = self.week[day.weekday()]
        if day in self.free:
            return ()
        public = self._public(day.year)
        if day in self.worked or day in public.worked:
            return usual or next(spans for spans in self.week if spans)
        return () if day in public.free else usual

    def _public(self, year: int) -> Holidays:
        if self.country is None:
            return NO_HOLIDAYS
        known = self._years.get(year)
        if known is None:
            known = self._years[year] = public_holidays(self.country, year)
        return known

    def _moment(self, day: date, minute: int) -> datetime:
        if minute == MIDNIGHT:
            day, minute = day + DAY, 0
        return datetime.combine(day, time(minute // 60, minute % 60), self.zone).astimezone(UTC)


NO_HOLIDAYS = Holidays(frozenset(), frozenset())

WEEKDAYS: Mapping[str, int] = {name: n for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
"""The names of the days in the organisation file."""

"""The periods that a page can be asked for, and the same time before each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

from services.analytics.domain.days import start_of
from services.analytics.store import Window

YEAR = 365
PERIODS = (7, 30, YEAR)
"""`?days=`; 365 stands for this year since the first of January."""


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `first` to and with `today`. The period before has the same days of last year, or as many days."""

    days: int
    today: date
    zone: tzinfo

    @property
    def first(self) -> date:
        if self.days == YEAR:
            return self.today.replace(month=1, day=1)
        return self.today - timedelta(days=self.days - 1)

    @property
    def window(self) -> Window:
        return Window(start_of(self.first, self.zone))

    @property
    def before(self) -> Window:
        if self.days == YEAR:
            year, last = self.today.year - 1, self.today - timedelta(days=YEAR)
            return Window(start_of(date(year, 1, 1), self.zone), start_of(last + timedelta(days=1), self.zone))
        return Window(start_of(self.first - timedelta(days=self.days), self.zone), start_of(self.first, self.zone))


def period_of(days: str | None, today: date, zone: tzinfo) -> Period:
    """The period asked for; 30 days for anything else."""
    known = {str(one): one for one in PERIODS}
    return Period(known.get(days or "", 30), today, zone)

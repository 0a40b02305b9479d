"""Running sums of all cells by day and month, so that no question has to add up every cell again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from services.analytics.domain.cases import QUARTER, quarter_of
from services.analytics.domain.flow import ANSWERED, FLOW, range_of

Series = dict[str, int]
Table = dict[str, Series]
"""Name → value → count. Beside the dimensions: `overdue`, `late`, `promise`, `steps` (how often each was taken), `ranges` (first
answers by the range of their time) and `flow <step>` (its histogram)."""

STEPS = "steps"
RANGED = "ranges"

REMEMBERED = 64
"""Windows whose sums are kept until the next change."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole quarter-hours from `first` (inclusive) to `last` (exclusive), as text; None: without that end."""

    first: str | None = None
    last: str | None = None

    def covers(self, first: str, last: str) -> bool:
        """Whether all quarters from `first` to and with `last` are in it."""
        return (self.first is None or first >= self.first) and (self.last is None or last < self.last)

    def misses(self, first: str, last: str) -> bool:
        """Whether none of the quarters from `first` to and with `last` is in it."""
        return (self.first is not None and last < self.first) or (self.last is not None and first >= self.last)


@dataclass(slots=True)
class _Part:
    """The sums of a day or month, and the first and last quarter that ever counted in it."""

    first: str
    last: str
    table: Table = field(default_factory=dict)


class Tally:
    """Everything that was added. Days and months are those of `zone`; `version` changes with every change."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.zone = zone
        self.version = 0
        self.clear()

    def clear(self) -> None:
        """Begin at nothing."""
        self.version += 1
        self._quarters: Series = {}
        self._days: dict[str, _Part] = {}
        self._months: dict[str, _Part] = {}
        self._day_of: dict[str, str] = {}
        self._sums: dict[Span, Table] = {}
        self._told: dict[str, Table] = {}

    def add(self, cell: str, n: int) -> None:
        """Add `n` to a cell `<quarter>|<dimension>|<value>`."""
        self.version += 1
        self._sums.clear()
        quarter, name, value = cell.split("|", 2)
        day = self._day_of.get(quarter) or self._begin(quarter)
        self._told.pop(day, None)
        if name == "state":
            self._quarters[quarter] += n
        for table in (self._days[day].table, self._months[day[:7]].table):
            put_cell(table, name, value, n)

    def days(self) -> Mapping[str, Table]:
        """The sums of each local day that has cases, `YYYY-MM-DD`, in order, as they are now; without histograms."""
        for day, part in self._days.items():
            if day not in self._told:
                self._told[day] = {
                    name: dict(series) for name, series in part.table.items() if series and not name.startswith(FLOW)
                }
        return {day: self._told[day] for day in sorted(self._told) if self._told[day].get("state")}

    def cut(self, span: Span) -> list[tuple[str, str]]:
        """The first and last quarter-hours of the days that the span covers only in part: of these there are no sums."""
        return [
            (part.first, part.last)
            for part in self._days.values()
            if not span.covers(part.first, part.last) and not span.misses(part.first, part.last)
        ]

    def of(self, span: Span) -> Table:
        """The sums of the whole days of a span; not to be changed."""
        found = self._sums.get(span)
        if found is None:
            found = {}
            for table in self._cover(span):
                merge(found, table)
            if len(self._sums) >= REMEMBERED:
                self._sums.clear()
            self._sums[span] = found
        return found

    def series(self, name: str, first: str, last: str) -> Series:
        """One series from one day to another, both inclusive."""
        found: Table = {}
        low, high = self._days[first].first, self._days[last].last
        for table in self._cover(Span(low, f"{high}~")):
            merge(found, {name: table.get(name, {})})
        return found.get(name, {})

    def quarters(self, span: Span) -> Series:
        """How many were received in each quarter-hour of a span."""
        return {quarter: n for quarter, n in self._quarters.items() if n and span.covers(quarter, quarter)}

    def quarters_of(self, days: Collection[str]) -> Series:
        """How many were received in each quarter-hour of some local days."""
        return {quarter: n for quarter, n in self._quarters.items() if n and self._day_of[quarter] in days}

    def _cover(self, span: Span) -> Iterator[Table]:
        """As few tables as cover the span: whole months, and whole days of cut months."""
        cut = set()
        for month, part in self._months.items():
            if span.covers(part.first, part.last):
                yield part.table
            elif not span.misses(part.first, part.last):
                cut.add(month)
        if cut:
            for day, part in self._days.items():
                if day[:7] in cut and span.covers(part.first, part.last):
                    yield part.table

    def _begin(self, quarter: str) -> str:
        """The local day of a quarter-hour that was never counted in."""
        self._quarters[quarter] = 0
        day = self._day_of[quarter] = day_of(quarter, self.zone)
        for parts, key in ((self._days, day), (self._months, day[:7])):
            part = parts.setdefault(key, _Part(quarter, quarter))
            part.first, part.last = min(part.first, quarter), max(part.last, quarter)
        return day


def put_cell(table: Table, name: str, value: str, n: int) -> None:
    """Add `n` to what a cell's name and value stand for."""
    if name != FLOW:
        put(table, name, value, n)
        return
    step, _, number = value.rpartition(">")
    put(table, STEPS, step, n)
    put(table, f"{FLOW} {step}", number, n)
    if step == ANSWERED:
        put(table, RANGED, range_of(int(number)), n)


def put(table: Table, name: str, value: str, n: int) -> None:
    """Add `n` to one value; what comes to nothing is left out."""
    series = table.setdefault(name, {})
    total = series.get(value, 0) + n
    if total:
        series[value] = total
    else:
        series.pop(value, None)


def merge(table: Table, other: Mapping[str, Mapping[str, int]]) -> None:
    """Add another table."""
    for name, series in other.items():
        own = table.setdefault(name, {})
        for value, n in series.items():
            own[value] = own.get(value, 0) + n


def day_of(quarter: str, zone: tzinfo) -> str:
    """The local day that a quarter-hour begins in."""
    return datetime.fromisoformat(quarter).astimezone(zone).date().isoformat()


def whole_quarters(since: datetime | None, until: datetime | None) -> Span:
    """The quarter-hours that lie wholly between two moments."""
    first = None if since is None else quarter_of(since)
    if since is not None and since.timestamp() % QUARTER:
        try:
            first = quarter_of(since + timedelta(seconds=QUARTER))
        except OverflowError:
            first = "9999-12-31T24:00Z"
    return Span(first, None if until is None else quarter_of(until))

"""Running sums of all cells by quarter-hour, day and month, so that no question has to add up every cell again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from services.analytics.domain.cases import QUARTER, quarter_of
from services.analytics.domain.flow import FLOW

Series = dict[str, int]
Table = dict[str, Series]
"""Name → value → count. Beside the dimensions: `overdue`, `late`, `promise`, `quarter` (received in it), `steps` (how often
each was taken) and `flow <step>` (its histogram)."""

QUARTERS = "quarter"
STEPS = "steps"

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
        self._quarters: dict[str, Table] = {}
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
        tables = self._tables(quarter)
        self._told.pop(self._day_of[quarter], None)
        for own, told in _entries(quarter, name, value):
            for table in tables:
                put(table, own, told, n)

    def in_zone(self, zone: tzinfo) -> None:
        """Days and months are those of `zone` from now on."""
        if zone == self.zone:
            return
        old, self.zone = self._quarters, zone
        self._quarters, self._days, self._months, self._day_of = {}, {}, {}, {}
        self._sums.clear()
        self._told.clear()
        self.version += 1
        for quarter, table in old.items():
            for own in self._tables(quarter):
                merge(own, table)

    def days(self) -> Mapping[str, Table]:
        """The sums of each local day that has cases, `YYYY-MM-DD`, in order, as they are now."""
        for day, part in self._days.items():
            if day not in self._told:
                self._told[day] = {name: dict(series) for name, series in part.table.items() if series}
        return {day: self._told[day] for day in sorted(self._told) if self._told[day].get(QUARTERS)}

    def of(self, span: Span) -> Table:
        """The sums of a span; not to be changed."""
        found = self._sums.get(span)
        if found is None:
            found = {}
            for table in self._cover(span):
                merge(found, table)
            if len(self._sums) >= REMEMBERED:
                self._sums.clear()
            self._sums[span] = found
        return found

    def _cover(self, span: Span) -> Iterator[Table]:
        """As few tables as cover the span: whole months, whole days of cut months, quarters of cut days."""
        cut = set()
        for month, part in self._months.items():
            if span.covers(part.first, part.last):
                yield part.table
            elif not span.misses(part.first, part.last):
                cut.add(month)
        if not cut:
            return
        days = set()
        for day, part in self._days.items():
            if day[:7] not in cut:
                continue
            if span.covers(part.first, part.last):
                yield part.table
            elif not span.misses(part.first, part.last):
                days.add(day)
        if days:
            yield from (
                table
                for quarter, table in self._quarters.items()
                if self._day_of[quarter] in days and span.covers(quarter, quarter)
            )

    def _tables(self, quarter: str) -> tuple[Table, Table, Table]:
        """The tables of the quarter-hour, of its day and of its month."""
        if quarter not in self._quarters:
            self._quarters[quarter] = {}
            day = self._day_of[quarter] = day_of(quarter, self.zone)
            for parts, key in ((self._days, day), (self._months, day[:7])):
                part = parts.setdefault(key, _Part(quarter, quarter))
                part.first, part.last = min(part.first, quarter), max(part.last, quarter)
        day = self._day_of[quarter]
        return self._quarters[quarter], self._days[day].table, self._months[day[:7]].table


def put(table: Table, name: str, value: str, n: int) -> None:
    """Add `n` to one value; what comes to nothing is left out."""
    series = table.setdefault(name, {})
    total = series.get(value, 0) + n
    if total:
        series[value] = total
    else:
        series.pop(value, None)


def put_cells(table: Table, cells: Iterable[tuple[str, int]]) -> None:
    """Add whole cells to a table."""
    for cell, n in cells:
        quarter, name, value = cell.split("|", 2)
        for own, told in _entries(quarter, name, value):
            put(table, own, told, n)


def merge(table: Table, other: Mapping[str, Mapping[str, int]]) -> None:
    """Add another table."""
    for name, series in other.items():
        own = table.setdefault(name, {})
        for value, n in series.items():
            own[value] = own.get(value, 0) + n


def _entries(quarter: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    """Where a cell is counted in a table."""
    if name == FLOW:
        step, _, number = value.rpartition(">")
        yield STEPS, step
        yield f"{FLOW} {step}", number
        return
    yield name, value
    if name == "state":
        yield QUARTERS, quarter


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

"""The figures as the public sees them: sums of whole runs and of whole blocks, computed once for each state of the tally."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from services.analytics.domain.cases import LATE, OVERDUE
from services.analytics.domain.days import in_zone, start_of
from services.analytics.domain.flow import FLOW
from services.analytics.domain.publicity import (
    SUPPRESSED,
    Block,
    Run,
    blocks,
    runs,
    suppressed,
    told_apart,
    within,
)
from services.analytics.domain.tally import RANGED, STEPS, Series, Span, Tally
from shared.clock import rfc3339
from shared.events.routing import OPEN_STATES

Extent = tuple[int, int]
"""The runs of a window: from, to (exclusive)."""


class Published:
    """What may be told of a tally as it is now; to be used before the next `await`, and until its `version` changes."""

    def __init__(self, tally: Tally, smallest: int) -> None:
        self.version, self._smallest, self._tally = tally.version, smallest, tally
        self._days = tally.days()
        self._whole = tally.of(Span())
        self.runs: list[Run] = runs({day: sum(t["state"].values()) for day, t in self._days.items()}, smallest)
        self._blocks: dict[str, list[Block]] = {}

    def extent(self, first: date | None, last: date | None) -> Extent:
        """The runs that some day from `first` to `last` (both inclusive) belongs to."""
        low, high = first.isoformat() if first else "", last.isoformat() if last else "~"
        found = [at for at, run in enumerate(self.runs) if run.last >= low and run.first <= high]
        return (found[0], found[-1] + 1) if found else (0, 0)

    def is_whole(self, extent: Extent) -> bool:
        return extent == (0, len(self.runs))

    def total(self, extent: Extent) -> int:
        return sum(run.total for run in self.runs[slice(*extent)])

    def cells(self, name: str, extent: Extent) -> dict[str, int]:
        """A dimension's values. What a window's ends cut is in the key `suppressed`; the sum is the total."""
        whole = self._whole.get(name, {})
        if self.is_whole(extent):
            return suppressed(whole, self._smallest)
        return self._in_blocks(name, [self._series(run, name) for run in self.runs], self._apart(whole), extent)

    def hours(self, extent: Extent) -> dict[str, int]:
        """Hours, suppressed within each run."""
        found = []
        for run in self.runs[slice(*extent)]:
            quarters = self._tally.quarters_of(run.days)
            found.append(suppressed(in_zone(quarters, "hour", self._tally.zone), self._smallest))
        return _sum(found)

    def days(self, extent: Extent) -> dict[str, int]:
        """Days that are a run of their own, by their start in UTC; the others are merged."""
        found: dict[str, int] = {}
        for run in self.runs[slice(*extent)]:
            alone = len(run.days) == 1
            key = rfc3339(start_of(date.fromisoformat(run.first), self._tally.zone)) if alone else SUPPRESSED
            found[key] = found.get(key, 0) + run.total
        return found

    def open(self, extent: Extent) -> int | None:
        """Neither closed nor withdrawn, over everything; None for windows."""
        if not self.is_whole(extent):
            return None
        return sum(count for state, count in self._whole.get("state", {}).items() if state in OPEN_STATES)

    def overdue(self, extent: Extent) -> int | None:
        """Overdue, over everything; None for windows."""
        return self._whole.get(OVERDUE, {}).get("yes", 0) if self.is_whole(extent) else None

    @property
    def late(self) -> str | None:
        """The quarter-hour of the earliest deadline that an overdue case missed."""
        return min(self._whole.get(LATE, {}), default=None)

    def steps(self, extent: Extent) -> dict[str, dict[int, int]]:
        """The histograms of steps that enough cases took, of the runs that lie in whole blocks of the step."""
        return {step: found for step in self._whole.get(STEPS, {}) if (found := self._histogram(step, extent))}

    def _histogram(self, step: str, extent: Extent) -> dict[int, int]:
        name, count = f"{FLOW} {step}", self._whole.get(STEPS, {}).get(step, 0)
        if count < self._smallest:
            return {}
        series: Mapping[str, int] = self._whole[name]
        if not self.is_whole(extent):
            counts = [{step: n} if (n := self._series(run, STEPS).get(step, 0)) else {} for run in self.runs]
            found = within(self._known(name, counts, {step}), *extent)
            if not found:
                return {}
            series = self._tally.series(name, self.runs[found[0].start].first, self.runs[found[-1].end - 1].last)
        return {int(number): n for number, n in series.items() if n}

    def ranges(self, extent: Extent) -> dict[str, int]:
        """First answers by the range of their time; ranges with few are merged."""
        whole = self._whole.get(RANGED, {})
        if sum(whole.values()) < self._smallest:
            return {}
        if self.is_whole(extent):
            return suppressed(whole, self._smallest)
        tables = [self._series(run, RANGED) for run in self.runs]
        found = within(self._known(RANGED, tables, self._apart(whole)), *extent)
        return _sum(block.cells for block in found)

    def _in_blocks(
        self, name: str, tables: Sequence[Mapping[str, int]], apart: Collection[str], extent: Extent
    ) -> dict[str, int]:
        found = _sum(block.cells for block in within(self._known(name, tables, apart), *extent))
        if rest := self.total(extent) - sum(found.values()):
            found[SUPPRESSED] = found.get(SUPPRESSED, 0) + rest
        return found

    def _known(self, name: str, tables: Sequence[Mapping[str, int]], apart: Collection[str]) -> list[Block]:
        if name not in self._blocks:
            self._blocks[name] = blocks(tables, apart, self._smallest)
        return self._blocks[name]

    def _apart(self, whole: Mapping[str, int]) -> set[str]:
        return told_apart(whole, list(self._days), self._smallest)

    def _series(self, run: Run, name: str) -> Mapping[str, int]:
        if len(run.days) == 1:
            return self._days[run.first].get(name, {})
        return _sum(self._days[day].get(name, {}) for day in run.days)


def _sum(tables: Iterable[Mapping[str, int]]) -> Series:
    found: Series = {}
    for table in tables:
        for key, n in table.items():
            found[key] = found.get(key, 0) + n
    return {key: n for key, n in found.items() if n}

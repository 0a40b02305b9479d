"""What analytics remembers: a document per case and the deltas; the questions are asked of their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from services.analytics.domain.cases import DIMENSIONS, LATE, OVERDUE, PROMISE, QUARTER, CaseFigures, quarter_of, stamp
from services.analytics.domain.flow import FLOW, Step
from services.analytics.domain.tally import RANGED, Series, Span, Table, Tally, put_cell, whole_quarters
from shared.clock import Clock
from shared.delivery.figures import Figures
from shared.events.routing import OPEN_STATES
from shared.store.documents import Documents
from shared.store.port import Collection, DocumentStore, Index, Query

CASES = Collection("cases", "derived", indexes=(Index(("received_at",)),))


@dataclass(frozen=True, slots=True)
class Window:
    """Cases received from `since` (inclusive) to `until` (exclusive); None: without that end."""

    since: datetime | None = None
    until: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Board:
    """Figures of one window. `late`: overdue cases by the quarter-hour of their deadline; `promises`: per department
    and verdict (`<department>|kept`); `ranges`: first answers by the range of their time; `flow`: a histogram of buckets per step."""

    by: Mapping[str, Series]
    quarters: Series
    overdue: int
    late: Series
    promises: Series
    ranges: Series
    flow: Mapping[Step, Mapping[int, int]]
    positions: Mapping[int, int]

    @classmethod
    def of(cls, table: Table, quarters: Series, positions: Mapping[int, int]) -> Board:
        flow: dict[Step, dict[int, int]] = {}
        for name, series in table.items():
            if name.startswith(FLOW) and any(series.values()):
                start, _, end = name.removeprefix(f"{FLOW} ").partition(">")
                flow[start, end] = {int(number): n for number, n in series.items()}
        return cls(
            by={name: table.get(name, {}) for name in DIMENSIONS},
            quarters=dict(quarters),
            overdue=table.get(OVERDUE, {}).get("yes", 0),
            late=table.get(LATE, {}),
            promises=table.get(PROMISE, {}),
            ranges=table.get(RANGED, {}),
            flow=flow,
            positions=dict(positions),
        )

    @property
    def total(self) -> int:
        return sum(self.by["state"].values())

    @property
    def open(self) -> int:
        return sum(n for state, n in self.by["state"].items() if state in OPEN_STATES)


class Counts:
    """Exact figures at any moment. `tally` is as of the last question; what is read from it is to be used before the
    next `await`."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.cases: Documents[CaseFigures] = Documents(store, CASES, CaseFigures, clock)
        self.tally = Tally()
        self._figures = Figures(store, self.tally)

    async def current(self, zone: tzinfo | None = None) -> Mapping[int, int]:
        """Bring the tally up to date, its days in `zone`; answers the positions it is counted to. Another zone than before
        costs reading everything again."""
        if zone is not None and zone != self.tally.zone:
            self.tally.zone = zone
            self._figures.forget()
        return (await self._figures.current()).positions

    async def board(self, window: Window, zone: tzinfo | None = None) -> Board:
        """The figures of a window. Days that its ends cut are counted case by case."""
        await self.current(zone)
        span = whole_quarters(window.since, window.until)
        edges = [
            case for first, last in self._edges(window, span) async for case in self._cases_of(first, last, window)
        ]
        positions = await self.current(zone)
        own, quarters = self.tally.of(span), self.tally.quarters(span)
        if edges:
            own, quarters = {name: dict(series) for name, series in own.items()}, Counter(quarters)
            for case in edges:
                for cell, n in case.cells().items():
                    _, name, value = cell.split("|", 2)
                    put_cell(own, name, value, n)
                    if name == "state" and not span.covers(case.quarter, case.quarter):
                        quarters[case.quarter] += n
        return Board.of(own, quarters, positions)

    def _edges(self, window: Window, span: Span) -> list[tuple[str, str]]:
        """The first and last quarter-hour of each stretch that has no sums in the tally: days and quarters that are cut."""
        ends = [quarter_of(end) for end in (window.since, window.until) if end is not None and not _is_border(end)]
        days = self.tally.cut(span)
        alone = [(end, end) for end in ends if not any(first <= end <= last for first, last in days)]
        return sorted(set(days + alone))

    async def _cases_of(self, first: str, last: str, window: Window) -> AsyncIterator[CaseFigures]:
        """The cases from one quarter-hour to another, both inclusive, that the window covers."""
        start = datetime.fromisoformat(first)
        query = Query(order="received_at", since=stamp(max(start, window.since or start)), limit=500)
        cursor: str | None = None
        while True:
            page, cursor = await self.cases.find(query, cursor)
            for kept in page:
                if kept.value.quarter > last:
                    return
                if window.covers(datetime.fromisoformat(kept.value.received_at)):
                    yield kept.value
            if cursor is None:
                return


def _is_border(moment: datetime) -> bool:
    return moment.timestamp() % QUARTER == 0

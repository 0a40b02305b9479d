"""What analytics remembers: a document per case and the deltas; the questions are asked of their sums."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from services.analytics.domain.cases import DIMENSIONS, LATE, OVERDUE, PROMISE, QUARTER, CaseFigures, quarter_of, stamp
from services.analytics.domain.flow import FLOW, Step
from services.analytics.domain.tally import QUARTERS, Series, Table, Tally, merge, put_cells, whole_quarters
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
    and verdict (`<department>|kept`); `flow`: a histogram of buckets per step."""

    by: Mapping[str, Series]
    quarters: Series
    overdue: int
    late: Series
    promises: Series
    flow: Mapping[Step, Mapping[int, int]]
    positions: Mapping[int, int]

    @classmethod
    def of(cls, table: Table, positions: Mapping[int, int]) -> Board:
        flow: dict[Step, dict[int, int]] = {}
        for name, series in table.items():
            if name.startswith(FLOW) and any(series.values()):
                start, _, end = name.removeprefix(f"{FLOW} ").partition(">")
                flow[start, end] = {int(number): n for number, n in series.items()}
        return cls(
            by={name: table.get(name, {}) for name in DIMENSIONS},
            quarters=table.get(QUARTERS, {}),
            overdue=table.get(OVERDUE, {}).get("yes", 0),
            late=table.get(LATE, {}),
            promises=table.get(PROMISE, {}),
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
        self._figures = Figures(store, self.tally.add)

    async def current(self, zone: tzinfo | None = None) -> Mapping[int, int]:
        """Bring the tally up to date, its days in `zone`; answers the positions it is counted to."""
        sums = await self._figures.current()
        if zone is not None:
            self.tally.in_zone(zone)
        return sums.positions

    async def board(self, window: Window) -> Board:
        """The figures of a window. Where an end cuts a quarter-hour, that quarter is counted case by case."""
        edges = {quarter_of(end) for end in (window.since, window.until) if end is not None and not _is_border(end)}
        cut = [case for edge in sorted(edges) async for case in self._cases_of(edge, window)]
        positions = await self.current()
        table = self.tally.of(whole_quarters(window.since, window.until))
        if cut:
            own: Table = {}
            merge(own, table)
            for case in cut:
                put_cells(own, case.cells().items())
            table = own
        return Board.of(table, positions)

    async def _cases_of(self, quarter: str, window: Window) -> AsyncIterator[CaseFigures]:
        """The cases of one quarter-hour that the window covers."""
        start = datetime.fromisoformat(quarter)
        query = Query(order="received_at", since=stamp(max(start, window.since or start)), limit=500)
        cursor: str | None = None
        while True:
            page, cursor = await self.cases.find(query, cursor)
            for kept in page:
                if kept.value.quarter != quarter:
                    return
                if window.covers(datetime.fromisoformat(kept.value.received_at)):
                    yield kept.value
            if cursor is None:
                return


def _is_border(moment: datetime) -> bool:
    return moment.timestamp() % QUARTER == 0

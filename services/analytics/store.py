"""What analytics remembers: a document per case and the deltas; the questions are asked of their sums."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.analytics.domain.cases import DIMENSIONS, OVERDUE, QUARTER, CaseFigures, quarter_of, stamp
from services.analytics.domain.flow import FLOW, steps
from shared.clock import Clock
from shared.delivery.figures import Figures
from shared.events.routing import OPEN_STATES
from shared.store.documents import Documents
from shared.store.port import Collection, DocumentStore, Index, Query

CASES = Collection("cases", "derived", indexes=(Index(("received_at",)),))

Series = dict[str, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Cases received from `since` (inclusive) to `until` (exclusive); None: without that end."""

    since: datetime | None = None
    until: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(frozen=True)
class Board:
    """Figures of one window: dimension → value → count, quarter → count, and the flow's histograms."""

    by: Mapping[str, Series]
    quarters: Series
    overdue: int
    flow: Mapping[tuple[str, str], Mapping[int, int]]
    positions: Mapping[int, int]

    @property
    def total(self) -> int:
        return sum(self.quarters.values())

    @property
    def open(self) -> int:
        return sum(n for state, n in self.by["state"].items() if state in OPEN_STATES)


class Counts:
    """Exact figures at any moment."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.cases: Documents[CaseFigures] = Documents(store, CASES, CaseFigures, clock)
        self._figures = Figures(store)

    async def board(self, window: Window) -> Board:
        """The figures of a window. Where an end cuts a quarter-hour, that quarter is counted case by case."""
        edges = {quarter_of(end) for end in (window.since, window.until) if end is not None and not _is_border(end)}
        cut = [case for edge in sorted(edges) async for case in self._cases_of(edge, window)]
        sums = await self._figures.current()
        by: dict[str, Series] = {name: {} for name in DIMENSIONS}
        quarters: Series = {}
        flow: list[tuple[str, int]] = []
        overdue = 0

        def add(quarter: str, name: str, value: str, n: int) -> None:
            nonlocal overdue
            if name == FLOW:
                flow.append((value, n))
            elif name == OVERDUE:
                overdue += n
            else:
                by[name][value] = by[name].get(value, 0) + n
                if name == "state":
                    quarters[quarter] = quarters.get(quarter, 0) + n

        for quarter, name, value, n in _cells(sums.cells):
            if quarter not in edges and window.covers(_start(quarter)):
                add(quarter, name, value, n)
        for case in cut:
            for quarter, name, value, n in _cells(case.cells()):
                add(quarter, name, value, n)
        return Board(by, quarters, overdue, steps(flow), dict(sums.positions))

    async def _cases_of(self, quarter: str, window: Window) -> AsyncIterator[CaseFigures]:
        """The cases of one quarter-hour that the window covers."""
        start = _start(quarter)
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


def _cells(cells: Mapping[str, int]) -> Iterator[tuple[str, str, str, int]]:
    for cell, n in cells.items():
        quarter, name, value = cell.split("|", 2)
        yield quarter, name, value, n


def _start(quarter: str) -> datetime:
    return datetime.fromisoformat(quarter)


def _is_border(moment: datetime) -> bool:
    return moment.timestamp() % QUARTER == 0

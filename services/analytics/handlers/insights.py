"""Answers from the figures: in full for those who may see them, with small cells suppressed for the public."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from services.analytics.domain.cases import UNSPECIFIED
from services.analytics.domain.flow import percentile
from services.analytics.domain.publicity import SUPPRESSED, suppressed
from services.analytics.store import Board, Counts, Window
from shared.clock import Clock, rfc3339
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy
from shared.events.routing import Organisation

By = Literal["hour", "day", "channel", "kind", "category", "department", "area", "state"]
Language = Literal["zh", "en"]


class AsOf(BaseModel):
    """How far the log is counted: `positions` per partition, and when that was asked."""

    time: str
    positions: dict[str, int]


class Summary(BaseModel):
    as_of: AsOf
    total: int
    open: int
    overdue: int
    by: dict[str, dict[str, int]]


class Cell(BaseModel):
    key: str
    label: str
    count: int


class SeriesShown(BaseModel):
    as_of: AsOf
    series: list[Cell]


class FlowShown(BaseModel):
    as_of: AsOf
    steps: list[dict[str, Any]]


class Insights:
    """The answers behind the calls and the page."""

    def __init__(self, counts: Counts, organisation: OrganisationCopy, clock: Clock, smallest: int) -> None:
        self._counts, self._organisation, self._clock, self.smallest = counts, organisation, clock, smallest

    async def board(self, window: Window) -> tuple[Board, AsOf]:
        board = await self._counts.board(window)
        positions = {str(partition): at for partition, at in sorted(board.positions.items())}
        return board, AsOf(time=rfc3339(self._clock.now()), positions=positions)

    async def organisation(self) -> Organisation:
        """Raises `Busy` before the first announcement."""
        announced = await self._organisation.current()
        if announced is None:
            raise Busy(detail="the organisation has not been announced yet")
        return announced.content

    def shown(self, cells: Mapping[str, int], full: bool) -> dict[str, int]:
        """The cells that the caller may see."""
        return {key: n for key, n in cells.items() if n} if full else suppressed(cells, self.smallest)

    async def series(self, board: Board, by: By, full: bool, language: Language) -> list[Cell]:
        """One series, ordered: times by time, everything else by count."""
        organisation = await self.organisation()
        if by in ("hour", "day"):
            cells = self.shown(in_zone(board.quarters, by, ZoneInfo(organisation.time_zone)), full)
            return [Cell(key=key, label=key, count=n) for key, n in sorted(cells.items())]
        cells = self.shown(board.by[by], full)
        words = labels(organisation, by, language)
        order = sorted(cells.items(), key=lambda item: (item[0] in (SUPPRESSED, UNSPECIFIED), -item[1], item[0]))
        return [Cell(key=key, label=words(key), count=n) for key, n in order]

    def flow(self, board: Board, full: bool) -> list[dict[str, Any]]:
        """The steps and their percentiles; for the public only those that enough cases took."""
        return [
            {
                "from": start,
                "to": end,
                "count": count,
                "p50_seconds": round(percentile(histogram, 0.5), 3),
                "p90_seconds": round(percentile(histogram, 0.9), 3),
                "p99_seconds": round(percentile(histogram, 0.99), 3),
            }
            for (start, end), histogram in sorted(board.flow.items())
            if (count := sum(histogram.values())) and (full or count >= self.smallest)
        ]


def in_zone(quarters: Mapping[str, int], by: str, zone: ZoneInfo) -> dict[str, int]:
    """Counts by hour or day of a zone; a key is the start of the hour or day, in UTC."""
    found: dict[str, int] = {}
    for quarter, n in quarters.items():
        local = datetime.fromisoformat(quarter).astimezone(zone)
        start = local.replace(minute=0) if by == "hour" else local.replace(hour=0, minute=0, fold=0)
        key = rfc3339(start.astimezone(UTC))
        found[key] = found.get(key, 0) + n
    return found


def labels(organisation: Organisation, by: str, language: Language) -> Callable[[str], str]:
    """The words of a dimension's values."""
    lists: dict[str, Any] = {
        "department": organisation.departments,
        "category": organisation.categories,
        "area": organisation.areas,
    }
    words = {item.id: getattr(item.label, language) for item in lists.get(by, ())}
    return lambda key: words.get(key, key)

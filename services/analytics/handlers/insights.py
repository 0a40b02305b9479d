"""Answers from the figures: in full for those who may see them, for the public what tells of nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from services.analytics.domain.cases import DIMENSIONS, UNSPECIFIED
from services.analytics.domain.days import day_before, local_day, start_of
from services.analytics.domain.flow import percentile
from services.analytics.domain.promises import Kept, kept_in_full, kept_in_public, weeks_of
from services.analytics.domain.publicity import SUPPRESSED
from services.analytics.domain.published import Published
from services.analytics.handlers.looks import AsOf, Look, in_full, in_public
from services.analytics.store import Counts, Window
from shared.clock import Clock, rfc3339
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy
from shared.events.routing import Organisation

Language = Literal["zh", "en"]


class Summary(BaseModel):
    """`open` and `overdue` are left out, and named in `withheld`, for a window of the public's."""

    as_of: AsOf
    window: dict[str, str]
    total: int
    open: int | None = None
    overdue: int | None = None
    withheld: list[str] | None = None
    by: dict[str, dict[str, int]]


class Cell(BaseModel):
    key: str
    label: str
    count: int


class SeriesShown(BaseModel):
    as_of: AsOf
    window: dict[str, str]
    series: list[Cell]


class FlowShown(BaseModel):
    as_of: AsOf
    window: dict[str, str]
    steps: list[dict[str, Any]]


class Insights:
    """The answers behind the calls and the pages."""

    def __init__(
        self, counts: Counts, organisation: OrganisationCopy, clock: Clock, smallest: int, target: float
    ) -> None:
        self._counts, self._organisation, self._clock = counts, organisation, clock
        self.smallest, self.target = smallest, target
        self._published: Published | None = None

    async def organisation(self) -> Organisation:
        """Raises `Busy` before the first announcement."""
        announced = await self._organisation.current()
        if announced is None:
            raise Busy(detail="the organisation has not been announced yet")
        return announced.content

    async def look(self, window: Window, full: bool) -> Look:
        """The figures of a window. The public's window is widened to whole runs of days."""
        zone = ZoneInfo((await self.organisation()).time_zone)
        if full:
            board = await self._counts.board(window, zone)
            return in_full(board, self._as_of(board.positions), window, zone)
        positions = await self._counts.current(zone)
        published = self._current()
        first = local_day(window.since, zone) if window.since else None
        extent = published.extent(first, day_before(window.until, zone) if window.until else None)
        if published.is_whole(extent) and published.runs:
            window = Window()
        elif found := published.runs[slice(*extent)]:
            after = date.fromisoformat(found[-1].last) + timedelta(days=1)
            window = Window(
                start_of(date.fromisoformat(found[0].first), zone) if window.since else None,
                start_of(after, zone) if window.until else None,
            )
        return in_public(published, self._as_of(positions), window, extent)

    async def kept(self, today: date, full: bool) -> list[Kept]:
        """How the departments kept their deadlines in the last weeks."""
        await self._counts.current(ZoneInfo((await self.organisation()).time_zone))
        weeks = weeks_of(self._counts.tally.days(), today)
        return kept_in_full(weeks) if full else kept_in_public(weeks, self.smallest)

    def summary(self, look: Look) -> Summary:
        withheld = [name for name in ("open", "overdue") if getattr(look, name) is None]
        return Summary(
            as_of=look.as_of,
            window=told(look.window),
            total=look.total,
            open=look.open,
            overdue=look.overdue,
            withheld=withheld or None,
            by={name: look.cells(name) for name in DIMENSIONS},
        )

    async def series(self, look: Look, by: str, language: Language) -> list[Cell]:
        """One series, ordered: times by time, everything else by count."""
        cells = look.cells(by)
        organisation = await self.organisation()
        if by in ("hour", "day"):
            return [Cell(key=key, label=key, count=n) for key, n in sorted(cells.items())]
        words = labels(organisation, by, language)
        order = sorted(cells.items(), key=lambda item: (item[0] in (SUPPRESSED, UNSPECIFIED), -item[1], item[0]))
        return [Cell(key=key, label=words(key), count=n) for key, n in order]

    def flow(self, look: Look) -> list[dict[str, Any]]:
        """The steps and their percentiles."""
        return [
            {
                "from": start,
                "to": end,
                "count": sum(histogram.values()),
                "p50_seconds": round(percentile(histogram, 0.5), 3),
                "p90_seconds": round(percentile(histogram, 0.9), 3),
                "p99_seconds": round(percentile(histogram, 0.99), 3),
            }
            for (start, end), histogram in sorted(look.steps.items())
        ]

    def now(self) -> datetime:
        return self._clock.now()

    def _current(self) -> Published:
        """What is published of the tally as it is now."""
        tally = self._counts.tally
        if self._published is None or self._published.version != tally.version:
            self._published = Published(tally, self.smallest)
        return self._published

    def _as_of(self, positions: Mapping[int, int]) -> AsOf:
        told = {str(partition): at for partition, at in sorted(positions.items())}
        return AsOf(time=rfc3339(self._clock.now()), positions=told)


def told(window: Window) -> dict[str, str]:
    """The ends of a window that it has, as `from` and `to`."""
    ends = {"from": window.since, "to": window.until}
    return {name: rfc3339(end) for name, end in ends.items() if end is not None}


def labels(organisation: Organisation, by: str, language: Language) -> Callable[[str], str]:
    """The words of a dimension's values."""
    lists: dict[str, Any] = {
        "department": organisation.departments,
        "category": organisation.categories,
        "area": organisation.areas,
    }
    words = {item.id: getattr(item.label, language) for item in lists.get(by, ())}
    return lambda key: words.get(key, key)

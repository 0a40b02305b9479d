"""HTTP out: the figures, in full for those who may see them, with small cells suppressed for the public."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.analytics.domain.cases import DIMENSIONS, UNSPECIFIED
from services.analytics.domain.flow import percentile
from services.analytics.domain.publicity import SUPPRESSED, suppressed
from services.analytics.store import Board, Counts, Window
from shared.clock import Clock, rfc3339
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, FieldError, Invalid
from shared.events.routing import Organisation
from shared.http.access import Principal, caller

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
        self._counts, self._organisation, self._clock, self._smallest = counts, organisation, clock, smallest

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
        return {key: n for key, n in cells.items() if n} if full else suppressed(cells, self._smallest)

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
            if (count := sum(histogram.values())) and (full or count >= self._smallest)
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


def _moment(name: str, text: str | None, zone: ZoneInfo) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid([FieldError(f"/query/{name}", "not_a_time")]) from None


def router(insights: Insights) -> APIRouter:
    """The calls under `/v1/insights`."""
    routes = APIRouter(prefix="/v1/insights", tags=["insights"])
    From = Annotated[str | None, Query(alias="from", max_length=40, description="received at or after")]
    To = Annotated[str | None, Query(alias="to", max_length=40, description="received before")]

    async def window(since: From = None, until: To = None) -> Window:
        zone = ZoneInfo((await insights.organisation()).time_zone)
        found = Window(_moment("from", since, zone), _moment("to", until, zone))
        if found.since and found.until and found.since >= found.until:
            raise Invalid([FieldError("/query/to", "not_after_from")])
        return found

    Asked = Annotated[Window, Depends(window)]
    Caller = Annotated[Principal | None, Depends(caller)]

    def in_full(principal: Principal | None) -> bool:
        return principal is not None and principal.may("insights.full")

    @routes.get("/summary")
    async def summary(window: Asked, principal: Caller) -> Summary:
        """What there is, what is open, what is overdue, and how it divides."""
        board, as_of = await insights.board(window)
        by = {name: insights.shown(board.by[name], in_full(principal)) for name in DIMENSIONS}
        return Summary(as_of=as_of, total=board.total, open=board.open, overdue=board.overdue, by=by)

    @routes.get("/series")
    async def series(by: By, window: Asked, principal: Caller, lang: Language = "zh") -> SeriesShown:
        """One dimension, complete; its counts add up to the summary's total."""
        board, as_of = await insights.board(window)
        return SeriesShown(as_of=as_of, series=await insights.series(board, by, in_full(principal), lang))

    @routes.get("/flow")
    async def flow(window: Asked, principal: Caller) -> FlowShown:
        """How long cases take from one state to the next."""
        board, as_of = await insights.board(window)
        return FlowShown(as_of=as_of, steps=insights.flow(board, in_full(principal)))

    return routes

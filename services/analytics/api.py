"""HTTP out: the figures, in full for those who may see them, with small cells suppressed for the public."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from services.analytics.domain.cases import DIMENSIONS
from services.analytics.handlers.insights import By, FlowShown, Insights, Language, SeriesShown, Summary
from services.analytics.store import Window
from shared.errors import FieldError, Invalid
from shared.http.access import Principal, caller
from shared.http.problems import problems


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
    routes = APIRouter(prefix="/v1/insights", tags=["insights"], responses=problems(401))
    From = Annotated[str | None, Query(alias="from", max_length=40, description="received at or after")]
    To = Annotated[str | None, Query(alias="to", max_length=40, description="received before")]
    AsOf = Annotated[str | None, Query(max_length=200, deprecated=True, description="refused: figures are as of now")]

    async def window(since: From = None, until: To = None, as_of: AsOf = None) -> Window:
        if as_of is not None:
            raise Invalid([FieldError("/query/as_of", "not_offered")])
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

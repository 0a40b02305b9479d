"""HTTP out: the figures, in full for those who may see them, with small cells suppressed for the public."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from services.analytics.handlers.insights import FlowShown, Insights, Language, SeriesShown, Summary, told
from services.analytics.handlers.looks import By, Look
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

    async def look(
        asked: Annotated[Window, Depends(window)], principal: Annotated[Principal | None, Depends(caller)]
    ) -> Look:
        return await insights.look(asked, principal is not None and principal.may("insights.full"))

    Looked = Annotated[Look, Depends(look)]

    @routes.get("/summary", response_model_exclude_none=True)
    async def summary(look: Looked) -> Summary:
        """What there is, what is open, what is overdue, and how it divides."""
        return insights.summary(look)

    @routes.get("/series")
    async def series(by: By, look: Looked, lang: Language = "zh") -> SeriesShown:
        """One dimension, complete; its counts add up to the summary's total."""
        return SeriesShown(as_of=look.as_of, window=told(look.window), series=await insights.series(look, by, lang))

    @routes.get("/flow")
    async def flow(look: Looked) -> FlowShown:
        """How long cases take from one state to the next."""
        return FlowShown(as_of=look.as_of, window=told(look.window), steps=insights.flow(look))

    return routes

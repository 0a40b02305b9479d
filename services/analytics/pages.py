"""The page of open figures: tables of what the public may see, without JavaScript."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_timedelta
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from services.analytics.domain.cases import UNSPECIFIED
from services.analytics.domain.flow import percentile
from services.analytics.domain.publicity import SUPPRESSED
from services.analytics.handlers.insights import By, Insights
from services.analytics.store import Window
from shared.web.pages import Language, Pages, language_of, translate

ORDER: tuple[By, ...] = ("department", "category", "state", "kind", "channel", "area", "day")

DAYS = 30
"""Days shown: the newest."""


def router(insights: Insights) -> APIRouter:
    """`/insights`."""
    pages = Pages(Path(__file__).parent / "templates")
    routes = APIRouter(include_in_schema=False)

    @routes.get("/insights")
    async def figures(request: Request) -> HTMLResponse:
        language = language_of(request.query_params.get("lang"), request.headers.get("accept-language"))
        organisation = await insights.organisation()
        zone = ZoneInfo(organisation.time_zone)
        board, _ = await insights.board(Window())
        series = []
        for name in ORDER:
            cells = await insights.series(board, name, full=False, language=language)
            rows = [{"label": _label(name, c.key, c.label, language, zone), "count": c.count} for c in cells]
            series.append((name, rows[-DAYS:] if name == "day" else rows))
        answered = board.flow.get(("received", "answered"), {})
        enough = sum(answered.values()) >= insights.smallest
        html = pages.html(
            "insights.html",
            language,
            organisation.time_zone,
            here="insights",
            body_name=getattr(organisation.name, language),
            total=board.total,
            open=board.open,
            overdue=board.overdue,
            median=_long(percentile(answered, 0.5), language) if enough else None,
            series=series,
            flow=[_step(step, language) for step in insights.flow(board, full=False)],
        )
        return HTMLResponse(html)

    return routes


def _label(name: str, key: str, label: str, language: Language, zone: ZoneInfo) -> str:
    if key in (SUPPRESSED, UNSPECIFIED):
        return translate(language, f"insights.{key}")
    if name == "day":
        day = datetime.fromisoformat(key).astimezone(zone).date()
        return format_date(day, "full" if language == "zh" else "EEE d MMM y", locale=language)
    if name in ("state", "kind", "channel"):
        return translate(language, f"{name}.{key}")
    return label


def _step(step: dict[str, Any], language: Language) -> dict[str, Any]:
    start, end = (translate(language, f"state.{step[side]}") for side in ("from", "to"))
    return {
        "words": f"{start} → {end}",
        "count": step["count"],
        "p50": _long(step["p50_seconds"], language),
        "p90": _long(step["p90_seconds"], language),
    }


def _long(seconds: float, language: Language) -> str:
    return format_timedelta(round(seconds), threshold=1.5, locale=language)

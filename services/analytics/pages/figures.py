"""`/insights`, its tables, its downloads and how each number is counted."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from services.analytics.domain.flow import LONGER, RANGES, percentile
from services.analytics.domain.promises import EVERYONE, Kept, first_week
from services.analytics.domain.publicity import SUPPRESSED
from services.analytics.handlers.insights import Insights, told
from services.analytics.handlers.looks import Look
from services.analytics.pages import charts
from services.analytics.pages.periods import PERIODS, YEAR, Period, period_of
from services.analytics.pages.sheets import SHEETS, Sheet, answers, counted, flow, on_time, range_words
from services.analytics.pages.telling import Telling
from services.analytics.store import Window
from shared.errors import NotFound
from shared.events.routing import Organisation
from shared.http.access import Principal, caller
from shared.web.pages import Language, Pages, language_of

NOT_ACCEPTED = ("received", "triage", "routed", "returned")
"""States in which nobody has taken a case yet."""

DEFINED = (
    ("received", "insights.total"),
    ("open", "insights.open"),
    ("overdue", "insights.overdue"),
    ("answer", "insights.answer"),
    ("on-time", "insights.on-time"),
    ("flow", "insights.flow"),
)
"""The figures that are defined: key of the definition, key of the name."""

CARDS = 12
"""Departments drawn, those with most; the table has all."""

ROWS = 400
"""Rows of a table on a page; the downloads have all."""


@dataclass(frozen=True)
class Asked:
    """What a page was asked for, and by whom."""

    language: Language
    organisation: Organisation
    telling: Telling
    period: Period
    full: bool


def router(insights: Insights) -> APIRouter:
    """`/insights` and what lies below it."""
    pages = Pages(Path(__file__).parents[1] / "templates")
    routes = APIRouter(include_in_schema=False)

    async def asked(request: Request, principal: Annotated[Principal | None, Depends(caller)]) -> Asked:
        language = language_of(request.query_params.get("lang"), request.headers.get("accept-language"))
        organisation = await insights.organisation()
        zone = ZoneInfo(organisation.time_zone)
        period = period_of(request.query_params.get("days"), insights.now().astimezone(zone).date(), zone)
        full = principal is not None and principal.may("insights.full")
        return Asked(language, organisation, Telling(language, organisation), period, full)

    Page = Annotated[Asked, Depends(asked)]

    def shown(page: Asked, name: str, **values: Any) -> HTMLResponse:
        html = pages.html(
            name,
            page.language,
            page.organisation.time_zone,
            here="insights",
            body_name=getattr(page.organisation.name, page.language),
            days=page.period.days,
            periods=PERIODS,
            full=page.full,
            smallest=insights.smallest,
            **values,
        )
        return HTMLResponse(html)

    async def sheet(page: Asked, by: str) -> tuple[Sheet, Look]:
        look = await insights.look(page.period.window, page.full)
        if by == "answer":
            return answers(look, page.telling), look
        if by == "flow":
            return flow(look, insights, page.telling), look
        if by == "on-time":
            return on_time(await insights.kept(page.period.today, page.full), page.telling, insights), look
        cells = [(cell.key, cell.count) for cell in await insights.series(look, by, page.language)]
        return counted(by, cells, page.telling), look

    @routes.get("/insights")
    async def figures(page: Page) -> HTMLResponse:
        telling, period = page.telling, page.period
        look = await insights.look(period.window, page.full)
        before = await insights.look(period.before, page.full)
        ever = await insights.look(Window(), page.full)
        kept = await insights.kept(period.today, page.full)
        low, lines = charts.lines([one for one in kept if one.department != EVERYONE][:CARDS], insights.target)
        return shown(
            page,
            "insights.html",
            telling=telling,
            as_of=telling.moment(insights.now()),
            numbers=_numbers(look, before, ever, telling, period, insights),
            inflow=_inflow(look, telling, period),
            times=_times(look, telling),
            low=low,
            target_words=telling.percent(insights.target),
            lines=[_card(line, telling) for line in lines],
            everyone=next((_card_words(one, telling) for one in kept if one.department == EVERYONE), None),
            flow=flow(look, insights, telling),
            small=charts.SMALL,
            plot=charts.PLOT,
            sheets=SHEETS,
        )

    @routes.get("/insights/table")
    async def table(request: Request, page: Page) -> HTMLResponse:
        by = request.query_params.get("by", "day")
        by = by if by in SHEETS else "day"
        found, look = await sheet(page, by)
        return shown(
            page,
            "insights-table.html",
            by=by,
            sheets=SHEETS,
            sheet=found,
            rows=found.rows[-ROWS:] if by in ("day", "hour") else found.rows[:ROWS],
            cut=len(found.rows) > ROWS,
            span=_span(by, look, page.telling, page.period),
        )

    @routes.get("/insights/definitions")
    async def definitions(page: Page) -> HTMLResponse:
        return shown(page, "insights-definitions.html", figures=DEFINED)

    @routes.get("/insights/{name}.{form}")
    async def download(name: str, form: str, page: Page) -> Response:
        if name not in SHEETS or form not in ("csv", "json"):
            raise NotFound()
        found, look = await sheet(page, name)
        if form == "json":
            body = {"as_of": look.as_of.model_dump(), "window": told(look.window), name: found.records()}
            return JSONResponse(body)
        headers = {"Content-Disposition": f'attachment; filename="{name}-{page.period.today}.csv"'}
        return Response(found.csv(), media_type="text/csv; charset=utf-8", headers=headers)

    return routes


def _numbers(
    look: Look, before: Look, ever: Look, telling: Telling, period: Period, insights: Insights
) -> dict[str, Any]:
    """The four numbers; those of what is open and overdue are over everything. None where the public is not told."""
    states = ever.cells("state")
    waiting = None if SUPPRESSED in states else sum(states.get(state, 0) for state in NOT_ACCEPTED)
    late = (insights.now() - datetime.fromisoformat(ever.late)).total_seconds() if ever.late else None
    median, earlier = look.answered, before.answered
    return {
        "total": telling.number(look.total),
        "before": telling.number(before.total),
        "open": telling.number(ever.open or 0),
        "waiting": None if waiting is None else telling.number(waiting),
        "overdue": telling.number(ever.overdue or 0),
        "is_late": bool(ever.overdue),
        "longest": telling.duration(late) if late and late > 0 else None,
        "median": telling.parts(percentile(median, 0.5)) if median else None,
        "earlier": telling.duration(percentile(earlier, 0.5)) if earlier else None,
        "last_year": period.days == YEAR,
    }


def _inflow(look: Look, telling: Telling, period: Period) -> dict[str, Any]:
    """The bars, what stands on them and below them, and the sentence that says it all."""
    zone = telling.zone
    counts = {
        datetime.fromisoformat(key).astimezone(zone).date(): n
        for key, n in look.cells("day").items()
        if key != SUPPRESSED
    }
    first = min([period.first, *counts])
    free = {day for day in counts if day.weekday() > 4}
    bars = charts.daily(counts, first, period.today, free) if look.runs is None else charts.of_runs(look.runs, free)
    each = 1
    if period.days == YEAR:
        bars, each = charts.weekly(bars, first, period.today), 7
    plotted = charts.plot(bars, first, period.today, each)
    most = max(plotted.bars, key=lambda drawn: drawn.height, default=None)
    return {
        "plot": plotted,
        "half": telling.number(plotted.top // 2),
        "top": telling.number(plotted.top),
        "weekly": each == 7,
        "most": most,
        "most_words": _bar_words(most.bar, telling, period.today) if most else "",
        "marks": _marks(plotted, telling, period),
        "joined": look.runs is not None and any(len(run.days) > 1 for run in look.runs),
        "sentence": telling.words(
            "inflow.sentence",
            total=telling.number(look.total),
            first=telling.day(plotted.first),
            last=telling.day(plotted.last),
            most=_bar_words(most.bar, telling, period.today) if most else telling.words("none"),
        ),
    }


def _bar_words(bar: charts.Bar, telling: Telling, today: date) -> str:
    first = telling.words("today") if bar.first == bar.last == today else telling.day(bar.first)
    when = first if bar.first == bar.last else telling.words("span", first=first, last=telling.day(bar.last))
    return telling.words("bar", when=when, count=telling.number(bar.count))


def _marks(plotted: charts.Bars, telling: Telling, period: Period) -> list[tuple[float, str, str]]:
    """Where a day is written below the bars, how it is anchored, and its words: four, the last one today."""
    days = (plotted.last - plotted.first).days
    found = []
    for part in range(4):
        day = plotted.first + timedelta(days=round(days * part / 3))
        x, anchor = ((0.0, "start"), (plotted.x(day), "middle"), (plotted.x(day), "middle"), (100.0, "end"))[part]
        found.append((x, anchor, telling.words("today") if day == period.today else telling.day(day)))
    return found


def _times(look: Look, telling: Telling) -> dict[str, Any]:
    """Bars of the time to the first answer, the widest at 60 per cent."""
    found, histogram = look.ranges, look.answered
    names = [*(name for _, name in RANGES), LONGER, *([SUPPRESSED] if SUPPRESSED in found else [])]
    most = max(found.values(), default=1)
    halves = {}
    if histogram:
        halves = {
            "half": telling.duration(percentile(histogram, 0.5)),
            "most": telling.duration(percentile(histogram, 0.9)),
        }
    rows = [
        (range_words(telling, name), found.get(name, 0), round(found.get(name, 0) / most * 60, 1))
        for name in names
        if look.full or found.get(name)
    ]
    said = [(words, telling.number(n), width) for words, n, width in rows] if found else []
    return {
        "rows": said,
        "sentence": f"{telling.words('times')}: " + ", ".join(f"{words} {n}" for words, n, _ in said),
        "note": telling.words("times.note", **halves) if halves else "",
    }


def _span(by: str, look: Look, telling: Telling, period: Period) -> str:
    """From when to when the figures are."""
    if by == "on-time":
        first = first_week(period.today)
    elif look.window.since is None and look.runs:
        first = date.fromisoformat(look.runs[0].first)
    else:
        first = look.window.since.astimezone(telling.zone).date() if look.window.since else period.first
    return telling.words("span", first=telling.day(first), last=telling.day(period.today))


def _card(line: charts.Line, telling: Telling) -> dict[str, Any]:
    """A small multiple: its line and its words."""
    words = _card_words(line.kept, telling)
    return {"line": line, **words, "sentence": telling.words("kept-sentence", **words)}


def _card_words(kept: Kept, telling: Telling) -> dict[str, str]:
    share = telling.percent(kept.share)
    return {
        "name": telling.value("department")(kept.department),
        "count": telling.number(kept.count),
        "share": telling.words("at-least", share=share) if kept.missed is None else share,
    }

"""`/desk`: the cases that wait, the most urgent first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.routing.handlers import Desk, Found
from services.routing.pages.bulk import TOGETHER
from services.routing.pages.frame import Frame
from services.routing.pages.lists import BANDS, LISTS, Asked, Worker, bands
from services.routing.pages.moving import FORMS
from services.routing.pages.rows import Row, Rows
from services.routing.store import Cases, Selection
from shared.clock import rfc3339, valid_number
from shared.errors import FieldError, Invalid, NotFound
from shared.events.intake import Kind
from shared.events.routing import State
from shared.http.access import Principal
from shared.http.sessions import page_requires
from shared.web.pages import Language

PAGE = 30
"""Rows of a page; all of them together, with what else a form has, stay below the limit of its fields."""

MOST = 1_000
"""Where counting ends: whoever has so many does not need the rest."""

CHANNELS = ("web", "phone", "email", "sms", "wechat", "telegram", "open311", "webhook", "api", "import")
"""Channels that can be asked for."""

Option = tuple[str, str]
"""A value and its words."""


@dataclass(frozen=True, slots=True)
class Band:
    """Rows whose deadlines are alike. `count` also counts those on other pages; `name` None: the list has no bands."""

    name: str | None
    count: int
    rows: Sequence[Row]


def router(cases: Cases, desk: Desk, frame: Frame) -> APIRouter:
    """The queue, and one row of it."""
    routes = APIRouter()
    rows = Rows(desk, frame)
    reads = page_requires("cases.read")

    async def counts(principal: Principal, asked: Asked) -> tuple[dict[str, int], dict[str, int]]:
        """How many are on each list, and in each band of the one asked for."""
        now, scope = frame.now(), principal.scope
        selection = asked.selection(principal, now)
        cut = bands(selection, now, frame.organisation.calendar) if LISTS[asked.list].bands else {"": selection}
        lists = {name: Asked(name).selection(principal, now) for name in LISTS}
        found = await asyncio.gather(
            *(cases.count(scope, each, MOST) for each in [*cut.values(), *lists.values()]),
        )
        return dict(zip(lists, found[len(cut) :], strict=True)), dict(zip(cut, found, strict=False))

    async def listed(principal: Principal, asked: Asked, selection: Selection) -> Found:
        """One page of what is searched for, or else of the list."""
        try:
            if asked.q:
                return await desk.search(principal.scope, asked.q, asked.department, PAGE, asked.cursor)
            return Found(*await cases.page(principal.scope, selection, PAGE, asked.cursor))
        except ValueError:
            raise Invalid([FieldError("/query/cursor", "unknown")]) from None

    @routes.get("/desk")
    async def queue(request: Request, principal: Principal = Depends(reads)) -> HTMLResponse:
        """One page of one list, with what it could be narrowed by."""
        asked, language = Asked.of(request.query_params), frame.language(request)
        drawn = frame.now()  # before anything is read: whatever comes later is told by `/v1/live`
        selection = asked.selection(principal, drawn)
        (lists, in_bands), page = await asyncio.gather(counts(principal, asked), listed(principal, asked, selection))
        found = [kept.value for kept in page.page]
        numbers = [case.number for case in found]
        current = asked.at if asked.at in numbers else next(iter(numbers), None)
        shown = await rows.of(found, principal, language, current)
        return frame.page(
            request,
            principal,
            "queue.html",
            "desk",
            drawn=rfc3339(drawn),
            asked=asked,
            lists=lists,
            groups=_groups(),
            most=MOST,
            total=min(sum(in_bands.values()), MOST),
            bands=[Band(None, len(shown), shown)][: len(shown)]
            if asked.q
            else _banded(shown, in_bands, selection, frame),
            too_short=page.too_short,
            filters=_filters(asked, frame, language),
            options=_options(frame, principal, language),
            departments=[(id, getattr(each.label, language)) for id, each in frame.organisation.departments.items()],
            department=_only(principal, frame, language),
            after=page.next,
            together=[move for move in TOGETHER if found and principal.may(FORMS[move].permission)],
        )

    @routes.get("/desk/shortcuts")
    async def shortcuts(request: Request, principal: Principal = Depends(reads)) -> HTMLResponse:
        """Every key and what it does."""
        return frame.page(request, principal, "shortcuts.html", "")

    @routes.get("/desk/rows/{number}")
    async def row(request: Request, number: str, principal: Principal = Depends(reads)) -> HTMLResponse:
        """One row, for the page that is open; unfolded with `?at=1`."""
        if not valid_number(number):
            raise NotFound()
        case = (await cases.by_number(number, principal.scope)).value
        asked = Asked.of({"lang": request.query_params.get("lang", "")})
        at = number if "at" in request.query_params else None
        (only,) = await rows.of([case], principal, frame.language(request), at)
        return HTMLResponse(frame.html(request, principal, "fragment.html", row=only, asked=asked))

    return routes


def _banded(rows: Sequence[Row], counts: Mapping[str, int], selection: Selection, frame: Frame) -> list[Band]:
    """The rows under their bands; a list without bands is one."""
    if "" in counts:
        return [Band(None, counts[""], rows)] if rows else []
    cut = bands(selection, frame.now(), frame.organisation.calendar)

    def within(row: Row, name: str) -> bool:
        since, until = cut[name].since or "", cut[name].until
        return since <= row.case.urgency and (until is None or row.case.urgency < until)

    found = [Band(name, counts[name], [row for row in rows if within(row, name)]) for name in BANDS if name in cut]
    return [band for band in found if band.rows]


def _groups() -> Mapping[str, Sequence[str]]:
    return {group: [name for name, each in LISTS.items() if each.group == group] for group in ("mine", "department")}


def _only(principal: Principal, frame: Frame, language: Language) -> str | None:
    """The department's name, where somebody has but one."""
    one = principal.departments[0] if len(principal.departments) == 1 and not principal.scope.everything else None
    return frame.label(frame.organisation.departments, one, language)


def _filters(asked: Asked, frame: Frame, language: Language) -> list[tuple[str, str, str]]:
    """What the queue is narrowed by: the kind of filter, its words or their key, and the address without it."""
    department = frame.label(frame.organisation.departments, asked.department, language)
    category = frame.label(frame.organisation.categories, asked.category, language)
    whose = asked.whose if asked.whose != "any" else None
    everybody = None if LISTS[asked.list].worker == "any" else "any"
    if asked.q:
        searched = [("q", asked.q, asked.href(q="")), ("department", department, asked.href(department=None))]
        return [(kind, words, without) for kind, words, without in searched if words]
    found = [
        ("department", department, asked.href(department=None)),
        ("worker", whose, asked.href(worker=everybody)),
        ("state", asked.state, asked.href(state=None)),
        ("late", "late" if asked.late else None, asked.href(late=False)),
        ("kind", asked.kind, asked.href(kind=None)),
        ("channel", asked.channel, asked.href(channel=None)),
        ("category", category, asked.href(category=None)),
    ]
    return [(kind, words, without) for kind, words, without in found if words]


def _options(frame: Frame, principal: Principal, language: Language) -> Mapping[str, Sequence[Option]]:
    """What can be chosen under "add a filter"; only departments that one may see. Where words are empty, the catalogue
    has them."""
    organisation = frame.organisation
    seen = set(organisation.departments)
    if not principal.scope.everything:
        seen = set(organisation.subtrees(principal.scope.departments))
    return {
        "department": [
            (id, getattr(each.label, language)) for id, each in organisation.departments.items() if id in seen
        ],
        "worker": [(value, "") for value in get_args(Worker)],
        "state": [(value, "") for value in get_args(State) if value != "received"],
        "kind": [(value, "") for value in get_args(Kind)],
        "channel": [(value, "") for value in CHANNELS],
        "category": [(id, getattr(each.label, language)) for id, each in organisation.categories.items()],
    }

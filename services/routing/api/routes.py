"""Routing's routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Depends, Header, Query, Response

from services.routing.api.bodies import Closure, Id, Nothing, Reassignment, Return, Words
from services.routing.api.shown import CaseDetail, CaseItem, CasePage, Place, PlaceList, Shown, detail_of, item_of
from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Call, Desk
from services.routing.store import Cases, Selection
from shared.clock import valid_number
from shared.errors import FieldError, Invalid, NeedsVersion, NotFound
from shared.events.routing import State
from shared.http.access import Principal, requires
from shared.http.problems import problems
from shared.store.documents import Kept

VERSION = re.compile(r'(?:W/)?"(\d{1,9})"', re.ASCII)
"""An entity tag of ours. A weak one is accepted: proxies that compress weaken it."""

Handler = Callable[..., Awaitable[Response]]


def router(cases: Cases, desk: Desk, organisation: Organisation) -> APIRouter:
    """Routing's routes."""
    routes = APIRouter(prefix="/v1")
    reads, works, hands_over = requires("cases.read"), requires("cases.work"), requires("cases.reassign")

    async def found(number: str, principal: Principal) -> Kept[Case]:
        if not valid_number(number):
            raise NotFound()
        return await cases.by_number(number, principal.scope)

    async def called(number: str, if_match: str | None, principal: Principal) -> Call:
        """Before the body is looked at: another department's case is not there, whatever is sent to it."""
        kept = await found(number, principal)
        if not (version := VERSION.fullmatch(if_match or "")):
            raise NeedsVersion()
        return Call(principal, kept, int(version[1]))

    async def worked(number: str, if_match: str | None = Header(None), principal: Principal = Depends(works)) -> Call:
        return await called(number, if_match, principal)

    async def handed_over(
        number: str, if_match: str | None = Header(None), principal: Principal = Depends(hands_over)
    ) -> Call:
        return await called(number, if_match, principal)

    @routes.get("/cases", response_model=None, responses=_shaped(CasePage, 401, 403))
    async def list_cases(
        principal: Principal = Depends(reads),
        state: State | None = None,
        department: Id | None = None,
        limit: int = Query(100, ge=1, le=500),
        cursor: str | None = Query(None, max_length=1000),
        q: str | None = Query(None, min_length=1, max_length=200),
    ) -> Response:
        """The most urgent first; with `q`, a number, its tail or words, the newest first and in any state."""
        if q is not None and state is not None:
            raise Invalid([FieldError("/query/state", "not-with-q")])
        try:
            if q is not None:
                found = await desk.search(principal.scope, q, department, limit, cursor)
                return _json(CasePage(items=[item_of(kept.value) for kept in found.page], next=found.next))
            wanted = Selection(department=department) if state is None else Selection((state,), department)
            page, after = await cases.page(principal.scope, wanted, limit, cursor)
        except ValueError:
            raise Invalid([FieldError("/query/cursor", "unknown")]) from None
        return _json(CasePage(items=[item_of(kept.value) for kept in page], next=after))

    @routes.get("/cases/{number}", response_model=None, responses=_shaped(CaseDetail, 401, 403, 404))
    async def show_case(number: str, principal: Principal = Depends(reads)) -> Response:
        case = (await found(number, principal)).value
        return _json(detail_of(case, await desk.opened(case)), case.version)

    def move(name: str, allowed: Callable[..., Awaitable[Principal]] = works) -> Callable[[Handler], Handler]:
        return routes.post(
            f"/cases/{{number}}/{name}",
            dependencies=[Depends(allowed)],
            response_model=None,
            responses=_shaped(CaseItem, 401, 403, 404, 409, 412, 428),
            name=name,
        )

    @move("acceptance")
    async def accept(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.accept(call))

    @move("start")
    async def start(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.start(call))

    @move("return")
    async def send_back(body: Return, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.send_back(call, body.reason_code, body.reason))

    @move("reassignment", hands_over)
    async def reassign(body: Reassignment, call: Call = Depends(handed_over)) -> Response:
        return _changed(await desk.reassign(call, body.department, body.category, body.reason))

    @move("question")
    async def ask(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.ask(call, body.text))

    @move("resumption")
    async def resume(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.resume(call))

    @move("answer")
    async def answer(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.answer(call, body.text))

    @move("closure")
    async def close(call: Call = Depends(worked), body: Closure | None = None) -> Response:
        return _changed(await desk.close(call, body.text if body else None))

    @move("note")
    async def note(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.note(call, body.text))

    lists = {
        "categories": [Place(id=c.id, parent=c.parent, label=c.label) for c in organisation.categories.values()],
        "departments": [Place(id=d.id, parent=d.parent, label=d.label) for d in organisation.departments.values()],
        "areas": [Place(id=a.id, parent=None, label=a.label) for a in organisation.areas.values()],
    }
    for name, places in lists.items():
        routes.get(f"/{name}", response_model=None, responses=_shaped(PlaceList), name=name)(_shows(places))
    return routes


def _shows(places: list[Place]) -> Handler:
    async def show() -> Response:
        """Public: ids, parents and labels, from the organisation file."""
        return _json(PlaceList(items=places))

    return show


def _shaped(shape: type[Shown], *refusals: int) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": shape}, **problems(*refusals)}


def _changed(kept: Kept[Case]) -> Response:
    return _json(item_of(kept.value), kept.value.version)


def _json(shown: Shown, version: int | None = None) -> Response:
    """Serialised once. A case carries its version as entity tag, which is what `If-Match` takes."""
    headers = {"Cache-Control": "no-store"} if version is None else {"ETag": f'"{version}"'}
    return Response(shown.model_dump_json(), media_type="application/json", headers=headers)

"""What the citizens' pages share: the layout with the body's name, the language, static files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, Problem, Unavailable
from shared.events.routing import Organisation
from shared.http.access import Principal
from shared.http.desk import entries_for, own_name
from shared.http.sessions import csrf_of
from shared.web.pages import Language, Pages, assets, compressed, language_of, translate, version

CACHED = 3600
"""Seconds that a browser may keep a static file; one asked for by its version never changes."""

TOLD = {403: 403, 404: 404, 429: 429, 503: 503}
"""Problems that have words of their own; every other one is the request's or ours."""


class Site:
    """Renders pages in the words of the organisation as last announced."""

    def __init__(self, organisation: OrganisationCopy) -> None:
        self._organisation = organisation
        self._pages = Pages(Path(__file__).parents[1] / "templates")

    async def organisation(self) -> Organisation:
        """As last read, when the store does not answer: an outage too is told on a page. Raises `Busy` before the first
        announcement."""
        try:
            announced = await self._organisation.current()
        except Unavailable:
            announced = self._organisation.last
        if announced is None:
            raise Busy(detail="the organisation has not been announced yet")
        return announced.content

    async def tell(self, request: Request, problem: Problem) -> HTMLResponse:
        """A problem, on a page; also before there is an organisation."""
        status = TOLD.get(problem.status, 400 if problem.status < 500 else 500)
        try:
            page = await self.page(request, "problem.html", "", problem.status, told=status)
        except Busy:
            html = self._pages.html("problem.html", language_asked(request), here="", body_name=None, told=status)
            page = HTMLResponse(html, problem.status)
        page.headers.update(problem.headers)
        return page

    async def page(self, request: Request, name: str, here: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The template `name` under the navigation's entry `here`."""
        language, body = language_asked(request), await self.organisation()
        body_name = getattr(body.name, language)
        html = self._pages.html(name, language, body.time_zone, here=here, body_name=body_name, **values)
        return HTMLResponse(html, status)

    async def desk_page(
        self, request: Request, principal: Principal, name: str, here: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The same in the frame of the desk, for somebody who is signed in there."""
        language, body = language_asked(request), await self.organisation()
        labels = {d.id: getattr(d.label, language) for d in body.departments}
        only = principal.departments[0] if len(principal.departments) == 1 else None
        frame = {
            "principal": principal,
            "badge": (
                labels.get(only or ""),
                own_name(principal) or translate(language, "desk.number", number=principal.id),
            ),
            "entries": entries_for(principal),
            "csrf": csrf_of(request),
            "keys_on": False,
            "keys": (),
        }
        return await self.page(request, name, here, status, **frame, **values)


def static_files() -> APIRouter:
    """`/static/…`: only what was read at the start exists."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name}")
    async def static(request: Request, name: str, v: str | None = None) -> Response:
        if name not in assets():
            raise HTTPException(404)
        content, kind = assets()[name]
        age = "31536000, immutable" if v == version(name) else CACHED
        headers = {"Cache-Control": f"public, max-age={age}", "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["Content-Encoding"] = compressed(name), "gzip"
        return Response(content, media_type=kind, headers=headers)

    return routes


def language_asked(request: Request) -> Language:
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language"))


def words_error(code: str) -> str:
    """The catalogue's key for what is wrong with a text."""
    match code:
        case "empty" | "missing":
            return "errors.text"
        case "too_long" | "string_too_long":
            return "errors.text.long"
        case _:
            return "errors.other"

"""The desk: pages for the people who answer."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from services.routing.domain.organisation import Organisation
from services.routing.handlers import Desk, Foreteller, Likeness
from services.routing.pages import bulk, case, me, people, phone, queue, sign_in
from services.routing.pages.frame import Frame
from services.routing.store import Cases
from shared.errors import NotFound
from shared.http.problems import tell_by
from shared.http.sessions import page_requires
from shared.service import Platform


def router(
    cases: Cases,
    desk: Desk,
    foresee: Foreteller,
    likeness: Likeness,
    organisation: Organisation,
    platform: Platform,
) -> APIRouter:
    """Everything under `/desk`, and signing in and out."""
    clock, access = platform.clock, platform.access
    frame = Frame(organisation, clock)
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(tell_by(frame.tell))])
    routes.include_router(queue.router(cases, desk, frame))
    routes.include_router(bulk.router(cases, desk, frame))
    routes.include_router(case.router(cases, desk, likeness, frame, clock))
    for pages in (sign_in, me, people):
        routes.include_router(pages.router(access, frame))
    routes.include_router(phone.router(foresee, likeness, desk, frame, clock, platform.ids))

    @routes.get("/desk/{rest:path}", dependencies=[Depends(page_requires("account"))])
    async def nothing(rest: str) -> None:
        """Whatever no page answers to."""
        raise NotFound()

    return routes

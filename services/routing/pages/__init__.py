"""The desk: pages for the people who answer."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from services.routing.domain.organisation import Organisation
from services.routing.handlers import Desk
from services.routing.pages import case, me, people, queue, sign_in
from services.routing.pages.frame import Frame
from services.routing.store import Cases
from shared.clock import Clock
from shared.errors import NotFound
from shared.http.access import Access
from shared.http.problems import tell_by
from shared.http.sessions import page_requires


def router(cases: Cases, desk: Desk, organisation: Organisation, clock: Clock, access: Access) -> APIRouter:
    """Everything under `/desk`, and signing in and out."""
    frame = Frame(organisation, clock)
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(tell_by(frame.tell))])
    routes.include_router(queue.router(cases, desk, frame))
    routes.include_router(case.router(cases, desk, frame, clock))
    for pages in (sign_in, me, people):
        routes.include_router(pages.router(access, frame))

    @routes.get("/desk/{rest:path}", dependencies=[Depends(page_requires("account"))])
    async def nothing(rest: str) -> None:
        """Whatever no page answers to."""
        raise NotFound()

    return routes

"""`/desk`: the cases that wait, the most urgent first."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.routing.handlers import Desk
from services.routing.pages.frame import Frame
from services.routing.store import Cases
from shared.http.access import Principal
from shared.http.sessions import page_requires


def router(cases: Cases, desk: Desk, frame: Frame) -> APIRouter:
    """The queue."""
    del desk
    routes = APIRouter()
    reads = page_requires("cases.read")

    @routes.get("/desk")
    async def queue(request: Request, principal: Principal = Depends(reads)) -> HTMLResponse:
        page, _ = await cases.page(principal.scope)
        return frame.page(request, principal, "queue.html", "desk", cases=[kept.value for kept in page])

    return routes

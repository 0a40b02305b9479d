"""`/privacy`: what is kept of a person, how, and who sees it. Every sentence there is true of this program."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.intake.pages.site import Site
from shared.http.problems import tell_by

SECTIONS = {"kept": 3, "sealed": 3, "seen": 6, "never": 3, "long": 2}
"""Section → how many sentences the catalogue has for it, in the order of the page."""


def router(site: Site) -> APIRouter:
    """The one call of `/privacy`."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(tell_by(site.tell))])

    @routes.get("/privacy")
    async def privacy(request: Request) -> HTMLResponse:
        return await site.page(request, "privacy.html", "privacy", sections=SECTIONS)

    return routes

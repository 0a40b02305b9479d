"""`/desk/phone`: a call taken down while the caller speaks. The form goes to intake; here is what can be foretold."""

from __future__ import annotations

from typing import Any, get_args

from fastapi import APIRouter, Depends, Request, Response

from services.routing.handlers import Desk, Foreteller, Foretold, Likeness
from services.routing.pages.alike import similar_of
from services.routing.pages.frame import Frame
from services.routing.pages.reasons import weights_of
from shared.clock import Clock, Ids
from shared.errors import Forbidden
from shared.events.intake import Kind
from shared.http.access import Principal
from shared.http.forms import form_of
from shared.http.sessions import page_requires, posted
from shared.text import LONGEST
from shared.web.pages import Language

MOST = 5
"""Similar cases beside a call."""


def router(foresee: Foreteller, likeness: Likeness, desk: Desk, frame: Frame, clock: Clock, ids: Ids) -> APIRouter:
    """The form, and the form again with where it would go."""
    routes = APIRouter()
    takes_calls = page_requires("feedback.phone")

    def page(request: Request, principal: Principal, status: int = 200, **given: Any) -> Response:
        language, now = frame.language(request), clock.now()
        values: dict[str, Any] = {"said": {}, "foretold": None, "similar": [], "problem": None} | given
        values |= _words(values["foretold"], frame, language)
        today = now.astimezone(frame.organisation.calendar.zone).strftime("%Y%m%d")
        key = values["said"].get("key") or ids.document()
        return frame.page(
            request, principal, "phone.html", "phone", status, kinds=get_args(Kind), key=key, today=today, **values
        )

    @routes.get("/desk/phone")
    async def form(request: Request, principal: Principal = Depends(takes_calls)) -> Response:
        return page(request, principal)

    @routes.post("/desk/phone")
    async def foretell(request: Request, principal: Principal = Depends(takes_calls)) -> Response:
        """Nothing is kept: the page comes back with what was written and where it would go."""
        said = await form_of(request)
        try:
            await posted(request)
        except Forbidden:
            return page(request, principal, 403, said=said, problem="kept.again.text")
        text, place = said.get("text", "")[:LONGEST], said.get("address", "")[:LONGEST]
        foretold = foresee(text, place)
        category = foretold.category if foretold else None
        found = await likeness.of(f"{place}\n{text}", principal.scope, category=category)
        similar = await similar_of(found[:MOST], desk, frame.organisation, frame.language(request))
        return page(request, principal, said=said, foretold=foretold, similar=similar)

    return routes


def _words(foretold: Foretold | None, frame: Frame, language: Language) -> dict[str, Any]:
    if foretold is None:
        return {"department": None, "category": None, "weights": []}
    organisation = frame.organisation
    department = organisation.departments.get(foretold.department or "")
    category = organisation.categories.get(foretold.category or "")
    weights = weights_of(foretold.explanation, organisation)
    return {
        "department": getattr(department.label, language) if department else None,
        "category": getattr(category.label, language) if category else None,
        "weights": sorted(weights.items(), key=lambda item: (item[1], item[0])),
    }

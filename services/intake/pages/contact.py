"""A submitter's contact for the staff who answer: as JSON for programs, as a page of the desk for people."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from services.intake.handlers.contacts import Contact, Contacts
from services.intake.pages.site import Site
from shared.errors import Busy, Forbidden, NotFound, Unavailable
from shared.http.access import Principal, requires
from shared.http.problems import problems

Reason = Literal["call-back", "visit", "verify", "deliver-answer", "other"]
"""Why somebody looks. A code, so that it may stand in an address."""


class ContactShown(BaseModel):
    """What was shown. Every look is noted before it is answered."""

    number: str
    contact: dict[str, str]
    erased: bool


def router(contacts: Contacts, site: Site) -> APIRouter:
    """`/v1/feedback/{number}/contact`."""
    routes = APIRouter(tags=["feedback"])

    @routes.get(
        "/v1/feedback/{number}/contact",
        response_model=None,
        responses={200: {"model": ContactShown, "content": {"text/html": {}}}, **problems(401, 403, 404)},
    )
    async def contact(
        request: Request,
        number: str,
        reason: Annotated[Reason, Query()],
        principal: Annotated[Principal, Depends(requires("contact.unmask"))],
    ) -> Response:
        """Who submitted it, for staff in scope: audited, and shown only if that is on disk. Never the code."""
        if "text/html" not in request.headers.get("accept", ""):
            return _json(await contacts.unmask(number, principal, reason))
        problem, seen, status = None, None, 200
        try:
            seen = await contacts.unmask(number, principal, reason)
        except (NotFound, Forbidden) as error:
            problem, status = f"contact.{error.slug}", error.status
        except (Unavailable, Busy):
            problem, status = "contact.unavailable", 503
        values = {"seen": seen, "problem": problem, "number": number, "reason": reason, "principal": principal}
        return await site.page(request, "contact.html", "desk", status, **values)

    return routes


def _json(seen: Contact) -> Response:
    shown = ContactShown(number=seen.number, contact=dict(seen.fields), erased=seen.erased)
    return Response(shown.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})

"""A submitter's contact for the staff who answer: as JSON for programs, as a page of the desk for people."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from services.intake.handlers.contacts import Contact, Contacts
from services.intake.pages.site import Site
from shared.errors import Busy, Forbidden, NotFound, Unavailable
from shared.http.access import Principal, requires
from shared.http.problems import problems, tell_by
from shared.http.sessions import page_requires

Reason = Literal["call-back", "visit", "verify", "deliver-answer", "other"]
"""Why somebody looks. A code, so that it may stand in an address."""


class ContactShown(BaseModel):
    """What was shown. Every look is noted before it is answered."""

    number: str
    contact: dict[str, str]
    erased: bool


async def sees(request: Request) -> Principal:
    """Who may look; a person whose session has ended is sent to sign in, a program gets 401."""
    return await (page_requires if _by_browser(request) else requires)("contact.unmask")(request)


sees.__dict__["permission"] = "contact.unmask"


def router(contacts: Contacts, site: Site) -> APIRouter:
    """`/v1/feedback/{number}/contact`."""
    routes = APIRouter(tags=["feedback"])

    def telling(request: Request) -> None:
        """People are told problems on a page."""
        if _by_browser(request):
            tell_by(site.tell)(request)

    @routes.get(
        "/v1/feedback/{number}/contact",
        dependencies=[Depends(telling)],
        response_model=None,
        responses={200: {"model": ContactShown, "content": {"text/html": {}}}, **problems(401, 403, 404)},
    )
    async def contact(
        request: Request,
        number: str,
        reason: Annotated[Reason, Query()],
        principal: Annotated[Principal, Depends(sees)],
    ) -> Response:
        """Who submitted it, for staff in scope: audited, and shown only if that is on disk. Never the code."""
        if not _by_browser(request):
            return _json(await contacts.unmask(number, principal, reason))
        problem, seen, status = None, None, 200
        try:
            seen = await contacts.unmask(number, principal, reason)
        except (NotFound, Forbidden) as error:
            problem, status = f"contact.{error.slug}", error.status
        except (Unavailable, Busy):
            problem, status = "contact.unavailable", 503
        values = {"seen": seen, "problem": problem, "number": number, "reason": reason}
        return await site.desk_page(request, principal, "contact.html", "desk", status, **values)

    return routes


def _by_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _json(seen: Contact) -> Response:
    shown = ContactShown(number=seen.number, contact=dict(seen.fields), erased=seen.erased)
    return Response(shown.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})

"""`POST /phone`: a call that somebody at the desk has taken down, and the receipt from which they read the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from services.intake.channels.submission import NewFeedback, idempotency_key, scope_of
from services.intake.handlers.reception import Reception
from services.intake.pages.site import Site, language_asked
from services.intake.pages.submitting import errors_of
from shared.clock import Ids
from shared.errors import Busy, Forbidden, Invalid, Unavailable
from shared.events.intake import Kind
from shared.http.access import Principal
from shared.http.forms import form_of
from shared.http.sessions import page_requires, posted
from shared.http.strict import fields_of
from shared.web.pages import translate

Said = Mapping[str, str]

WAYS = ("email", "phone")
"""How a caller can be told. The third way is not at all."""


def router(reception: Reception, site: Site, ids: Ids) -> APIRouter:
    """The one call. The empty form is the desk's."""
    routes = APIRouter(include_in_schema=False)
    takes_calls = page_requires("feedback.phone")

    @routes.post("/phone")
    async def take_down(request: Request, principal: Principal = Depends(takes_calls)) -> Response:
        """The operator's receipt; or the form again with what was written. The same form sent twice is one call."""
        language, said = language_asked(request), await form_of(request)
        key = said.get("key") or ids.document()

        async def again(status: int, **told: Any) -> Response:
            values = {"problem": None, "errors": {}, "said": said, "key": key, "kinds": get_args(Kind)} | told
            return await site.desk_page(request, principal, "phone-again.html", "phone", status, **values)

        try:
            await posted(request)
        except Forbidden:
            return await again(403, problem="kept.again.text")
        if said.get("told") in WAYS and not said.get(said["told"], "").strip():
            return await again(422, errors={"told": translate(language, "phone.error.told")})
        try:
            new = NewFeedback.model_validate(_call(said))
            given = await reception.receive_feedback(new.submission("phone", idempotency_key(key), scope_of(principal)))
        except ValidationError as error:
            return await again(422, errors=errors_of(fields_of(error.errors(include_url=False)), language))
        except Invalid as error:
            # The page was gone back to and changed: a new call.
            return await again(422, errors=errors_of(error.errors, language), key=ids.document())
        except (Unavailable, Busy):
            return await again(503, problem="problem.fault")
        day, digits, check = given.number.split("-")
        values = {"given": given, "groups": (day, digits[:4], digits[4:], check), "new": new}
        return await site.desk_page(request, principal, "phone-receipt.html", "phone", 201, **values)

    return routes


def _call(said: Said) -> dict[str, Any]:
    """The form as the JSON that the API takes; who does not want to be told leaves no way to be reached."""

    def given(*names: str) -> dict[str, str]:
        return {name: said[name] for name in names if said.get(name, "").strip()}

    way = said.get("told") if said.get("told") in WAYS else None
    contact = given("name", *WAYS) | {"preferred": way} if way else given("name")
    found: dict[str, Any] = {"text": said.get("text", ""), **given("kind")}
    if contact:
        found["contact"] = contact
    if place := given("address"):
        found["location"] = place
    if said.get("anonymous") == "yes":
        found["anonymous"] = True
    return found

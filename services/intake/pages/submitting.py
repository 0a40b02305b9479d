"""`/`: the form, and the receipt, which is shown once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from services.intake.channels.submission import NewFeedback
from services.intake.handlers.reception import Reception
from services.intake.pages.case import shortly, tongue
from services.intake.pages.site import Site, language_asked, words_error
from services.intake.store import Views
from shared.clock import Ids
from shared.errors import Busy, FieldError, Invalid, TooMany, Unavailable
from shared.events.intake import Kind
from shared.http.forms import form_of
from shared.http.problems import tell_by
from shared.http.rates import Rate
from shared.http.strict import fields_of
from shared.web.pages import Language, translate

NAMES = ("text", "kind", "address", "name", "phone", "email", "anonymous")
"""The fields of the form, and of that for calls."""

FIELDS = {
    "/location/address": ("address", "errors.place"),
    "/contact/name": ("name", "errors.other"),
    "/contact/phone": ("phone", "errors.phone"),
    "/contact/email": ("email", "errors.email"),
}
"""Where an error is shown, and in which words; everything else is said of the text."""


def router(reception: Reception, views: Views, site: Site, rate: Rate, ids: Ids, base: str) -> APIRouter:
    """The two calls of `/`."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(tell_by(site.tell))])

    @routes.get("/")
    async def form(request: Request) -> HTMLResponse:
        return await site.page(request, "submit.html", "submit", **_form({}, ids.document()))

    @routes.post("/")
    async def submit(request: Request) -> HTMLResponse:
        """The receipt; or the form again with what was written, and the same key unless it was used for other words."""
        language, said = language_asked(request), await form_of(request)
        key = said.get("key") or ids.document()

        async def again(status: int, **values: Any) -> HTMLResponse:
            return await site.page(request, "submit.html", "submit", status, **_form(said, key) | values)

        try:
            rate.admit(request.scope["huiyin.client"])
            new = NewFeedback.model_validate(_submission(said))
            given = await reception.receive_feedback(new.submission("web", key, "anyone"))
        except ValidationError as error:
            return await again(422, errors=errors_of(fields_of(error.errors(include_url=False)), language))
        except Invalid as error:
            # The page was gone back to and changed: a new submission.
            return await again(422, errors=errors_of(error.errors, language), key=ids.document())
        except TooMany as error:
            page = await again(429, problem=translate(language, "problem.too-many"))
            page.headers.update(error.headers)
            return page
        except (Unavailable, Busy):
            return await again(503, problem=translate(language, "problem.fault"))
        written = {name: said[name] for name in NAMES if name in said} | {"key": key}
        view = None
        with contextlib.suppress(Unavailable):  # it is accepted; the receipt only says less
            view = await views.get(given.id)
        values = {"given": given, "new": new, "tongue": tongue(new.text), "written": written, "masked": masked}
        values |= shortly(view.value if view else None, await site.organisation(), language)
        return await site.page(request, "receipt.html", "submit", 201, track_address=f"{base}/track", **values)

    return routes


def masked(address: str) -> str:
    """An address that its owner recognises and nobody else can write to."""
    name, at, host = address.rpartition("@")
    return f"{name[:1]}***{at}{host}"


def _submission(said: Mapping[str, str]) -> dict[str, Any]:
    """The form as the JSON that the API takes; empty fields are left out."""

    def given(*names: str) -> dict[str, str]:
        return {name: said[name] for name in names if said.get(name, "").strip()}

    found: dict[str, Any] = {"text": said.get("text", ""), **given("kind")}
    if contact := given("phone", "email"):
        found["contact"] = contact
    if place := given("address"):
        found["location"] = place
    if said.get("anonymous") == "yes":
        found["anonymous"] = True
    return found


def _form(said: Mapping[str, str], key: str) -> dict[str, Any]:
    written = {name: said.get(name, "") for name in NAMES}
    return {"said": written, "errors": {}, "key": key, "problem": None, "kinds": get_args(Kind)}


def errors_of(found: Iterable[FieldError], language: Language) -> dict[str, str]:
    """Field → words, each once, in the order of the form."""
    told: dict[str, str] = {}
    for error in found:
        code = words_error(error.code if error.location == "/text" else "other")
        name, key = FIELDS.get(error.location, ("text", code))
        told.setdefault(name, translate(language, key))
    return {name: told[name] for name in NAMES if name in told}

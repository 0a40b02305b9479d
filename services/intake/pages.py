"""Pages for citizens: submit and receipt, follow and add. They work without JavaScript; the code is never in a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from services.intake.channels.submission import NewFeedback, Verdict, Words
from services.intake.handlers.reception import Reception
from services.intake.handlers.submitter import Submitter
from shared.clock import Ids, rfc3339
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, Invalid, NotFound, TooMany, Unavailable
from shared.events.intake import Kind
from shared.events.routing import Organisation
from shared.http.rates import Rate
from shared.http.strict import fields_of
from shared.web.pages import Language, Pages, assets, language_of, translate

FIELDS = {"/text": "text", "/location/address": "address", "/contact/phone": "phone", "/contact/email": "email"}
"""Where an error is shown."""

DAY = 86_400

KEPT = {"received": 1, "triage": 1, "returned": 1, "answered": 3, "closed": 4, "withdrawn": 1}
"""Sides of the mark that are kept in a state; two in every other one."""


def router(
    reception: Reception,
    submitter: Submitter,
    organisation: OrganisationCopy,
    rate: Rate,
    ids: Ids,
    base: str,
) -> APIRouter:
    """`/`, `/track`, `/static/…`."""
    pages = Pages(Path(__file__).parent / "templates")
    routes = APIRouter(include_in_schema=False)

    async def shown(request: Request, name: str, here: str, status: int = 200, **values: Any) -> HTMLResponse:
        language = _language(request)
        announced = await organisation.current()
        if announced is None:
            raise Busy(detail="the organisation has not been announced yet")
        body_name = getattr(announced.content.name, language)
        zone = announced.content.time_zone
        html = pages.html(name, language, zone, here=here, body_name=body_name, **values)
        return HTMLResponse(html, status)

    @routes.get("/")
    async def submit_page(request: Request) -> HTMLResponse:
        return await shown(request, "submit.html", "submit", **_form({}, {}, ids.document()))

    @routes.post("/")
    async def submit(request: Request) -> HTMLResponse:
        """The receipt, once; with errors, the form with what was written."""
        language = _language(request)
        said = await _fields(request)
        key = said.get("key") or ids.document()
        try:
            rate.admit(request.scope["huiyin.client"])
            new = NewFeedback.model_validate(_submission(said))
            given = await reception.receive_feedback(new.submission("web", key, "anyone"))
        except ValidationError as error:
            errors = _errors(fields_of(error.errors(include_url=False)), language)
            return await shown(request, "submit.html", "submit", 422, **_form(said, errors, key))
        except Invalid as error:
            # The key was used for other words: a page gone back to and changed is a new submission.
            errors = _errors(error.errors, language)
            return await shown(request, "submit.html", "submit", 422, **_form(said, errors, ids.document()))
        except TooMany as error:
            page = await shown(request, "submit.html", "submit", 429, **_form(said, {}, key, _too_many(language)))
            page.headers.update(error.headers)
            return page
        except (Unavailable, Busy):
            problem = translate(language, "problem.fault")
            return await shown(request, "submit.html", "submit", 503, **_form(said, {}, key, problem))
        return await shown(
            request,
            "receipt.html",
            "submit",
            201,
            text=new.text,
            number=given.number,
            code=given.code,
            received_at=given.received_at,
            kind=new.kind,
            by_mail=bool(new.contact and new.contact.email),
            track_address=f"{base}/track",
        )

    @routes.get("/track")
    async def track_page(request: Request) -> HTMLResponse:
        return await shown(request, "track.html", "track", problem=None, number="", code="")

    @routes.post("/track")
    async def track(request: Request) -> HTMLResponse:
        """The case; after an action, the case as it is then. A wrong code is the same page for every reason."""
        language = _language(request)
        said = await _fields(request)
        number, code = said.get("number", "").strip(), said.get("code", "")
        try:
            kept = await submitter.identify(number, f"Code {code}")
        except NotFound:
            problem = translate(language, "problem.code")
            return await shown(request, "track.html", "track", 404, problem=problem, number=number, code=code)
        done: str | None = None
        trouble: str | None = None
        action, status = said.get("action", ""), 200
        if action in ACTIONS:
            try:
                await ACTIONS[action](submitter, kept, said)
                done = translate(language, f"track.done.{action}")
            except (ValidationError, Invalid):
                trouble, status = translate(language, "errors.text"), 422
            except (Unavailable, Busy):
                trouble, status = translate(language, "problem.fault"), 503
            kept = await submitter.identify(number, f"Code {code}")
        seen = await submitter.status(kept)
        announced = await organisation.current()
        words = announced.content if announced else None
        values = _case(seen, words, language) | {"code": code, "key": ids.document(), "done": done, "problem": trouble}
        return await shown(request, "case.html", "track", status, **values)

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        """A static file: only what was read at the start exists."""
        if name not in assets():
            raise HTTPException(404)
        content, kind = assets()[name]
        return Response(content, media_type=kind, headers={"Cache-Control": f"public, max-age={DAY // 24}"})

    return routes


async def _message(submitter: Submitter, kept: Any, said: Mapping[str, str]) -> None:
    await submitter.add_message(kept, Words(text=said.get("text", "")).text, said.get("key"))


async def _rating(submitter: Submitter, kept: Any, said: Mapping[str, str]) -> None:
    given: dict[str, Any] = {}
    if said.get("solved") in ("yes", "no"):
        given["solved"] = said["solved"] == "yes"
    if said.get("satisfaction") in ("1", "2", "3", "4", "5"):
        given["satisfaction"] = int(said["satisfaction"])
    if said.get("comment", "").strip():
        given["comment"] = said["comment"]
    verdict = Verdict.model_validate(given)
    await submitter.rate(kept, verdict.model_dump(exclude_none=True), said.get("key"))


async def _reopening(submitter: Submitter, kept: Any, said: Mapping[str, str]) -> None:
    await submitter.reopen(kept, _reason(said), said.get("key"))


async def _withdrawal(submitter: Submitter, kept: Any, said: Mapping[str, str]) -> None:
    await submitter.withdraw(kept, _reason(said), said.get("key"))


ACTIONS: Mapping[str, Callable[[Submitter, Any, Mapping[str, str]], Any]] = {
    "message": _message,
    "rating": _rating,
    "reopening": _reopening,
    "withdrawal": _withdrawal,
}


def _reason(said: Mapping[str, str]) -> str | None:
    text = said.get("text", "")
    return Words(text=text).text if text.strip() else None


def _language(request: Request) -> Language:
    return language_of(request.query_params.get("lang"), request.headers.get("accept-language"))


def _too_many(language: Language) -> str:
    return translate(language, "problem.too-many")


async def _fields(request: Request) -> dict[str, str]:
    """The form's fields; files and floods are refused."""
    form: FormData = await request.form(max_files=0, max_fields=40, max_part_size=128 * 1024)
    return {name: value for name, value in form.items() if not isinstance(value, UploadFile)}


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


def _form(said: Mapping[str, str], errors: Mapping[str, str], key: str, problem: str | None = None) -> dict[str, Any]:
    names = ("text", "kind", "address", "phone", "email", "anonymous")
    written = {name: said.get(name, "") for name in names}
    return {"said": written, "errors": errors, "key": key, "problem": problem, "kinds": get_args(Kind)}


def _errors(found: Any, language: Language) -> dict[str, str]:
    """Field → words, each once."""
    told: dict[str, str] = {}
    for error in found:
        name = FIELDS.get(error.location, "text")
        key = {"text": "errors.text", "email": "errors.email", "phone": "errors.phone", "address": "errors.place"}[name]
        if name == "text" and error.code in ("string_too_long", "too_long"):
            key = "errors.text.long"
        elif error.location not in FIELDS:
            key = "errors.other"
        told.setdefault(name, translate(language, key))
    return told


def _case(seen: dict[str, Any], words: Organisation | None, language: Language) -> dict[str, Any]:
    """What the page says of a case: one line for each step and each word, oldest first."""
    departments = {d.id: getattr(d.label, language) for d in words.departments} if words else {}
    categories = {c.id: getattr(c.label, language) for c in words.categories} if words else {}
    zone = ZoneInfo(words.time_zone if words else "UTC")
    steps = [
        {"at": s["at"], "state": s["state"], "department": departments.get(s["department"]), "words": None}
        for s in seen["timeline"]
        if s["state"] != "received"
    ]
    said = [
        {"at": m["at"], "state": None, "department": None, "words": m["text"] or "—", "citizen": m["from"] == "citizen"}
        for m in seen["messages"]
    ]
    items = sorted([*said, *steps], key=lambda item: item["at"])
    kept, day, state, department = 1, None, "received", None
    for item in items:
        state, department = item["state"] or state, item["department"] or department
        kept = KEPT.get(state, 2)
        moment: datetime = item["at"]
        today = moment.astimezone(zone).date()
        item |= {"kept": kept, "waits": state == "awaiting-citizen", "iso": rfc3339(moment), "new_day": today != day}
        item.setdefault("citizen", False)
        if item["words"] is not None and not item["citizen"]:
            item["department"] = department
        day = today
    return {
        "seen": seen,
        "items": items,
        "kept": KEPT.get(seen["state"], 2),
        "department": departments.get(seen["department"]),
        "category": categories.get(seen["category"]),
    }

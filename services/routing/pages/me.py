"""`/desk/me`: what people decide about themselves: their name, language, keys, password and sessions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from services.routing.pages.frame import Frame
from services.routing.pages.sign_in import new_password
from shared.errors import Forbidden, Invalid, TooMany
from shared.http.access import Access, Principal, SignedIn, session_of
from shared.http.sessions import page_requires, posted

DONE = ("saved", "password", "sessions")


def router(access: Access, frame: Frame) -> APIRouter:
    """The page and its three forms."""
    routes = APIRouter(prefix="/desk/me")
    signed_in = page_requires("account")

    async def own(request: Request, principal: Principal = Depends(signed_in)) -> SignedIn:
        """The session; a bearer key has no page of its own."""
        found = await session_of(request)
        if found is None or principal.kind != "person":
            raise Forbidden()
        return found

    async def page(request: Request, found: SignedIn, status: int = 200, **given: Any) -> Response:
        person = await access.people.by_number(found.principal.id)
        values: dict[str, Any] = {"errors": {}, "done": None, "problem": None}
        values["said"] = {
            "shown": person.shown or "",
            "language": person.language or "",
            "keys_on": "yes" if person.keys_on else "",
        }
        sessions = await access.sessions.of(person.number)
        values |= {"person": person, "sessions": sessions, "this": found.session.id} | given
        return frame.page(request, found.principal, "me.html", "me", status, **values)

    @routes.get("", dependencies=[Depends(signed_in)])
    async def show(request: Request, done: str | None = None, found: SignedIn = Depends(own)) -> Response:
        return await page(request, found, done=done if done in DONE else None)

    @routes.post("", dependencies=[Depends(signed_in)])
    async def save(request: Request, found: SignedIn = Depends(own)) -> Response:
        said = await posted(request)
        keys_on = said.get("keys_on") == "yes"
        try:
            await access.people.prefer(found.principal.id, said.get("shown"), said.get("language"), keys_on)
        except Invalid as error:
            return await page(request, found, 422, errors=_errors(error), said=_written(said))
        return _done("saved", said.get("language"))

    @routes.post("/password", dependencies=[Depends(signed_in)])
    async def choose_password(request: Request, found: SignedIn = Depends(own)) -> Response:
        """The other sessions end: whoever knew the old password is out."""
        said = await posted(request)
        try:
            new_password(said)
            access.sign_ins.admit(found.principal.id)
            await access.people.choose_password(found.principal.id, said.get("current", ""), said.get("password", ""))
        except Invalid as error:
            return await page(request, found, 422, errors=_errors(error))
        except TooMany as problem:
            told = await page(request, found, 429, problem="too-many")
            told.headers.update(problem.headers)
            return told
        await access.sessions.end_all(found.principal.id, but=found.session.id)
        return _done("password")

    @routes.post("/sessions", dependencies=[Depends(signed_in)])
    async def end(request: Request, found: SignedIn = Depends(own)) -> Response:
        """End one session, or all but this one."""
        said = await posted(request)
        if "id" in said:
            await access.sessions.end(found.principal.id, said["id"])
        else:
            await access.sessions.end_all(found.principal.id, but=found.session.id)
        return _done("sessions")

    return routes


def _written(said: Any) -> dict[str, str]:
    return {name: said.get(name, "") for name in ("shown", "language", "keys_on")}


def _errors(error: Invalid) -> dict[str, str]:
    """Field → code."""
    return {found.location[1:]: found.code for found in error.errors}


def _done(what: str, language: str | None = None) -> Response:
    chosen = f"&lang={language}" if language in ("zh", "en") else ""
    return RedirectResponse(f"/desk/me?done={what}{chosen}", 303)

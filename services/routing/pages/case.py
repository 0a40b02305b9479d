"""`/desk/cases/{number}`: one case with everything that may be done with it. What was typed survives every refusal."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from services.routing.domain.case import Case
from services.routing.handlers import Call, Desk, Likeness
from services.routing.pages.frame import Frame
from services.routing.pages.moving import FORMS, WORDS, Form, Said, done_before, move
from services.routing.pages.sheet import Sheet
from services.routing.store import Cases
from shared.clock import Clock, rfc3339, valid_number
from shared.errors import Busy, Forbidden, IllegalMove, Invalid, NotFound, Stale, Unavailable
from shared.http.access import Principal, Scope
from shared.http.forms import form_of
from shared.http.sessions import page_requires, posted
from shared.store.documents import Kept
from shared.web.pages import Language, translate

FIELDS = ("version", "text", "reason", "reason_code", "department", "category")
"""What of a form is kept when it could not be taken."""

VERSION = re.compile(r"\d{1,9}", re.ASCII)

EVERYWHERE = Scope(everything=True)


def router(cases: Cases, desk: Desk, likeness: Likeness, frame: Frame, clock: Clock) -> APIRouter:
    """The case page and its moves."""
    routes = APIRouter()
    sheet = Sheet(cases, desk, likeness, frame.organisation, clock)
    reads, works = page_requires("cases.read"), page_requires("cases.work")

    async def found(number: str, scope: Scope) -> Kept[Case]:
        if not valid_number(number):
            raise NotFound()
        return await cases.by_number(number, scope)

    async def shown(request: Request, principal: Principal, case: Case, status: int = 200, **given: Any) -> Response:
        """The page. `problem`, `errors` and `done` are told at its top."""
        told: dict[str, Any] = {"problem": None, "errors": {}, "done": None, "unsent": None}
        told |= {name: given.pop(name) for name in list(given) if name in told}
        told["drawn"] = rfc3339(clock.now())
        values = await sheet.values(case, principal, frame.language(request), **given)
        return frame.page(request, principal, "case.html", "desk", status, **values, **told)

    def absent(request: Request, principal: Principal) -> Response:
        return frame.page(request, principal, "absent.html", "desk", 404)

    def kept_for_later(request: Request, principal: Principal, status: int, said: Said, reason: str) -> Response:
        """What was typed, on a page of its own that can send it again."""
        fields = {name: said[name] for name in FIELDS if said.get(name)}
        words = next((fields[name] for name in ("text", "reason") if fields.get(name)), None)
        values = {"fields": fields, "words": words, "reason": reason, "action": request.url.path}
        return frame.page(request, principal, "kept.html", "desk", status, **values)

    async def overtaken(
        request: Request, principal: Principal, number: str, version: int, form: Form, said: Said
    ) -> Response:
        """Someone was faster. If it was the writer, with just this, it is done."""
        try:
            case = (await found(number, principal.scope)).value
        except NotFound:
            return kept_for_later(request, principal, 404, said, "gone")
        if await done_before(desk, case, principal, version, form, said):
            return _to(case, form, frame.language(request))
        again: dict[str, Any] = {"do": form.move, "said": said, "seen": version, "problem": "stale"}
        return await shown(request, principal, case, 412, **again, **_unsent(form, said))

    @routes.get("/desk/cases/{number}")
    async def show(
        request: Request,
        number: str,
        do: str | None = None,
        done: str | None = None,
        borrow: str | None = None,
        principal: Principal = Depends(reads),
    ) -> Response:
        """The page. `do` opens a move's form, `done` says which was done, `borrow` fills in another case's answer."""
        try:
            kept = await found(number, principal.scope)
        except NotFound:
            return absent(request, principal)
        done = done if done in FORMS else None
        said = {"text": answer} if borrow and (answer := await borrowed(borrow, principal)) else None
        return await shown(request, principal, kept.value, do="answer" if said else do, done=done, said=said)

    async def borrowed(number: str, principal: Principal) -> str | None:
        """The last answer of another case that the reader may see."""
        try:
            case = (await found(number, principal.scope)).value
        except NotFound:
            return None
        texts = zip(case.messages, (await desk.opened(case)).messages, strict=True)
        return next((text for message, text in reversed([*texts]) if message.what == "answer"), None)

    @routes.get("/desk/handed-over")
    async def handed_over(
        request: Request, number: str, department: str, principal: Principal = Depends(reads)
    ) -> Response:
        """Said after a move that took the case out of the reader's departments."""
        if not valid_number(number) or department not in frame.organisation.departments:
            return absent(request, principal)
        label = sheet.label(department, frame.language(request))
        return frame.page(request, principal, "handed-over.html", "desk", number=number, department=label)

    @routes.post("/desk/cases/{number}/{name}")
    async def act(request: Request, number: str, name: str, principal: Principal = Depends(works)) -> Response:
        """Do it, and show the case as it is then; a second click is the first one's. Otherwise the page says what
        happened, with what was typed still in it."""
        language, said = frame.language(request), await form_of(request)
        form = FORMS.get(name)
        if form is None:
            return absent(request, principal)
        if not principal.may(form.permission):
            raise Forbidden()
        version = int(said["version"]) if VERSION.fullmatch(said.get("version", "")) else 0
        try:
            await posted(request)
            kept = await found(number, principal.scope)
        except Forbidden:
            return kept_for_later(request, principal, 403, said, "again")
        except NotFound:
            if valid_number(number) and (case := await _left(number, principal, version, form, said)):
                return _handed_over(case, language)
            return kept_for_later(request, principal, 404, said, "gone")
        except (Unavailable, Busy):
            return kept_for_later(request, principal, 503, said, "fault")
        again: dict[str, Any] = {"do": name, "said": said}
        if said.get("check"):
            return await shown(request, principal, kept.value, check=True, **again)
        try:
            after = (await move(desk, Call(principal, kept, version), form, said)).value
        except Stale:
            return await overtaken(request, principal, number, version, form, said)
        except NotFound:  # it left the writer's departments while they wrote
            return kept_for_later(request, principal, 404, said, "gone")
        except IllegalMove:
            return await shown(request, principal, kept.value, 409, problem="illegal", **again, **_unsent(form, said))
        except Invalid as error:
            errors = {e.location[1:]: _error(language, e.location[1:], e.code) for e in error.errors}
            return await shown(request, principal, kept.value, 422, errors=errors, **again)
        except (Unavailable, Busy):
            return kept_for_later(request, principal, 503, said, "fault")
        try:
            await found(number, principal.scope)
        except NotFound:
            return _handed_over(after, language)
        return _to(after, form, language)

    async def _left(number: str, principal: Principal, version: int, form: Form, said: Said) -> Case | None:
        """A case that this very move, by this very person, took out of their departments."""
        try:
            case = (await cases.by_number(number, EVERYWHERE)).value
        except NotFound:
            return None
        return case if await done_before(desk, case, principal, version, form, said) else None

    return routes


def _to(case: Case, form: Form, language: Language) -> Response:
    return RedirectResponse(f"/desk/cases/{case.number}?lang={language}&done={form.move}", 303)


def _handed_over(case: Case, language: Language) -> Response:
    where = f"/desk/handed-over?lang={language}&number={case.number}&department={case.department}"
    return RedirectResponse(where, 303)


def _unsent(form: Form, said: Said) -> dict[str, str | None]:
    """The words that were not taken, for a page on which their form may not be open any more."""
    return {"unsent": said.get(WORDS.get(form.move, "text"), "").strip() or None}


def _error(language: Language, field: str, code: str) -> str:
    match field, code:
        case "text" | "reason", "empty":
            return translate(language, "case.error.empty")
        case "text" | "reason", "too_long":
            return translate(language, "case.error.long")
        case "text", "too-many-messages":
            return translate(language, "case.error.full")
        case "department" | "category" | "reason_code", _:
            return translate(language, f"case.error.{field.replace('_', '-')}")
        case _:
            return translate(language, "case.error.other")

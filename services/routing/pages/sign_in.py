"""`/sign-in`, `/sign-out` and one-time links. What was being written when a session ended is carried along and given back."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from services.routing.pages.frame import Frame
from shared.errors import Busy, FieldError, Invalid, NotAuthorised, NotFound, Problem, TooMany, Unavailable
from shared.http.access import Access, Principal, session_of
from shared.http.forms import form_of
from shared.http.people import Person
from shared.http.sessions import SIGN_IN, begin_session, end_session, own_path, posted, refuse_foreign

Said = Mapping[str, str]

CARRIED = "kept."
"""What stands before the name of a field that is only carried along."""

SECRET = ("csrf", "password", "again", "current")
"""Fields that are never carried."""


def router(access: Access, frame: Frame) -> APIRouter:
    """Signing in and out."""
    routes = APIRouter(dependencies=[Depends(refuse_foreign)])

    def asked(request: Request, status: int = 200, **values: object) -> Response:
        """The form. `said` is what was written in it, `kept` what is carried along, `problem` the key of what is wrong."""
        told: dict[str, object] = {"said": {}, "kept": {}, "problem": None, "done": None, "next": _next(request)}
        return frame.page(request, None, "sign-in.html", "sign-in", status, **told | values)

    async def entered(request: Request, said: Said) -> Person:
        return await access.sign_ins.by_password(
            said.get("name", ""), said.get("password", ""), request.scope["huiyin.client"]
        )

    def refused(request: Request, problem: Problem, said: Said, kept: Said) -> Response:
        key = {401: "wrong", 429: "too-many"}.get(problem.status, "fault")
        page = asked(request, problem.status, said=said, kept=kept, problem=key)
        if wait := problem.headers.get("Retry-After"):
            page.headers["Retry-After"] = wait
        return page

    @routes.get("/sign-in")
    async def form(request: Request, out: str | None = None) -> Response:
        if (found := await session_of(request)) is not None:
            return _to(request, found.principal)
        return asked(request, done="out" if out else None)

    @routes.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        said = await form_of(request)
        try:
            person = await entered(request, said)
        except (NotAuthorised, TooMany, Busy) as problem:
            return refused(request, problem, said, {})
        except Unavailable:
            return refused(request, Busy(), said, {})
        response = _to(request, person.principal())
        await begin_session(request, response, person)
        return response

    @routes.get("/sign-in/kept")
    async def kept_form(request: Request) -> Response:
        """Someone came back to this address: the form is gone, where it would have gone to is not."""
        return RedirectResponse(f"{SIGN_IN}?{request.url.query}", 303)

    @routes.post("/sign-in/kept")
    async def keep(request: Request) -> Response:
        """A form whose session has ended: signed in first, then given back to be sent again."""
        said = await form_of(request)
        ours = "sign-in" in said
        kept = {
            (name.removeprefix(CARRIED) if ours else name): value
            for name, value in said.items()
            if (name.startswith(CARRIED) if ours else name not in SECRET)
        }
        if ours:
            try:
                person = await entered(request, said)
            except (NotAuthorised, TooMany, Busy) as problem:
                return refused(request, problem, said, kept)
            except Unavailable:
                return refused(request, Busy(), said, kept)
            response = Response()
            await begin_session(request, response, person)
            page = again(request, person.principal(), kept)
            page.headers["Set-Cookie"] = response.headers["Set-Cookie"]
            return page
        if (found := await session_of(request)) is not None:
            return again(request, found.principal, kept)
        return asked(request, 401, kept=kept, problem="ended")

    def again(request: Request, principal: Principal, kept: Said) -> Response:
        """What was written, with a button that sends it where it was going."""
        words = max((kept.get(name, "") for name in ("text", "reason")), key=len)
        target = _next(request) or SIGN_IN
        return frame.page(request, principal, "again.html", "", kept=kept, words=words, action=target)

    @routes.get("/sign-in/link/{token}")
    async def link(request: Request, token: str) -> Response:
        """Looking uses nothing up: mail programs look at links before people do."""
        return chosen(request, await access.people.by_link(token))

    @routes.post("/sign-in/link/{token}")
    async def redeem(request: Request, token: str) -> Response:
        """Choose a password, and be signed in."""
        said = await form_of(request)
        try:
            new_password(said)
            person = await access.people.redeem(token, said.get("password", ""))
        except Invalid as error:
            return chosen(request, await access.people.by_link(token), error.errors)
        except NotFound:
            return chosen(request, None)
        await access.sessions.end_all(person.number)
        response = _to(request, person.principal())
        await begin_session(request, response, person)
        return response

    def chosen(request: Request, person: Person | None, errors: tuple[FieldError, ...] = ()) -> Response:
        values = {"person": person, "errors": {error.location[1:]: error.code for error in errors}}
        status = 404 if person is None else 422 if errors else 200
        return frame.page(request, None, "link.html", "sign-in", status, **values)

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        """On this browser, or with `everywhere` on every one."""
        said = await posted(request)
        response = RedirectResponse(f"{SIGN_IN}?out=1&lang={frame.language(request)}", 303)
        await end_session(request, response, everywhere="everywhere" in said)
        return response

    return routes


def new_password(said: Said) -> None:
    """Raises `Invalid` if the new password was not written twice alike."""
    if said.get("password", "") != said.get("again", ""):
        raise Invalid([FieldError("/again", "different")])


def _next(request: Request) -> str | None:
    return own_path(request.query_params.get("next"))


def _to(request: Request, principal: Principal) -> RedirectResponse:
    """Where someone goes who is signed in: where they wanted to, or where their work is."""
    homes = (("cases.read", "/desk"), ("people.manage", "/desk/people"), ("account", "/desk/me"))
    home = next(path for permission, path in homes if principal.may(permission))
    wanted = _next(request)
    return RedirectResponse(home if wanted is None or wanted == "/desk" else wanted, 303)

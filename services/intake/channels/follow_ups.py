"""`POST /v1/feedback/follow-ups`: what submitters said and did later, told by the operator; NDJSON, one a line.

`{number, act, at, key, …}`: `act` is `message` (`text`), `rating` (`solved`, `satisfaction`, `contacted`, `comment`),
`reopening` or `withdrawal` (`reason`), with the fields of the submitter's own calls; `at` is when it was done, without
an offset in the organisation's zone. A line with a `key` that the feedback has seen gets the same answer again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import StringConstraints, ValidationError

from services.intake.channels.submission import KEY, Body, Reason, Verdict, Words
from services.intake.handlers.reception import Reception
from services.intake.handlers.submitter import Past, Submitter
from shared.clock import Clock
from shared.errors import Invalid, Malformed, NotFound
from shared.http.access import Principal, requires
from shared.http.ndjson import answer, business_time, lines_of, refusal, result
from shared.http.strict import fields_of, strict_json


class Heading(Body):
    """What every line has."""

    number: Annotated[str, StringConstraints(max_length=40)]
    act: Literal["message", "rating", "reopening", "withdrawal"]
    at: Annotated[str, StringConstraints(max_length=40)]
    key: Annotated[str, StringConstraints(pattern=KEY.pattern, max_length=255)]


def router(reception: Reception, submitter: Submitter, clock: Clock) -> APIRouter:
    """The one call."""
    routes = APIRouter(tags=["feedback"])

    @routes.post("/v1/feedback/follow-ups", response_class=StreamingResponse, include_in_schema=False)
    async def take_follow_ups(
        request: Request, principal: Annotated[Principal, Depends(requires("cases.import"))]
    ) -> StreamingResponse:
        """Take them in their order; one result a line, each after its commit: 202, or what is wrong with it."""
        zone = await reception.zone()
        results = []
        async for line, content in lines_of(request):
            try:
                await _take(submitter, strict_json(content), principal, zone, clock.now())
                results.append(result(line, 202))
            except ValidationError as error:
                results.append(refusal(line, Invalid(fields_of(error.errors(include_url=False)))))
            except (Invalid, Malformed, NotFound) as problem:
                results.append(refusal(line, problem))
        return answer(results)

    return routes


async def _take(submitter: Submitter, said: Any, principal: Principal, zone: ZoneInfo, now: datetime) -> None:
    body = dict(said) if isinstance(said, dict) else {}
    heading = Heading.model_validate({name: body.pop(name) for name in Heading.model_fields if name in body})
    past = Past(business_time(heading.at, "/at", zone, now), principal.id)
    kept = await submitter.feedbacks.by_number(heading.number)
    if kept is None:
        raise NotFound()
    match heading.act:
        case "message":
            await submitter.add_message(kept, Words.model_validate(body).text, heading.key, past)
        case "rating":
            verdict = Verdict.model_validate(body).model_dump(exclude_none=True)
            await submitter.rate(kept, verdict, heading.key, past)
        case "reopening":
            await submitter.reopen(kept, Reason.model_validate(body).reason, heading.key, past)
        case "withdrawal":
            await submitter.withdraw(kept, Reason.model_validate(body).reason, heading.key, past)

"""HTTP in and out for those who submit and for importers: models and status codes; decides nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from services.intake.channels.lookups import Lookups
from services.intake.channels.submission import NewFeedback, Reason, Verdict, Words, idempotency_key, scope_of
from services.intake.domain import Feedback
from services.intake.handlers.reception import Receipt, Reception
from services.intake.handlers.submitter import Submitter
from services.intake.store import Looks
from shared.clock import Moment, rfc3339
from shared.errors import FieldError, Invalid
from shared.events.routing import State
from shared.http.access import Access, requires
from shared.http.edge import Answer, Asked, Door
from shared.http.problems import problems
from shared.http.rates import Rate
from shared.http.strict import fields_of, strict_json
from shared.store.documents import Kept


class Accepted(BaseModel):
    """The receipt. `code` is told here and in messages to the submitter, and nowhere else."""

    id: str
    number: str
    code: str
    received_at: str
    links: dict[str, str]


class MessageAccepted(BaseModel):
    id: str


class LookShown(BaseModel):
    """Who saw which fields of a contact, and why."""

    at: Moment
    who: str
    kind: str
    role: str
    number: str
    fields: tuple[str, ...]
    reason: str


class LookList(BaseModel):
    items: list[LookShown]
    next: str | None


class SeenStep(BaseModel):
    """A step of the case. `department` is None while nobody is charged with it."""

    at: Moment
    state: State
    department: str | None


class SeenMessage(BaseModel):
    """Words of either side. `text` is None where they were erased."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    at: Moment
    from_: Annotated[Literal["citizen", "staff"], Field(alias="from")]
    text: str | None


class Seen(BaseModel):
    """Where the case stands, as its submitter sees it. `deadline` is None for old feedback, and until routing has it."""

    number: str
    state: State
    kind: str | None
    category: str | None
    department: str | None
    deadline: Moment | None
    received_at: Moment
    place: str | None
    timeline: list[SeenStep]
    messages: list[SeenMessage]


def receipt(given: Receipt, base: str) -> bytes:
    """The ready-made answer to a submission."""
    return to_json(
        {
            "id": given.id,
            "number": given.number,
            "code": given.code,
            "received_at": rfc3339(given.received_at),
            "links": {"self": f"{base}/v1/feedback/{given.number}", "track": f"{base}/track"},
        }
    )


def door(reception: Reception, access: Access, rate: Rate, base: str) -> Door:
    """`POST /v1/feedback`, thin: parse, check, one commit, a ready-made answer."""

    async def submit(asked: Asked) -> Answer:
        key = idempotency_key(asked.header(b"idempotency-key"))
        principal = await access.principal(asked.header(b"authorization"), asked.operator)
        rate.admit(asked.client, principal)
        try:
            new = NewFeedback.model_validate(strict_json(asked.body))
        except ValidationError as error:
            raise Invalid(fields_of(error.errors(include_url=False))) from None
        scope = "anyone" if principal is None else scope_of(principal)
        given = await reception.receive_feedback(new.submission("api", key, scope))
        return Answer(201, receipt(given, base))

    return submit


Key = Annotated[str | None, Header(alias="Idempotency-Key")]
Code = Annotated[
    str | None,
    Security(
        APIKeyHeader(
            name="Authorization", scheme_name="Code", description="`Code …`, from the receipt", auto_error=False
        )
    ),
]


def router(submitter: Submitter, lookups: Lookups, submit: Door) -> APIRouter:
    """The calls under `/v1/feedback`."""

    async def identified(request: Request, number: str, code: Code = None) -> Kept[Feedback]:
        return await lookups.identify(number, code, request.scope["huiyin.client"])

    routes = APIRouter(prefix="/v1/feedback", tags=["feedback"])

    @routes.post("", status_code=201, response_model=Accepted, responses=problems(401, 429))
    async def submit_feedback(request: Request, body: NewFeedback, key: Key = None) -> Response:
        """Submit. The edge calls the door before this route, which is what the OpenAPI document shows of it."""
        del body, key
        headers = dict(request.headers.raw)
        client, operator = request.scope["huiyin.client"], request.scope["huiyin.operator"]
        asked = Asked("POST", request.url.path, request.url.query, headers, await request.body(), client, operator)
        answer = await submit(asked)
        return Response(answer.body, answer.status, media_type="application/json")

    @routes.get("/{number}", responses=problems(404, 429))
    async def follow(kept: Kept[Feedback] = Depends(identified)) -> Seen:
        """Where the case stands, for whoever holds its code; routing need not be up."""
        return Seen.model_validate(await submitter.status(kept))

    @routes.post("/{number}/messages", status_code=201, responses=problems(404, 429))
    async def add_message(body: Words, kept: Kept[Feedback] = Depends(identified), key: Key = None) -> MessageAccepted:
        """Add a message; at most 200 a case."""
        return MessageAccepted(id=await submitter.add_message(kept, body.text, idempotency_key(key)))

    @routes.post("/{number}/rating", status_code=202, response_class=Response, responses=problems(404, 429))
    async def rate(body: Verdict, kept: Kept[Feedback] = Depends(identified), key: Key = None) -> Response:
        """Give a verdict: solved closes the case, unsolved reopens it."""
        await submitter.rate(kept, body.model_dump(exclude_none=True), idempotency_key(key))
        return Response(status_code=202)

    @routes.post("/{number}/reopening", status_code=202, response_class=Response, responses=problems(404, 429))
    async def reopen(
        body: Reason | None = None, kept: Kept[Feedback] = Depends(identified), key: Key = None
    ) -> Response:
        """Say that it is not settled."""
        await submitter.reopen(kept, body.reason if body else None, idempotency_key(key))
        return Response(status_code=202)

    @routes.post("/{number}/withdrawal", status_code=202, response_class=Response, responses=problems(404, 429))
    async def withdraw(
        body: Reason | None = None, kept: Kept[Feedback] = Depends(identified), key: Key = None
    ) -> Response:
        """Take it back."""
        await submitter.withdraw(kept, body.reason if body else None, idempotency_key(key))
        return Response(status_code=202)

    return routes


def audit(looks: Looks) -> APIRouter:
    """`/v1/audit`."""
    routes = APIRouter(prefix="/v1/audit", tags=["audit"], dependencies=[Depends(requires("audit.read"))])

    @routes.get("", responses=problems(401, 403))
    async def list_looks(
        number: Annotated[str, Query(max_length=40)],
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=1000)] = None,
    ) -> LookList:
        """The looks at a case's contact, the oldest first: who, when, which fields and why; never what they saw."""
        try:
            page, after = await looks.at(number, limit, cursor)
        except ValueError:
            raise Invalid([FieldError("/query/cursor", "unknown")]) from None
        shown = [LookShown.model_validate(kept.value, from_attributes=True) for kept in page]
        return LookList(items=shown, next=after)

    return routes

"""`POST /v1/cases/batch`: what staff did elsewhere, told by the operator; NDJSON, one move a line.

`{number, move, at, worker?, …}`: `move` is the word of a staff call, with the fields of its body; `at` is when it was
made, without an offset in the organisation's zone; `worker` is who made it. Lines about one case are taken in their
order. A move is recognised by its case, its event and its `at`: told again, it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from pydantic import StringConstraints, ValidationError

from services.routing.api.bodies import Body, Closure, Id, Nothing, Reassignment, Return, Words
from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Call, Desk, Past
from services.routing.store import Cases
from shared.clock import Clock
from shared.errors import FieldError, Invalid, Malformed, Problem
from shared.events import routing as events
from shared.http.access import Principal, requires
from shared.http.ndjson import answer, business_time, lines_of, refusal, result
from shared.http.strict import fields_of, strict_json
from shared.store.documents import Kept

AT_ONCE = 50
"""Cases worked on together, so that their writes share commits."""


class Heading(Body):
    """What every line has."""

    number: Annotated[str, StringConstraints(max_length=40)]
    move: Annotated[str, StringConstraints(max_length=40)]
    at: Annotated[str, StringConstraints(max_length=40)]
    worker: Id | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """What a word means: the body of its call, what is done with it, and the events that may come of it."""

    body: type[Body]
    make: Callable[[Desk, Call, Any], Awaitable[Kept[Case]]]
    emits: tuple[type[events.CaseEvent], ...]


MOVES: Mapping[str, Move] = {
    "acceptance": Move(Nothing, lambda desk, call, _: desk.accept(call), (events.CaseAccepted,)),
    "start": Move(Nothing, lambda desk, call, _: desk.start(call), (events.CaseStarted,)),
    "return": Move(Return, lambda desk, call, b: desk.send_back(call, b.reason_code, b.reason), (events.CaseReturned,)),
    "reassignment": Move(
        Reassignment,
        lambda desk, call, b: desk.reassign(call, b.department, b.category, b.reason),
        (events.CaseRouted, events.CaseReassigned),
    ),
    "question": Move(Words, lambda desk, call, b: desk.ask(call, b.text), (events.CaseAwaitingCitizen,)),
    "resumption": Move(Nothing, lambda desk, call, _: desk.resume(call), (events.CaseResumed,)),
    "answer": Move(Words, lambda desk, call, b: desk.answer(call, b.text), (events.CaseAnswered,)),
    "closure": Move(Closure, lambda desk, call, b: desk.close(call, b.text), (events.CaseClosed,)),
    "note": Move(Words, lambda desk, call, b: desk.note(call, b.text), (events.CaseNoted,)),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A line that could be read."""

    number: str
    move: Move
    body: Body
    past: Past


def router(cases: Cases, desk: Desk, organisation: Organisation, clock: Clock) -> APIRouter:
    """The one call."""
    routes = APIRouter()

    @routes.post("/v1/cases/batch", response_class=StreamingResponse, include_in_schema=False)
    async def take_moves(
        request: Request, principal: Principal = Depends(requires("cases.import"))
    ) -> StreamingResponse:
        """Take them; one result a line, in order, each after its commit: 200 and the version, or what is wrong."""
        results: dict[int, bytes] = {}
        by_case: dict[str, list[tuple[int, Told]]] = {}
        async for line, content in lines_of(request):
            results[line] = b""
            try:
                told = _read(content, organisation, clock.now())
                by_case.setdefault(told.number, []).append((line, told))
            except Problem as problem:
                results[line] = refusal(line, problem)
        free = asyncio.Semaphore(AT_ONCE)

        async def work(moves: list[tuple[int, Told]]) -> None:
            async with free:
                for line, told in moves:
                    results[line] = await _take(line, told, principal)

        await asyncio.gather(*(work(moves) for moves in by_case.values()))
        return answer(list(results.values()))

    async def _take(line: int, told: Told, principal: Principal) -> bytes:
        try:
            found = await cases.by_number(told.number, principal.scope)
            call = Call(principal, found, found.value.version, told.past)
            return result(line, 200, version=(await told.move.make(desk, call, told.body)).value.version)
        except Problem as problem:
            return refusal(line, problem)

    return routes


def _read(content: bytes, organisation: Organisation, now: datetime) -> Told:
    """Raises `Invalid` or `Malformed`."""
    said = strict_json(content)
    if not isinstance(said, dict):
        raise Malformed("a line is an object")
    body = dict(said)
    try:
        heading = Heading.model_validate({name: body.pop(name) for name in Heading.model_fields if name in body})
        if (move := MOVES.get(heading.move)) is None:
            raise Invalid([FieldError("/move", "unknown")])
        words = move.body.model_validate(body)
    except ValidationError as error:
        raise Invalid(fields_of(error.errors(include_url=False))) from None
    at = business_time(heading.at, "/at", organisation.calendar.zone, now)
    return Told(heading.number, move, words, Past(at, heading.worker, frozenset(shape.type for shape in move.emits)))

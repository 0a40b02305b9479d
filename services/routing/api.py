"""HTTP in and out: what staff may send, what a case looks like from outside, and the public lists."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.domain.states import moves
from services.routing.handlers import Call, Desk
from services.routing.store import Cases
from shared.clock import Moment, valid_number
from shared.errors import FieldError, Invalid, NeedsVersion, NotFound
from shared.events.routing import Explanation, Label, State
from shared.http.access import Principal, requires
from shared.store.documents import Kept
from shared.text import clean

VERSION = re.compile(r'(?:W/)?"(\d{1,9})"', re.ASCII)
"""An entity tag of ours. A weak one is accepted: proxies that compress weaken it."""

BYTES = 64 * 1024
"""The most bytes of a text."""

Handler = Callable[..., Awaitable[Response]]


def _cleaned(text: str) -> str:
    text = clean(text)
    if not text:
        raise ValueError("empty")
    if len(text.encode()) > BYTES:
        raise ValueError("too-long")
    return text


Text = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_cleaned)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    """What staff send: nothing but the declared fields, of exactly the declared types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Body):
    """Moves that need no words."""


class Words(Body):
    """A question, an answer or a note."""

    text: Text


class Closure(Body):
    text: Text | None = None


class Return(Body):
    reason_code: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    reason: Text | None = None


class Reassignment(Body):
    department: Id
    category: Id | None = None
    reason: Text | None = None


class Shown(BaseModel):
    """What is sent out."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class CaseItem(Shown):
    """A case as staff see it in a list, and what every call that changes one answers."""

    number: str
    version: int
    state: State
    kind: str | None
    category: str | None
    department: str
    area: str | None
    priority: str
    channel: str
    language: str
    received_at: Moment
    deadline: Moment | None
    overdue: bool
    historic: bool
    anonymous: bool
    contact_kinds: tuple[str, ...]
    first_receiver: str | None
    worker: str | None
    hops: int
    since: Moment | None
    moves: tuple[str, ...]


class TimelineItem(Shown):
    """One step; `event` says what happened, also where the state stayed."""

    at: Moment
    state: State
    department: str
    event: str
    version: int


class MessageItem(Shown):
    """Words on the case. `text` is None where they were erased."""

    at: Moment
    from_: Annotated[str, Field(alias="from")]
    what: str
    text: str | None


class RatingItem(Shown):
    at: Moment
    contacted: bool | None
    solved: bool | None
    satisfaction: int | None


class CaseDetail(CaseItem):
    """A case with its history and its words."""

    past_deadlines: tuple[Moment, ...]
    explanation: Explanation
    rating: RatingItem | None
    timeline: list[TimelineItem]
    messages: list[MessageItem]


class CasePage(Shown):
    items: list[CaseItem]
    next: str | None


class Place(Shown):
    """A category, a department or an area."""

    id: str
    parent: str | None
    label: Label


class PlaceList(Shown):
    items: list[Place]
    next: None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "no valid key or session"},
    403: {"description": "the role does not allow it"},
    404: {"description": "no such case for whoever asks"},
    503: {"description": "not now"},
}

MOVE_PROBLEMS: dict[int | str, dict[str, Any]] = PROBLEMS | {
    400: {"description": "cannot be read as strict JSON"},
    409: {"description": "the state does not allow it; the legal moves are named"},
    412: {"description": "the case has changed since; what changed is named"},
    413: {"description": "too large"},
    428: {"description": "If-Match is missing"},
}


def router(cases: Cases, desk: Desk, organisation: Organisation) -> APIRouter:
    """Routing's routes."""
    routes = APIRouter(prefix="/v1")
    reads, works, hands_over = requires("cases.read"), requires("cases.work"), requires("cases.reassign")

    async def found(number: str, principal: Principal) -> Kept[Case]:
        if not valid_number(number):
            raise NotFound()
        return await cases.by_number(number, principal.scope)

    async def called(number: str, if_match: str | None, principal: Principal) -> Call:
        """Before the body is looked at: another department's case is not there, whatever is sent to it."""
        kept = await found(number, principal)
        if not (version := VERSION.fullmatch(if_match or "")):
            raise NeedsVersion()
        return Call(principal, kept, int(version[1]))

    async def worked(number: str, if_match: str | None = Header(None), principal: Principal = Depends(works)) -> Call:
        return await called(number, if_match, principal)

    async def handed_over(
        number: str, if_match: str | None = Header(None), principal: Principal = Depends(hands_over)
    ) -> Call:
        return await called(number, if_match, principal)

    @routes.get("/cases", response_model=None, responses=_shaped(CasePage, PROBLEMS))
    async def list_cases(
        principal: Principal = Depends(reads),
        state: State | None = None,
        department: Id | None = None,
        limit: int = Query(100, ge=1, le=500),
        cursor: str | None = Query(None, max_length=1000),
    ) -> Response:
        try:
            page, after = await cases.page(principal.scope, state, department, limit, cursor)
        except ValueError:
            raise Invalid([FieldError("/query/cursor", "unknown")]) from None
        return _json(CasePage(items=[_item(kept.value) for kept in page], next=after))

    @routes.get("/cases/{number}", response_model=None, responses=_shaped(CaseDetail, PROBLEMS))
    async def show_case(number: str, principal: Principal = Depends(reads)) -> Response:
        case = (await found(number, principal)).value
        return _json(_detail(case, await desk.words(case)), case.version)

    def move(name: str) -> Callable[[Handler], Handler]:
        return routes.post(
            f"/cases/{{number}}/{name}", response_model=None, responses=_shaped(CaseItem, MOVE_PROBLEMS), name=name
        )

    @move("acceptance")
    async def accept(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.accept(call))

    @move("start")
    async def start(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.start(call))

    @move("return")
    async def send_back(body: Return, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.send_back(call, body.reason_code, body.reason))

    @move("reassignment")
    async def reassign(body: Reassignment, call: Call = Depends(handed_over)) -> Response:
        return _changed(await desk.reassign(call, body.department, body.category, body.reason))

    @move("question")
    async def ask(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.ask(call, body.text))

    @move("resumption")
    async def resume(call: Call = Depends(worked), body: Nothing | None = None) -> Response:
        return _changed(await desk.resume(call))

    @move("answer")
    async def answer(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.answer(call, body.text))

    @move("closure")
    async def close(call: Call = Depends(worked), body: Closure | None = None) -> Response:
        return _changed(await desk.close(call, body.text if body else None))

    @move("note")
    async def note(body: Words, call: Call = Depends(worked)) -> Response:
        return _changed(await desk.note(call, body.text))

    lists = {
        "categories": [Place(id=c.id, parent=c.parent, label=c.label) for c in organisation.categories.values()],
        "departments": [Place(id=d.id, parent=d.parent, label=d.label) for d in organisation.departments.values()],
        "areas": [Place(id=a.id, parent=None, label=a.label) for a in organisation.areas.values()],
    }
    for name, places in lists.items():
        routes.get(f"/{name}", response_model=None, responses=_shaped(PlaceList, {}), name=name)(_shows(places))
    return routes


def _shows(places: list[Place]) -> Handler:
    async def show() -> Response:
        """Public: ids, parents and labels, from the organisation file."""
        return _json(PlaceList(items=places))

    return show


def _shaped(shape: type[Shown], problems: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": shape}, **problems}


def _changed(kept: Kept[Case]) -> Response:
    return _json(_item(kept.value), kept.value.version)


def _json(shown: Shown, version: int | None = None) -> Response:
    """Serialised once. A case carries its version as entity tag, which is what `If-Match` takes."""
    headers = {"Cache-Control": "no-store"} if version is None else {"ETag": f'"{version}"'}
    return Response(shown.model_dump_json(), media_type="application/json", headers=headers)


def _fields(case: Case) -> dict[str, Any]:
    own = {name: getattr(case, name) for name in CaseItem.model_fields if name != "moves"}
    return {**own, "moves": moves(case.state)}


def _item(case: Case) -> CaseItem:
    return CaseItem.model_construct(**_fields(case))


def _detail(case: Case, words: list[str | None]) -> CaseDetail:
    rating = case.rating
    return CaseDetail(
        **_fields(case),
        past_deadlines=case.past_deadlines,
        explanation=case.explanation,
        rating=RatingItem(**{name: getattr(rating, name) for name in RatingItem.model_fields}) if rating else None,
        timeline=[
            TimelineItem(at=s.at, state=s.state, department=s.department, event=s.event, version=s.version)
            for s in case.timeline
        ],
        messages=[
            MessageItem(at=m.at, from_=m.author, what=m.what, text=text)
            for m, text in zip(case.messages, words, strict=True)
        ],
    )

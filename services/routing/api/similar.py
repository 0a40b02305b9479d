"""`POST /v1/similar`: what others have said like this. The public learns how many, staff in scope which cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from services.routing.api.bodies import Body, Text
from services.routing.api.shown import Shown
from services.routing.domain.states import is_open
from services.routing.handlers import Alike, Desk, Foreteller, Likeness
from shared.events.intake import Point
from shared.events.routing import State
from shared.http.access import Scope, caller

MOST = 20
"""Cases that staff are told of."""

FEWEST = 5
"""Of fewer, the public is told nothing."""

COUNTED = 250
"""Cases compared when they are only counted."""


class Location(Body):
    """Where: WGS-84, in words, or both."""

    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    address: Annotated[str, Field(max_length=200)] | None = None

    def point(self) -> Point | None:
        return None if self.lat is None or self.lon is None else Point(lat=self.lat, lon=self.lon)


class Similar(Body):
    """What somebody is about to say."""

    text: Text
    location: Location | None = None


class CategoryCount(Shown):
    """How many open cases of a category are like it; at least five."""

    category: str | None
    count: int


class AlikeItem(Shown):
    """A case that is like it. `first_words` is None where they were erased; `metres` where a place is not known."""

    number: str
    state: State
    department: str
    category: str | None
    first_words: str | None
    satisfaction: int | None
    solved: bool | None
    likeness: float
    metres: int | None


class CategoryCounts(Shown):
    items: list[CategoryCount]
    next: None = None


class AlikeList(Shown):
    items: list[AlikeItem]
    next: None = None


def router(likeness: Likeness, foresee: Foreteller, desk: Desk) -> APIRouter:
    """The one call."""
    routes = APIRouter(prefix="/v1")

    @routes.post("/similar", response_model=None, responses={200: {"model": CategoryCounts | AlikeList}})
    async def similar(request: Request, body: Similar) -> Response:
        """Without `cases.read`: categories with a count of open cases, none under five. With it: the cases in scope."""
        principal = await caller(request)
        place = body.location or Location()
        said, point = f"{place.address or ''}\n{body.text}", place.point()
        foretold = foresee(body.text, place.address or "")
        category = foretold.category if foretold else None
        if principal is not None and principal.may("cases.read"):
            found = await likeness.of(said, principal.scope, point, category)
            return _json(AlikeList(items=await _items(desk, found[:MOST])))
        found = await likeness.of(said, Scope(everything=True), point, category, COUNTED)
        counts = Counter(one.case.category for one in found if is_open(one.case.state))
        told = [CategoryCount(category=id, count=n) for id, n in counts.most_common() if n >= FEWEST]
        return _json(CategoryCounts(items=told))

    return routes


async def _items(desk: Desk, found: Sequence[Alike]) -> list[AlikeItem]:
    texts = await desk.texts([one.case for one in found])
    return [_item(one, text) for one, text in zip(found, texts, strict=True)]


def _item(one: Alike, text: str | None) -> AlikeItem:
    case, rating = one.case, one.case.rating
    return AlikeItem(
        number=case.number,
        state=case.state,
        department=case.department,
        category=case.category,
        first_words=one.first_words(text),
        satisfaction=rating.satisfaction if rating else None,
        solved=rating.solved if rating else None,
        likeness=round(one.likeness, 3),
        metres=None if one.metres is None else round(one.metres),
    )


def _json(shown: Shown) -> Response:
    return Response(shown.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})

"""`/desk/bulk`: one move for each of the cases that were selected, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.routing.domain.case import Case
from services.routing.handlers import Call, Desk
from services.routing.pages.frame import Frame
from services.routing.pages.moving import FORMS, Form, done_before, move
from services.routing.store import Cases
from shared.clock import valid_number
from shared.errors import Busy, FieldError, Forbidden, IllegalMove, Invalid, NotFound, Stale, Unavailable
from shared.http.access import Principal
from shared.http.sessions import page_requires, posted

TOGETHER = ("acceptance", "reassignment")
"""The moves that many cases can make together."""

Outcome = Literal["done", "stale", "illegal", "absent", "busy"]

PICKED = "case."
"""What the fields of the selected cases begin with; the number follows, and the value is the version that was seen."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one case. `case` is as it is now, or None where there is none to see."""

    number: str
    outcome: Outcome
    case: Case | None = None


def router(cases: Cases, desk: Desk, frame: Frame) -> APIRouter:
    """The one form below the queue."""
    routes = APIRouter()

    @routes.post("/desk/bulk")
    async def together(request: Request, principal: Principal = Depends(page_requires("cases.work"))) -> HTMLResponse:
        """Do it for each; one that cannot be done stops no other. A second click is the first one's."""
        said = await posted(request)
        form = FORMS.get(said.get("do", ""))
        if form is None or form.move not in TOGETHER:
            raise Invalid([FieldError("/do", "unknown")])
        if not principal.may(form.permission):
            raise Forbidden()
        if form.move == "reassignment" and said.get("department") not in frame.organisation.departments:
            raise Invalid([FieldError("/department", "unknown")])
        picked = {name[len(PICKED) :]: value for name, value in said.items() if name.startswith(PICKED)}
        results = [await one(principal, number, version, form, said) for number, version in picked.items()]
        department = frame.label(frame.organisation.departments, said.get("department"), frame.language(request))
        return frame.page(
            request, principal, "bulk.html", "desk", results=results, move=form.move, department=department
        )

    async def one(principal: Principal, number: str, version: str, form: Form, said: Mapping[str, str]) -> Result:
        try:
            if not valid_number(number) or not (version.isascii() and version.isdigit()):
                raise NotFound()
            kept = await cases.by_number(number, principal.scope)
            after = await move(desk, Call(principal, kept, int(version)), form, said)
            return Result(number, "done", after.value)
        except NotFound:
            return Result(number, "absent")
        except Stale:
            if await done_before(desk, kept.value, principal, int(version), form, said):
                return Result(number, "done", kept.value)
            return Result(number, "stale", kept.value)
        except IllegalMove:
            return Result(number, "illegal", kept.value)
        except (Unavailable, Busy):
            return Result(number, "busy")

    return routes

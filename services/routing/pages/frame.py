"""What the desk's pages share: the header with who is signed in, the keys, the language, and how problems are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.routing.domain.organisation import Organisation
from shared.clock import Clock
from shared.errors import HuiyinError, Problem
from shared.events.routing import Label
from shared.http.access import Principal, caller
from shared.http.desk import entries_for, own_name
from shared.http.sessions import chosen_language, csrf_of
from shared.web.pages import Language, Pages, catalogue, language_of, translate

TOLD = frozenset({400, 401, 403, 404, 409, 412, 422, 503})
"""Problems that have words of their own; every other one is our fault."""


KEYS = (
    ("j k", "move"),
    ("Enter", "open"),
    ("a", "accept"),
    ("q", "ask"),
    ("w", "answer"),
    ("r", "return"),
    ("m", "reassign"),
    ("x", "select"),
    (".", "late"),
    ("/", "search"),
    ("?", "all"),
)
"""The queue's keys; what each does is a word of the catalogue."""

ALL_KEYS = (
    *KEYS[:2],
    ("u", "back"),
    ("a", "accept"),
    ("s", "start"),
    *KEYS[3:7],
    ("n", "note"),
    *KEYS[7:],
    ("Ctrl Enter", "send"),
    ("Esc", "leave"),
)
"""The whole map."""

PAGE_KEYS = {"queue.html": KEYS, "case.html": (KEYS[0], *ALL_KEYS[2:10], ("Ctrl Enter", "send"), KEYS[-1])}
"""What stands in the footer of a page; of every other one, only the way to the whole map."""


def number_of(id: str) -> str:
    """A work number; of a key, which has none, the end of its id."""
    return id if len(id) <= 8 else f"…{id[-4:]}"


class Frame:
    """Renders pages for someone who is signed in."""

    def __init__(self, organisation: Organisation, clock: Clock) -> None:
        self.organisation = organisation
        self._clock = clock
        self._pages = Pages(Path(__file__).parents[1] / "templates")

    def now(self) -> datetime:
        return self._clock.now()

    def language(self, request: Request) -> Language:
        """The one asked for by `?lang=`, else the one that the person chose, else what the browser prefers."""
        chosen = request.query_params.get("lang") or chosen_language(request)
        return language_of(chosen, request.headers.get("accept-language"))

    def label(self, known: Mapping[str, Any], id: str | None, language: Language) -> str | None:
        """The words of a department, a category or an area; of one that the organisation no longer has, its id."""
        if id is None or id not in known:
            return id
        label: Label = known[id].label
        return str(getattr(label, language))

    def page(
        self, request: Request, principal: Principal | None, name: str, here: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The template `name` under the navigation's entry `here`. Without a principal nobody's name is in it."""
        return HTMLResponse(self.html(request, principal, name, here=here, **values), status)

    def html(self, request: Request, principal: Principal | None, name: str, **values: Any) -> str:
        """What a template makes of the values, and of what every page of the desk knows."""
        language = self.language(request)
        return self._pages.html(
            name,
            language,
            self.organisation.calendar.zone.key,
            principal=principal,
            badge=self._badge(principal, language),
            entries=entries_for(principal),
            csrf=csrf_of(request) if principal else "",
            body_name=getattr(self.organisation.name, language),
            keys_on=principal is None or principal.keys_on,
            keys=PAGE_KEYS.get(name, KEYS[-1:]),
            all_keys=ALL_KEYS,
            known=catalogue(language),
            **values,
        )

    async def tell(self, request: Request, problem: Problem) -> Response:
        """A problem of a page, on a page. Where one is sent elsewhere, that is done."""
        if problem.status < 400:
            return RedirectResponse(problem.headers["Location"], problem.status)
        try:
            principal = await caller(request)
        except HuiyinError:
            principal = None
        status = problem.status if problem.status in TOLD else 500
        page = self.page(request, principal, "problem.html", "", problem.status, problem=status)
        page.headers.update({name: value for name, value in problem.headers.items() if name != "WWW-Authenticate"})
        return page

    def _badge(self, principal: Principal | None, language: Language) -> tuple[str | None, str] | None:
        """The department, or None where there is none or more than one, and the chosen name, else the work number."""
        if principal is None:
            return None
        only = principal.departments[0] if len(principal.departments) == 1 else None
        name = own_name(principal) or translate(language, "desk.number", number=number_of(principal.id))
        return self.label(self.organisation.departments, only, language), name

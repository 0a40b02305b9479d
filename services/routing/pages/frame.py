"""What the desk's pages share: the layout with the body's name and who is signed in, and the language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from services.routing.domain.organisation import Organisation
from shared.http.access import Principal
from shared.http.sessions import csrf_of
from shared.web.pages import Language, Pages, language_of


class Frame:
    """Renders pages for someone who is signed in."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        self._pages = Pages(Path(__file__).parents[1] / "templates")

    def language(self, request: Request) -> Language:
        return language_of(request.query_params.get("lang"), request.headers.get("accept-language"))

    def page(
        self, request: Request, principal: Principal | None, name: str, here: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """The template `name` under the navigation's entry `here`."""
        language = self.language(request)
        html = self._pages.html(
            name,
            language,
            self.organisation.calendar.zone.key,
            here=here,
            principal=principal,
            csrf=csrf_of(request),
            body_name=getattr(self.organisation.name, language),
            **values,
        )
        return HTMLResponse(html, status)

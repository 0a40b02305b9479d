"""`/track`: the case for whoever has its number and code, and what they add to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from services.intake.channels.lookups import Lookups
from services.intake.channels.submission import Reason, Verdict, Words
from services.intake.domain import Feedback
from services.intake.handlers.submitter import Submitter
from services.intake.pages.case import shown
from services.intake.pages.site import Site, language_asked, words_error
from shared.clock import Clock, Ids
from shared.errors import Busy, Invalid, NotFound, TooMany, Unavailable
from shared.http.forms import form_of
from shared.http.problems import tell_by
from shared.http.strict import fields_of
from shared.store.documents import Kept
from shared.web.pages import translate

CARRIED = ("action", "key", "text", "solved", "satisfaction", "comment")
"""What of a form is sent again when we were at fault."""

Said = Mapping[str, str]


def router(submitter: Submitter, lookups: Lookups, site: Site, clock: Clock, ids: Ids) -> APIRouter:
    """The two calls of `/track`."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(tell_by(site.tell))])

    @routes.get("/track")
    async def form(request: Request) -> HTMLResponse:
        return await site.page(request, "track.html", "track", problem=None, lost=False, number="", code="", carried={})

    @routes.post("/track")
    async def track(request: Request) -> HTMLResponse:
        """The case; after an action, the case as it is then. A wrong code is the same page for every reason.

        What was written comes back with every error; after one of ours with its key too, so it is kept only once.
        """
        language, said = language_asked(request), await form_of(request)
        number, code, action = said.get("number", "").strip(), said.get("code", ""), said.get("action", "")
        client = request.scope["huiyin.client"]
        wrong: dict[str, str] = {}
        try:
            kept = await lookups.identify(number, f"Code {code}", client)
            if action in ACTIONS:
                wrong = await _errors(ACTIONS[action](submitter, kept, said))
                kept = await lookups.identify(number, f"Code {code}", client)
            seen = await submitter.status(kept)
        except NotFound:
            values = {"problem": translate(language, "problem.code"), "lost": True, "carried": {}}
            return await site.page(request, "track.html", "track", 404, number=number, code=code, **values)
        except TooMany as error:
            values = {"problem": translate(language, "problem.too-many-codes"), "lost": True, "carried": {}}
            page = await site.page(request, "track.html", "track", 429, number=number, code=code, **values)
            page.headers.update(error.headers)
            return page
        except (Unavailable, Busy):
            carried = {name: said[name] for name in CARRIED if action in ACTIONS and said.get(name)}
            values = {"problem": translate(language, "problem.fault"), "lost": False, "carried": carried}
            return await site.page(request, "track.html", "track", 503, number=number, code=code, **values)
        values = shown(seen, await site.organisation(), language, clock.now())
        return await site.page(
            request,
            "case.html",
            "track",
            422 if wrong else 200,
            **values,
            code=code,
            key=ids.document(),
            done=translate(language, f"track.done.{action}") if action in ACTIONS and not wrong else None,
            said=said if wrong else {},
            action=action if wrong else None,
            error=translate(language, wrong["words"]) if wrong else None,
        )

    return routes


async def _errors(acting: Awaitable[Any]) -> dict[str, str]:
    """What was wrong with an action's words, if anything was: the catalogue's key."""
    try:
        await acting
    except ValidationError as error:
        return {"words": words_error(fields_of(error.errors(include_url=False))[0].code)}
    except Invalid:
        return {"words": "errors.other"}
    return {}


async def _message(submitter: Submitter, kept: Kept[Feedback], said: Said) -> None:
    await submitter.add_message(kept, Words(text=said.get("text", "")).text, said.get("key") or None)


async def _rating(submitter: Submitter, kept: Kept[Feedback], said: Said) -> None:
    solved = {"yes": True, "no": False}.get(said.get("solved", ""))
    satisfaction = {str(n): n for n in range(1, 6)}.get(said.get("satisfaction", ""))
    verdict = Verdict(solved=solved, satisfaction=satisfaction, comment=said.get("comment", "").strip() or None)
    await submitter.rate(kept, verdict.model_dump(exclude_none=True), said.get("key") or None)


async def _reopening(submitter: Submitter, kept: Kept[Feedback], said: Said) -> None:
    await submitter.reopen(kept, _reason(said), said.get("key") or None)


async def _withdrawal(submitter: Submitter, kept: Kept[Feedback], said: Said) -> None:
    await submitter.withdraw(kept, _reason(said), said.get("key") or None)


ACTIONS: Mapping[str, Callable[[Submitter, Kept[Feedback], Said], Awaitable[None]]] = {
    "message": _message,
    "rating": _rating,
    "reopening": _reopening,
    "withdrawal": _withdrawal,
}


def _reason(said: Said) -> str | None:
    return Reason(reason=said.get("text", "").strip() or None).reason

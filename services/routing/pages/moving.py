"""The moves of the case page as forms: which there are, what they ask for, and what was sent with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from services.routing.domain.case import Case
from services.routing.domain.states import moves
from services.routing.handlers import Call, Desk
from shared.errors import FieldError, Invalid, NotFound
from shared.http.access import Principal
from shared.store.documents import Kept
from shared.text import clean

Said = Mapping[str, str]

Asks = Literal["nothing", "words", "perhaps-words", "return", "reassignment"]

Reason = Literal["not-ours", "needs-another-department", "duplicate", "too-little-known", "other"]

REASONS: tuple[str, ...] = get_args(Reason)
"""Why a department sends a case back."""


@dataclass(frozen=True, slots=True)
class Form:
    """One move: its key on the keyboard, what its form asks for, and the event that says it was done."""

    move: str
    key: str | None
    asks: Asks
    events: tuple[str, ...]
    permission: str = "cases.work"


FORMS: Mapping[str, Form] = {
    form.move: form
    for form in (
        Form("acceptance", "a", "nothing", ("case.accepted",)),
        Form("start", "s", "nothing", ("case.started",)),
        Form("answer", "w", "words", ("case.answered",)),
        Form("question", "q", "words", ("case.awaiting-citizen",)),
        Form("resumption", None, "nothing", ("case.resumed",)),
        Form("closure", None, "perhaps-words", ("case.closed",)),
        Form("return", "r", "return", ("case.returned",)),
        Form("reassignment", "m", "reassignment", ("case.routed", "case.reassigned"), "cases.reassign"),
        Form("note", "n", "words", ("case.noted",)),
    )
}
"""Every move of the case page, in the order in which they are shown."""

WORDS = {"return": "reason", "reassignment": "reason"}
"""The field that a move's words are in; `text` in every other one."""


def forms_for(case: Case, principal: Principal, erased: bool) -> list[Form]:
    """What this person may do with this case now. Nothing can be written about a case whose words were erased."""
    legal = {*moves(case.state), "note"}
    return [
        form
        for form in FORMS.values()
        if form.move in legal and principal.may(form.permission) and not (erased and form.asks == "words")
    ]


def words_of(form: Form, said: Said) -> str | None:
    """The cleaned words of a form, or None. Raises `Invalid` where they are missing, unreadable or too long."""
    name = WORDS.get(form.move, "text")
    try:
        words = clean(said.get(name, ""))
    except ValueError as error:
        raise Invalid([FieldError(f"/{name}", str(error))]) from None
    if form.asks == "words" and not words:
        raise Invalid([FieldError(f"/{name}", "empty")])
    return words or None


async def move(desk: Desk, call: Call, form: Form, said: Said) -> Kept[Case]:
    """Do it, through the same handlers as the API's calls. Raises what they raise, and `Invalid`."""
    words = words_of(form, said)
    match form.move:
        case "acceptance":
            return await desk.accept(call)
        case "start":
            return await desk.start(call)
        case "answer":
            return await desk.answer(call, words or "")
        case "question":
            return await desk.ask(call, words or "")
        case "resumption":
            return await desk.resume(call)
        case "closure":
            return await desk.close(call, words)
        case "return":
            if (code := said.get("reason_code", "")) not in REASONS:
                raise Invalid([FieldError("/reason_code", "missing")])
            return await desk.send_back(call, code, words)
        case "reassignment":
            if not (department := said.get("department", "")):
                raise Invalid([FieldError("/department", "missing")])
            return await desk.reassign(call, department, said.get("category") or None, words)
        case "note":
            return await desk.note(call, words or "")
        case _:
            raise NotFound()


async def done_before(desk: Desk, case: Case, principal: Principal, version: int, form: Form, said: Said) -> bool:
    """Whether the same person did just this at just this version: a second click, or an answer that was lost."""
    step = next((step for step in case.timeline if step.version == version + 1), None)
    if step is None or step.event not in form.events or step.by != principal.id:
        return False
    if form.move == "reassignment" and step.department != said.get("department"):
        return False
    if form.asks == "nothing":
        return True
    texts = zip(case.messages, (await desk.opened(case)).messages, strict=True)
    before = next((text for message, text in texts if message.version == step.version), None)
    return before == words_of(form, said)

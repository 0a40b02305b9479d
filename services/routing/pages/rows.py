"""One case as a row of the queue, folded or unfolded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.domain.states import moves
from services.routing.handlers import Desk
from services.routing.pages.frame import Frame, number_of
from services.routing.pages.moving import FORMS
from services.routing.pages.reasons import weights_of
from services.routing.pages.standing import Mark, Promise, mark_of, promise_of
from shared.http.access import Principal
from shared.text import language as script_of
from shared.web.pages import Language

FIRST = 90
"""Characters of the first words; a row has room for fewer."""

WHOLE = 2_000
"""Characters of an unfolded text; the case page has all of it."""

OFFERED = ("acceptance", "start", "question", "answer", "return", "reassignment")
"""The moves that the queue offers, in the order of their buttons."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button of the unfolded row. One that needs no words is done `at once`; the others open the case page."""

    move: str
    key: str
    at_once: bool


@dataclass(frozen=True, slots=True)
class Why:
    """Why the case is where it is. `words` are those that decided, each with whether it weighs more than the others."""

    how: Literal["keywords", "given", "person", "nobody"]
    department: str
    confidence: float
    words: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Row:
    """A case as the queue shows it. What is unfolded has a text, a reason and actions; `text` None was erased."""

    case: Case
    tail: str
    mark: Mark
    promise: Promise | None
    first: str | None
    lang: str
    category: str | None
    area: str | None
    department: str | None
    worker: str | None
    kept: bool
    unfolded: bool = False
    text: str | None = None
    cut: bool = False
    why: Why | None = None
    actions: Sequence[Action] = ()


class Rows:
    """Lays cases out as rows."""

    def __init__(self, desk: Desk, frame: Frame) -> None:
        self._desk, self._frame = desk, frame

    async def of(
        self, cases: Sequence[Case], principal: Principal, language: Language, at: str | None = None
    ) -> list[Row]:
        """The rows, that of the case numbered `at` unfolded. Only these cases' words are opened."""
        texts = await self._desk.texts(cases)
        return [
            self._row(case, text, principal, language, case.number == at)
            for case, text in zip(cases, texts, strict=True)
        ]

    def _row(self, case: Case, text: str | None, principal: Principal, language: Language, unfolded: bool) -> Row:
        organisation, label = self._frame.organisation, self._frame.label
        promise = promise_of(case, language, self._frame.now())
        row = Row(
            case,
            tail=case.number.partition("-")[2],
            mark=mark_of(case.state, promise is not None and promise.state == "late"),
            promise=promise,
            first=" ".join(text[: 2 * FIRST].split())[:FIRST] if text else text,
            lang="zh-CN" if script_of((text or "")[:FIRST]) == "zh" else "en",
            category=label(organisation.categories, case.category, language),
            area=label(organisation.areas, case.area, language),
            department=label(organisation.departments, case.department, language),
            worker=number_of(case.worker) if case.worker else None,
            kept=case.department in organisation.departments,
        )
        if not unfolded:
            return row
        return replace(
            row,
            unfolded=True,
            text=text[:WHOLE] if text else text,
            cut=text is not None and len(text) > WHOLE,
            why=_why(case, row.department or case.department, organisation),
            actions=_actions(case, principal),
        )


def _why(case: Case, department: str, organisation: Organisation) -> Why:
    explanation = case.explanation
    if explanation.method in ("given", "person"):
        return Why("given" if explanation.method == "given" else "person", department, explanation.confidence, ())
    weights = weights_of(explanation, organisation)
    words = sorted(((word, weight == "heavy") for word, weight in weights.items()), key=lambda word: not word[1])
    how: Literal["nobody", "keywords"] = "nobody" if case.state == "triage" else "keywords"
    return Why(how, department, explanation.confidence, words)


def _actions(case: Case, principal: Principal) -> list[Action]:
    legal = moves(case.state)
    forms = [FORMS[move] for move in OFFERED if move in legal and principal.may(FORMS[move].permission)]
    return [Action(form.move, form.key or "", form.asks == "nothing") for form in forms]

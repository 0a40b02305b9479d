"""One case as a row of the queue, folded or unfolded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.domain.states import moves
from services.routing.handlers import Desk
from services.routing.pages.frame import Frame
from services.routing.pages.standing import Mark, Promise, mark_of, promise_of
from shared.events.routing import Explanation
from shared.http.access import Principal
from shared.text import language as script_of
from shared.web.pages import Language

FIRST = 90
"""Characters of the first words; a row has room for fewer."""

WHOLE = 2_000
"""Characters of an unfolded text; the case page has all of it."""

KEYS = {"acceptance": "a", "start": "s", "question": "q", "answer": "w", "return": "r", "reassignment": "m"}
"""The moves that the queue offers, each with its key, in the order of the buttons."""

PERMISSION = {"reassignment": "cases.reassign"}
"""What a move needs besides `cases.work`."""


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
    heaviest = _heaviest(explanation, organisation)
    words = [(word, weight >= max(heaviest.values())) for word, weight in heaviest.items()]
    words.sort(key=lambda word: not word[1])
    if explanation.method == "given":
        return Why("given", department, 1.0, ())
    if explanation.method == "person":
        return Why("person", department, 1.0, ())
    if case.state == "triage":
        return Why("nobody", department, explanation.confidence, words)
    return Why("keywords", department, explanation.confidence, words)


def _heaviest(explanation: Explanation, organisation: Organisation) -> Mapping[str, float]:
    """The words that decided, each with the most that it weighs for any category."""
    weights = dict.fromkeys(explanation.words, 0.0)
    for category in organisation.categories.values():
        for keywords in category.keywords.values():
            for word in weights.keys() & keywords.keys():
                weights[word] = max(weights[word], keywords[word])
    return weights


def _actions(case: Case, principal: Principal) -> list[Action]:
    legal = moves(case.state)
    return [
        Action(move, key, move in ("acceptance", "start"))
        for move, key in KEYS.items()
        if move in legal and principal.may("cases.work") and principal.may(PERMISSION.get(move, "cases.work"))
    ]

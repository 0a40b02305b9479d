"""What the case page shows of a case, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from services.routing.domain.advice import advise
from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Desk, Likeness, Opened
from services.routing.pages.alike import similar_of
from services.routing.pages.conversation import Item, items_of
from services.routing.pages.frame import number_of
from services.routing.pages.moving import REASONS, Form, forms_for
from services.routing.pages.reasons import runners_of, weights_of
from services.routing.pages.standing import mark_of, promise_of
from services.routing.store import Cases
from shared.clock import Clock, rfc3339
from shared.events.routing import Label
from shared.http.access import Principal
from shared.text import language as script_of
from shared.web.pages import Language, catalogue

CONTACT_REASONS = ("call-back", "visit", "verify", "deliver-answer", "other")
"""Why someone looks at a contact; intake's words for it."""

SIMILAR = 3
"""Similar cases beside the case."""

Choice = tuple[str, str]
"""A value and its label."""


class Sheet:
    """Lays a case out for whoever looks at it."""

    def __init__(self, cases: Cases, desk: Desk, likeness: Likeness, organisation: Organisation, clock: Clock) -> None:
        self._cases, self._desk, self._likeness, self._clock = cases, desk, likeness, clock
        self.organisation = organisation

    async def values(
        self,
        case: Case,
        principal: Principal,
        language: Language,
        do: str | None = None,
        said: Mapping[str, str] | None = None,
        seen: int | None = None,
        check: bool = False,
    ) -> dict[str, Any]:
        """The page's values. `do` is the move whose form is open, `said` what was written in it, `seen` the version
        that the writer had before them, `check` asks for advice on the answer."""
        opened = await self._desk.opened(case)
        weights = weights_of(case.explanation, self.organisation)
        items = items_of(case, opened, self.organisation, language, weights)
        forms = {form.move: form for form in forms_for(case, principal, opened.erased)}
        before, after = await self._cases.neighbours(case, principal.scope)
        promise = promise_of(case, language, self._clock.now())
        alike = await self._likeness.of_case(case, principal.scope)
        return {
            "case": case,
            "opened": opened,
            "items": items,
            "forms": forms,
            "form": _chosen(forms, do),
            "said": said or {},
            "missed": [item for item in items if seen is not None and item.version > seen],
            "advice": advise(said.get("text", ""), _heard(items)) if check and said else [],
            "similar": await similar_of(alike[:SIMILAR], self._desk, self.organisation, language),
            "before": before,
            "after": after,
            "promise": promise,
            "mark_shown": mark_of(case.state, promise is not None and promise.state == "late"),
            "category": self._label(self.organisation.categories, case.category, language),
            "department": self._label(self.organisation.departments, case.department, language),
            "first_receiver": self._label(self.organisation.departments, case.first_receiver, language),
            "area": self._label(self.organisation.areas, case.area, language),
            "runners": runners_of(case.explanation, self.organisation, language),
            "weights": sorted(weights.items(), key=lambda item: (item[1], item[0])),
            "answers": _answers(opened),
            "place_lang": "zh-CN" if script_of(opened.place or "") == "zh" else "en",
            "departments": _choices(self.organisation.departments, language),
            "categories": _choices(self.organisation.categories, language),
            "reasons": REASONS,
            "contact_reasons": CONTACT_REASONS if self._may_unmask(case, principal) else (),
            "reach": _reach(case),
            "channel": _known(language, "channel", case.channel) or case.channel,
            "deadline_iso": rfc3339(case.deadline) if case.deadline else None,
            "said_move": do,
            "may_see_deliveries": principal.may("deliveries.read"),
            "number_of": number_of,
            "reason_words": lambda code: _known(language, "case.reason", code) or code,
            "method": _known(language, "case.method", case.explanation.method) or case.explanation.method,
        }

    def label(self, department: str, language: Language) -> str:
        """A department's name; of one that the organisation no longer has, its id."""
        return self._label(self.organisation.departments, department, language) or department

    def _label(self, known: Mapping[str, Any], id: str | None, language: Language) -> str | None:
        return getattr(known[id].label, language) if id and id in known else id

    def _may_unmask(self, case: Case, principal: Principal) -> bool:
        hidden = case.anonymous and not principal.scope.everything
        return bool(case.contact_kinds) and principal.may("contact.unmask") and not hidden


def _chosen(forms: Mapping[str, Form], do: str | None) -> Form | None:
    """The form that is open: the one asked for, else that of the answer, if there is one."""
    form = forms.get(do or "answer")
    return form if form and form.asks != "nothing" else None


def _heard(items: list[Item]) -> list[str]:
    """What the citizen has said since they were last answered."""
    heard: list[str] = []
    for item in items:
        if item.did == "answered":
            heard.clear()
        elif item.paper == "citizen" and item.pieces:
            heard.append("".join(piece.text for piece in item.pieces))
    return heard


def _answers(opened: Opened) -> list[Choice]:
    """What the form asked besides, and what was answered."""
    try:
        found = from_json(opened.answers or "{}")
    except ValueError:
        return []
    return [(str(name), str(value)) for name, value in found.items()] if isinstance(found, dict) else []


def _choices(known: Mapping[str, Any], language: Language) -> list[Choice]:
    """Every id with its label, what lies below another one after it and set in."""
    below: dict[str | None, list[str]] = {}
    for id, place in known.items():
        below.setdefault(place.parent if place.parent in known else None, []).append(id)
    choices: list[Choice] = []

    def add(parent: str | None, depth: int) -> None:
        for id in below.get(parent, ()):
            label: Label = known[id].label
            choices.append((id, "\u3000" * depth + getattr(label, language)))
            add(id, depth + 1)

    add(None, 0)
    return choices


def _known(language: Language, family: str, word: str) -> str | None:
    """The catalogue's words for what the API may also give in others."""
    return catalogue(language).get(f"{family}.{word}")


def _reach(case: Case) -> str:
    """How the citizen hears of an answer."""
    if case.historic:
        return "historic"
    if "email" in case.contact_kinds:
        return "email"
    return "phone" if "phone" in case.contact_kinds else "page"

"""Similar cases beside a case or a call: what they say, who has them, how it went, and an answer to borrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.routing.domain.case import Case
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Alike, Desk
from shared.text import language as script_of
from shared.web.pages import Language


@dataclass(frozen=True, slots=True)
class Similar:
    """One of them. `words` is None where they were erased; `answered`: there is an answer to borrow."""

    case: Case
    words: str | None
    lang: str
    department: str
    metres: int | None
    answered: bool


async def similar_of(
    found: Sequence[Alike], desk: Desk, organisation: Organisation, language: Language
) -> list[Similar]:
    """The cases with their first words, in the order given."""
    texts = await desk.texts([one.case for one in found])
    return [_similar(one, text, organisation, language) for one, text in zip(found, texts, strict=True)]


def _similar(one: Alike, text: str | None, organisation: Organisation, language: Language) -> Similar:
    department = organisation.departments.get(one.case.department)
    return Similar(
        one.case,
        one.first_words(text),
        "zh-CN" if script_of(text or "") == "zh" else "en",
        getattr(department.label, language) if department else one.case.department,
        None if one.metres is None else 10 * round(one.metres / 10),
        one.case.answered,
    )

"""Why a case is where it is: the runners-up, and the words of the citizen that decided it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.routing.classifier import forms_of
from services.routing.domain.organisation import Organisation
from shared.events.routing import Explanation
from shared.web.pages import Language


@dataclass(frozen=True, slots=True)
class Runner:
    """A category with its points, and its share of all points in percent."""

    label: str
    department: str
    points: float
    share: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `weight` is "" for what decided nothing, else "light" or "heavy"."""

    text: str
    weight: str = ""


def runners_of(explanation: Explanation, organisation: Organisation, language: Language) -> list[Runner]:
    """The categories that were in question, the strongest first; those that the organisation no longer has, by id."""
    whole = sum(explanation.scores.values()) or 1.0
    runners = []
    for id, points in sorted(explanation.scores.items(), key=lambda item: -item[1]):
        category = organisation.categories.get(id)
        department = organisation.departments.get(category.department) if category else None
        runners.append(
            Runner(
                getattr(category.label, language) if category else id,
                getattr(department.label, language) if department else "",
                points,
                round(100 * points / whole),
            )
        )
    return runners


def weights_of(explanation: Explanation, organisation: Organisation) -> Mapping[str, str]:
    """The words that decided, each `heavy` (at least as heavy as they are on average) or `light`."""
    heaviest: dict[str, float] = dict.fromkeys(explanation.words, 0.0)
    for category in organisation.categories.values():
        for keywords in category.keywords.values():
            for word in heaviest.keys() & keywords.keys():
                heaviest[word] = max(heaviest[word], keywords[word])
    mean = sum(heaviest.values()) / len(heaviest) if heaviest else 0.0
    return {word: "heavy" if weight >= mean else "light" for word, weight in heaviest.items()}


def pieces_of(text: str, weights: Mapping[str, str]) -> list[Piece]:
    """The text cut at the words that decided, in its order and whole."""
    if not weights:
        return [Piece(text)]
    named = {f"w{number}": word for number, word in enumerate(sorted(weights, key=len, reverse=True))}
    pattern = re.compile("|".join(f"(?P<{name}>{_written(word)})" for name, word in named.items()), re.IGNORECASE)
    pieces, end = [], 0
    for match in pattern.finditer(text):
        if match.start() > end:
            pieces.append(Piece(text[end : match.start()]))
        pieces.append(Piece(match[0], weights[named[match.lastgroup or ""]]))
        end = match.end()
    return [*pieces, Piece(text[end:])] if end < len(text) else pieces


def _written(word: str) -> str:
    """A pattern for a keyword as people write it: a Chinese one anywhere, an English one as whole words."""
    if not word.isascii():
        return re.escape(word)
    return rf"(?<![a-z0-9])(?:{'|'.join(_spaced(forms_of(word)))})(?![a-z0-9])"


def _spaced(forms: Iterable[str]) -> list[str]:
    return [r"[^a-z0-9]+".join(map(re.escape, form.split(" "))) for form in sorted(forms, key=len, reverse=True)]

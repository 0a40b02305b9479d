"""How alike two cases are: by the rare words that both have, and how near they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import asin, cos, log, radians, sin, sqrt

from shared.events.intake import Point

COMMON = 1_000
"""A word that so many cases have says nothing about any of them; counting ends here."""

ALIKE = 0.2
"""From here on two cases are alike: the share of a text's weight that the other one has too."""

NEAR = 500.0
"""Metres. What lies nearer counts for more."""

CLOSER = 1.25
"""How much more."""

EARTH = 6_371_000.0


def weights_of(counts: Mapping[str, int]) -> Mapping[str, float]:
    """What each word of a text weighs, from how many cases have it: the rarer the more, nothing where nobody has it."""
    return {word: log(COMMON / count) for word, count in counts.items() if 0 < count < COMMON}


def likeness(weights: Mapping[str, float], words: Iterable[str]) -> float:
    """The share of the weight that lies on words of the other case, 0 to 1. One word alone makes nothing alike."""
    shared = weights.keys() & set(words)
    whole = sum(weights.values())
    return sum(weights[word] for word in shared) / whole if whole and len(shared) > 1 else 0.0


def metres(one: Point, other: Point) -> float:
    """The distance along the surface of the earth."""
    phi, psi = radians(one.lat), radians(other.lat)
    across, along = sin((psi - phi) / 2), sin(radians(other.lon - one.lon) / 2)
    return 2 * EARTH * asin(min(1.0, sqrt(across**2 + cos(phi) * cos(psi) * along**2)))

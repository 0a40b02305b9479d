"""Text as people write it: made safe without changing what it says, told apart by script, cut into words."""

from __future__ import annotations

import re
import unicodedata

UNREADABLE = re.compile("[\x00\ud800-\udfff]")
"""What is no text at all: refused, never repaired."""

INVISIBLE = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Controls, bidirectional overrides and zero-width characters that only hide things."""

MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""Combining marks beyond what any language stacks on one letter."""

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+")
LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+")
TOKENS = re.compile(f"({HAN.pattern})|([0-9A-Za-zÀ-ÖØ-öø-ÿ]+)")


def clean(text: str) -> str:
    """`text` in NFC, with line breaks as \\n, without invisible controls and without ends of white space.

    Raises ValueError("unreadable") for NUL and lone surrogates.
    """
    if UNREADABLE.search(text):
        raise ValueError("unreadable")
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return MARKS.sub(r"\1", INVISIBLE.sub("", text)).strip()


def language(text: str) -> str:
    """`zh` or `en`, by script: a Han character weighs as much as a Latin word."""
    han = sum(len(run) for run in HAN.findall(text))
    return "zh" if han and han >= len(LATIN.findall(text)) else "en"


def words(text: str) -> list[str]:
    """Han runs as overlapping pairs (a single character stays one), Latin words and numbers in lower case."""
    found: list[str] = []
    for han, latin in TOKENS.findall(text):
        if latin:
            found.append(latin.lower())
        elif len(han) == 1:
            found.append(han)
        else:
            found.extend(han[i : i + 2] for i in range(len(han) - 1))
    return found

"""Text as people write it: made safe without changing what it says, told apart by script, cut into words."""

from __future__ import annotations

import re
import unicodedata
from operator import add

LONGEST = 20_000
"""Characters of a text, unless its field says otherwise."""

HEAVIEST = 64 * 1024
"""Bytes of a text in UTF-8, unless its field says otherwise."""

MARKS = 8
"""Combining marks on one letter; no language stacks as many."""

UNREADABLE = re.compile("[\x00\ud800-\udfff]")
"""What is no text at all: refused, never repaired."""

BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")

INVISIBLE = re.compile(
    "[\x01-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    # A joiner that makes one emoji of two stays.
    "|\u200d(?![\u2600-\u27bf\U0001f000-\U0001faff])"
)
"""Controls, bidirectional overrides and zero-width characters, which only hide things."""

STARTERS = re.compile("[^\x00-\u02ff\u2e80-\u3029\u3030-\u3098\u309b-\ua66e\uac00-\ud7ff\uff00-\uffff]{9,}")
"""Runs long enough to hold more than `MARKS` combining marks, outside the blocks that have none."""

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+")
LATIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ɏ]+")
TOKENS = re.compile(f"({HAN.pattern})|([0-9A-Za-zÀ-ÖØ-öø-ɏ]+)")


def clean(text: str, max_chars: int = LONGEST, max_bytes: int = HEAVIEST) -> str:
    """`text` in NFC, with line breaks as \\n, without invisible controls and without white space at its ends.

    Raises ValueError with a code as its message: `unreadable` for NUL and lone surrogates, `too_long` for more
    characters or bytes than allowed. An empty text is none of its business.
    """
    if UNREADABLE.search(text):
        raise ValueError("unreadable")
    text = INVISIBLE.sub("", BREAKS.sub("\n", text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", STARTERS.sub(_unstacked, text))
    text = text.strip()
    if len(text) > max_chars or (len(text) * 4 > max_bytes and len(text.encode()) > max_bytes):
        raise ValueError("too_long")
    return text


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
            found.extend(map(add, han, han[1:]))
    return found


def _unstacked(run: re.Match[str]) -> str:
    """The run without the combining marks beyond `MARKS` in a row, whose order would take quadratic time to settle."""
    kept: list[str] = []
    marks = 0
    for character in run[0]:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks <= MARKS:
            kept.append(character)
    return "".join(kept)

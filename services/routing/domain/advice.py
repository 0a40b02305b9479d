"""What might make an answer better. Only what can be counted is said; nothing here ever holds an answer back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Code = Literal["time", "no-time", "questions", "hard", "plain", "long", "short"]

SHORT, LONG = 12, 500
"""Characters from which an answer is not short any more, and beyond which it is long. English ones count a third."""

TIME = re.compile(
    r"\d{1,2}\s*[月日号点时:：]|\d+\s*(?:个?工作日|天|小时|周|个月)|[今明后][天日早晚]|[本下]?[周月](?:[一二三四五六日内底初]|前)"
    r"|星期[一二三四五六日天]|上午|下午|[一二两三四五六七八九十]+(?:个?工作日|天|小时|周|个月)内?"
    r"|\b(?:today|tonight|tomorrow|yesterday|(?:mon|tues|wednes|thurs|fri|satur|sun)day|within|by the end"
    r"|january|february|march|april|may \d|june|july|august|september|october|november|december"
    r"|\d+ (?:hours?|days?|weeks?|months?))\b",
    re.IGNORECASE,
)

QUESTION = re.compile(r"[^。！？!?.\n]{2,60}[？?]")

HARD = (
    *("予以", "贵方", "兹", "特此", "酌情", "依法依规", "高度重视", "相关部门", "有关部门", "进一步", "切实", "妥善处理", "责成", "函复", "研判"),
    *("pursuant", "herewith", "hereby", "aforementioned", "in due course", "relevant department", "appropriate measures"),
)  # fmt: skip
"""Words that say little to someone who does not work here."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One remark. `good` is praise, `words` are quoted from the texts, `count` is how many characters there are."""

    code: Code
    good: bool
    words: tuple[str, ...] = ()
    count: int = 0


def advise(answer: str, heard: Iterable[str]) -> list[Advice]:
    """Remarks on an answer to what was `heard` from the citizen; what could be better first. None for no answer."""
    if not answer.strip():
        return []
    remarks = [Advice("time", True) if TIME.search(answer) else Advice("no-time", False)]
    if asked := tuple(match.strip() for text in heard for match in QUESTION.findall(text)):
        remarks.append(Advice("questions", False, asked[:3]))
    low = answer.lower()
    hard = tuple(word for word in HARD if word in low)
    remarks.append(Advice("hard", False, hard[:5]) if hard else Advice("plain", True))
    size = len(answer) // 3 if answer.isascii() else len(answer)
    if size < SHORT or size > LONG:
        remarks.append(Advice("short" if size < SHORT else "long", False, count=len(answer)))
    return sorted(remarks, key=lambda remark: remark.good)

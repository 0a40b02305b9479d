"""What happened on a case, step by step: who did it, in whose words, and how the case stood then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from services.routing.domain.case import Case, Message, Step
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Opened
from services.routing.pages.reasons import Piece, pieces_of
from services.routing.pages.standing import Mark, mark_of
from shared.clock import rfc3339
from shared.text import language as script_of
from shared.web.pages import Language, catalogue

Paper = Literal["citizen", "body", "note", "none"]
"""Whose words: the citizen's, the body's to the citizen, among staff, or nobody's (one soft line)."""

TO_CITIZEN = frozenset({"question", "answer", "closure"})

CITIZENS = frozenset({"case.supplemented", "case.reopened", "case.withdrawn"})
"""Steps that the citizen's own doing made."""

CAUSED = frozenset({"resumed", "closed", "reopened", "supplemented"})
"""Steps that are told differently by their cause."""

STAFF = frozenset(
    {"case.accepted", "case.started", "case.awaiting-citizen", "case.answered", "case.returned", "case.noted"}
)
"""Steps that only people take: where nobody is named, they came with an import."""

ASSIGNING = frozenset({"case.routed", "case.reassigned", "case.triaged"})
"""Steps that say who has the case from then on."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line. `who` is `citizen`, `system`, `import` or a work number; `did` the words for what was done, as a key.

    `pieces` are the words said, None where none were; `erased` where they were and cannot be read any more.
    """

    at: datetime
    iso: str
    version: int
    new_day: bool
    mark: Mark
    who: str
    did: str
    department: str
    assigns: bool
    cause: str | None
    paper: Paper
    pieces: list[Piece] | None
    lang: str
    erased: bool


def items_of(
    case: Case,
    opened: Opened,
    organisation: Organisation,
    language: Language,
    weights: Mapping[str, str],
) -> list[Item]:
    """Every step of the case, the oldest first; the citizen's first words before what they led to."""
    said = {message.version: (message, text) for message, text in zip(case.messages, opened.messages, strict=True)}
    items: list[Item] = []
    day, zone = None, organisation.calendar.zone
    for step in case.timeline:
        message, text = said.get(step.version, (None, None))
        lines = [(step, message, text)]
        if message and message.what == "feedback":
            lines = [(step, message, text), (step, None, None)]
        for _, words, written in lines:
            item = _item(step, words, written, organisation, language, weights, day, zone)
            items.append(item)
            day = step.at.astimezone(zone).date()
    return items


def _item(
    step: Step,
    message: Message | None,
    text: str | None,
    organisation: Organisation,
    language: Language,
    weights: Mapping[str, str],
    day: object,
    zone: ZoneInfo,
) -> Item:
    first = message is not None and message.what == "feedback"
    department = organisation.departments.get(step.department)
    return Item(
        at=step.at,
        iso=rfc3339(step.at),
        version=step.version,
        new_day=step.at.astimezone(zone).date() != day,
        mark=mark_of("received" if first else step.state, step.event == "case.overdue"),
        who=_who(step, message),
        did="feedback" if first else _did(step),
        department=getattr(department.label, language) if department else step.department,
        assigns=not first and step.event in ASSIGNING,
        cause=step.cause,
        paper=_paper(message),
        pieces=(pieces_of(text, weights if first else {}) if text is not None else None),
        lang="zh-CN" if script_of(text or "") == "zh" else "en",
        erased=message is not None and text is None,
    )


def _who(step: Step, message: Message | None) -> str:
    if step.by:
        return step.by
    if step.event in CITIZENS or (message and message.author == "citizen") or _heard(step):
        return "citizen"
    return "import" if step.event in STAFF else "system"


def _heard(step: Step) -> bool:
    return step.cause in ("message", "rated") and step.event in ("case.resumed", "case.closed")


def _did(step: Step) -> str:
    """`accepted`, and where the cause matters `closed.silence`."""
    event = step.event.removeprefix("case.")
    did = f"{event}.{step.cause}" if event in CAUSED and step.cause else event
    return did if f"case.did.{did}" in catalogue("zh") else "other"


def _paper(message: Message | None) -> Paper:
    if message is None:
        return "none"
    if message.author == "citizen":
        return "citizen"
    return "body" if message.what in TO_CITIZEN else "note"

"""What the page says of a case: its steps and words in order, the mark as it stood at each, and the promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from services.intake.domain import View
from shared.clock import rfc3339
from shared.events.routing import OPEN_STATES, Organisation
from shared.text import language as script_of
from shared.web.pages import Language, lasting, translate

KEPT = {"received": 1, "triage": 1, "returned": 1, "answered": 3, "closed": 4, "withdrawn": 0}
"""Sides of the mark that are kept in a state; two in every other one."""

WAITING = frozenset({"awaiting-citizen", "answered"})
"""States in which we wait for the citizen: the mark's inner square is hollow."""

WHY = frozenset({"keywords", "given", "person"})
"""Ways to choose a department that the page has words for."""

SAID = frozenset({"awaiting-citizen", "answered", "closed"})
"""States that a word of the body's leads to: the word is the step."""


@dataclass(frozen=True, slots=True)
class Promise:
    """How the deadline stands. `share` is how much of the time has passed, in percent."""

    words: str
    state: Literal["running", "paused", "late", "met"]
    share: int


def shown(seen: Mapping[str, Any], body: Organisation, language: Language, now: datetime) -> dict[str, Any]:
    """The values of the page, from the case as its submitter sees it."""
    departments = {d.id: getattr(d.label, language) for d in body.departments}
    categories = {c.id: getattr(c.label, language) for c in body.categories}
    kept = promise(seen, language, now)
    return {
        "seen": seen,
        "items": _items(seen, departments, ZoneInfo(body.time_zone)),
        "standing": _standing(seen["state"], language),
        "kept": KEPT.get(seen["state"], 2),
        "waits": seen["state"] in WAITING,
        "late": kept is not None and kept.state == "late",
        "promise": kept,
        "answered": _answered(seen),
        "department": departments.get(seen["department"]),
        "worker": work_number(seen.get("worker")),
        "category": categories.get(seen["category"]),
    }


def shortly(view: View | None, body: Organisation, language: Language) -> dict[str, Any]:
    """What of a case a receipt says, as far as it is known already: mostly, that comes a moment later."""
    departments = {d.id: getattr(d.label, language) for d in body.departments}
    categories = {c.id: getattr(c.label, language) for c in body.categories}
    return {
        "department": departments.get(view.department or "") if view else None,
        "category": categories.get(view.category or "") if view else None,
        "deadline": view.deadline if view else None,
    }


def promise(seen: Mapping[str, Any], language: Language, now: datetime) -> Promise | None:
    """How the deadline of a case stands in words; None where none was promised or nothing is left to say."""
    due, state = seen["deadline"], seen["state"]
    if due is None:
        return None
    if answered := _answered(seen):
        key = "deadline.early" if answered <= due else "deadline.late"
        return Promise(translate(language, key, time=lasting(language, abs(due - answered))), "met", 100)
    if state not in OPEN_STATES:
        return None
    if state == "awaiting-citizen":
        return Promise(translate(language, "deadline.paused"), "paused", 0)
    if now > due:
        return Promise(translate(language, "deadline.late", time=lasting(language, now - due)), "late", 100)
    whole = max((due - seen["received_at"]).total_seconds(), 1)
    passed = (now - seen["received_at"]).total_seconds()
    words = translate(language, "deadline.left", time=lasting(language, due - now))
    return Promise(words, "running", max(0, min(100, round(100 * passed / whole))))


def work_number(id: str | None) -> str | None:
    """By which the citizen can name who works on it; a program that acts by a key has none."""
    return id if id and id.isdecimal() else None


def tongue(text: str) -> str:
    """The `lang` of what a person wrote, by its script."""
    return "zh-CN" if script_of(text) == "zh" else "en"


def _why(why: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """How a department was chosen: the catalogue's key, and the words that were weighed, each with its `lang`."""
    if why is None or why["method"] not in WHY:
        return None
    return {"key": f"why.{why['method']}", "words": [(word, tongue(word)) for word in why["words"]]}


def _standing(state: str, language: Language) -> tuple[str, str]:
    """The state's words in two lines: how it stands, and what it waits for, if anything."""
    stands, comma, waits = translate(language, f"state.{state}").partition("，" if language == "zh" else ", ")
    return (stands, waits[:1].upper() + waits[1:]) if comma else (stands, "")


def _answered(seen: Mapping[str, Any]) -> datetime | None:
    """When the answer that stands was given."""
    if seen["state"] not in ("answered", "closed"):
        return None
    at: list[datetime] = [step["at"] for step in seen["timeline"] if step["state"] == "answered"]
    return at[-1] if at else None


def _items(seen: Mapping[str, Any], departments: Mapping[str, str], zone: ZoneInfo) -> list[dict[str, Any]]:
    """One line for each step and each word, oldest first."""
    by_staff = {message["at"] for message in seen["messages"] if message["from"] == "staff"}
    reached = {step["at"]: step for step in seen["timeline"] if step["state"] in SAID and step["at"] in by_staff}
    items: list[dict[str, Any]] = []
    for message in seen["messages"]:  # before the steps: at equal times a word comes before what it led to
        citizen = message["from"] == "citizen"
        step = {} if citizen else reached.get(message["at"], {})
        text = message["text"] or "—"
        words = {"at": message["at"], "words": text, "lang": tongue(text), "citizen": citizen, "by": message.get("by")}
        items.append({"state": step.get("state"), "department": step.get("department"), **words})
    items += [
        {**step, "words": None, "citizen": False}
        for step in seen["timeline"]
        if step["state"] != "received" and step is not reached.get(step["at"])
    ]
    items.sort(key=lambda item: item["at"])
    day, state, department = None, "received", None
    for item in items:
        state, department = item["state"] or state, item["department"] or department
        today = item["at"].astimezone(zone).date()
        item |= {
            "kept": KEPT.get(state, 2),
            "waits": not item["citizen"] and state in WAITING,
            "iso": rfc3339(item["at"]),
            "new_day": today != day,
            "department": departments.get(department or ""),
            "why": _why(item.get("why")),
            "by": work_number(item.get("by")),
        }
        day = today
    return items

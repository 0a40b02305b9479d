"""The organisation file: its text, checked, becomes the organisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

from services.routing.domain.calendar import MIDNIGHT, WEEKDAYS, Calendar, Span, holidays_known
from services.routing.domain.fields import Field, read_fields
from services.routing.domain.organisation import Category, Organisation
from shared.events.routing import Area, Department, Label

T = TypeVar("T")

SPAN = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)", re.ASCII)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)
LANGUAGES = ("zh", "en")
RESERVED = frozenset({"suppressed", "unspecified"})
"""What the figures call values too small to tell, and values that were not given: no id of anything."""

HOURS = 10_000
"""The longest deadline or pause, in working hours."""


def read_organisation(text: str, file: str, version: str) -> Organisation:
    """The organisation in `text`, read from `file`. Raises `Misconfigured`, one line with file, line and field."""
    top = read_fields(text, file).fields(
        ("name", "time_zone", "calendar", "reception", "confidence_bar", "deadline", "departments", "categories"),
        ("areas", "pause_cap", "silence_days", "reopen_days"),
    )
    departments = _unique(top["departments"], _department)
    _tree(departments, lambda department: department.parent)
    reception = top["reception"]
    if reception.text() not in departments:
        reception.wrong("is not one of the departments")
    hours = top["deadline"].number(0.25, HOURS)
    return Organisation(
        version=version,
        name=_label(top["name"]),
        reception=reception.text(),
        bar=top["confidence_bar"].number(0, 1),
        hours=hours,
        pause_hours=top["pause_cap"].number(0, HOURS) if "pause_cap" in top else 40.0,
        silence_days=top["silence_days"].whole(1, 365) if "silence_days" in top else 7,
        reopen_days=top["reopen_days"].whole(0, 3650) if "reopen_days" in top else 30,
        calendar=_calendar(top["calendar"], _zone(top["time_zone"])),
        departments={id: department for id, (_, department) in departments.items()},
        categories=_categories(top["categories"], {id: d for id, (_, d) in departments.items()}, hours),
        areas={id: area for id, (_, area) in _unique(top["areas"], _area).items()} if "areas" in top else {},
    )


def _unique(field: Field, read: Callable[[Field], tuple[str, T]]) -> dict[str, tuple[Field, T]]:
    """The items of a list by id, in order, each with where it stands."""
    found: dict[str, tuple[Field, T]] = {}
    for item in field.items():
        id, value = read(item)
        if id in found:
            dict(item.entries())["id"].wrong("this id is given twice")
        if id in RESERVED:
            dict(item.entries())["id"].wrong(f"the figures use {id} for something else")
        found[id] = (item, value)
    return found


def _tree(found: Mapping[str, tuple[Field, T]], parent: Callable[[T], str | None]) -> list[str]:
    """The ids, parents first. A parent must exist, and nothing may be below itself."""
    order: dict[str, None] = {}
    for id in found:
        path: list[str] = []
        above: str | None = id
        while above is not None and above not in order:
            if above in path:
                dict(found[above][0].entries())["parent"].wrong("leads back to itself")
            path.append(above)
            field, value = found[above]
            above = parent(value)
            if above is not None and above not in found:
                dict(field.entries())["parent"].wrong("this parent does not exist")
        order |= dict.fromkeys(reversed(path))
    return list(order)


def _label(field: Field) -> Label:
    words = field.fields(LANGUAGES)
    return Label(zh=words["zh"].text(), en=words["en"].text())


def _department(field: Field) -> tuple[str, Department]:
    found = field.fields(("id", "label"), ("parent", "email"))
    email = found.get("email")
    if email and not EMAIL.fullmatch(email.text()):
        email.wrong("is not an e-mail address")
    id = found["id"].identifier()
    return id, Department(
        id=id,
        parent=found["parent"].identifier() if "parent" in found else None,
        label=_label(found["label"]),
        email=email.text() if email else None,
    )


def _area(field: Field) -> tuple[str, Area]:
    found = field.fields(("id", "label"))
    id = found["id"].identifier()
    return id, Area(id=id, label=_label(found["label"]))


def _categories(field: Field, departments: Mapping[str, Department], hours: float) -> dict[str, Category]:
    """Categories, each with what its parents say where it says nothing itself."""
    read = _unique(field, _category_fields)
    done: dict[str, Category] = {}
    for id in _tree(read, lambda found: found["parent"].text() if "parent" in found else None):
        item, found = read[id]
        parent = done[found["parent"].text()] if "parent" in found else None
        if "department" in found:
            department = found["department"].text()
            if department not in departments:
                found["department"].wrong("is not one of the departments")
        elif parent:
            department = parent.department
        else:
            item.wrong("the field department is missing")
        own = parent.hours if parent else hours
        done[id] = Category(
            id=id,
            parent=parent.id if parent else None,
            label=_label(found["label"]),
            department=department,
            hours=found["deadline"].number(0.25, HOURS) if "deadline" in found else own,
            priority=_priority(found["priority"]) if "priority" in found else "normal",
            keywords=_keywords(found["keywords"]) if "keywords" in found else {},
        )
    return {id: done[id] for id in read}


def _category_fields(field: Field) -> tuple[str, dict[str, Field]]:
    found = field.fields(("id", "label"), ("parent", "department", "deadline", "priority", "keywords"))
    return found["id"].identifier(), found


def _priority(field: Field) -> Literal["normal", "high"]:
    priority = field.text()
    if priority == "high":
        return "high"
    if priority != "normal":
        field.wrong("must be normal or high")
    return "normal"


def _keywords(field: Field) -> dict[str, dict[str, float]]:
    """language → word → weight, from `{zh: {3: [路灯, …], 1: […]}, en: …}`."""
    keywords: dict[str, dict[str, float]] = {}
    for language, weights in field.fields((), LANGUAGES).items():
        words = keywords[language] = {}
        for weight, listed in weights.entries():
            if not re.fullmatch(r"\d(\.\d)?", weight, re.ASCII) or not float(weight):
                listed.wrong("a weight is a number from 0.1 to 9.9")
            for item in listed.items():
                word = item.text().lower()
                if language == "zh" and (len(word) < 2 or word.isascii()):
                    item.wrong("a Chinese keyword has at least two characters")
                if language == "en" and not re.fullmatch(r"[a-z0-9]+(?: [a-z0-9]+)*", word):
                    item.wrong("an English keyword is words of letters and digits, joined by one space")
                if word in words:
                    item.wrong("this word is given twice")
                words[word] = float(weight)
    return keywords


def _zone(field: Field) -> ZoneInfo:
    try:
        return ZoneInfo(field.text())
    except (KeyError, OSError, ValueError):
        field.wrong("is not an IANA time zone")


def _calendar(field: Field, zone: ZoneInfo) -> Calendar:
    found = field.fields(("hours",), ("country", "holidays", "working_days"))
    week: list[tuple[Span, ...]] = [()] * 7
    for weekday, spans in found["hours"].fields((), tuple(WEEKDAYS)).items():
        week[WEEKDAYS[weekday]] = _spans(spans)
    if not any(week):
        found["hours"].wrong("no day of the week has working hours")
    country = found["country"].text() if "country" in found else None
    if country and not holidays_known(country):
        found["country"].wrong("is not the code of a country whose holidays are known")
    free, worked = _days(found.get("holidays")), _days(found.get("working_days"))
    for day, item in worked.items():
        if day in free:
            item.wrong("this day is a holiday as well")
    return Calendar(zone, tuple(week), country, frozenset(free), frozenset(worked))


def _spans(field: Field) -> tuple[Span, ...]:
    spans: list[Span] = []
    for item in field.items():
        match = SPAN.fullmatch(item.text())
        if not match:
            item.wrong("working hours are written 09:00-12:00")
        first, last = (int(match[n]) * 60 + int(match[n + 1]) for n in (1, 3))
        if first >= last or last > MIDNIGHT:
            item.wrong("ends before it begins")
        if spans and first < spans[-1][1]:
            item.wrong("overlaps the hours before it")
        spans.append((first, last))
    return tuple(spans)


def _days(field: Field | None) -> dict[date, Field]:
    days: dict[date, Field] = {}
    for item in field.items() if field else ():
        try:
            day = date.fromisoformat(item.text())
        except ValueError:
            item.wrong("a day is written 2026-10-08")
        if day in days:
            item.wrong("this day is given twice")
        days[day] = item
    return days

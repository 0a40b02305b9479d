"""A small organisation, feedback, turns, and the way to a case of each state, for the tests of routing's domain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.routing.classifier import Classifier
from services.routing.domain import citizen, work
from services.routing.domain.case import Case, Turn
from services.routing.domain.organisation import Organisation
from services.routing.domain.organisation_file import read_organisation
from shared.events.envelope import Actor, Sealed
from shared.events.intake import FeedbackRated, FeedbackReceived, FeedbackSupplemented, FeedbackWithdrawn

SMALL = """\
name: {zh: 小镇, en: Small Town}
time_zone: Asia/Shanghai
reception: desk
confidence_bar: 0.5
deadline: 16
pause_cap: 8
silence_days: 7
reopen_days: 30
calendar:
  hours:
    mon: [09:00-12:00, 13:00-18:00]
    tue: [09:00-12:00, 13:00-18:00]
    wed: [09:00-12:00, 13:00-18:00]
    thu: [09:00-12:00, 13:00-18:00]
    fri: [09:00-12:00, 13:00-18:00]
  holidays: [2026-10-01]
  working_days: [2026-10-10]
departments:
  - {id: desk, label: {zh: 前台, en: Desk}, email: desk@town.example}
  - {id: works, label: {zh: 市政, en: Works}}
  - {id: lighting, parent: works, label: {zh: 路灯, en: Lighting}}
  - {id: water, parent: works, label: {zh: 供水, en: Water}}
categories:
  - id: lamps
    department: lighting
    deadline: 8
    label: {zh: 路灯, en: Lamps}
    keywords: {zh: {3: [路灯]}, en: {3: [lamp]}}
  - id: pipes
    department: water
    priority: high
    label: {zh: 水管, en: Pipes}
    keywords: {zh: {3: [水管]}, en: {3: [pipe]}}
areas:
  - {id: north, label: {zh: 城北, en: North End}}
"""

SAMPLE = Path(__file__).parents[3] / "samples" / "organisation.yaml"

MONDAY = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)
"""Nine o'clock on a working Monday in the small town."""

STAFF = Actor(kind="staff", id="worker-1")
CITIZEN = Actor(kind="citizen")
SYSTEM = Actor(kind="system")

HOUR = timedelta(hours=1)


def small_town(text: str = SMALL) -> Organisation:
    return read_organisation(text, "town.yaml", "version-1")


TOWN = small_town()


def sealed(part: str = "text", name: str = "k1") -> Sealed:
    return Sealed(key=f"{name}/{part}", nonce="n", ct="c")


def feedback(**given: Any) -> FeedbackReceived:
    fields: dict[str, Any] = {
        "at": MONDAY,
        "actor": CITIZEN,
        "number": "20260907-00000001-5",
        "channel": "portal",
        "language": "zh",
        "text": sealed(),
        "contact": sealed("contact"),
        "received_at": MONDAY,
    }
    return FeedbackReceived(**fields | given)


def turn(at: datetime = MONDAY, actor: Actor = STAFF, organisation: Organisation = TOWN) -> Turn:
    return Turn(at, actor, organisation)


def opened(words: str = "路灯", organisation: Organisation = TOWN, **given: Any) -> Case:
    """A case as `open_case` makes it of these words."""
    event = feedback(**given)
    assigned = Classifier.of(organisation).assign(words, event.category)
    return work.open_case(event, assigned, turn(event.at, SYSTEM, organisation)).case


REPLY = sealed("reply")


def at(text: str) -> datetime:
    """A moment by the small town's own clock."""
    return datetime.fromisoformat(f"{text}+08:00").astimezone(UTC)


def by(case: Case, moment: datetime) -> Turn:
    return Turn.on(case, moment, turn().actor, TOWN)


def said(moment: datetime = MONDAY) -> FeedbackSupplemented:
    return FeedbackSupplemented(at=moment, actor=CITIZEN, message=sealed())


def rated(solved: bool | None, moment: datetime = MONDAY) -> FeedbackRated:
    return FeedbackRated(at=moment, actor=CITIZEN, solved=solved)


WAYS: dict[str, Callable[[], Case]] = {
    "triage": lambda: opened("?"),
    "routed": lambda: opened(),
    "accepted": lambda: work.accept(opened(), turn()).case,
    "in-progress": lambda: work.start(WAYS["accepted"](), turn()).case,
    "awaiting-citizen": lambda: work.ask(WAYS["accepted"](), turn(), REPLY).case,
    "answered": lambda: work.answer(WAYS["accepted"](), turn(), REPLY).case,
    "closed": lambda: work.close(WAYS["answered"](), turn(), None).case,
    "returned": lambda: work.send_back(opened(), turn(), "not-ours", None).case,
    "withdrawn": lambda: citizen.withdraw(opened(), FeedbackWithdrawn(at=MONDAY, actor=CITIZEN), turn()).case,
}
"""State → how a case gets there."""

"""What routing does: one function per event, and the desk with one method per call of the staff."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.routing.classifier import Classifier
from services.routing.domain import citizen, work
from services.routing.domain.case import MESSAGES, Case, Moved, Turn
from services.routing.domain.organisation import Organisation
from services.routing.domain.terms import Terms, findable
from services.routing.store import Cases, Source
from shared.clock import Clock, rfc3339, valid_number
from shared.delivery.organisation import KEY
from shared.delivery.subscription import Context
from shared.errors import FieldError, IllegalMove, Invalid, NotFound, Stale
from shared.events.envelope import Actor, Sealed
from shared.events.intake import (
    FeedbackRated,
    FeedbackReceived,
    FeedbackReopened,
    FeedbackSupplemented,
    FeedbackWithdrawn,
)
from shared.events.routing import Explanation, OrganisationPublished
from shared.http.access import Principal, Scope
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Done
from shared.telemetry.logs import log
from shared.text import words as text_words
from shared.vault.vault import Unopenable, Vault

SYSTEM = Actor(kind="system")

TAIL = re.compile(r"(\d{8})(?:-\d)?", re.ASCII)
"""How a number ends, as the queue shows it."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a handler may know besides the case and the event."""

    organisation: Organisation
    classifier: Classifier
    terms: Terms


def open_case(case: Case | None, event: FeedbackReceived, context: Context) -> Decision[Case] | None:
    """A case for new feedback, with whoever answers and by when; below the bar a person decides."""
    if case is not None:
        return None
    knows: Knowledge = context.knows
    assigned = knows.classifier.assign(
        context.words.get("text") or "", event.category, context.words.get("place") or ""
    )
    opened = work.open_case(event, assigned, Turn(event.at, SYSTEM, knows.organisation))
    return _findable(opened, context, event.number[9:17], context.words.get("place"), context.words.get("text"))


def hear_citizen(case: Case | None, event: FeedbackSupplemented, context: Context) -> Decision[Case] | None:
    """The citizen's message ends the wait for it; in any other state it is added to the case."""
    if case is None:
        return None
    done = citizen.hear(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("message"))


def take_rating(case: Case | None, event: FeedbackRated, context: Context) -> Decision[Case] | None:
    """Solved closes an answered case, unsolved puts it back to work."""
    if case is None:
        return None
    done = citizen.rate(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("comment"))


def reopen_case(case: Case | None, event: FeedbackReopened, context: Context) -> Decision[Case] | None:
    """Back to work, where the state and the organisation's days allow it."""
    if case is None:
        return None
    done = citizen.reopen(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("reason"))


def withdraw_case(case: Case | None, event: FeedbackWithdrawn, context: Context) -> Decision[Case] | None:
    """The end of every open case."""
    if case is None:
        return None
    done = citizen.withdraw(case, event, _turn(case, event.at, event.actor, context))
    return _findable(done, context, context.words.get("reason"))


def fire_timer(case: Case, context: Context) -> Decision[Case] | None:
    """Overdue, the pause's cap, or silence: what is due now, once."""
    done = work.fire(case, _turn(case, context.now, SYSTEM, context))
    return _decision(done) if done else None


@dataclass(frozen=True, slots=True)
class Foretold:
    """Where words would go if they were sent now. `department` None: a person would decide."""

    category: str | None
    department: str | None
    deadline: datetime
    explanation: Explanation


Foreteller = Callable[[str, str], Foretold | None]
"""Foretells from a text and a place; None where nothing was written."""


def foretelling(knowledge: Knowledge, clock: Clock) -> Foreteller:
    """A foreteller that decides as `open_case` does, and keeps nothing."""

    def foretell(text: str, place: str) -> Foretold | None:
        if not text.strip():
            return None
        assigned = knowledge.classifier.assign(text, None, place)
        organisation = knowledge.organisation
        deadline = organisation.calendar.add(clock.now(), organisation.budget(assigned.category))
        return Foretold(assigned.category, assigned.department, deadline, assigned.explanation)

    return foretell


async def announce_organisation(sources: Documents[Source], organisation: Organisation, clock: Clock) -> None:
    """Tell the other services, if the file is not the one announced last."""

    def decide(kept: Kept[Source] | None) -> Decision[Source] | None:
        if kept and kept.value.version == organisation.version:
            return None
        event = OrganisationPublished(
            at=clock.now(),
            actor=SYSTEM,
            organisation_version=organisation.version,
            content=organisation.published(),
        )
        return Decision(Source(organisation.version, kept.value.scheduled if kept else None), (event,))

    await sources.change(KEY, decide)


async def reschedule_cases(cases: Cases, sources: Documents[Source], organisation: Organisation, clock: Clock) -> None:
    """Bring every open case's deadline to the calendar of an organisation that is new. Begun again, it goes on."""
    source = await sources.get(KEY)
    if source is None or source.value.scheduled == organisation.version:
        return
    total = 0
    while changed := await _reschedule_once(cases, organisation, clock):
        total += changed
    if total:
        log("routing").info("deadlines follow the new calendar", cases=total)
    await sources.change(
        KEY, lambda kept: Decision(replace(kept.value, scheduled=organisation.version)) if kept else None
    )


async def _reschedule_once(cases: Cases, organisation: Organisation, clock: Clock) -> int:
    """One way through the open cases, a commit a page; how many changed. Moved ones may be met again, unchanged."""

    def decide(kept: Kept[Case] | None) -> Decision[Case] | None:
        if kept is None:
            return None
        done = work.reschedule(kept.value, Turn.on(kept.value, clock.now(), SYSTEM, organisation))
        return _decision(done) if done else None

    changed, cursor = 0, None
    while True:
        page, cursor = await cases.with_deadline(cursor)
        decided = [(kept, decision) for kept in page if (decision := decide(kept))]
        outcomes = await cases.documents.write([cases.documents.replace(*each) for each in decided]) if decided else []
        for (kept, _), outcome in zip(decided, outcomes, strict=True):
            if not isinstance(outcome, Done):
                await cases.documents.change(kept.id, decide)
        changed += len(decided)
        if cursor is None:
            return changed


@dataclass(frozen=True, slots=True)
class Past:
    """A move that an importer tells of: `worker` made it at `at`, and it emits one of `events`.

    A case that has such an event at that very moment has heard of it before, and stays as it is.
    """

    at: datetime
    worker: str | None
    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Call:
    """Who does something to which case, as it was found for them, and the version of it that they have seen.

    With `past` the version is not looked at."""

    principal: Principal
    found: Kept[Case]
    version: int
    past: Past | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The words on a case, its messages' in their order. `erased`: the key is destroyed, so there are none."""

    place: str | None
    answers: str | None
    messages: tuple[str | None, ...]
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A page of what was searched for. `too_short`: single characters were left out, nothing is found by them."""

    page: Sequence[Kept[Case]]
    next: str | None
    too_short: bool = False


class Desk:
    """What staff do. Every method answers the case as it is kept then, or raises `NotFound` (it left the scope),
    `Stale` (it is not at the version seen), `IllegalMove`, or `Invalid` (a field)."""

    def __init__(self, cases: Cases, vault: Vault, organisation: Organisation, clock: Clock, terms: Terms) -> None:
        self._cases = cases
        self._terms = terms
        self._vault = vault
        self._organisation = organisation
        self._clock = clock

    async def accept(self, call: Call) -> Kept[Case]:
        return await self._move(call, work.accept)

    async def start(self, call: Call) -> Kept[Case]:
        return await self._move(call, work.start)

    async def send_back(self, call: Call, reason_code: str, reason: str | None) -> Kept[Case]:
        sealed = await self._seal(call, "reason", reason) if reason else None
        return await self._move(call, lambda case, turn: work.send_back(case, turn, reason_code, sealed))

    async def reassign(self, call: Call, department: str, category: str | None, reason: str | None) -> Kept[Case]:
        unknown = []
        if department not in self._organisation.departments:
            unknown.append(FieldError("/department", "unknown"))
        if category is not None and category not in self._organisation.categories:
            unknown.append(FieldError("/category", "unknown"))
        if unknown:
            raise Invalid(unknown)
        sealed = await self._seal(call, "reason", reason) if reason else None
        return await self._move(call, lambda case, turn: work.reassign(case, turn, department, category, sealed))

    async def ask(self, call: Call, text: str) -> Kept[Case]:
        sealed = await self._seal(call, "text", text)
        return await self._move(call, lambda case, turn: work.ask(case, turn, sealed))

    async def resume(self, call: Call) -> Kept[Case]:
        return await self._move(call, work.resume)

    async def answer(self, call: Call, text: str) -> Kept[Case]:
        sealed = await self._seal(call, "text", text)
        return await self._move(call, lambda case, turn: work.answer(case, turn, sealed))

    async def close(self, call: Call, text: str | None) -> Kept[Case]:
        sealed = await self._seal(call, "text", text) if text else None
        return await self._move(call, lambda case, turn: work.close(case, turn, sealed))

    async def note(self, call: Call, text: str) -> Kept[Case]:
        """Refused on a case that is full of messages; whatever moves a case never is."""
        sealed = await self._seal(call, "text", text)

        def noted(case: Case, turn: Turn) -> Moved:
            if len(case.messages) >= MESSAGES:
                raise Invalid([FieldError("/text", "too-many-messages")])
            return work.note(case, turn, sealed)

        return await self._move(call, noted)

    async def opened(self, case: Case) -> Opened:
        """The words on a case. What was erased, or cannot be opened, is None: it must not hide the rest."""
        keys = (await self._vault.fetch([case.key_name])).get(case.key_name)

        def words(sealed: Sealed | None, field: str) -> str | None:
            try:
                return keys.open(sealed, field) if keys and sealed else None
            except Unopenable:
                return None

        messages = tuple(words(message.words, message.field) for message in case.messages)
        return Opened(words(case.place, "place"), words(case.answers, "answers"), messages, keys is None)

    async def search(
        self, scope: Scope, said: str, department: str | None = None, limit: int = 100, cursor: str | None = None
    ) -> Found:
        """The cases with this number, tail of a number, or all of these words, the newest first.

        Raises ValueError for a cursor that is not one of ours.
        """
        said = unicodedata.normalize("NFKC", said).strip()
        if valid_number(said):
            try:
                found = [await self._cases.by_number(said, scope)]
            except NotFound:
                found = []
            return Found(found, None)
        tail = TAIL.fullmatch(said)
        words = [tail[1]] if tail else text_words(said)
        known = findable(words)
        terms = self._terms.asked(known)
        if not terms:
            return Found([], None, too_short=bool(words))
        page, after = await self._cases.search(scope, terms, department, limit, cursor)
        if tail:
            page = [kept for kept in page if f"-{tail[0]}" in kept.value.number]
        return Found(page, after, too_short=len(known) < len(words))

    async def texts(self, cases: Sequence[Case]) -> list[str | None]:
        """What the citizen said first, of each of these cases, with one look at the vault; None as in `opened`."""
        keys = await self._vault.fetch([case.key_name for case in cases])

        def text(case: Case) -> str | None:
            said = case.messages[0] if case.messages else None
            try:
                return keys[case.key_name].open(said.words, said.field) if said and case.key_name in keys else None
            except Unopenable:
                return None

        return [text(case) for case in cases]

    async def _move(self, call: Call, move: Callable[[Case, Turn], Moved]) -> Kept[Case]:
        past = call.past
        actor = Actor(kind="import", id=past.worker) if past else Actor(kind="staff", id=call.principal.id)

        def decide(kept: Kept[Case]) -> Decision[Case] | None:
            case = kept.value
            if past is None and case.version != call.version:
                raise _stale(case, call.version)
            if past and _heard_of(case, past):
                return None
            at = past.at if past else self._clock.now()
            return _decision(move(case, Turn.on(case, at, actor, self._organisation)))

        return await self._cases.change(call.found.id, call.principal.scope, decide)

    async def _seal(self, call: Call, field: str, words: str) -> Sealed:
        case = call.found.value
        keys = (await self._vault.fetch([case.key_name])).get(case.key_name)
        if keys is None:  # erased: nothing can be said to or about this citizen any more
            raise IllegalMove(case.state, ())
        return keys.seal("reply", field, words)


def _heard_of(case: Case, past: Past) -> bool:
    """Whether the case knows a move from the past. Raises `Invalid` where its time has gone on since."""
    if any(step.at == past.at and step.event in past.events for step in case.timeline):
        return True
    if case.changed_at and past.at < case.changed_at:
        raise Invalid([FieldError("/at", "before_the_last")])
    return False


def _stale(case: Case, seen: int) -> Stale:
    """What the caller has missed since the version they saw."""
    missed = [
        {"version": s.version, "event": s.event, "at": rfc3339(s.at), "state": s.state, "department": s.department}
        for s in case.timeline
        if s.version > seen
    ]
    return Stale(None, version=case.version, changed=missed)


def _turn(case: Case, at: datetime, actor: Actor, context: Context) -> Turn:
    knows: Knowledge = context.knows
    return Turn.on(case, at, actor, knows.organisation)


def _findable(done: Moved, context: Context, *said: str | None) -> Decision[Case]:
    """The decision, with the case found by what was said too."""
    knows: Knowledge = context.knows
    words = knows.terms.with_words(done.case.words, *said)
    return _decision(replace(done, case=replace(done.case, words=words)))


def _decision(done: Moved) -> Decision[Case]:
    return Decision(done.case, (done.event,))

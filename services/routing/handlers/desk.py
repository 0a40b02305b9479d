"""The desk: one method per call of the staff."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.routing.domain import work
from services.routing.domain.case import MESSAGES, WORDS, Case, Moved, Turn
from services.routing.domain.organisation import Organisation
from services.routing.domain.terms import Terms, findable
from services.routing.handlers.cases import decision_of
from services.routing.store import Cases
from shared.clock import Clock, rfc3339, valid_number
from shared.errors import FieldError, IllegalMove, Invalid, NotFound, Stale
from shared.events.envelope import Actor, Sealed
from shared.http.access import Principal, Scope
from shared.store.documents import Decision, Kept
from shared.text import words as text_words
from shared.vault.vault import Unopenable, Vault

TAIL = re.compile(r"(\d{8})(?:-\d)?", re.ASCII)
"""How a number ends, as the queue shows it."""


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
            return decision_of(move(case, Turn.on(case, at, actor, self._organisation)))

        return await self._cases.change(call.found.id, call.principal.scope, decide)

    async def _seal(self, call: Call, field: str, words: str) -> Sealed:
        case = call.found.value
        keys = (await self._vault.fetch([case.key_name])).get(case.key_name)
        if keys is None:  # erased: nothing can be said to or about this citizen any more
            raise IllegalMove(case.state, ())
        sealed = keys.seal("reply", field, words)
        if case.written + len(sealed.ct) > WORDS:
            raise Invalid([FieldError(f"/{field}", "too_many_words")])
        return sealed


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

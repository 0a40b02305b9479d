"""Taking feedback in: one conditional insert of document and event, then the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from prometheus_client import Counter
from pydantic_core import from_json, to_json

from services.intake.domain import Feedback, is_historic
from services.intake.handlers.digests import code_hash, fingerprint, key_hash
from services.intake.store import Feedbacks
from shared.clock import Clock, Ids
from shared.delivery.organisation import OrganisationCopy
from shared.errors import Busy, FieldError, Invalid
from shared.events.envelope import Actor
from shared.events.intake import FeedbackReceived, Kind, Point
from shared.store.documents import Decision, Kept
from shared.store.port import Conflict, Done, Duplicate, Insert
from shared.telemetry.failpoints import failpoint
from shared.telemetry.metrics import ACCEPTED, REPEATED
from shared.text import language as language_of
from shared.vault.vault import Vault, key_name

CITIZEN = Actor(kind="citizen")


@dataclass(frozen=True, slots=True)
class Submission:
    """What was submitted, checked and cleaned. `canonical` is what makes two submissions of one `key` the same one."""

    text: str
    channel: str
    canonical: Mapping[str, Any]
    kind: Kind | None = None
    category: str | None = None
    language: str | None = None
    place: str | None = None
    point: Point | None = None
    contact: Mapping[str, str] | None = None
    anonymous: bool = False
    answers: Mapping[str, str] | None = None
    key: str | None = None
    scope: str = "anyone"
    received_at: datetime | None = None
    live: bool = False
    importer: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the submitter gets: the number is public, the code is the key to the case."""

    id: str
    number: str
    code: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _Draft:
    submission: Submission
    receipt: Receipt
    insert: Insert
    key_hash: str | None
    fingerprint: str | None


@cache
def _accepted(channel: str) -> Counter:
    """Looking a counter up by its label costs more than counting."""
    return ACCEPTED.labels(channel)


class Reception:
    """The way in, whatever the channel."""

    def __init__(
        self, feedbacks: Feedbacks, vault: Vault, organisation: OrganisationCopy, clock: Clock, ids: Ids
    ) -> None:
        self.feedbacks = feedbacks
        self._vault, self._organisation = vault, organisation
        self._clock, self._ids = clock, ids

    async def receive_feedback(self, submission: Submission) -> Receipt:
        """Accept one feedback: when this returns, it is on disk. Raises `Invalid`, `Busy`, `Unavailable`."""
        (outcome,) = await self.receive_many([submission])
        if isinstance(outcome, Invalid):
            raise outcome
        return outcome

    async def receive_many(self, submissions: Sequence[Submission]) -> list[Receipt | Invalid]:
        """Accept many in one commit; for each, in order, its receipt or what is wrong with it."""
        zone = await self.zone()
        waiting = dict(enumerate(submissions))
        answers: dict[int, Receipt | Invalid] = {}
        while waiting:
            drafts = {at: await self._draft(submission, zone) for at, submission in waiting.items()}
            outcomes = await self.feedbacks.write([draft.insert for draft in drafts.values()])
            repeated: dict[int, _Draft] = {}
            for (at, draft), outcome in zip(drafts.items(), outcomes, strict=True):
                match outcome:
                    case Done():
                        answers[at] = draft.receipt
                        _accepted(draft.submission.channel).inc()
                    case Duplicate("key_hash"):
                        repeated[at] = draft
                        REPEATED.labels(draft.submission.channel).inc()
                    case Duplicate() | Conflict():
                        continue  # a number was drawn twice: draw again
                waiting.pop(at)
            if repeated:
                answers.update(await self._repeat(repeated))
        failpoint("intake.accepted")
        return [answers[at] for at in range(len(submissions))]

    async def _draft(self, submission: Submission, zone: ZoneInfo) -> _Draft:
        now = self._clock.now()
        received_at = submission.received_at or now
        keys = await self._vault.draw()
        id, code = self._ids.document(), self._ids.code()
        number = self._ids.number(now.astimezone(zone).date())
        contact = {**(submission.contact or {}), "code": code}
        event = FeedbackReceived(
            at=received_at,
            actor=Actor(kind="import", id=submission.importer) if submission.importer else CITIZEN,
            number=number,
            channel=submission.channel,
            kind=submission.kind,
            category=submission.category,
            language=submission.language or language_of(submission.text),
            text=keys.seal("text", "text", submission.text),
            contact=keys.seal("contact", "contact", to_json(contact).decode()),
            contact_kinds=tuple(k for k in ("phone", "email") if (submission.contact or {}).get(k)),
            place=keys.seal("text", "place", submission.place) if submission.place else None,
            point=submission.point,
            answers=keys.seal("text", "answers", to_json(submission.answers).decode()) if submission.answers else None,
            anonymous=submission.anonymous,
            received_at=received_at,
            historic=bool(submission.importer) and is_historic(received_at, now, submission.live),
        )
        keyed = printed = None
        if submission.key is not None:
            keyed = key_hash(self._vault, submission.scope, submission.key)
            printed = fingerprint(self._vault, submission.canonical)
        feedback = Feedback(
            number=number,
            code_hash=code_hash(self._vault, code),
            channel=submission.channel,
            language=event.language,
            received_at=received_at,
            text=event.text,
            contact=event.contact,
            kind=submission.kind,
            category=submission.category,
            place=event.place,
            key_hash=keyed,
            fingerprint=printed,
            anonymous=submission.anonymous,
        )
        insert = self.feedbacks.insert(Kept(id, feedback), Decision(feedback, (event,)))
        return _Draft(submission, Receipt(id, number, code, received_at), insert, keyed, printed)

    async def _repeat(self, drafts: Mapping[int, _Draft]) -> dict[int, Receipt | Invalid]:
        """The answers that were given before under the same idempotency keys."""
        known = await self.feedbacks.by_key([d.key_hash for d in drafts.values() if d.key_hash])
        keys = await self._vault.fetch(key_name(kept.value.contact) for kept in known.values())
        answers: dict[int, Receipt | Invalid] = {}
        for at, draft in drafts.items():
            kept = known.get(draft.key_hash or "")
            if kept is None:
                raise Busy()
            if kept.value.fingerprint != draft.fingerprint:
                answers[at] = Invalid([FieldError("/header/Idempotency-Key", "used_for_another_body")])
                continue
            held = keys.get(key_name(kept.value.contact))
            code = from_json(held.open(kept.value.contact, "contact"))["code"] if held else ""
            answers[at] = Receipt(kept.id, kept.value.number, code, kept.value.received_at)
        return answers

    async def zone(self) -> ZoneInfo:
        announced = await self._organisation.current()
        if announced is None:
            raise Busy(detail="the organisation has not been announced yet")
        return ZoneInfo(announced.content.time_zone)

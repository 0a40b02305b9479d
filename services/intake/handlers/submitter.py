"""The submitter's side of the conversation: following a case with its code, adding to it, judging it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import Any

from services.intake.domain import MESSAGES, STEPS, WORDS, Feedback, Message, Repeat, Step, canonical_code
from services.intake.handlers.digests import code_hash, fingerprint, key_hash
from services.intake.handlers.reception import CITIZEN
from services.intake.store import Feedbacks, Views
from shared.clock import Clock, Ids
from shared.errors import FieldError, Invalid, NotFound
from shared.events.envelope import Actor, Event
from shared.events.intake import FeedbackRated, FeedbackReopened, FeedbackSupplemented, FeedbackWithdrawn
from shared.store.documents import Decision, Kept
from shared.vault.vault import Keys, Vault, key_name


@dataclass(frozen=True, slots=True)
class Past:
    """What an importer tells of: the submitter did it at `at`."""

    at: datetime
    importer: str


class Submitter:
    """What whoever holds a case's code may ask and say."""

    def __init__(self, feedbacks: Feedbacks, views: Views, vault: Vault, clock: Clock, ids: Ids) -> None:
        self.feedbacks, self.views = feedbacks, views
        self._vault, self._clock, self._ids = vault, clock, ids

    async def identify(self, number: str, authorization: str | None) -> Kept[Feedback]:
        """The feedback that `Authorization: Code …` opens. Wrong, unknown and misspelt are the same `NotFound`."""
        scheme, _, written = (authorization or "").partition(" ")
        code = canonical_code(written) if scheme.lower() == "code" else None
        kept = await self.feedbacks.by_code(code_hash(self._vault, code or ""))
        if code is None or kept is None or kept.value.number != number:
            raise NotFound()
        return kept

    async def status(self, kept: Kept[Feedback]) -> dict[str, Any]:
        """Where the case stands, from intake's own documents: timeline and messages, opened, oldest first."""
        feedback = kept.value
        view_kept = await self.views.get(kept.id)
        view = view_kept.value if view_kept else None
        keys = (await self._vault.fetch([key_name(feedback.text)])).get(key_name(feedback.text))

        def opened(sealed: Any, field: str) -> str | None:
            return keys.open(sealed, field) if keys else None

        messages: list[dict[str, Any]] = [
            {"at": feedback.received_at, "from": "citizen", "text": opened(feedback.text, "text")}
        ]
        messages += [{"at": m.at, "from": "citizen", "text": opened(m.message, "message")} for m in feedback.messages]
        messages += [
            {"at": m.at, "from": "staff", "text": opened(m.text, "text"), "by": m.by}
            for m in (view.messages if view else ())
        ]
        messages.sort(key=itemgetter("at"))
        steps = view.timeline if view else (Step(feedback.received_at, "received", None),)
        timeline = [
            {"at": step.at, "state": step.state, "department": step.department, "due": step.deadline, "by": step.by}
            | ({"why": {"method": step.why, "words": step.words}} if step.why else {})
            for step in steps
        ]
        return {
            "number": feedback.number,
            "state": view.state if view else "received",
            "kind": view.kind if view else feedback.kind,
            "category": view.category if view else feedback.category,
            "department": view.department if view else None,
            "deadline": view.deadline if view else None,
            "worker": view.worker if view else None,
            "received_at": feedback.received_at,
            "place": opened(feedback.place, "place") if feedback.place else None,
            "timeline": timeline,
            "messages": messages,
        }

    async def add_message(
        self, kept: Kept[Feedback], text: str, key: str | None = None, past: Past | None = None
    ) -> str:
        """Keep a message; its id."""
        id = self._ids.document()

        def decide(feedback: Feedback, keys: Keys) -> Decision[Feedback]:
            if len(feedback.messages) >= MESSAGES:
                raise Invalid([FieldError("/text", "too_many_messages")])
            at, actor = self._when(past)
            sealed = keys.seal("text", "message", text)
            added = replace(feedback, messages=(*feedback.messages, Message(id, at, sealed)))
            return Decision(added, (FeedbackSupplemented(at=at, actor=actor, message=sealed),))

        return await self._act(kept, "messages", {"text": text}, key, decide, id) or id

    async def rate(
        self, kept: Kept[Feedback], verdict: Mapping[str, Any], key: str | None = None, past: Past | None = None
    ) -> None:
        """Keep the submitter's verdict."""

        def decide(feedback: Feedback, keys: Keys) -> Decision[Feedback]:
            comment = verdict.get("comment")
            at, actor = self._when(past)
            event = FeedbackRated(
                at=at,
                actor=actor,
                contacted=verdict.get("contacted"),
                solved=verdict.get("solved"),
                satisfaction=verdict.get("satisfaction"),
                comment=keys.seal("text", "comment", comment) if comment else None,
            )
            return Decision(feedback, (event,))

        await self._act(kept, "rating", verdict, key, decide)

    async def reopen(
        self, kept: Kept[Feedback], reason: str | None, key: str | None = None, past: Past | None = None
    ) -> None:
        """Keep that the submitter says it is not settled."""
        await self._say(kept, "reopening", FeedbackReopened, reason, key, past)

    async def withdraw(
        self, kept: Kept[Feedback], reason: str | None, key: str | None = None, past: Past | None = None
    ) -> None:
        """Keep that the submitter takes it back."""
        await self._say(kept, "withdrawal", FeedbackWithdrawn, reason, key, past)

    def _when(self, past: Past | None) -> tuple[datetime, Actor]:
        """The moment something is done, and by whom: now by the citizen, unless an importer tells of it."""
        return (past.at, Actor(kind="import", id=past.importer)) if past else (self._clock.now(), CITIZEN)

    async def _say(
        self,
        kept: Kept[Feedback],
        what: str,
        event: type[FeedbackReopened] | type[FeedbackWithdrawn],
        reason: str | None,
        key: str | None,
        past: Past | None,
    ) -> None:
        def decide(feedback: Feedback, keys: Keys) -> Decision[Feedback]:
            sealed = keys.seal("text", "reason", reason) if reason else None
            at, actor = self._when(past)
            said: Event = event(at=at, actor=actor, reason=sealed)
            return Decision(feedback, (said,))

        await self._act(kept, what, {"reason": reason}, key, decide)

    async def _act(
        self,
        kept: Kept[Feedback],
        what: str,
        body: Mapping[str, Any],
        key: str | None,
        decide: Callable[[Feedback, Keys], Decision[Feedback]],
        id: str | None = None,
    ) -> str | None:
        """Change the feedback under its guard, once per idempotency key; the id that was answered for the key."""
        name = key_name(kept.value.text)
        keys = (await self._vault.fetch([name])).get(name)
        if keys is None:
            raise NotFound()
        keyed = key_hash(self._vault, what, key)[:32] if key is not None else None
        printed = fingerprint(self._vault, body)
        answered: list[str | None] = [id]

        def guarded(now: Kept[Feedback] | None) -> Decision[Feedback] | None:
            if now is None:
                raise NotFound()
            if keyed and (before := now.value.repeats.get(keyed)):
                if before.fingerprint != printed:
                    raise Invalid([FieldError("/header/Idempotency-Key", "used_for_another_body")])
                answered[0] = before.id
                return None
            if now.sequence >= STEPS:
                raise Invalid([FieldError("/", "too_many_steps")])
            written = now.value.written + sum(len(said.encode()) for said in body.values() if isinstance(said, str))
            if written > WORDS:
                raise Invalid([FieldError("/", "too_many_words")])
            decision = decide(now.value, keys)
            repeats = {**decision.value.repeats, keyed: Repeat(printed, id)} if keyed else decision.value.repeats
            return Decision(replace(decision.value, repeats=repeats, written=written), decision.emit)

        await self.feedbacks.change(kept.id, guarded)
        return answered[0]

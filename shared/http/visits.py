"""Sessions as the `access` store keeps them: an unguessable token in a cookie, its digest here, revoked by deleting."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.clock import Clock, Ids, Moment
from shared.errors import Busy, Unavailable
from shared.http.people import Person
from shared.http.remembered import digest_of
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, Delete, DocumentStore, Done, Index, Query

SESSIONS = Collection("sessions", "record", unique=("hash",), indexes=(Index(("person", "created_at")),), urgent=True)

IDLE = timedelta(hours=12)
WHOLE = timedelta(days=7)
"""A session ends after so long without a request, and after so long at all."""

TOUCHED = timedelta(minutes=10)
"""How exactly it is known when a session was last used."""

AGENT = 160
"""Characters kept of what the browser calls itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in on one browser. `csrf` stands in the forms of its pages. `agent` is what the browser calls itself."""

    hash: str
    person: str
    csrf: str
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment
    agent: str = ""


class Sessions:
    """The sessions of the `access` store. `changed` is called whenever one ends, so that it is believed no longer."""

    def __init__(self, store: DocumentStore, ids: Ids, clock: Clock, changed: Callable[[], None]) -> None:
        self._documents = Documents(store, SESSIONS, Session, clock)
        self._changed = changed
        self._ids, self._clock = ids, clock

    async def begin(self, person: Person, agent: str = "") -> tuple[str, Kept[Session]]:
        """A new session and its token, told this once. The person's sessions that have run out are cleared away."""
        now = self._clock.now()
        token, csrf = (base64.urlsafe_b64encode(self._ids.token(32)).decode().rstrip("=") for _ in range(2))
        session = Session(digest_of(token).hex(), person.number, csrf, now, now, now + WHOLE, agent[:AGENT])
        kept = Kept(self._ids.document(), session)
        (outcome,) = await self._documents.write([self._documents.insert(kept, Decision(session))])
        if not isinstance(outcome, Done):
            raise Unavailable("the session could not be stored")
        await self._delete([old for old in await self._every(person.number) if self._over(old.value)])
        return token, replace(kept, revision=outcome.revision)

    async def of(self, person: str) -> list[Kept[Session]]:
        """A person's sessions that have not run out, the newest first."""
        return [kept for kept in await self._every(person) if not self._over(kept.value)]

    async def named(self, token: str) -> Kept[Session] | None:
        """The session that a token names, unless it has run out."""
        found, _ = await self._documents.find(Query({"hash": digest_of(token).hex()}, limit=1))
        return found[0] if found and not self._over(found[0].value) else None

    async def touch(self, kept: Kept[Session]) -> bool:
        """Note that the session is in use; whether anything was written. An outage does not keep anyone from reading."""
        now = self._clock.now()
        if now - kept.value.last_seen_at < TOUCHED:
            return False
        try:
            await self._documents.change(
                kept.id, lambda kept: Decision(replace(kept.value, last_seen_at=now)) if kept else None
            )
        except (Unavailable, Busy):
            return False
        return True

    async def end(self, person: str, id: str) -> None:
        """End one of the person's sessions; nothing if it is not one of theirs."""
        await self._delete([kept for kept in await self._every(person) if kept.id == id])

    async def end_all(self, person: str, but: str | None = None) -> None:
        """End all of the person's sessions, or all but one."""
        await self._delete([kept for kept in await self._every(person) if kept.id != but])

    async def _every(self, person: str) -> list[Kept[Session]]:
        found, _ = await self._documents.find(Query({"person": person}, order="created_at", descending=True, limit=500))
        return found

    async def _delete(self, ended: list[Kept[Session]]) -> None:
        """A guard is lost when the session is touched meanwhile: read again, so that ended means ended."""
        while ended:
            await self._documents.write([Delete(SESSIONS.name, kept.id, kept.revision) for kept in ended])
            self._changed()
            ended = list((await self._documents.get_many([kept.id for kept in ended])).values())

    def _over(self, session: Session) -> bool:
        now = self._clock.now()
        return session.expires_at <= now or session.last_seen_at + IDLE <= now

"""Routing over real stores, vault and HTTP; its neighbours are played by the events they would send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from services.routing import handlers
from services.routing.app import SERVICE
from services.routing.domain.case import Case
from shared.clock import SystemIds
from shared.delivery.subscription import Context
from shared.events.envelope import Actor, Event
from shared.events.intake import FeedbackReceived
from shared.events.registry import read
from shared.http.access import COLLECTIONS as ACCESS
from shared.http.access import Access
from shared.http.edge import build_app
from shared.http.health import Health
from shared.service import Platform, Wiring
from shared.settings import PlatformSettings
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, DocumentStore
from shared.store.sqlite import SqliteStore
from shared.vault.vault import COLLECTIONS as VAULT
from shared.vault.vault import Keys, Vault
from tests.support.clock import ManualClock

CITIZEN = Actor(kind="citizen")
MONDAY = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)
"""Nine o'clock on a working Monday in Chengchuan."""


@dataclass
class Town:
    """The sample's town with routing at work in it."""

    clock: ManualClock
    ids: SystemIds
    store: SqliteStore
    vault: Vault
    access: Access
    access_store: SqliteStore
    wiring: Wiring
    client: httpx2.AsyncClient
    keys: dict[str, Keys] = field(default_factory=dict)

    @property
    def cases(self) -> Documents[Case]:
        return self.wiring.documents["case"]

    async def key(self, role: str, *departments: str) -> dict[str, str]:
        """The headers of someone with this role."""
        return {"Authorization": f"Bearer {await self.access.create_key(role, departments)}"}

    async def session(self, role: str, *departments: str) -> dict[str, str]:
        """The headers of a browser on which a new person of this role is signed in."""
        person, _ = await self.access.people.add(f"person-{self.ids.document()}", role, departments)
        token, session = await self.access.sessions.begin(person)
        return {
            "Cookie": f"huiyin={token}",
            "Sec-Fetch-Site": "same-origin",
            "X-CSRF-Token": session.value.csrf,
        }

    async def feedback(self, words: str, **given: Any) -> tuple[str, FeedbackReceived]:
        """The id and the event of new feedback, sealed as intake seals it."""
        keys = await self.vault.draw()
        id, now = self.ids.document(), self.clock.now()
        self.keys[id] = keys
        fields: dict[str, Any] = {
            "at": now,
            "actor": CITIZEN,
            "number": self.ids.number(now.date()),
            "channel": "portal",
            "language": "zh",
            "text": keys.seal("text", "text", words),
            "contact": keys.seal("contact", "contact", "{}"),
            "received_at": now,
        }
        if isinstance(given.get("place"), str):
            given["place"] = keys.seal("text", "place", given["place"])
        return id, FeedbackReceived(**fields | given)

    async def receive(self, words: str, **given: Any) -> Kept[Case]:
        """The case of new feedback, opened from its event."""
        said = {"text": words}
        if isinstance(place := given.get("place"), str):
            said["place"] = place
        id, event = await self.feedback(words, **given)
        return await self.happens(id, handlers.open_case, event, said)

    async def happens(
        self, id: str, handler: Callable[..., Decision[Case] | None], event: Event, words: dict[str, str] | None = None
    ) -> Kept[Case]:
        """The case after `handler` has dealt with `event`."""
        context = Context(self.clock.now(), self.wiring.knows(), words or {})
        kept = await self.cases.change(id, lambda kept: handler(kept.value if kept else None, event, context))
        assert kept
        return kept

    async def fire_due(self) -> int:
        """Fire what is due, as the timers' job does; how many did something."""
        (timer,) = self.wiring.timers
        context = Context(self.clock.now(), self.wiring.knows())
        due = await timer.documents.due(self.clock.now(), 100)
        for kept in due:
            await timer.documents.change(kept.id, lambda kept: timer.fire(kept.value, context) if kept else None)
        return len(due)

    async def told(self, id: str) -> list[Any]:
        """The events that a document has emitted."""
        return [read(envelope) for envelope in await self.store.pending(1000, [id])]

    async def post(self, number: str, move: str, version: int | None, who: dict[str, str], body: Any = None) -> Any:
        headers = who if version is None else {**who, "If-Match": f'"{version}"'}
        return await self.client.post(f"/v1/cases/{number}/{move}", json=body, headers=headers)


@asynccontextmanager
async def chengchuan(
    folder: Path,
    now: datetime = MONDAY,
    wrap: Callable[[DocumentStore], DocumentStore] = lambda store: store,
    **given: Any,
) -> AsyncIterator[Town]:
    """A town whose data lie in `folder`, with these settings of the platform. `wrap` goes around routing's store."""
    clock = ManualClock(now)
    ids = SystemIds(clock)
    settings = PlatformSettings(data=folder, **given)
    async with AsyncExitStack() as closing:

        async def store(name: str, collections: Sequence[Collection]) -> SqliteStore:
            opened = await SqliteStore.open(folder / f"{name}.db", collections, clock)
            closing.push_async_callback(opened.close)
            return opened

        own = await store("routing", SERVICE.collections)
        vault = await Vault.open(await store("vault", VAULT), folder / "keys" / "vault.key", ids, clock)
        closing.push_async_callback(vault.close)
        access_store = await store("access", ACCESS)
        access = Access(access_store, ids, clock, settings.link_base)
        wiring = SERVICE.build(Platform(settings, clock, ids, wrap(own), vault.held_by(SERVICE.opens), access))
        assert wiring.start
        await wiring.start()
        app = build_app(
            wiring.routers, wiring.doors, settings=settings, clock=clock, ids=ids, access=access, health=Health()
        )
        transport = httpx2.ASGITransport(app=app)
        client = await closing.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://town"))
        yield Town(clock, ids, own, vault, access, access_store, wiring, client)

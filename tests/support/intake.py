"""Intake over real stores, vault and HTTP; routing is played by the events it would send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from services.intake.app import SERVICE
from services.intake.domain import View
from services.intake.handlers.views import open_view, show_progress
from shared.clock import SystemIds
from shared.delivery.organisation import KEY, Announced
from shared.delivery.subscription import Context
from shared.events import routing
from shared.events.envelope import Actor, Sealed
from shared.events.intake import FeedbackReceived
from shared.events.registry import read
from shared.http.access import COLLECTIONS as ACCESS
from shared.http.access import Access
from shared.http.edge import Edge, build_app
from shared.http.health import Health
from shared.http.server import as_operator
from shared.service import Platform
from shared.settings import PlatformSettings
from shared.store.documents import Decision, Documents, Kept
from shared.store.port import Collection, DocumentStore
from shared.store.sqlite import SqliteStore
from shared.vault.vault import COLLECTIONS as VAULT
from shared.vault.vault import Vault, key_name
from tests.support.clock import ManualClock

MONDAY = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)
"""Nine o'clock on a Monday in Chengchuan."""

TOWN = routing.Organisation(
    name=routing.Label(zh="澄川县", en="Chengchuan County"),
    time_zone="Asia/Shanghai",
    reception="reception",
    departments=(
        routing.Department(id="reception", label=routing.Label(zh="受理中心", en="Reception")),
        routing.Department(id="lighting", label=routing.Label(zh="路灯所", en="Lighting")),
    ),
    categories=(routing.Category(id="street-lamp", label=routing.Label(zh="路灯", en="Street lamps")),),
)


@dataclass
class Portal:
    """Intake at work."""

    clock: ManualClock
    store: SqliteStore
    vault: Vault
    access: Access
    edge: Edge
    views: Documents[View]
    client: httpx2.AsyncClient
    operator: httpx2.AsyncClient

    async def say(self, text: str = "路灯不亮了", key: str | None = None, **more: Any) -> dict[str, Any]:
        """Submit; the receipt."""
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await self.client.post("/v1/feedback", json={"text": text, **more}, headers=headers)
        assert answer.status_code == 201, answer.text
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def follow(self, receipt: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.get(f"/v1/feedback/{receipt['number']}", headers=code_of(receipt))
        assert answer.status_code == 200, answer.text
        seen: dict[str, Any] = answer.json()
        return seen

    async def post(
        self, receipt: dict[str, Any], call: str, body: Any, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = code_of(receipt) | ({} if key is None else {"Idempotency-Key": key})
        path = f"/v1/feedback/{receipt['number']}/{call}"
        return await self.client.post(path, json=body, headers=headers, **options)

    async def told(self, id: str) -> list[Any]:
        """The events that a feedback has emitted."""
        return [read(envelope) for envelope in await self.store.pending(1000, [id])]

    async def reply(self, receipt: dict[str, Any], words: str) -> Sealed:
        """What the body says to this citizen, sealed as routing seals it."""
        (received, *_) = await self.told(receipt["id"])
        name = key_name(received.text)
        return (await self.vault.fetch([name]))[name].seal("reply", "text", words)

    async def happens(
        self, receipt: dict[str, Any], shape: type[routing.CaseEvent], to: routing.State, **more: Any
    ) -> None:
        """Routing tells of the case; the view follows, as the pipeline has it follow."""
        self.clock.advance(60)
        now = self.clock.now()
        fields: dict[str, Any] = {
            "at": now,
            "actor": Actor(kind="staff", id="107"),
            "number": receipt["number"],
            "channel": "api",
            "category": "street-lamp",
            "department": "lighting",
            "language": "zh",
            "received_at": MONDAY,
            "deadline": MONDAY + timedelta(days=3),
            "from": "received",
            "to": to,
        }
        await self._folded(receipt["id"], show_progress, shape(**fields | more))

    async def opens(self, receipt: dict[str, Any]) -> None:
        """Intake's own event comes back from the log."""
        (received, *_) = await self.told(receipt["id"])
        assert isinstance(received, FeedbackReceived)
        await self._folded(receipt["id"], open_view, received)

    async def _folded(self, id: str, handler: Callable[..., Decision[View] | None], event: Any) -> None:
        context = Context(self.clock.now(), None)
        await self.views.change(id, lambda kept: handler(kept.value if kept else None, event, context))


def code_of(receipt: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Code {receipt['code']}"}


@asynccontextmanager
async def portal(
    folder: Path,
    wrap: Callable[[DocumentStore], DocumentStore] = lambda store: store,
    ids: Callable[[ManualClock], SystemIds] = SystemIds,
    announced: bool = True,
) -> AsyncIterator[Portal]:
    """Intake whose data lie in `folder`. `wrap` goes around the store that intake sees."""
    clock = ManualClock(MONDAY)
    unique = ids(clock)
    settings = PlatformSettings(data=folder)
    async with AsyncExitStack() as closing:

        async def store(name: str, collections: Sequence[Collection]) -> SqliteStore:
            opened = await SqliteStore.open(folder / f"{name}.db", collections, clock)
            closing.push_async_callback(opened.close)
            return opened

        own = await store("intake", SERVICE.collections)
        vault = await Vault.open(await store("vault", VAULT), folder / "keys" / "vault.key", unique, clock)
        closing.push_async_callback(vault.close)
        access = Access(await store("access", ACCESS), unique, clock)
        wiring = SERVICE.build(Platform(settings, clock, unique, wrap(own), vault.held_by(SERVICE.opens), access))
        if announced:
            organisation = Documents[Announced](own, wiring.documents["organisation"].collection, Announced, clock)
            known = Announced("1", TOWN)
            await own.write([organisation.insert(Kept(KEY, known), Decision(known))])
        edge = build_app(
            wiring.routers, wiring.doors, settings=settings, clock=clock, ids=unique, access=access, health=Health()
        )
        clients = [
            await closing.enter_async_context(
                httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app=app, client=("192.0.2.7", 1)), base_url="http://town"
                )
            )
            for app in (edge, as_operator(edge))
        ]
        views = Documents[View](own, wiring.documents["case"].collection, View, clock)
        yield Portal(clock, own, vault, access, edge, views, *clients)

"""Analytics in one process over its real files, in a small town."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from services.analytics.app import SERVICE
from services.analytics.store import Counts
from shared.bus.port import PARTITIONS, Record
from shared.bus.sqlite import SqliteBus
from shared.clock import SystemIds
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.pipeline import Pipeline
from shared.events.envelope import Actor, Envelope, enclose
from shared.events.routing import Area, Category, Department, Label, Organisation, OrganisationPublished
from shared.http.access import COLLECTIONS as ACCESS
from shared.http.access import Access
from shared.http.edge import build_app
from shared.http.health import Health
from shared.service import Platform, Wiring
from shared.settings import PlatformSettings
from shared.store.port import Collection
from shared.store.sqlite import SqliteStore
from shared.vault.vault import COLLECTIONS as VAULT
from shared.vault.vault import Vault
from tests.support.delivery import HastyClock
from tests.support.figures import MONDAY, Life

TOWN = OrganisationPublished(
    at=MONDAY,
    actor=Actor(kind="system"),
    organisation_version="1",
    content=Organisation(
        name=Label(zh="小镇", en="Small Town"),
        time_zone="Asia/Shanghai",
        reception="reception",
        departments=(
            Department(id="reception", label=Label(zh="前台", en="Desk")),
            Department(id="works", label=Label(zh="市政", en="Works")),
        ),
        categories=(Category(id="water", label=Label(zh="供水", en="Water")),),
        areas=(Area(id="north", label=Label(zh="城北", en="North End")),),
    ),
)


@dataclass
class Office:
    """Analytics as one process has it; `restarted` gives the next one over the same files."""

    folder: Path
    clock: HastyClock
    ids: SystemIds
    store: SqliteStore
    bus: SqliteBus
    vault: Vault
    access: Access

    def __post_init__(self) -> None:
        settings = PlatformSettings(data=self.folder)
        platform = Platform(settings, self.clock, self.ids, self.store, self.vault.held_by(SERVICE.opens), self.access)
        self.wiring: Wiring = SERVICE.build(platform)
        self.counts = Counts(self.store, self.clock)
        self.pipeline = Pipeline(
            SERVICE.name,
            self.wiring.documents,
            SERVICE.subscriptions,
            store=self.store,
            vault=self.vault,
            bus=self.bus,
            clock=self.clock,
            ids=self.ids,
        )

    def restarted(self) -> Office:
        return Office(self.folder, self.clock, self.ids, self.store, self.bus, self.vault, self.access)

    async def partitions(self) -> list[list[Record]]:
        """The log, partition by partition."""
        ends = await self.bus.ends()
        log: list[list[Record]] = [[] for _ in range(PARTITIONS)]
        async for batch in self.bus.read({}, ends):
            log[batch[0].partition].extend(batch)
        return [records for records in log if records]

    async def take_all(self) -> None:
        for records in await self.partitions():
            await self.pipeline.deliver(records)

    async def told(self, stories: Sequence[Life]) -> None:
        """Publish whole lives and the town, and count them."""
        await self.bus.publish([announcement(), *(one for story in stories for one in story.envelopes())])
        await self.take_all()

    async def rebuild(self) -> None:
        """What an operator's rebuild does: drop what is derived, then take the log from its beginning."""
        for collection in SERVICE.collections:
            if collection.kind == "derived":
                await self.store.drop(collection.name)
        await self.pipeline.forget()

    async def cells(self) -> dict[str, int]:
        summed = await self.pipeline.summed()
        assert summed is not None
        return dict(next(iter(summed.values())))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        app = build_app(
            self.wiring.routers,
            self.wiring.doors,
            settings=PlatformSettings(data=self.folder),
            clock=self.clock,
            ids=self.ids,
            access=self.access,
            health=Health(),
        )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://town.test") as client:
            yield client

    async def key(self, role: str = "analyst") -> dict[str, str]:
        return {"Authorization": f"Bearer {await self.access.create_key(role)}"}


def announcement() -> Envelope:
    return enclose(TOWN, subject="organisation", sequence=1, key="organisation", time=MONDAY, traceparent=None)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Office]:
    clock = HastyClock()
    ids = SystemIds(clock)
    async with AsyncExitStack() as closing:

        async def store(name: str, collections: Sequence[Collection]) -> SqliteStore:
            found = await SqliteStore.open(folder / f"{name}.db", collections, clock)
            closing.push_async_callback(found.close)
            return found

        own = await store("analytics", (*SERVICE.collections, DEAD_LETTERS))
        vault = await Vault.open(await store("vault", VAULT), folder / "vault.key", ids, clock)
        closing.push_async_callback(vault.close)
        bus = await SqliteBus.open(folder / "log.db", clock)
        closing.push_async_callback(bus.close)
        yield Office(folder, clock, ids, own, bus, vault, Access(await store("access", ACCESS), ids, clock))

"""The four services in one world of counted time: what outlives a process, and how a process is put together."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import Mock, patch

from fastapi import APIRouter

import services.notify.app as notify
import services.routing.app as routing
from services.analytics.app import SERVICE as ANALYTICS
from services.intake.app import SERVICE as INTAKE
from services.intake.handlers.reception import Reception
from services.intake.handlers.submitter import Submitter
from services.intake.store import Feedbacks, Views
from services.notify.channels.channel import Letter
from services.notify.channels.letters import Letters
from services.notify.domain import Failed, Outcome, Sent
from services.routing.classifier import Classifier
from services.routing.domain.organisation import Organisation
from services.routing.handlers import Desk
from services.routing.settings import SAMPLE
from services.routing.store import Cases
from shared.bus.sqlite import SqliteBus
from shared.clock import base32, check_digit, rfc3339
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.organisation import OrganisationCopy
from shared.delivery.outbox import Outbox
from shared.delivery.pipeline import Pipeline
from shared.delivery.timers import TimerLoop
from shared.errors import Unavailable
from shared.operations import MARKS
from shared.runtime.installation import kept_running
from shared.service import Platform, Service
from shared.settings import PlatformSettings
from shared.store.port import Collection
from shared.store.sqlite import SqliteStore
from shared.vault import blocks
from shared.vault.vault import COLLECTIONS as VAULT
from shared.vault.vault import Vault
from tests.simulation.disk import Disk
from tests.simulation.loop import SkewedClock, VirtualLoop, WorldClock
from tests.simulation.process import HostileLog, Process, ProcessBus, ProcessStore
from tests.support.faults import FaultyBus, FaultyStore

SERVICES: dict[str, Service] = {
    service.name: service for service in (INTAKE, routing.SERVICE, notify.SERVICE, ANALYTICS)
}

SKEW = 2.0
"""Seconds that a process's clock may be wrong by: beyond it a process refuses to start."""

LEASE = 60
"""Seconds ahead that a delivery which is being sent, or tried again soon, waits for."""

LONGEST_PAUSE = 8.0
"""Seconds that a process hangs at most, and then goes on at most."""

DOWN = 3.0
"""Seconds that a dead process stays away at most."""

read_organisation = functools.cache(routing.load_organisation)
read_letters = functools.cache(Letters)


@functools.cache
def _classifier(path: Path) -> Classifier:
    return Classifier.of(read_organisation(path))


def read_classifier(organisation: Organisation) -> Classifier:
    """The sample's, as there is no other organisation in a history."""
    del organisation
    return _classifier(SAMPLE)


class SeededIds:
    """Ids that a seed gives; unique because their random part is."""

    def __init__(self, random: Random, clock: WorldClock) -> None:
        self._random, self._clock = random, clock

    def document(self) -> str:
        millis = int(self._clock.now().timestamp() * 1000)
        return base32((millis << 80) | self._random.getrandbits(80), 26)

    def number(self, day: date) -> str:
        digits = f"{day:%Y%m%d}{self._random.randrange(100_000_000):08d}"
        return f"{digits[:8]}-{digits[8:]}-{check_digit(digits)}"

    def code(self) -> str:
        return base32(self._random.getrandbits(130), 26)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def jitter(self) -> float:
        return self._random.random()


class Post:
    """The world's mail: a letter is there once, however often it was handed in under its name."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.handed_in: Counter[str] = Counter()

    def take(self, letter: Letter) -> None:
        self.handed_in[letter.id] += 1
        self.letters.setdefault(letter.id, letter)


class PostOffice:
    """The way out of one process: like the Maildir, it knows a letter by its name."""

    repeatable = True

    def __init__(self, world: World, process: Process) -> None:
        self._world, self._process = world, process

    async def submit(self, letters: Sequence[Letter], begin_by: float) -> list[Outcome]:
        del begin_by
        return [await self._process.outside(functools.partial(self._submit, letter)) for letter in letters]

    async def _submit(self, letter: Letter) -> Outcome:
        chance = self._world.chance("post")
        if chance.random() < self._world.faults.refused:
            return Failed("refused")
        self._world.post.take(letter)
        if chance.random() < self._world.faults.lost:
            return Failed("timeout")
        return Sent(self._world.clock.now())

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class Faults:
    """How often something goes wrong: calls refused, answers lost, deliveries repeated, positions lost, deaths."""

    refused: float = 0.03
    lost: float = 0.03
    again: float = 0.1
    forgotten: float = 0.1
    doom: float = 0.002
    holds: float = 0.0
    skew: float = SKEW

    def heal(self) -> None:
        self.holds = self.refused = self.lost = self.again = self.forgotten = self.doom = 0.0


@dataclass
class Life:
    """One life of a service: what clients reach of it, and what the world may ask about it."""

    process: Process
    service: Service
    store: Outbox
    vault: Vault
    clock: SkewedClock
    pipeline: Pipeline
    ids: SeededIds
    wiring: Any
    faulty: tuple[FaultyStore | FaultyBus, ...]
    consumer: asyncio.Task[None]

    def reception(self) -> Reception:
        feedbacks = Feedbacks(self.store, self.clock)
        return Reception(feedbacks, self.vault, OrganisationCopy(self.store, self.clock), self.clock, self.ids)

    def submitter(self) -> Submitter:
        feedbacks, views = Feedbacks(self.store, self.clock), Views(self.store, self.clock)
        return Submitter(feedbacks, views, self.vault, self.clock, self.ids)

    def cases(self) -> Cases:
        return Cases(self.store, self.clock, read_organisation(SAMPLE))

    def desk(self) -> Desk:
        return Desk(self.cases(), self.vault, read_organisation(SAMPLE), self.clock, self.wiring.knows().terms)


class World:
    """One history's world. Everything random in it comes from `seed`."""

    def __init__(self, seed: int, loop: VirtualLoop, folder: Path) -> None:
        self.seed = seed
        self.clock = WorldClock(loop)
        self.disk = Disk()
        self.post = Post()
        self.faults = Faults()
        self.lives: dict[str, Life] = {}
        self.deaths = 0
        self.timeline: list[str] = []
        self._injected = 0
        self._loop = loop
        self._folder = folder
        self._streams: dict[str, Random] = {}
        self._keeping: dict[str, asyncio.Task[None]] = {}
        self._dead: dict[str, asyncio.Event] = {}
        self._zombies: list[Process] = []
        self.bus: HostileLog

    def chance(self, stream: str) -> Random:
        """A stream of random numbers of its own, so that one more draw here changes nothing elsewhere."""
        if stream not in self._streams:
            self._streams[stream] = Random(f"{self.seed}/{stream}")
        return self._streams[stream]

    @property
    def injected(self) -> int:
        """How many faults there were, besides deaths."""
        return self._injected + sum(faulty.faults.count for life in self.lives.values() for faulty in life.faulty)

    def note(self, what: str) -> None:
        """A line of the history's timeline."""
        self.timeline.append(f"{self.clock.now():%d %H:%M:%S}.{self.clock.now().microsecond // 1000:03d} {what}")

    async def begin(self) -> None:
        log = await SqliteBus.open(Path("log.db"), self.clock, self.disk.open)
        self.bus = HostileLog(log, self.chance("log"), self.clock.now)
        self.bus.holds = self.faults.holds
        for name in SERVICES:
            self._dead[name] = asyncio.Event()
            self._keeping[name] = asyncio.create_task(self._keep_alive(name))

    async def end(self) -> None:
        for task in self._keeping.values():
            task.cancel()
        for life in list(self.lives.values()):
            life.process.die()
        await asyncio.gather(*self._keeping.values(), return_exceptions=True)
        await self.bus.close()

    def kill(self, name: str) -> None:
        if name in self.lives:
            self.lives[name].process.die()

    def pause(self, name: str) -> None:
        """The process hangs, is thought dead and replaced; then it goes on beside its successor for a while."""
        if (life := self.lives.pop(name, None)) is None:
            return
        chance = self.chance("pauses")
        seconds = chance.random() * LONGEST_PAUSE
        self.note(f"{life.process.name} hangs for {seconds:.1f} s")
        self._injected += sum(faulty.faults.count for faulty in life.faulty)
        life.process.pause(seconds)
        life.consumer.cancel()
        self._zombies.append(life.process)
        self._loop.call_later(seconds + chance.random() * LONGEST_PAUSE, life.process.die)
        self._dead[name].set()

    async def heal(self) -> None:
        """From now on nothing goes wrong, and whoever is down comes back."""
        self.faults.heal()
        await self.bus.let_go()
        for zombie in self._zombies:
            zombie.die()
        for life in self.lives.values():
            self._heal(life)

    def _heal(self, life: Life) -> None:
        life.process.doom = 0.0
        for faulty in life.faulty:
            faulty.faults.heal()
            if isinstance(faulty, FaultyBus):
                faulty.heal()

    async def _keep_alive(self, name: str) -> None:
        chance = self.chance(f"keeper/{name}")
        number = 0
        while True:
            number += 1
            self._dead[name].clear()
            process = Process(f"{name}#{number}", self.chance(f"process/{name}"), self.faults.doom, self._died)
            booted = process.start(self._boot(SERVICES[name], process))
            await asyncio.wait([booted])
            if not booted.cancelled() and booted.exception() is None:
                self.lives[name] = booted.result()
                if self.faults.doom == 0.0:
                    self._heal(self.lives[name])
                self.note(f"{process.name} runs")
                await self._dead[name].wait()
            else:
                error = None if booted.cancelled() else booted.exception()
                if error is not None and not isinstance(error, Unavailable):
                    raise error
                process.die()
            if (gone := self.lives.pop(name, None)) is not None:
                self._injected += sum(faulty.faults.count for faulty in gone.faulty)
            await asyncio.sleep(chance.random() * DOWN)

    def _died(self, process: Process) -> None:
        self.deaths += 1
        self.note(f"{process.name} dies")
        if process not in self._zombies:
            self._dead[process.name.partition("#")[0]].set()

    async def _boot(self, service: Service, process: Process) -> Life:
        """As the runtime does it, for one service."""
        name = service.name
        clock = SkewedClock(self.clock, self.chance(f"skew/{name}").uniform(-1, 1) * self.faults.skew / 2)
        ids = SeededIds(self.chance(f"ids/{name}"), self.clock)
        faulty: list[FaultyStore | FaultyBus] = []

        async def store(file: str, collections: Sequence[Collection]) -> ProcessStore:
            opened = await SqliteStore.open(Path(f"{file}.db"), collections, clock, self.disk.open)
            seed = self.chance("faults").getrandbits(32)
            wrapped = FaultyStore(opened, seed, refused=self.faults.refused, lost=self.faults.lost)
            faulty.append(wrapped)
            return ProcessStore(wrapped, process)

        vault = await Vault.open(await store("vault", VAULT), self._folder / "huiyin.key", ids, clock)
        outbox = Outbox(await store(name, [*service.collections, DEAD_LETTERS, MARKS]), name, clock, ids)
        wild = FaultyBus(
            self.bus,
            self.chance("faults").getrandbits(32),
            refused=self.faults.refused,
            lost=self.faults.lost,
            again=self.faults.again,
            forgotten=self.faults.forgotten,
        )
        faulty.append(wild)
        bus = ProcessBus(wild, process)
        settings = PlatformSettings(data=self._folder)
        platform = Platform(settings, clock, ids, outbox, vault.held_by(service.opens), None)  # type: ignore[arg-type]
        with made_quickly(), patch.object(notify, "channel_of", lambda *_: PostOffice(self, process)):
            wiring = service.build(platform)
        pipeline = Pipeline(
            name,
            wiring.documents,
            service.subscriptions,
            store=outbox,
            vault=platform.vault,
            bus=bus,
            clock=clock,
            ids=ids,
            knows=wiring.knows,
        )
        if wiring.start:
            await wiring.start()
        jobs: list[Callable[[], Awaitable[None]]] = [partial(outbox.run, bus), pipeline.watch, *wiring.jobs]
        if wiring.timers:
            jobs.append(TimerLoop(name, wiring.timers, bus, pipeline, clock).run)
        for job in jobs:
            process.start(kept_running(job, clock))
        consumer = process.start(bus.consume(name, pipeline.deliver))
        return Life(process, service, outbox, platform.vault, clock, pipeline, ids, wiring, tuple(faulty), consumer)

    async def quiet(self, limit: float) -> str | None:
        """Wait until nothing moves any more; why not, if that takes more than `limit` seconds."""
        until, calm, why = self._loop.passed + limit, 0, ""
        while calm < 5:
            if self._loop.passed > until:
                return why
            await asyncio.sleep(0.5)
            why = await self._busy() or ""
            calm = 0 if why else calm + 1
        return None

    async def _busy(self) -> str | None:
        if len(self.lives) < len(SERVICES):
            return "a service is down"
        for name, life in self.lives.items():
            if life.pipeline.stopped:
                return f"{name}: {life.pipeline.stopped}"
            if lag := sum((await self.bus.lag(name)).values()):
                return f"{name} is {lag} records behind"
            if self.disk.rows(name, "SELECT 1 FROM _outbox LIMIT 1"):
                return f"{name} has not published everything"
        for name, table, ahead in (
            ("routing", "cases", 0),
            ("notify", "deliveries", LEASE),
            ("notify", "digests", LEASE),
        ):
            soon = rfc3339(self.clock.now() + timedelta(seconds=ahead))
            if self.disk.rows(name, f"SELECT 1 FROM \"{table}\" WHERE due <= '{soon}' LIMIT 1"):
                return f"something in {name}'s {table} is due"
        return None


class made_quickly:
    """Routes are not made, as nobody calls them here, and what is read from files is read once: else a start would take
    longer than a history."""

    def __enter__(self) -> None:
        self._patches: list[Any] = [
            patch.object(APIRouter, "add_api_route", lambda *_, **__: None),
            patch.object(APIRouter, "include_router", lambda *_, **__: None),
            patch.object(routing, "load_organisation", read_organisation),
            patch.object(routing, "Classifier", Mock(of=read_classifier)),
            patch.object(notify, "Letters", read_letters),
            patch.object(blocks, "FIRST", 4),
            patch.object(blocks, "BLOCK", 4),
        ]
        for one in self._patches:
            one.start()

    def __exit__(self, *_: object) -> None:
        for one in self._patches:
            one.stop()

"""Services put together over what their process stands on, and running."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter

from shared.bus.port import EventBus
from shared.clock import Clock, SystemIds
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.delivery.outbox import Outbox
from shared.delivery.pipeline import Pipeline
from shared.delivery.timers import TimerLoop
from shared.http.access import COLLECTIONS as ACCESS_COLLECTIONS
from shared.http.access import Access
from shared.http.edge import Door, Edge, build_app
from shared.http.health import Health
from shared.operations import MARKS, Member, router
from shared.runtime.adapters import ground
from shared.service import Platform, Service, Wiring
from shared.settings import PlatformSettings
from shared.sqlite import FolderLock
from shared.telemetry.logs import log
from shared.telemetry.watchdog import watch_loop
from shared.vault.vault import COLLECTIONS as VAULT_COLLECTIONS
from shared.vault.vault import Vault
from shared.web.pages import prepare_soon

YOUNG = 10_000
"""Objects made before the collector of reference cycles looks for some. Hardly any are made here but by the pages (their
macros), so at Python's 700 a tenth of all time went into looking; at 100,000 every hundredth page waited 100 ms for it."""


@dataclass(frozen=True)
class Installation:
    """Services put together over open files, running, without a port. Timers fire once `timers` is set."""

    app: Edge
    health: Health
    members: dict[str, Member]
    settings: PlatformSettings
    clock: Clock
    timers: asyncio.Event


@asynccontextmanager
async def opened(
    services: Sequence[Service],
    settings: PlatformSettings,
    held: Callable[[bool], bool] | None = None,
    working: bool = True,
) -> AsyncIterator[Installation]:
    """Take the data folder, start everything but the ports, and close it in the reverse order.

    `held` is told whether the log is empty, before anything starts, and says whether the timers have to wait. Without
    `working` nothing is started: for an operator's command beside processes that do the work.

    Raises `Misconfigured`, one line, if the folder is in use or not writable, the key file is missing, or a server that
    the settings name does not answer.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(FolderLock(settings.data))
        needs_log = any(service.needs_log for service in services)
        under = await stack.enter_async_context(ground(settings, needs_log))
        clock, bus = under.clock, under.bus
        ids = SystemIds(clock)
        vault = await Vault.open(
            await under.store("vault", VAULT_COLLECTIONS), settings.keys_folder / "huiyin.key", ids, clock
        )
        stack.push_async_callback(vault.close)
        access = Access(await under.store("access", ACCESS_COLLECTIONS), ids, clock, settings.link_base)
        timers = asyncio.Event()
        if held is None or not held(not any((await bus.ends()).values())):
            timers.set()
        health = Health()
        members: dict[str, Member] = {}
        routers: list[APIRouter] = []
        doors: dict[tuple[str, str], Door] = {}
        jobs: list[Callable[[], Awaitable[None]]] = [
            partial(watch_loop, clock),
            partial(prepare_soon, clock),
            *under.jobs,
        ]
        wirings: list[Wiring] = []
        for service in services:
            own = await under.store(service.name, [*service.collections, DEAD_LETTERS, MARKS])
            outbox = Outbox(own, service.name, clock, ids)
            platform = Platform(settings, clock, ids, outbox, vault.held_by(service.opens), access)
            wiring = service.build(platform)
            pipeline = Pipeline(
                service.name,
                wiring.documents,
                service.subscriptions,
                store=outbox,
                vault=platform.vault,
                bus=bus,
                clock=clock,
                ids=ids,
                knows=wiring.knows,
            )
            members[service.name] = Member(service, outbox, pipeline, bus, clock)
            health.checks[service.name] = _check(service, wiring, pipeline, bus)
            routers.extend(wiring.routers)
            doors.update(wiring.doors)
            jobs.append(partial(outbox.run, bus))
            jobs.extend([pipeline.watch, members[service.name].measure, *wiring.jobs])
            jobs.extend(partial(follow, bus) for follow in wiring.followers)
            if wiring.timers:
                loop = TimerLoop(service.name, wiring.timers, bus, pipeline, clock)
                jobs.append(partial(_when, timers, loop.run))
            wirings.append(wiring)
        routers.append(router(members, bus, access))
        stray = next((wiring.stray for wiring in wirings if wiring.stray), None)
        app = build_app(
            routers, doors, settings=settings, clock=clock, ids=ids, access=access, health=health, stray=stray
        )
        for wiring in wirings:
            if wiring.start and working:
                await wiring.start()
        tasks = [asyncio.create_task(kept_running(job, clock)) for job in jobs if working]
        stack.push_async_callback(cancelled, tasks)
        stack.push_async_callback(bus.close)
        spare_the_collector()
        for member in members.values() if working else ():
            await member.begin()
        yield Installation(app, health, members, settings, clock, timers)
        health.ending.set()


def spare_the_collector() -> None:
    """What is there now stays to the end: the garbage collector does not look through it again, and looks rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
    gc.enable()


def _check(service: Service, wiring: Wiring, pipeline: Pipeline, bus: EventBus) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        if pipeline.stopped:
            return pipeline.stopped
        if service.needs_log:
            await bus.ends()
        return await wiring.ready() if wiring.ready else None

    return check


async def kept_running(job: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """A job that fails is said so and started again: the others depend on it."""
    while True:
        try:
            await job()
            return
        except Exception as error:
            log("runtime").error("a job failed and starts again", error=type(error).__name__)
            await clock.sleep(1)


async def _when(released: asyncio.Event, job: Callable[[], Awaitable[None]]) -> None:
    await released.wait()
    await job()


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

"""One history: a seed becomes a world, people live in it, everything heals, and the checker says what is not true."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.simulation.loop import NothingLeft, VirtualLoop
from tests.simulation.people import Memory, citizen, nemesis, staff
from tests.simulation.process import task_factory
from tests.simulation.world import SERVICES, SKEW, World
from tests.support.checker import check

CITIZENS = (2, 6)
ACTIVE = 12.0
"""Seconds in which things go wrong."""

HOSTILE = 5
"""In one history of so many, an event may come to the log after its successor."""

LEASES = timedelta(minutes=2)
"""Longer than any lease."""

DRAIN = 240.0
"""Seconds in which everything has to come to rest after that."""


@dataclass(frozen=True)
class History:
    """What one seed came to. `digest` is that of the whole log: two runs of a seed have the same."""

    seed: int
    wrong: tuple[str, ...]
    events: int
    deaths: int
    faults: int
    digest: str
    timeline: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.wrong


def run(seed: int, active: float = ACTIVE) -> History:
    """Live through one history. `active`: seconds after which everything heals (a shorter one is a prefix)."""
    loop = VirtualLoop()
    loop.set_task_factory(task_factory)
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed, loop, Path(folder))
        if seed % HOSTILE == 0:
            world.faults.holds = 0.2
        try:
            return loop.run_until_complete(_live(world, active))
        except NothingLeft:
            return _told(world, ["I18: everybody waits for somebody, for ever"])
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0.1))
            world.disk.close()
            loop.close()


async def _live(world: World, active: float) -> History:
    memory = Memory()
    count = world.chance("population").randint(*CITIZENS)
    await world.begin()
    citizens = [asyncio.create_task(citizen(world, memory, number)) for number in range(count)]
    others = [asyncio.create_task(staff(world, number)) for number in range(2)]
    others.append(asyncio.create_task(nemesis(world)))
    await asyncio.sleep(active)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    world.note("everything heals")
    await world.heal()
    for outcome in await asyncio.gather(*citizens, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
    await asyncio.sleep(2)
    world.clock.skipped += LEASES  # else everybody waits for what dead processes had in hand
    why = await world.quiet(DRAIN)
    wrong = list(memory.wrong)
    if why:
        wrong.append(f"I18: not quiet after {DRAIN:g} s: {why}")
    wrong += _check(world, memory)
    await world.end()
    return _told(world, wrong)


def _check(world: World, memory: Memory) -> list[str]:
    ids = {key: receipt.id for key, receipt in memory.told.items()}
    wrong = list(check(world.disk.rows, ids, len(memory.tried), in_order=not world.bus.held))
    wrong += _letters(world, memory)
    wrong += _timers(world)
    letters = [world.disk.rows(name, 'SELECT count(*) FROM "dead-letters"')[0][0] for name in SERVICES]
    if any(letters):
        wrong.append(f"I13: {sum(letters)} records are still put aside")
    return wrong


def _timers(world: World) -> list[str]:
    """A citizen's word that was in the log before a timer came due, and whatever it follows as well, was heard before
    the timer fired."""
    said: dict[str, list[datetime]] = {}
    whole: dict[str, datetime] = {}
    seen: set[str] = set()
    events = []
    for key, headers, value in world.disk.rows("log", "SELECT key, headers, value FROM log ORDER BY place"):
        told = json.loads(headers)
        if told["ce_id"] not in seen:
            seen.add(told["ce_id"])
            events.append((int(told["ce_sequence"]), key, told["ce_type"], json.loads(value), told["ce_id"]))
    events.sort(key=lambda event: event[0])
    for _, key, kind, _, id in events:
        if kind.startswith("feedback."):
            written = world.bus.written.get(id, world.clock.now())
            whole[key] = max(written, whole.get(key, written))
            if kind != "feedback.received":
                said.setdefault(key, []).append(whole[key])
    wrong = []
    heard: Counter[str] = Counter()
    for _, key, kind, value, _ in events:
        if kind.startswith("case.") and value["actor"]["kind"] == "citizen":
            heard[key] += 1
        if kind == "case.overdue":
            due = datetime.fromisoformat(value["due"]) - timedelta(seconds=SKEW)
            earlier = sum(moment < due for moment in said.get(key, ()))
            if earlier > heard[key]:
                wrong.append(f"a deadline of {key} passed before a word that was there earlier was heard")
    return wrong


def _letters(world: World, memory: Memory) -> list[str]:
    """I9: to each citizen exactly one letter for each thing that is told, and no letter that nobody ordered."""
    wanted: Counter[str] = Counter()
    for key, headers in world.disk.rows(
        "log", "SELECT key, headers FROM log GROUP BY key, json_extract(headers, '$.ce_id')"
    ):
        kind = json.loads(headers)["ce_type"]
        if key in memory.addresses and kind in TOLD:
            wanted[memory.addresses[key]] += 1
    got = Counter(letter.to for letter in world.post.letters.values() if letter.to in set(memory.addresses.values()))
    return [
        f"I9: {to} should have {wanted[to]} letters and has {got[to]}" for to in wanted | got if wanted[to] != got[to]
    ]


TOLD = {"feedback.received", "case.awaiting-citizen", "case.answered", "case.closed"}


def _told(world: World, wrong: list[str]) -> History:
    log = world.disk.rows("log", "SELECT place, key, headers, value FROM log ORDER BY place")
    return History(
        world.seed,
        tuple(wrong),
        len(log),
        world.deaths,
        world.injected,
        hashlib.sha256(repr(log).encode()).hexdigest(),
        tuple(world.timeline),
    )

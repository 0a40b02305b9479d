"""Who lives in a history: citizens who write and come back, staff who work, and whoever pulls the plug."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from services.intake.handlers.reception import Receipt, Submission
from services.routing.domain.states import moves
from services.routing.handlers import Call, Desk
from shared.errors import IllegalMove, Invalid, NotFound, Problem, Stale, Unavailable
from shared.http.access import Principal
from shared.store.port import Query
from tests.simulation.process import Died
from tests.simulation.world import SERVICES, Life, World

T = TypeVar("T")

SENTENCES = (
    "小区停水了，水管爆裂",
    "The street lamp on Peace Road is broken",
    "公交车总是晚点",
    "Rubbish lies in the yard",
    "嗯",
)
STAFF = Principal("key", "103", "supervisor")

SKIPS = (0.5, 2, 16, 72, 240)
"""Hours that may pass at once."""

PATIENCE = 12
"""How often a citizen sends again what was not answered."""


@dataclass
class Memory:
    """What clients tried and what they were told: the only things that a promise was made about."""

    tried: set[str] = field(default_factory=set)
    told: dict[str, Receipt] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    """Case → the address that was left with it."""
    messages: dict[str, set[str]] = field(default_factory=dict)
    """Case → ids of messages that were confirmed."""
    wrong: list[str] = field(default_factory=list)


async def citizen(world: World, memory: Memory, number: int) -> None:
    """Says something, until it is kept; then perhaps adds, judges, reopens or withdraws."""
    chance = world.chance(f"citizen/{number}")
    await asyncio.sleep(chance.random() * 6)
    key = f"key-{number}"
    address = f"c{number}@example.org" if chance.random() < 0.6 else None
    submission = Submission(
        text=f"{SENTENCES[chance.randrange(len(SENTENCES))]} #{number}",
        channel="api",
        canonical={"text": number},
        contact={"email": address} if address else None,
        key=key,
    )
    memory.tried.add(key)
    receipt = await _insist(world, "intake", chance, lambda life: life.reception().receive_feedback(submission))
    if receipt is None:
        return
    world.note(f"{key} is {receipt.number}")
    memory.told[key] = receipt
    if address:
        memory.addresses[receipt.id] = address
    if chance.random() < 0.3:  # sends it again, as after a lost answer
        again = await _insist(world, "intake", chance, lambda life: life.reception().receive_feedback(submission))
        if again is not None and again != receipt:
            memory.wrong.append(f"I2: {key} was told {receipt.number} and then {again.number}")
    for turn in range(chance.choice((0, 1, 2, 4))):
        await asyncio.sleep(chance.random() * 8)
        await _speak(world, memory, receipt, chance.random(), f"turn-{turn}")


async def _speak(world: World, memory: Memory, receipt: Receipt, which: float, key: str) -> None:
    chance = world.chance(f"speech/{receipt.number}")

    async def said(life: Life) -> str | None:
        submitter = life.submitter()
        kept = await submitter.identify(receipt.number, f"Code {receipt.code}")
        if which < 0.5:
            return await submitter.add_message(kept, "还有一句", key)
        if which < 0.75:
            await submitter.rate(kept, {"solved": which < 0.65, "satisfaction": 4}, key)
        elif which < 0.95:
            await submitter.reopen(kept, "还没好", key)
        else:
            await submitter.withdraw(kept, None, key)
        return None

    id = await _insist(world, "intake", chance, said)
    if id is not None:
        memory.messages.setdefault(receipt.id, set()).add(id)


Move = Callable[[Desk, Call], Awaitable[Any]]
MOVES: dict[str, Move] = {
    "acceptance": lambda desk, call: desk.accept(call),
    "start": lambda desk, call: desk.start(call),
    "question": lambda desk, call: desk.ask(call, "哪一根灯杆？"),
    "resumption": lambda desk, call: desk.resume(call),
    "answer": lambda desk, call: desk.answer(call, "已修好。"),
    "closure": lambda desk, call: desk.close(call, "办结。"),
    "return": lambda desk, call: desk.send_back(call, "not-ours", "不归我们"),
    "reassignment": lambda desk, call: desk.reassign(call, "water", "no-water", None),
    "note": lambda desk, call: desk.note(call, "查过了"),
}


async def staff(world: World, number: int) -> None:
    """Takes some case, mostly does what its state allows and sometimes what it does not."""
    chance = world.chance(f"staff/{number}")
    while True:
        await asyncio.sleep(0.1 + chance.random())
        life = world.lives.get("routing")
        if life is None:
            continue

        async def work(life: Life = life) -> str | None:
            cases, desk = life.cases(), life.desk()
            found, _ = await cases.documents.find(Query(limit=100))
            if not found:
                return None
            kept = found[chance.randrange(len(found))]
            legal = moves(kept.value.state)
            name = chance.choice(legal if legal and chance.random() < 0.8 else list(MOVES))
            call = Call(STAFF, kept, kept.value.version)
            await MOVES[name](desk, call)
            return f"{name} of {kept.value.number}"

        try:
            done = await life.process.call(work())
            if done:
                world.note(done)
        except (Died, Unavailable, IllegalMove, Stale, NotFound, Invalid):
            continue


async def nemesis(world: World) -> None:
    """Kills services, has them hang, and lets nights pass."""
    chance = world.chance("nemesis")
    while True:
        await asyncio.sleep(chance.random() * 5)
        which = chance.random()
        if which < 0.35:
            world.kill(chance.choice(tuple(SERVICES)))
        elif which < 0.55:
            world.pause(chance.choice(tuple(SERVICES)))
        elif which < 0.8:
            hours = chance.choice(SKIPS)
            world.clock.skipped += timedelta(hours=hours)
            world.note(f"{hours} hours pass")


async def _insist(world: World, service: str, chance: Any, ask: Callable[[Life], Coroutine[Any, Any, T]]) -> T | None:
    """What the service answers in the end, asking again while the answer is unknown; None when patience ends."""
    for _ in range(PATIENCE):
        life = world.lives.get(service)
        if life is not None:
            try:
                return await life.process.call(ask(life))
            except (Invalid, NotFound):
                return None
            except (Died, Unavailable, Problem):
                pass
        await asyncio.sleep(0.2 + chance.random() * 2)
    return None

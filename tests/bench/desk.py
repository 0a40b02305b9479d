"""How fast the desk answers with many cases: the queue, its lists, filters and pages, searches, one row, the case page.

`python -m tests.bench.desk [--cases 100000] [--asked 300] [--folder FOLDER]` fills a folder (one case in five is worked
on, one in five of those is done) unless it was filled before, asks each page so often, one after the other and in this
process, and prints milliseconds; `cpu` is what a busy machine does not change.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from services.routing import handlers
from services.routing.domain import work
from services.routing.domain.case import Case, Turn
from shared.delivery.subscription import Context
from shared.events.envelope import Actor
from shared.runtime import spare_the_collector
from shared.store.documents import Decision, Kept
from shared.store.port import Query
from shared.web.pages import prepare
from tests.support.routing import MONDAY, Town, chengchuan

THINGS = (
    "路灯不亮",
    "水管爆裂",
    "公交车晚点",
    "垃圾没人清运",
    "路面有坑",
    "你好",
    "A street light is dark",
    "树枝断了",
)
KINDS = ("complaint", "help", "enquiry", "suggestion", "praise", "report", None)
CHANNELS = ("web", "phone", "wechat", "api")
TOGETHER = 1_000
WORKERS = 40

said = random.Random(1)


def words() -> str:
    """A text of some sixty characters: the thing, and characters as often as people use them."""
    rest = "".join(chr(0x4E00 + min(int(said.paretovariate(0.6)), 3_000)) for _ in range(60))
    return f"{said.choice(THINGS)}，{rest}"


async def fill(town: Town, count: int) -> float:
    """Seconds that writing took; making the cases does not count."""
    _, event = await town.feedback("x")
    keys = next(iter(town.keys.values()))
    knows, spent = town.wiring.knows(), 0.0
    for start in range(0, count, TOGETHER):
        changes = []
        for nth in range(start, min(start + TOGETHER, count)):
            text = words()
            at = MONDAY - timedelta(minutes=said.randrange(60 * 24 * 20))
            told = event.model_copy(
                update={
                    "number": town.ids.number(at.date()),
                    "text": keys.seal("text", "text", text),
                    "received_at": at,
                    "kind": said.choice(KINDS),
                    "channel": said.choice(CHANNELS),
                }
            )
            opened = handlers.open_case(None, told, Context(at, knows, {"text": text}))
            assert opened
            value = _worked(opened.value, town) if nth % 5 == 0 else opened.value
            changes.append(town.cases.insert(Kept(f"{nth:026}", value), Decision(value)))
        began = time.perf_counter()
        await town.cases.write(changes)
        spent += time.perf_counter() - began
    return spent


def _worked(case: Case, town: Town) -> Case:
    """The case somewhere on its way."""
    turn = Turn(MONDAY, Actor(kind="staff", id=f"{101 + said.randrange(WORKERS)}"), town.wiring.knows().organisation)
    if case.state != "routed":
        return case
    sealed = case.messages[0].words
    case = work.accept(case, turn).case
    match said.randrange(5):
        case 0:
            return work.start(case, turn).case
        case 1:
            return work.ask(case, turn, sealed).case
        case 2:
            return work.answer(case, turn, sealed).case
        case 3:
            return work.close(work.answer(case, turn, sealed).case, turn, None).case
        case _:
            return case


def pages(number: str) -> Iterator[tuple[str, str]]:
    yield "to do", "/desk"
    yield "all open", "/desk?list=open"
    yield "closed lately", "/desk?list=closed"
    yield "waiting for the citizen", "/desk?list=citizen"
    yield "late", "/desk?list=open&late=1"
    yield "three filters", "/desk?list=open&kind=praise&channel=wechat&category=street-lamp"
    yield "filters without a hit", "/desk?list=open&kind=praise&channel=sms"
    yield "search, a frequent word", "/desk?q=路灯"
    yield "search, two words", "/desk?q=路灯 不亮"
    yield "search, a rare word", "/desk?q=丐东"
    yield "search, a number's tail", f"/desk?q={number[9:]}"
    yield "one row, unfolded", f"/desk/rows/{number}?at=1"
    yield "the case", f"/desk/cases/{number}"


def _share(taken: list[float], share: float) -> float:
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * share))]


async def main(count: int, asked: int, kept: Path | None) -> None:
    with tempfile.TemporaryDirectory() as passing:
        folder = kept or Path(passing)
        filled = (folder / "routing.db").exists()
        async with chengchuan(folder) as town:
            if filled:
                print(f"the cases that {folder} holds\n")
            else:
                spent = await fill(town, count)
                size = sum(path.stat().st_size for path in folder.glob("routing.db*"))
                print(f"{count} cases, {spent / count * 1e6:.0f} µs to write each, {size / count:.0f} bytes each\n")
            await prepare()
            spare_the_collector()
            boss, worker = await town.session("supervisor"), await town.session("case-worker", "lighting")
            found, _ = await town.cases.find(Query({"department": "lighting"}, "urgency", limit=1))
            number = found[0].value.number
            print(f"{'':<28}{'supervisor':>27}{'case worker':>27}")
            print(f"{'ms':<28}" + f"{'p50':>9}{'p99':>9}{'p99 cpu':>9}" * 2)
            for name, path in pages(number):
                line = f"{name:<28}"
                for who in (boss, worker):
                    taken, worked = [], []
                    for _ in range(asked):
                        began, busy = time.perf_counter(), time.process_time()
                        answer = await town.client.get(path, headers=who)
                        worked.append((time.process_time() - busy) * 1000)
                        taken.append((time.perf_counter() - began) * 1000)
                        assert answer.status_code in (200, 404), answer.status_code
                    line += f"{_share(taken, 0.5):>9.1f}{_share(taken, 0.99):>9.1f}{_share(worked, 0.99):>9.1f}"
                print(line, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="kept, and filled only the first time")
    given = parser.parse_args()
    asyncio.run(main(given.cases, given.asked, given.folder))

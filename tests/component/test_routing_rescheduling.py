"""An organisation file with another calendar is started with: every open case's deadline follows, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.routing import handlers
from services.routing.domain.case import Case
from services.routing.settings import SAMPLE
from shared.delivery.subscription import Context
from shared.errors import Unavailable
from shared.store.documents import Kept
from shared.store.port import Query
from tests.support.faults import FaultyStore
from tests.support.routing import MONDAY, Town, chengchuan

CASES = 450
"""More than two commits' worth."""

LATER = MONDAY + timedelta(hours=1)

pytestmark = pytest.mark.row("F42")


@pytest.fixture
def feast(tmp_path: Path) -> Path:
    """The sample's organisation, in which this Monday is a holiday after all."""
    changed = tmp_path / "feast.yaml"
    text = SAMPLE.read_text(encoding="utf-8")
    changed.write_text(text.replace("holidays: [2026-06-26]", "holidays: [2026-06-26, 2026-09-07]"), encoding="utf-8")
    return changed


async def many(town: Town) -> None:
    """Cases, some of them historic, some closed."""
    _, event = await town.feedback("x")
    changes = []
    for n in range(CASES):
        told = event.model_copy(update={"number": town.ids.number(MONDAY.date()), "historic": n % 9 == 0})
        decision = handlers.open_case(None, told, Context(MONDAY, town.wiring.knows(), {"text": "路灯不亮"}))
        assert decision
        changes.append(town.cases.insert(Kept(f"{n:026}", decision.value), decision))
    await town.cases.write(changes)
    page, _ = await town.cases.find(Query(limit=5))
    boss = await town.key("supervisor")
    for kept in page:
        for version, move in enumerate(("acceptance", "answer", "closure"), start=1):
            body = {"text": "好"} if move == "answer" else {}
            assert (await town.post(kept.value.number, move, version, boss, body)).status_code == 200


async def every(town: Town) -> dict[str, Case]:
    found: dict[str, Case] = {}
    cursor: str | None = None
    while True:
        page, cursor = await town.cases.find(Query(limit=500), cursor)
        found |= {kept.id: kept.value for kept in page}
        if cursor is None:
            return found


def moved(before: dict[str, Case], after: dict[str, Case]) -> set[str]:
    return {id for id, case in after.items() if case != before[id]}


async def test_every_open_case_follows_the_new_calendar_once(tmp_path: Path, feast: Path) -> None:
    async with chengchuan(tmp_path) as town:
        await many(town)
        (job,) = town.wiring.jobs
        before = await every(town)
        await job()
        assert await every(town) == before, "the first start has nothing to change"
        told = len(await town.store.pending(10_000))

    async with chengchuan(tmp_path, LATER, organisation=feast) as town:
        (job,) = town.wiring.jobs
        await job()
        after = await every(town)
        expected = {id for id, case in before.items() if case.deadline and case.state != "closed"}
        assert moved(before, after) == expected
        assert len(expected) > 300
        for id in expected:
            old, new = before[id], after[id]
            assert new.deadline
            assert old.deadline
            assert new.deadline > old.deadline
            assert (new.version, new.timeline[-1].event) == (old.version + 1, "case.rescheduled")
        announcement = 1
        assert len(await town.store.pending(10_000)) == told + announcement + len(expected)
        await job()
        assert await every(town) == after


async def test_what_was_interrupted_goes_on_and_nothing_is_moved_twice(tmp_path: Path, feast: Path) -> None:
    async with chengchuan(tmp_path) as town:
        await many(town)
        before = await every(town)

    broken: list[FaultyStore] = []

    def wrap(store: object) -> FaultyStore:
        broken.append(FaultyStore(store, seed=7, refused=0, lost=0))  # type: ignore[arg-type]
        return broken[-1]

    async with chengchuan(tmp_path, LATER, wrap, organisation=feast) as town:
        (store,) = broken
        store.faults.lost = 1.0
        (job,) = town.wiring.jobs
        with pytest.raises(Unavailable):
            await job()
        assert 0 < len(moved(before, await every(town))) < 300

    async with chengchuan(tmp_path, LATER, organisation=feast) as town:
        (job,) = town.wiring.jobs
        await job()
        after = await every(town)
        assert len(moved(before, after)) > 300
        assert {case.version - before[id].version for id, case in after.items()} == {0, 1}


async def test_a_case_that_moves_meanwhile_is_decided_again(tmp_path: Path, feast: Path) -> None:
    async with chengchuan(tmp_path) as town:
        await many(town)
    async with chengchuan(tmp_path, LATER, organisation=feast) as town:
        (job,) = town.wiring.jobs
        boss = await town.key("supervisor")
        for kept in (await town.cases.find(Query(limit=30)))[0]:
            await town.post(kept.value.number, "acceptance", kept.value.version, boss)
        await job()
        for id, case in (await every(town)).items():
            if case.deadline and case.state != "closed":
                (kept,) = (await town.cases.get_many([id])).values()
                assert kept.sequence == case.version
                assert case.timeline[-1].event == "case.rescheduled"

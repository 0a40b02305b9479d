"""Dead letters as they lie in the store, the alarm about gaps, and derived copies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.clock import SystemIds
from shared.delivery.dead_letters import DeadLetters
from shared.delivery.gaps import watch_gaps
from shared.delivery.organisation import COLLECTION as ORGANISATION
from shared.delivery.organisation import KEY, Announced, OrganisationCopy, keep_organisation
from shared.delivery.pipeline import Pipeline
from shared.delivery.subscription import Context, on
from shared.events.envelope import Actor, enclose
from shared.events.routing import Department, Label, Organisation, OrganisationPublished
from shared.store.documents import Decision
from shared.store.sqlite import SqliteStore
from shared.telemetry.metrics import REGISTRY
from tests.support.clock import ManualClock
from tests.support.delivery import MOMENT, Toy, message, opened, received, records, story
from tests.support.events import key_in
from tests.support.eventually import eventually

A, B = key_in(0), key_in(0, 1)


@pytest.fixture
async def toy(tmp_path: Path) -> AsyncIterator[Toy]:
    async with opened(tmp_path) as toy:
        yield toy


async def test_the_bytes_of_a_dead_letter_are_sealed(toy: Toy, tmp_path: Path) -> None:
    toy.mood.poison = {f"/intake/{A}/1"}
    await toy.pipeline.deliver(records([received(A, number="SENTINEL-NUMBER")]))
    found = await toy.pipeline.dead_letters.page()
    assert b"SENTINEL-NUMBER" in found[0].record.value
    await toy.diary_store.close()
    for file in tmp_path.glob("diaries.db*"):
        assert b"SENTINEL-NUMBER" not in file.read_bytes()


async def test_letters_are_listed_by_case_and_since(toy: Toy) -> None:
    toy.mood.poison = {f"/intake/{A}/1", f"/intake/{B}/1"}
    await toy.pipeline.deliver(records([*story(A, 12), *story(B, 2)]))
    letters = toy.pipeline.dead_letters
    assert [letter.record.offset for letter in await letters.page(A)] == list(range(12))
    assert len(await letters.page(limit=5)) == 5
    later = toy.clock.now() + timedelta(hours=1)
    assert await letters.page(since=later) == []
    assert await letters.show("0/99") is None


async def test_a_gap_of_over_a_minute_is_an_alarm_until_it_closes(toy: Toy) -> None:
    clock = ManualClock()
    letters = DeadLetters("gappy", toy.diary_store, toy.vault, clock, SystemIds(clock))
    await letters.write([letters.park(record, "gap") for record in records([message(A, 3), message(A, 4)])])

    def overdue() -> float | None:
        return REGISTRY.get_sample_value("huiyin_gaps_overdue", {"service": "gappy"})

    watching = asyncio.create_task(watch_gaps("gappy", letters, clock))
    try:
        await eventually(lambda: overdue() == 0)
        clock.advance(61)
        await eventually(lambda: overdue() == 1)
        await letters.remove(await letters.page())
        clock.advance(11)
        await eventually(lambda: overdue() == 0)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_every_service_keeps_the_organisation_as_announced_last(toy: Toy, tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "copy.db", [ORGANISATION], toy.clock)
    copy = OrganisationCopy(store, toy.clock)
    heard: list[Context] = []

    def keep(known: object, event: OrganisationPublished, context: Context) -> Decision[Announced] | None:
        heard.append(context)
        return keep_organisation(None, event, context)

    pipeline = Pipeline(
        "intake",
        {"organisation": copy.documents},
        [on(OrganisationPublished, keep)],
        store=toy.diary_store,
        vault=toy.vault,
        bus=toy.bus,
        clock=toy.clock,
        ids=toy.ids,
        knows=lambda: "not for what is derived",
    )
    assert await copy.ready()
    label = Label(zh="总台", en="Reception")
    content = Organisation(name=label, time_zone="UTC", reception="r", departments=(Department(id="r", label=label),))
    for sequence in (1, 2):
        event = OrganisationPublished(
            at=MOMENT, actor=Actor(kind="system"), organisation_version=f"v{sequence}", content=content
        )
        envelope = enclose(event, subject=KEY, sequence=sequence, key=KEY, time=MOMENT, traceparent=None)
        await pipeline.deliver(records([envelope]))
    kept = await copy.documents.get(KEY)
    assert kept
    assert kept.value.version == "v2"
    assert await copy.ready() is None
    assert heard == [Context(MOMENT)] * 2
    await store.close()

"""Departments' mail: collected per department and window, and every delivery in exactly one digest."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.notify.channels import digests
from services.notify.domain import LEASE, Digest
from services.notify.handlers import replay
from shared.errors import Unavailable
from shared.events.routing import CaseOverdue
from shared.store.port import Query
from tests.support.faults import FaultyStore
from tests.support.notify import TOWN, BreakingStore, Case, Killed, Office, opened, plain


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


async def routed(office: Office, count: int, department: str = "lighting") -> list[Case]:
    cases = [await office.receive(email=None) for _ in range(count)]
    for case in cases:
        await office.route(case, department)
    return cases


async def kept_digests(office: Office) -> list[Digest]:
    found, _ = await office.digests.find(Query(limit=1000))
    return [kept.value for kept in found]


async def check_once(office: Office, cases: list[Case]) -> None:
    """Every delivery is in one digest, every digest is one mail, and everybody was told once."""
    listed = Counter(entry.delivery for digest in await kept_digests(office) for entry in digest.entries)
    deliveries = [delivery for case in cases for delivery in await office.of(case)]
    assert listed == Counter({delivery.id: 1 for delivery in deliveries})
    assert {delivery.progress.state for delivery in deliveries} == {"sent"}
    assert sorted(await office.emitted()) == sorted(f"delivery.sent {delivery.id}" for delivery in deliveries)
    mentioned = Counter(case.number for mail in office.mails() for case in cases if f"{case.number}  " in plain(mail))
    assert mentioned == Counter({case.number: len(await office.of(case)) for case in cases})
    assert len(office.mails()) == len(await kept_digests(office))
    assert all(digest.due is None for digest in await kept_digests(office))


async def test_cases_of_one_window_come_as_one_mail_when_it_ends(office: Office) -> None:
    cases = await routed(office, 3)
    await office.settle()
    assert office.mails() == []
    office.clock.advance(300)
    await office.settle()
    (mail,) = office.mails()
    assert (mail["To"], mail["Subject"]) == ("light@town.test", "3 new cases")
    await check_once(office, cases)
    office.clock.advance(300)
    await office.settle()
    assert len(office.mails()) == 1


async def test_each_department_gets_its_own(office: Office) -> None:
    cases = [*await routed(office, 2), *await routed(office, 1, "reception")]
    office.clock.advance(300)
    await office.settle()
    assert sorted((mail["To"], mail["Subject"]) for mail in office.mails()) == [
        ("light@town.test", "2 new cases"),
        ("reception@town.test", "1 new case"),
    ]
    await check_once(office, cases)


async def test_without_windows_a_department_hears_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, digest=0) as office:
        cases = await routed(office, 1)
        await office.settle()
        await check_once(office, cases)


async def test_overdue_cases_come_first(office: Office) -> None:
    late, new = await routed(office, 2)
    office.clock.advance(300)
    await office.settle()
    event = office.event(CaseOverdue, late, timer="deadline", due=office.clock.now(), revision=1)
    await office.happen(late, event)
    third = (await routed(office, 1))[0]
    office.clock.advance(300)
    await office.settle()
    words = next(plain(mail) for mail in office.mails() if "overdue" in mail["Subject"])
    assert words.index(late.number) < words.index(third.number)
    assert new.number not in words
    await check_once(office, [late, new, third])


async def test_a_long_list_is_several_mails(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "LONGEST", 2)
    cases = await routed(office, 5)
    office.clock.advance(300)
    await office.settle()
    assert len(office.mails()) == 3
    await check_once(office, cases)


@pytest.mark.row("I9")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 8))
async def test_a_process_that_dies_between_any_two_steps_loses_and_repeats_nothing(
    office: Office, write: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LONGEST", 2)
    cases = await routed(office, 3)
    office.clock.advance(300)
    dying: Any = BreakingStore(office.store, write, after)
    with pytest.raises(Killed):
        await office.restarted(dying).settle()
    again = office.restarted()
    cases += await routed(again, 1)
    await again.settle()
    again.clock.advance(LEASE.total_seconds())
    await again.settle()
    again.clock.advance(300)
    await again.settle()
    await check_once(again, cases)


@pytest.mark.row("F30")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 9))
async def test_a_store_that_fails_in_any_write_loses_and_repeats_nothing(
    tmp_path: Path, write: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LONGEST", 2)
    async with opened(tmp_path, digest=0) as office:
        cases = [await office.receive() for _ in range(3)]
        for case in cases:
            await office.route(case)
        failing: Any = BreakingStore(office.store, write, after, Unavailable)
        office = office.restarted(failing)
        await office.endure()
        office.clock.advance(LEASE.total_seconds())
        await office.endure()
        deliveries = [delivery for case in cases for delivery in await office.of(case)]
        assert Counter(delivery.progress.state for delivery in deliveries) == {"sent": 6}
        assert sorted(await office.emitted()) == sorted(f"delivery.sent {delivery.id}" for delivery in deliveries)
        mails = Counter(str(mail["To"]) for mail in office.mails())
        assert mails == {"wang@home.test": 3, "light@town.test": 2}


@pytest.mark.row("I9")
@pytest.mark.parametrize("seed", range(12))
async def test_two_senders_over_a_faulty_store_tell_everybody_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "LONGEST", 3)
    async with opened(tmp_path, digest=300) as office:
        faulty = FaultyStore(office.store, seed, refused=0.1, lost=0.1)
        senders = [office.restarted(faulty), office.restarted(faulty)]
        cases = []
        for _ in range(6):
            cases += [await office.receive() for _ in range(4)]
            for case in cases[-4:]:
                await office.route(case)
            await asyncio.gather(*(sender.endure() for sender in senders))
            office.clock.advance(100)
        faulty.faults.heal()
        for _ in range(6):
            office.clock.advance(LEASE.total_seconds())
            await asyncio.gather(*(sender.endure() for sender in senders))
        deliveries = [delivery for case in cases for delivery in await office.of(case)]
        assert Counter(delivery.progress.state for delivery in deliveries) == {"sent": 48}
        assert sorted(await office.emitted()) == sorted(f"delivery.sent {delivery.id}" for delivery in deliveries)
        listed = Counter(entry.delivery for digest in await kept_digests(office) for entry in digest.entries)
        assert listed == Counter(delivery.id for delivery in deliveries if delivery.kind == "new-case")
        assert len(office.mails()) == len(await kept_digests(office)) + 24


async def test_two_senders_at_once_make_no_delivery_twice(office: Office) -> None:
    cases = await routed(office, 20)
    office.clock.advance(300)
    other = office.restarted()
    await asyncio.gather(office.settle(), other.settle())
    await office.settle()
    await check_once(office, cases)


async def test_a_digest_that_fails_comes_again_and_its_cases_know(office: Office) -> None:
    (case,) = await routed(office, 1)
    office.clock.advance(300)
    box = office.data / "mail"
    box.write_text("in the way")
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason, delivery.progress.attempts) == ("failed", "disk", 1)
    kept = await office.deliveries.get(case.id)
    assert kept is not None
    assert kept.value.due is None
    box.unlink()
    office.clock.advance(5)
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.attempts) == ("sent", 2)
    assert await office.emitted() == [f"delivery.failed {delivery.id}", f"delivery.sent {delivery.id}"]
    assert len(office.mails()) == 1


async def test_a_department_that_lost_its_address_makes_dead_deliveries_that_can_be_replayed(office: Office) -> None:
    (case,) = await routed(office, 1)
    departments = tuple(d.model_copy(update={"email": None}) for d in TOWN.departments)
    await office.announce(TOWN.model_copy(update={"departments": departments}))
    office.clock.advance(300)
    await office.settle()
    (delivery,) = await office.of(case)
    assert (delivery.progress.state, delivery.progress.reason) == ("dead", "no-address")
    await office.announce()
    office.clock.advance(2)
    await office.deliveries.change(
        case.id, lambda kept: replay(kept.value if kept else None, delivery.id, office.clock.now())
    )
    await office.settle()
    (delivery,) = await office.of(case)
    assert delivery.progress.state == "sent"
    assert len(office.mails()) == 1

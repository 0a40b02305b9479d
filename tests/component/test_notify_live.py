"""What listeners hear of the log: in their scope, without words, from when they came; slow ones are let go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from services.notify import api
from services.notify.channels import live as module
from services.notify.channels import recent
from services.notify.channels.live import BEGIN, COMMENT, RELOAD, Listener, Live, spoken
from shared.bus.sqlite import SqliteBus
from shared.errors import Busy
from shared.events.envelope import Event, enclose
from shared.events.notify import DeliverySent
from shared.events.routing import CaseAccepted, CaseAnswered, CaseReturned
from shared.http.access import FRESH, still
from shared.http.health import Health
from shared.http.roles import Principal, Scope
from tests.support.eventually import eventually
from tests.support.notify import NOBODY, Case, Office, opened
from tests.support.routing import chengchuan

EVERYTHING = Scope(everything=True)


def only(*departments: str) -> Scope:
    return Scope(everything=False, departments=frozenset(departments))


class Hall:
    """Live over a real log."""

    def __init__(self, office: Office, bus: SqliteBus) -> None:
        self.office, self.bus = office, bus
        self.live = Live(office.organisation, office.clock)
        self.sequence = 0

    async def publish(self, *events: tuple[Case, Event]) -> None:
        now = self.office.clock.now()
        for case, event in events:
            self.sequence += 1
            await self.bus.publish(
                [enclose(event, subject=case.id, sequence=self.sequence, key=case.id, time=now, traceparent=None)]
            )

    async def look(self) -> None:
        """Let the job look at the log once."""
        await eventually(lambda: self.office.clock.awaited)
        self.office.clock.advance(module.EVERY)
        await eventually(lambda: self.office.clock.awaited)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with opened(tmp_path) as office:
        await office.announce()
        bus = await SqliteBus.open(tmp_path / "log.db", office.clock)
        hall = Hall(office, bus)
        following = asyncio.create_task(hall.live.follow(bus))
        yield hall
        following.cancel()
        await bus.close()


def heard(listener: Listener) -> list[Any]:
    """What waits for the listener, cases as what is told of them."""
    found: list[Any] = []
    while not listener.messages.empty():
        message = listener.messages.get_nowait()
        is_case = message and message.startswith(b"event: case\ndata: ")
        found.append(json.loads(message.split(b"data: ")[1].split(b"\n")[0]) if message and is_case else message)
    return found


async def test_a_listener_hears_of_cases_by_number_and_without_words(hall: Hall) -> None:
    case = await hall.office.receive()
    await hall.publish((case, hall.office.event(CaseAccepted, case)))
    listener = hall.live.join(EVERYTHING)
    await hall.look()
    await hall.publish((case, hall.office.event(CaseAnswered, case, text=case.sealed("secret"), to="answered")))
    await hall.look()
    assert heard(listener) == [
        BEGIN,
        {
            "number": case.number,
            "event": "case.answered",
            "state": "answered",
            "department": "lighting",
            "version": 2,
            "at": "2026-03-02T08:00:01.000Z",
        },
    ], "what happened before it came is not told"


@pytest.mark.row("A25")
async def test_a_listener_hears_only_of_departments_that_it_may_see(hall: Hall) -> None:
    case = await hall.office.receive()
    listeners = {scope: hall.live.join(scope) for scope in (EVERYTHING, only("lighting"), only("reception"), only())}
    await hall.look()
    await hall.publish(
        (case, hall.office.event(CaseAccepted, case)),
        (case, hall.office.event(CaseReturned, case, department="reception", reason_code="x", hop=1)),
    )
    await hall.look()
    told = {scope: [each["event"] for each in heard(one)[1:]] for scope, one in listeners.items()}
    assert told == {
        EVERYTHING: ["case.accepted", "case.returned"],
        only("lighting"): ["case.accepted"],
        only("reception"): ["case.returned"],
        only(): [],
    }


async def test_what_is_not_about_a_case_is_not_told(hall: Hall) -> None:
    case = await hall.office.receive()
    listener = hall.live.join(EVERYTHING)
    await hall.look()
    sent = DeliverySent(
        at=hall.office.clock.now(),
        actor=NOBODY,
        delivery="d",
        cause="c",
        attempt=1,
        channel="email",
        recipient_role="citizen",
    )
    await hall.publish((case, sent))
    await hall.look()
    assert heard(listener) == [BEGIN]


async def test_a_slow_listener_is_let_go_with_a_word_and_the_others_are_not(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    case = await hall.office.receive()
    slow, quick = hall.live.join(EVERYTHING), hall.live.join(EVERYTHING)
    await hall.look()
    for _ in range(5):
        assert heard(quick)
        await hall.publish((case, hall.office.event(CaseAccepted, case)))
        await hall.look()
    assert heard(slow) == [RELOAD, None]
    assert len(heard(quick)) == 1


async def test_after_a_flood_everybody_is_told_to_look_again(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    case = await hall.office.receive()
    listener = hall.live.join(EVERYTHING)
    await hall.look()
    await hall.publish(*[(case, hall.office.event(CaseAccepted, case)) for _ in range(4)])
    await eventually(lambda: hall.office.clock.awaited)
    hall.office.clock.advance(module.EVERY)
    await eventually(lambda: not listener.messages.empty() and heard(listener) == [RELOAD, None])


@pytest.mark.parametrize("alone", [True, False], ids=["the first to listen", "one of several"])
async def test_a_page_hears_what_happened_between_its_drawing_and_its_listening(hall: Hall, alone: bool) -> None:
    case = await hall.office.receive()
    if not alone:
        hall.live.join(EVERYTHING)
        await hall.look()
    await hall.publish((case, hall.office.event(CaseAccepted, case)))
    hall.office.clock.advance(60)
    drawn = hall.office.clock.now()
    hall.office.clock.advance(0.5)
    await hall.publish((case, hall.office.event(CaseReturned, case, department="reception", reason_code="x", hop=1)))
    hall.office.clock.advance(0.5)
    await hall.publish((case, hall.office.event(CaseAnswered, case, text=case.sealed("secret"), to="answered")))
    listener, elsewhere = hall.live.join(EVERYTHING, drawn), hall.live.join(only("works"), drawn)
    await hall.look()
    await hall.look()
    told = [each["event"] for each in heard(listener)[1:]]
    assert sorted(set(told)) == ["case.answered", "case.returned"], "and not what the page shows already"
    assert {each["event"] for each in heard(elsewhere)[1:]} == {"case.answered"}


@pytest.mark.parametrize("since", [datetime.min, datetime.max])
async def test_a_page_from_the_ends_of_the_calendar_harms_nobody(hall: Hall, since: datetime) -> None:
    case = await hall.office.receive()
    odd, other = hall.live.join(EVERYTHING, since.replace(tzinfo=UTC)), hall.live.join(EVERYTHING)
    await hall.look()
    await hall.publish((case, hall.office.event(CaseAccepted, case)))
    await hall.look()
    assert heard(odd)[0] == BEGIN
    assert [each["event"] for each in heard(other)[1:]] == ["case.accepted"]


async def test_who_asks_for_more_than_is_remembered_is_told_to_look_again(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT", 2)
    monkeypatch.setattr(module, "BACK", 3)
    case = await hall.office.receive()
    drawn = []
    for _ in range(5):
        hall.office.clock.advance(10)
        drawn.append(hall.office.clock.now())
        await hall.publish((case, hall.office.event(CaseAccepted, case)))
    listeners = [hall.live.join(EVERYTHING, since) for since in drawn]
    await hall.look()
    told = [heard(one)[1:] for one in listeners]
    assert told[:3] == [[RELOAD], [RELOAD], [RELOAD]]
    assert [len(each) for each in told[3:]] == [2, 1]
    await hall.publish((case, hall.office.event(CaseAccepted, case)))
    await hall.look()
    assert [len(heard(one)) for one in listeners] == [1] * 5, "and goes on hearing"


async def test_nobody_reads_the_log_while_nobody_listens(hall: Hall) -> None:
    listener = hall.live.join(EVERYTHING)
    await hall.look()
    hall.live.leave(listener)
    hall.office.clock.advance(module.EVERY)
    await asyncio.sleep(0.05)
    assert not hall.office.clock.awaited
    hall.live.join(EVERYTHING)
    await hall.look()


async def test_there_is_room_for_so_many_listeners(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTENERS", 1)
    hall.live.join(EVERYTHING)
    with pytest.raises(Busy):
        hall.live.join(EVERYTHING)


async def test_silence_is_filled_with_comments_until_the_end() -> None:
    listener = Listener(EVERYTHING)
    saying = spoken(listener, silence=0.01)
    assert await anext(saying) == COMMENT
    listener.tell(b"x")
    assert await anext(saying) == b"x"
    listener.end(RELOAD)
    assert [message async for message in saying] == [RELOAD]


@pytest.mark.parametrize("revoked", ["session", "key"])
async def test_whoever_may_no_longer_listen_hears_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revoked: str
) -> None:
    monkeypatch.setattr(api, "CHECK", 0.01)
    async with chengchuan(tmp_path) as town:
        if revoked == "key":
            headers = await town.key("supervisor")
        else:
            headers = await town.session("supervisor")
        app = FastAPI()
        app.state.access = town.access
        named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        request = Request({"type": "http", "method": "GET", "path": "/v1/live", "headers": named, "app": app})
        principal = await still(request, "cases.read")
        assert principal
        listener = Listener(principal.scope)
        watching = asyncio.create_task(api._watch(request, principal, listener, Health()))
        await asyncio.sleep(0.1)
        assert not watching.done()
        if revoked == "key":
            await town.access.keys.revoke(principal.id)
        else:
            await town.access.sessions.end_all(principal.id)
        town.clock.advance(FRESH + 0.1)
        await asyncio.wait_for(watching, 5)
        assert heard(listener) == [None]


async def test_the_end_of_the_process_ends_what_is_heard() -> None:
    health, listener = Health(), Listener(EVERYTHING)
    request = Request({"type": "http", "method": "GET", "path": "/v1/live", "headers": []})
    watching = asyncio.create_task(api._watch(request, Principal("key", "k", "supervisor"), listener, health))
    health.ending.set()
    await asyncio.wait_for(watching, 5)
    assert heard(listener) == [None]

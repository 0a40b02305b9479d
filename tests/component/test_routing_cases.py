"""Routing by its HTTP interface, over real stores and a real vault: one case's whole way, and every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from services.routing import handlers
from services.routing.domain.case import WORDS, Case
from shared.clock import parse_rfc3339
from shared.events.intake import FeedbackRated, FeedbackSupplemented, Point
from tests.support.routing import CITIZEN, Town, chengchuan
from tests.unit.routing.folding import Folded, fold


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


BODIES: dict[str, dict[str, Any]] = {
    "acceptance": {},
    "start": {},
    "return": {"reason_code": "not-ours", "reason": "哨兵：不归我们管"},
    "reassignment": {"department": "water", "category": "water-pipe", "reason": "哨兵：是水管"},
    "question": {"text": "哨兵：哪一盏？"},
    "resumption": {},
    "answer": {"text": "哨兵：已经修好了"},
    "closure": {"text": "哨兵：谢谢"},
    "note": {"text": "哨兵：常坏"},
}


async def test_a_case_goes_its_whole_way_by_the_api(town: Town) -> None:
    lamp = await town.receive("哨兵：和平路的路灯不亮了")
    worker = await town.key("case-worker", "lighting")
    number = lamp.value.number

    queue = (await town.client.get("/v1/cases", headers=worker)).json()
    assert [item["number"] for item in queue["items"]] == [number]
    assert queue["next"] is None

    version = 1
    for move, state in [
        ("acceptance", "accepted"),
        ("start", "in-progress"),
        ("note", "in-progress"),
        ("question", "awaiting-citizen"),
        ("resumption", "in-progress"),
        ("answer", "answered"),
    ]:
        town.clock.advance(600)
        done = await town.post(number, move, version, worker, BODIES[move])
        assert done.status_code == 200, done.text
        version += 1
        case = done.json()
        assert (case["number"], case["version"], case["state"], case["department"], case["category"]) == (
            number,
            version,
            state,
            "lighting",
            "street-lamp",
        )
        assert done.headers["etag"] == f'"{version}"'
        assert parse_rfc3339(case["deadline"])

    rating = FeedbackRated(
        at=town.clock.now(),
        actor=CITIZEN,
        solved=True,
        satisfaction=5,
        comment=town.keys[lamp.id].seal("text", "comment", "哨兵：很好"),
    )
    await town.happens(lamp.id, handlers.take_rating, rating)

    shown = await town.client.get(f"/v1/cases/{number}", headers=worker)
    assert shown.headers["etag"] == f'"{version + 1}"'
    case = shown.json()
    assert (case["state"], case["moves"], case["rating"]["satisfaction"]) == ("closed", [], 5)
    assert [step["state"] for step in case["timeline"]] == [
        "routed",
        "accepted",
        "in-progress",
        "in-progress",
        "awaiting-citizen",
        "in-progress",
        "answered",
        "closed",
    ]
    assert all({"at", "state", "department"} <= set(step) for step in case["timeline"])
    assert [(m["from"], m["what"], m["text"]) for m in case["messages"]] == [
        ("citizen", "feedback", "哨兵：和平路的路灯不亮了"),
        ("staff", "note", "哨兵：常坏"),
        ("staff", "question", "哨兵：哪一盏？"),
        ("staff", "answer", "哨兵：已经修好了"),
        ("citizen", "rating", "哨兵：很好"),
    ]
    assert case["explanation"]["words"] == ["不亮", "路灯"]


async def test_what_the_log_tells_is_what_the_case_says(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    boss = await town.key("supervisor")
    moves = ["return", "reassignment", "acceptance", "question", "resumption", "answer", "closure"]
    for version, move in enumerate(moves, 1):
        town.clock.advance(3600)
        done = await town.post(lamp.value.number, move, version, boss, BODIES[move])
        assert done.status_code == 200, done.text
    kept = await town.cases.get(lamp.id)
    assert kept
    assert kept.sequence == kept.value.version == len(moves) + 1
    assert fold(await town.told(lamp.id)) == Folded.of(kept.value)


@pytest.mark.row("I16")
async def test_words_are_on_disk_as_ciphertext_only(town: Town, tmp_path: Path) -> None:
    lamp = await town.receive("哨兵：路灯不亮")
    boss = await town.key("supervisor")
    for version, move in enumerate(["return", "reassignment", "acceptance", "question", "resumption", "answer"], 1):
        assert (await town.post(lamp.value.number, move, version, boss, BODIES[move])).status_code == 200
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert "哨兵".encode() not in file.read_bytes(), file.name


async def test_the_desk_sees_where_it_is_and_what_was_asked(town: Town) -> None:
    id, event = await town.feedback("路灯不亮")
    keys = town.keys[id]
    event = event.model_copy(
        update={
            "place": keys.seal("text", "place", "北河镇和平路 12 号"),
            "point": Point(lat=33.871, lon=110.318),
            "answers": keys.seal("text", "answers", '{"pole":"17"}'),
        }
    )
    case = (await town.happens(id, handlers.open_case, event, {"text": "路灯不亮", "place": "北河镇"})).value
    shown = (await town.client.get(f"/v1/cases/{case.number}", headers=await town.key("supervisor"))).json()
    assert (shown["place"], shown["answers"], shown["area"]) == ("北河镇和平路 12 号", '{"pole":"17"}', "beihe")
    assert shown["point"] == {"lat": 33.871, "lon": 110.318}


async def test_words_whose_key_is_destroyed_are_shown_as_nothing_and_nothing_more_is_said(town: Town) -> None:
    keys = (await town.feedback("x"))[1].text
    gone = keys.model_copy(update={"key": "GONE/text"})
    case = (await town.receive("路灯不亮", text=gone)).value
    boss = await town.key("supervisor")
    shown = await town.client.get(f"/v1/cases/{case.number}", headers=boss)
    assert [message["text"] for message in shown.json()["messages"]] == [None]
    refused = await town.post(case.number, "note", 1, boss, {"text": "x"})
    assert (refused.status_code, refused.json()["legal"]) == (409, [])


async def test_a_call_needs_the_version_and_says_what_was_missed(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    worker = await town.key("case-worker", "lighting")
    for tag in (None, "*", "1", '"one"', '"-1"', '"²"', '"1", "2"'):
        headers = {name.encode(): value.encode() for name, value in worker.items()}
        if tag is not None:
            headers[b"If-Match"] = tag.encode()
        without = await town.client.post(f"/v1/cases/{case.number}/acceptance", headers=headers)
        assert (without.status_code, without.json()["status"]) == (428, 428)
    assert (await town.post(case.number, "acceptance", 1, worker)).status_code == 200
    stale = await town.post(case.number, "start", 1, worker)
    assert stale.status_code == 412
    problem = stale.json()
    assert problem["version"] == 2
    assert [(step["version"], step["event"], step["state"]) for step in problem["changed"]] == [
        (2, "case.accepted", "accepted")
    ]
    assert (await town.post(case.number, "start", 3, worker)).status_code == 412
    weak = await town.client.post(f"/v1/cases/{case.number}/start", headers={**worker, "If-Match": 'W/"2"'})
    assert weak.status_code == 200


async def test_an_illegal_move_is_refused_with_the_legal_ones(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    worker = await town.key("case-worker", "lighting")
    refused = await town.post(case.number, "answer", 1, worker, BODIES["answer"])
    assert refused.status_code == 409
    assert refused.json()["legal"] == ["acceptance", "return", "reassignment"]


@pytest.mark.row("F32")
async def test_staff_write_so_much_that_a_case_stays_one_small_document(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WORDS == 3_000_000
    monkeypatch.setattr("services.routing.handlers.desk.WORDS", 200_000)
    case = (await town.receive("路灯不亮")).value
    worker = await town.key("case-worker", "lighting")
    for version in (1, 2):
        assert (await town.post(case.number, "note", version, worker, {"text": "路" * 20_000})).status_code == 200
    over = await town.post(case.number, "note", 3, worker, {"text": "路" * 20_000})
    assert (over.status_code, over.json()["errors"]) == (422, [{"location": "/text", "code": "too_many_words"}])
    assert (await town.post(case.number, "acceptance", 3, worker)).status_code == 200


@pytest.mark.row("F31")
async def test_of_a_hundred_calls_with_one_version_one_is_done(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    worker = await town.key("case-worker", "lighting")
    answers = await asyncio.gather(
        *(town.post(lamp.value.number, "acceptance", 1, worker) for _ in range(50)),
        *(town.post(lamp.value.number, "note", 1, worker, BODIES["note"]) for _ in range(50)),
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 99
    kept = await town.cases.get(lamp.id)
    assert kept
    assert kept.sequence == 2
    assert len(await town.told(lamp.id)) == 2


async def test_staff_and_citizen_at_once_lose_nothing(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    worker = await town.key("case-worker", "lighting")

    async def message(number: int) -> None:
        words = town.keys[lamp.id].seal("text", "message", str(number))
        await town.happens(
            lamp.id, handlers.hear_citizen, FeedbackSupplemented(at=town.clock.now(), actor=CITIZEN, message=words)
        )

    await asyncio.gather(*(message(n) for n in range(5)), town.post(lamp.value.number, "acceptance", 1, worker))
    kept = await town.cases.get(lamp.id)
    assert kept
    assert len(kept.value.messages) == 6
    events = await town.told(lamp.id)
    assert [event.envelope.sequence for event in events] == list(range(1, kept.sequence + 1))
    assert fold(events) == Folded.of(kept.value)


@pytest.mark.row("A26")
@pytest.mark.parametrize("move", BODIES)
async def test_no_field_of_the_document_can_be_sent(town: Town, move: str) -> None:
    case = (await town.receive("路灯不亮")).value
    boss = await town.key("supervisor")
    allowed = set(BODIES[move])
    for name in {field.name for field in fields(Case)} | {
        "role",
        "outbox",
        "revision",
        "sequence",
        "seen",
        "created_at",
    }:
        if name not in allowed and not (move == "reassignment" and name in ("department", "category")):
            refused = await town.post(case.number, move, 1, boss, BODIES[move] | {name: "closed"})
            assert refused.status_code == 422, name
            assert [error["location"] for error in refused.json()["errors"]] == [f"/{name}"]
    shown = (await town.client.get(f"/v1/cases/{case.number}", headers=boss)).json()
    assert (shown["version"], shown["state"]) == (1, "routed")


@pytest.mark.parametrize(
    ("move", "body", "location"),
    [
        ("answer", None, ""),
        ("answer", {}, "/text"),
        ("answer", {"text": ""}, "/text"),
        ("answer", {"text": " \u200b\n"}, "/text"),
        ("answer", {"text": 5}, "/text"),
        ("answer", {"text": None}, "/text"),
        ("answer", {"text": "字" * 20_001}, "/text"),
        ("answer", {"text": "🙂" * 16_385}, "/text"),
        ("note", {"text": "a\x00b"}, "/text"),
        ("return", {}, "/reason_code"),
        ("return", {"reason_code": "Not ours"}, "/reason_code"),
        ("reassignment", {}, "/department"),
        ("reassignment", {"department": "space"}, "/department"),
        ("reassignment", {"department": "water", "category": "space"}, "/category"),
        ("acceptance", [], ""),
    ],
)
async def test_what_cannot_be_accepted_is_named_and_not_echoed(town: Town, move: str, body: Any, location: str) -> None:
    case = (await town.receive("路灯不亮")).value
    boss = await town.key("supervisor")
    refused = await town.post(case.number, move, 1, boss, body)
    assert refused.status_code == 422, refused.text
    assert location in [error["location"] for error in refused.json()["errors"]]
    assert "字" not in refused.text


async def test_the_longest_text_is_accepted(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    boss = await town.key("supervisor")
    assert (await town.post(case.number, "note", 1, boss, {"text": "字" * 20_000})).status_code == 200


async def test_a_case_full_of_messages_takes_no_note_but_an_answer(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    words = town.keys[lamp.id].seal("text", "message", "x")
    event = FeedbackSupplemented(at=town.clock.now(), actor=CITIZEN, message=words)
    for _ in range(200):
        kept = await town.happens(lamp.id, handlers.hear_citizen, event)
    boss = await town.key("supervisor")
    number, version = lamp.value.number, kept.value.version
    assert (await town.post(number, "note", version, boss, {"text": "x"})).status_code == 422
    assert (await town.post(number, "acceptance", version, boss)).status_code == 200
    assert (await town.post(number, "answer", version + 1, boss, {"text": "x"})).status_code == 200


async def test_timers_fire_once(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    assert await town.fire_due() == 0
    town.clock.advance(14 * 86400)
    assert await town.fire_due() == 1
    assert await town.fire_due() == 0
    boss = await town.key("supervisor")
    shown = (await town.client.get(f"/v1/cases/{lamp.value.number}", headers=boss)).json()
    assert (shown["overdue"], shown["state"]) == (True, "routed")
    assert [event.type for event in await town.told(lamp.id)] == ["case.routed", "case.overdue"]

"""Moves of the past, told by the operator: at their own time, by those who made them, and once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shared.clock import rfc3339
from shared.http.server import as_operator
from tests.support.routing import MONDAY, Town, chengchuan

PATH = "/v1/cases/batch"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


async def told(town: Town, *lines: Any) -> list[dict[str, Any]]:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    transport: Any = town.client._transport
    operated = httpx2.ASGITransport(app=as_operator(transport.app))
    async with httpx2.AsyncClient(transport=operated, base_url="http://control") as client:
        answer = await client.post(PATH, content=body)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def move(number: str, word: str, minutes: int, **more: Any) -> dict[str, Any]:
    at = rfc3339(MONDAY - timedelta(days=10) + timedelta(minutes=minutes))
    return {"number": number, "move": word, "at": at, "worker": "103", **more}


async def lamp(town: Town) -> Any:
    past = MONDAY - timedelta(days=10)
    return await town.receive("和平路的路灯不亮了", at=past, received_at=past)


WAY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("acceptance", {}),
    ("start", {}),
    ("note", {"text": "常坏"}),
    ("question", {"text": "哪一盏？"}),
    ("resumption", {}),
    ("answer", {"text": "修好了"}),
    ("closure", {"text": "谢谢"}),
)


async def test_a_case_goes_its_whole_way_at_its_own_time(town: Town) -> None:
    case = await lamp(town)
    number = case.value.number
    lines = [move(number, word, 10 * n, **more) for n, (word, more) in enumerate(WAY, 1)]
    results = await told(town, *lines)
    assert [(r["line"], r["status"], r["version"]) for r in results] == [(n, 200, n + 1) for n in range(1, 8)]
    events = await town.told(case.id)
    assert [rfc3339(event.at) for event in events[1:]] == [line["at"] for line in lines]
    assert {(event.actor.kind, event.actor.id) for event in events[1:]} == {("import", "103")}
    kept = await town.cases.get(case.id)
    assert kept
    assert (kept.value.state, kept.value.worker) == ("closed", "103")


async def test_moves_told_again_change_nothing(town: Town) -> None:
    case = await lamp(town)
    lines = [move(case.value.number, word, 10 * n, **more) for n, (word, more) in enumerate(WAY, 1)]
    await told(town, *lines[:4])
    first = await town.told(case.id)
    assert {r["status"] for r in await told(town, *lines[:4])} == {200}
    assert [event.at for event in await town.told(case.id)] == [event.at for event in first]
    assert {r["status"] for r in await told(town, *lines)} == {200}
    assert len(await town.told(case.id)) == 8


async def test_routing_and_returning_keep_their_words_sealed(town: Town) -> None:
    past = MONDAY - timedelta(days=10)
    case = await town.receive("在吗", at=past, received_at=past)
    number = case.value.number
    results = await told(
        town,
        move(number, "reassignment", 5, department="water", category="water-pipe", reason="哨兵"),
        move(number, "return", 9, reason_code="not-ours", reason="哨兵"),
    )
    assert [r["status"] for r in results] == [200, 200]
    _, routed, returned = await town.told(case.id)
    assert (routed.type, routed.department, returned.type, returned.hop) == ("case.routed", "water", "case.returned", 1)
    assert "哨兵" not in returned.model_dump_json()


async def test_what_cannot_be_is_said_line_by_line(town: Town) -> None:
    case = await lamp(town)
    number = case.value.number
    await told(town, move(number, "acceptance", 60))
    results = await told(
        town,
        move(number, "closure", 70),
        move(number, "start", 30),
        move(number, "dance", 70),
        move(number, "answer", 70),
        move(number, "start", 70, wish="x"),
        move("20260907-00000000-0", "start", 70),
        {**move(number, "start", 70), "at": "soon"},
        move(number, "start", 60 * 24 * 60),
        "[]",
        "{",
        move(number, "start", 80),
    )
    assert [r["status"] for r in results] == [409, 422, 422, 422, 422, 404, 422, 422, 400, 400, 200]
    assert results[0]["problem"]["legal"] == ["start", "question", "answer", "return", "reassignment"]
    assert [r["problem"]["errors"][0]["location"] for r in results[1:5]] == ["/at", "/move", "/text", "/wish"]


@pytest.mark.parametrize("role", ["supervisor", "case-worker", "integrator", "operations", "admin"])
async def test_no_key_speaks_in_the_names_of_others(town: Town, role: str) -> None:
    case = await lamp(town)
    headers = await town.key(role, "lighting")
    line = json.dumps(move(case.value.number, "acceptance", 5))
    assert (await town.client.post(PATH, content=line, headers=headers)).status_code == 403
    assert (await town.client.post(PATH, content=line)).status_code == 401

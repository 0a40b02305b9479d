"""What submitters did in the past, told by the operator: at its own time, and once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clock import rfc3339
from tests.support.intake import MONDAY, Portal, portal

PATH = "/v1/feedback/follow-ups"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as town:
        yield town


async def told(town: Portal, *lines: Any) -> list[dict[str, Any]]:
    answer = await town.operator.post(PATH, content="\n".join(json.dumps(line) for line in lines))
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def act(number: str, word: str, key: str, hours: int = 1, **more: Any) -> dict[str, Any]:
    return {"number": number, "act": word, "at": rfc3339(MONDAY - timedelta(hours=hours)), "key": key, **more}


async def test_each_is_kept_at_its_own_time_and_once(town: Portal) -> None:
    receipt = await town.say()
    number = receipt["number"]
    lines = [
        act(number, "message", "k1", 5, text="是左边那盏"),
        act(number, "rating", "k2", 4, solved=False, satisfaction=2, comment="还没有好"),
        act(number, "reopening", "k3", 3, reason="又坏了"),
        act(number, "withdrawal", "k4", 2),
    ]
    for _ in range(2):
        assert [r["status"] for r in await told(town, *lines)] == [202] * 4
    _, *events = await town.told(receipt["id"])
    assert [event.type for event in events] == [
        "feedback.supplemented", "feedback.rated", "feedback.reopened", "feedback.withdrawn"
    ]  # fmt: skip
    assert [rfc3339(event.at) for event in events] == [line["at"] for line in lines]
    assert {(event.actor.kind, event.actor.id) for event in events} == {("import", "operator")}
    assert [m["text"] for m in (await town.follow(receipt))["messages"]] == ["是左边那盏", "路灯不亮了"]


async def test_what_cannot_be_is_said_line_by_line(town: Portal) -> None:
    number = (await town.say())["number"]
    results = await told(
        town,
        act(number, "message", "k1"),
        act(number, "rating", "k2", satisfaction=9),
        act(number, "dance", "k3"),
        act("20260907-00000000-0", "withdrawal", "k4"),
        {**act(number, "withdrawal", "k5"), "at": "soon"},
        act(number, "message", "k6", -48, text="tomorrow"),
        [],
        act(number, "message", "k7", text="one"),
        act(number, "message", "k7", text="another"),
    )
    assert [r["status"] for r in results] == [422, 422, 422, 404, 422, 422, 422, 202, 422]
    assert results[0]["problem"]["errors"][0]["location"] == "/text"


@pytest.mark.parametrize("role", ["supervisor", "phone-operator", "integrator", "operations", "admin"])
async def test_no_key_speaks_for_the_submitter(town: Portal, role: str) -> None:
    number = (await town.say())["number"]
    headers = {"Authorization": f"Bearer {await town.access.create_key(role)}"}
    line = json.dumps(act(number, "withdrawal", "k"))
    assert (await town.client.post(PATH, content=line, headers=headers)).status_code == 403
    assert (await town.client.post(PATH, content=line)).status_code == 401

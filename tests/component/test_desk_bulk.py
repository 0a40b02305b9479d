"""Many cases in one go at the desk: each is told apart, and none stops another."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.routing import Town, chengchuan


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


async def together(town: Town, who: dict[str, str], said: dict[str, str], status: int = 200) -> dict[str, str]:
    """What is told of each number."""
    answer = await town.client.post("/desk/bulk?lang=en", headers=who, data=said)
    assert answer.status_code == status, answer.text
    return dict(re.findall(r'<a class="number"[^>]*>([^<]+)</a> <span[^>]*>([^<]+)</span>', answer.text))


async def state(town: Town, number: str) -> Any:
    answer = await town.client.get(f"/v1/cases/{number}", headers=await town.key("supervisor"))
    return answer.json()["state"]


async def test_each_case_is_accepted_or_told_why_not(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    good, changed, wrong = [(await town.receive("路灯不亮")).value.number for _ in range(3)]
    foreign = (await town.receive("水管爆裂")).value.number
    await town.post(changed, "note", 1, who, {"text": "!"})
    await town.post(wrong, "acceptance", 1, who)
    picked = {f"case.{good}": "1", f"case.{changed}": "1", f"case.{wrong}": "2", f"case.{foreign}": "1", "case.x": "1"}
    said = await together(town, who, {"do": "acceptance", **picked})
    assert {number: words.partition(":")[0] for number, words in said.items()} == {
        good: "done",
        changed: "not done",
        wrong: "not done",
        foreign: "not done",
        "x": "not done",
    }
    assert "changed" in said[changed]
    assert "state" in said[wrong]
    assert "department" in said[foreign]
    assert await state(town, good) == "accepted"
    assert await state(town, foreign) == "routed"


async def test_a_second_click_is_the_first_one(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    number = (await town.receive("路灯不亮")).value.number
    said = {"do": "acceptance", f"case.{number}": "1"}
    assert await together(town, who, said) == await together(town, who, said) == {number: "done"}


async def test_cases_are_handed_over_together(town: Town) -> None:
    lead = await town.key("department-lead", "lighting")
    made = [(await town.receive("路灯不亮")).value.number for _ in range(3)]
    said = {"do": "reassignment", "department": "water"} | {f"case.{number}": "1" for number in made}
    assert await together(town, lead, said) == dict.fromkeys(made, "done")
    water = await town.client.get("/v1/cases", headers=await town.key("case-worker", "water"))
    assert {item["number"] for item in water.json()["items"]} == set(made)


async def test_what_cannot_be_asked_is_refused(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    number = (await town.receive("路灯不亮")).value.number
    for said in (
        {"do": "answer"},
        {"do": "nothing"},
        {},
        {"do": "reassignment"},
        {"do": "reassignment", "department": "nowhere"},
    ):
        await together(town, who, {**said, f"case.{number}": "1"}, 422)
    await together(town, await town.key("phone-operator", "lighting"), {"do": "acceptance", f"case.{number}": "1"}, 403)
    assert await state(town, number) == "routed"
    assert await together(town, who, {"do": "acceptance"}) == {}


@pytest.mark.row("A25")
async def test_a_form_from_elsewhere_or_of_another_session_does_nothing(town: Town) -> None:
    who = await town.session("case-worker", "lighting")
    number = (await town.receive("路灯不亮")).value.number
    said = {"do": "acceptance", f"case.{number}": "1"}
    await together(town, who, said, 403)
    await together(town, {**who, "Sec-Fetch-Site": "cross-site"}, {**said, "csrf": who["X-CSRF-Token"]}, 403)
    assert await state(town, number) == "routed"
    assert await together(town, who, {**said, "csrf": who["X-CSRF-Token"]}) == {number: "done"}


async def test_a_whole_page_fits_into_one_form(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    for _ in range(31):
        await town.receive("路灯不亮")
    page = (await town.client.get("/desk", headers=who)).text
    boxes = dict(re.findall(r'name="(case\.[^"]+)" value="(\d+)"', page))
    assert len(boxes) == 30
    assert len(await together(town, who, {"do": "acceptance", "department": "", "csrf": "", **boxes})) == 30


async def test_all_keys_are_on_a_page(town: Town) -> None:
    page = (await town.client.get("/desk/shortcuts?lang=en", headers=await town.key("case-worker", "lighting"))).text
    assert "<kbd>Ctrl</kbd> <kbd>Enter</kbd>" in page
    assert "<kbd>g</kbd>" not in page
    assert "<kbd>h</kbd>" not in page

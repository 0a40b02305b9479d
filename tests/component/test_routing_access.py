"""Who sees which case: another department's does not exist; lists, pages and the public words of the organisation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.routing import handlers
from services.routing.app import load_organisation
from services.routing.handlers import Knowledge, announce_organisation
from services.routing.settings import SAMPLE
from services.routing.store import sources
from shared.delivery.subscription import Context
from shared.store.documents import Kept
from shared.store.port import Done, Query
from tests.support.routing import Town, chengchuan


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


MOVES: dict[str, Any] = {
    "acceptance": {},
    "start": {},
    "return": {"reason_code": "not-ours"},
    "reassignment": {"department": "water"},
    "question": {"text": "?"},
    "resumption": {},
    "answer": {"text": "!"},
    "closure": {},
    "note": {"text": "."},
}

READS = {"case-worker", "department-lead", "phone-operator", "supervisor"}
WORKS = READS - {"phone-operator"}
DENIED = ["editor", "analyst", "auditor", "privacy-officer", "operations", "admin", "integrator"]


async def ask(town: Town, move: str | None, number: str, who: dict[str, str], body: Any = None) -> tuple[int, Any]:
    """The answer of a case's route; `instance` is the one field in which equal problems differ."""
    if move is None:
        answer = await town.client.get(f"/v1/cases/{number}", headers=who)
    else:
        answer = await town.post(number, move, 1, who, MOVES[move] if body is None else body)
    content = answer.json()
    content.pop("instance", None)
    return answer.status_code, content


@pytest.mark.row("A25")
@pytest.mark.parametrize("move", [None, *MOVES])
async def test_another_departments_case_does_not_exist(town: Town, move: str | None) -> None:
    case = (await town.receive("路灯不亮")).value
    unknown = town.ids.number(town.clock.now().date())
    for who in (
        await town.key("case-worker", "water"),
        await town.key("department-lead", "transport"),
        await town.key("case-worker", "sanitation", "education"),
        await town.key("case-worker"),
        await town.key("case-worker", "nowhere"),
    ):
        foreign = await ask(town, move, case.number, who)
        assert foreign[0] == 404
        for number in (unknown, "20260907-00000000-0", "x", "２０２６０９０７-00000000-0"):
            assert await ask(town, move, number, who) == foreign
        for body in ({}, {"text": 1, "role": "admin"}):
            assert (await ask(town, move, case.number, who, body))[0] == 404
    kept = await town.cases.find(Query({"number": case.number}))
    assert kept[0][0].value == case


@pytest.mark.row("A25")
@pytest.mark.parametrize("move", [None, *MOVES])
async def test_who_may_is_decided_before_anything_else(town: Town, move: str | None) -> None:
    case = (await town.receive("路灯不亮")).value
    for number in (case.number, town.ids.number(town.clock.now().date()), "x"):
        assert (await ask(town, move, number, {}))[0] == 401
        for wrong in ("Bearer hk_x_y", "Bearer ", "Bearer hk_", "Bearer é"):
            assert (await ask(town, move, number, {"Authorization": wrong.encode()}))[0] == 401  # type: ignore[dict-item]
        assert (await ask(town, move, number, {"Authorization": "Basic eDp5"}))[0] == 401
        for role in DENIED + ([] if move is None else ["phone-operator"]):
            assert (await ask(town, move, number, await town.key(role, "lighting")))[0] == 403, role


@pytest.mark.row("A25")
@pytest.mark.parametrize("role", sorted(READS))
@pytest.mark.parametrize("root", ["lighting", "urban-management"])
async def test_the_own_departments_case_and_those_below_are_there(town: Town, role: str, root: str) -> None:
    case = (await town.receive("路灯不亮")).value
    who = await town.key(role, root)
    assert (await ask(town, None, case.number, who))[0] == 200
    assert (await ask(town, "acceptance", case.number, who))[0] == (200 if role in WORKS else 403)


@pytest.mark.row("A25")
async def test_a_list_has_only_what_one_may_see(town: Town) -> None:
    lamp = (await town.receive("路灯不亮")).value.number
    pipe = (await town.receive("水管爆裂")).value.number
    triaged = (await town.receive("你好")).value.number

    async def seen(who: dict[str, str], **query: str) -> set[str]:
        answer = await town.client.get("/v1/cases", headers=who, params=query)
        assert answer.status_code == 200
        return {item["number"] for item in answer.json()["items"]}

    lighting, water, urban, none, boss = [
        await town.key(role, *departments)
        for role, *departments in (
            ("case-worker", "lighting"),
            ("case-worker", "water"),
            ("department-lead", "urban-management"),
            ("case-worker",),
            ("supervisor",),
        )
    ]
    assert await seen(lighting) == await seen(urban) == {lamp}
    assert await seen(water) == {pipe}
    assert await seen(none) == set()
    assert await seen(boss) == {lamp, pipe, triaged}
    assert await seen(boss, department="urban-management") == {lamp}
    assert await seen(boss, department="reception", state="triage") == {triaged}
    assert await seen(boss, state="routed") == {lamp, pipe}
    assert await seen(boss, department="nowhere") == set()
    assert await seen(lighting, department="water") == set()
    assert await seen(urban, department="lighting", state="routed") == {lamp}
    assert await seen(lighting, state="triage") == set()


async def test_a_case_that_is_handed_over_changes_hands(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    lighting, water = await town.key("case-worker", "lighting"), await town.key("case-worker", "water")
    assert (await ask(town, "reassignment", case.number, lighting))[0] == 200
    assert (await ask(town, None, case.number, lighting))[0] == 404
    assert (await ask(town, None, case.number, water))[0] == 200


async def test_a_lister_sees_every_case_exactly_once(town: Town) -> None:
    count = 1_234
    numbers = set()
    changes = []
    knows: Knowledge = town.wiring.knows()
    words = ["路灯不亮", "水管爆裂", "公交车晚点", "你好"]
    _, event = await town.feedback("x")
    for n in range(count):
        number = town.ids.number(town.clock.now().date())
        told = event.model_copy(update={"number": number, "historic": n % 3 > 0})
        decision = handlers.open_case(None, told, Context(town.clock.now(), knows, {"text": words[n % 4]}))
        assert decision
        numbers.add(number)
        changes.append(town.cases.insert(Kept(f"{n:026}", decision.value), decision))
    assert all(isinstance(outcome, Done) for outcome in await town.cases.write(changes))
    boss = await town.key("supervisor")

    async def listed(**query: Any) -> list[dict[str, Any]]:
        items, cursor = [], None
        while True:
            page = await town.client.get(
                "/v1/cases", headers=boss, params=query | ({"cursor": cursor} if cursor else {})
            )
            assert page.status_code == 200, page.text
            items += page.json()["items"]
            cursor = page.json()["next"]
            if cursor is None:
                return items

    for limit in (7, 100, 500):
        items = await listed(limit=limit)
        assert len(items) == count
        assert {item["number"] for item in items} == numbers
    deadlines = [item["deadline"] for item in items]
    live = [deadline for deadline in deadlines if deadline]
    assert live == sorted(live)
    assert deadlines == live + [None] * (count - len(live)), "historic cases come last"
    by_department = [await listed(department=each) for each in ("lighting", "water", "transport", "reception")]
    assert sum(map(len, by_department)) == count
    assert len(await listed(state="triage", limit=50)) == len(by_department[3])


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "501"}, {"limit": "x"}, {"state": "lost"}, {"cursor": "nonsense"}]
)
async def test_a_question_that_cannot_be_read_is_refused(town: Town, query: dict[str, str]) -> None:
    boss = await town.key("supervisor")
    refused = await town.client.get("/v1/cases", headers=boss, params=query)
    assert refused.status_code == 422, refused.text
    (error,) = refused.json()["errors"]
    assert error["location"].endswith(next(iter(query)))


@pytest.mark.parametrize("list_of", ["categories", "departments", "areas"])
async def test_the_words_of_the_organisation_are_public(town: Town, list_of: str) -> None:
    answer = await town.client.get(f"/v1/{list_of}")
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert items
    for item in items:
        assert set(item) == {"id", "parent", "label"}
        assert item["label"]["zh"]
        assert item["label"]["en"]
    assert "@" not in answer.text


async def test_the_organisation_is_announced_once_per_file(town: Town, tmp_path: Path) -> None:
    assert town.wiring.start
    await town.wiring.start()
    (announced,) = await town.told("organisation")
    assert announced.type == "organisation.published"
    assert announced.envelope.key == announced.envelope.subject == "organisation"
    assert announced.organisation_version == load_organisation(SAMPLE).version
    assert announced.content.reception == "reception"

    changed = tmp_path / "changed.yaml"
    changed.write_text(SAMPLE.read_text() + "# changed\n")
    source = sources(town.store, town.clock)
    await announce_organisation(source, load_organisation(changed), town.clock)
    assert [event.envelope.sequence for event in await town.told("organisation")] == [1, 2]

"""Similar cases: staff in scope see which, the public learns how many, and an answer can be borrowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.routing import handlers
from services.sample.script import read_messages
from shared.events.intake import FeedbackRated, FeedbackWithdrawn, Point
from tests.support.markup import Page
from tests.support.routing import CITIZEN, Town, chengchuan

OTHERS = (
    "公交车总是晚点，早高峰等四十分钟",
    "学校门口太堵，请交警来疏导",
    "自来水管爆裂，水流满街",
    "垃圾桶满了没人清运",
)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        for words in OTHERS:
            await town.receive(words)
        yield town


async def ask(town: Town, text: str, who: dict[str, str] | None = None, **more: Any) -> Any:
    return await town.client.post("/v1/similar", json={"text": text, **more}, headers=who or {})


async def answered(town: Town, words: str, answer: str, satisfaction: int | None = None) -> str:
    """A case that was answered, and perhaps rated."""
    kept = await town.receive(words)
    number, boss = kept.value.number, await town.key("supervisor")
    for version, (move, body) in enumerate([("acceptance", {}), ("answer", {"text": answer})], 1):
        assert (await town.post(number, move, version, boss, body)).status_code == 200
    if satisfaction is not None:
        rating = FeedbackRated(at=town.clock.now(), actor=CITIZEN, solved=True, satisfaction=satisfaction)
        await town.happens(kept.id, handlers.take_rating, rating)
    return number


async def test_staff_see_the_cases_that_are_like_it_the_likest_first(town: Town) -> None:
    near = (await town.receive("文昌街北段的路灯夜里熄灭了")).value.number
    far = (await town.receive("体育馆的路灯夜里太亮")).value.number
    found = (await ask(town, "文昌街的路灯夜里熄灭", await town.key("case-worker", "lighting"))).json()
    assert [item["number"] for item in found["items"]] == [near, far]
    first = found["items"][0]
    assert (first["state"], first["department"], first["first_words"]) == (
        "routed",
        "lighting",
        "文昌街北段的路灯夜里熄灭了",
    )
    assert found["next"] is None


async def test_among_few_cases_words_that_everybody_uses_make_nothing_alike(town: Town) -> None:
    who = await town.key("supervisor")
    await town.receive("我们这里现在没有公共厕所，请问什么时候能有")
    await town.receive("There has been no bench at the library for three weeks now, please")
    for text in (
        "请问我们小区什么时候能装充电桩",
        "The siren has been on at night for three weeks now, please",
    ):
        assert (await ask(town, text, who)).json()["items"] == []
    found = (await ask(town, "步行街没有公共厕所", who)).json()["items"]
    assert [item["first_words"] for item in found] == ["我们这里现在没有公共厕所，请问什么时候能有"]


@pytest.mark.row("A25")
async def test_cases_of_other_departments_are_not_among_them(town: Town) -> None:
    await town.receive("文昌街北段的路灯夜里熄灭了")
    for who in (await town.key("case-worker", "water"), await town.key("case-worker")):
        assert (await ask(town, "文昌街北段的路灯夜里熄灭了", who)).json() == {"items": [], "next": None}


async def test_the_public_learns_how_many_and_nothing_of_fewer_than_five(town: Town) -> None:
    for n in range(4):
        await town.receive(f"和平社区 {n} 号楼停水了，没有通知")
    assert (await ask(town, "和平社区停水")).json() == {"items": [], "next": None}
    await town.receive("和平社区 9 号楼也停水了")
    told = await ask(town, "和平社区停水")
    assert told.status_code == 200
    assert told.json() == {"items": [{"category": "water-outage", "count": 5}], "next": None}
    integrator = await ask(town, "和平社区停水", await town.key("integrator"))
    assert integrator.json() == told.json(), "who may not read cases learns what everybody does"


async def test_what_lies_nearer_counts_for_more(town: Town) -> None:
    here, there = Point(lat=33.871, lon=110.318), Point(lat=33.971, lon=110.318)
    far = (await town.receive("路灯夜里熄灭", point=there)).value.number
    near = (await town.receive("路灯夜里熄灭了", point=here)).value.number
    await town.receive("路灯夜里熄灭好几天")
    location = {"lat": 33.872, "lon": 110.318}
    items = (await ask(town, "路灯夜里熄灭了好几天", await town.key("supervisor"), location=location)).json()["items"]
    metres = {item["number"]: item["metres"] for item in items}
    assert metres[near] == 111
    assert metres[far] == pytest.approx(11_000, rel=0.01)
    likeness = {item["number"]: item["likeness"] for item in items}
    assert likeness[near] > likeness[far]


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({}, "/text"),
        ({"text": " "}, "/text"),
        ({"text": "x", "number": "1"}, "/number"),
        ({"text": "x", "location": {"lat": 91.0}}, "/location/lat"),
        ({"text": "x", "location": {"address": "长" * 201}}, "/location/address"),
    ],
)
async def test_bad_input_names_its_field(town: Town, body: dict[str, Any], location: str) -> None:
    refused = await town.client.post("/v1/similar", json=body)
    assert refused.status_code == 422
    assert [error["location"] for error in refused.json()["errors"]] == [location]


async def test_an_answer_can_be_borrowed_from_a_case_in_scope(town: Town) -> None:
    lender = await answered(town, "文昌街北段的路灯夜里熄灭了", "已换灯泡，今晚就亮。", satisfaction=5)
    case = (await town.receive("文昌街南段的路灯夜里熄灭了")).value
    worker = await town.key("case-worker", "lighting")
    assert (await town.post(case.number, "acceptance", 1, worker)).status_code == 200
    page = (await town.client.get(f"/desk/cases/{case.number}?lang=zh", headers=worker)).text
    beside = page.partition('class="similar"')[2].partition("</ul>")[0]
    assert "文昌街北段的路灯夜里熄灭了" in beside
    assert "解决了" in beside
    assert "满意度 5" in beside
    (link,) = re.findall(r'href="([^"]*borrow=[^"#]*)', beside)
    borrowed = await town.client.get(link.replace("&amp;", "&"), headers=worker)
    assert "已换灯泡，今晚就亮。</textarea>" in borrowed.text
    foreign = await answered(town, "自来水管爆裂，水流了一夜", "已抢修。")
    refused = await town.client.get(f"/desk/cases/{case.number}?borrow={foreign}", headers=worker)
    assert refused.status_code == 200
    assert "已抢修" not in refused.text
    for number in ("nonsense", lender[:-1]):
        assert (await town.client.get(f"/desk/cases/{case.number}?borrow={number}", headers=worker)).status_code == 200


async def test_the_phone_form_lists_what_is_open_or_answered_and_not_what_was_withdrawn(town: Town) -> None:
    open_one = (await town.receive("和平社区 3 号楼停水了，没有通知")).value.number
    done = await answered(town, "和平社区 5 号楼停水了，没有通知", "已经来水。", satisfaction=4)
    gone = await town.receive("和平社区 7 号楼停水了，没有通知")
    await town.happens(gone.id, handlers.withdraw_case, FeedbackWithdrawn(at=town.clock.now(), actor=CITIZEN))
    boss = await town.key("supervisor")
    told = await town.client.post("/desk/phone?lang=zh", data={"text": "和平社区停水，没有通知"}, headers=boss)
    beside = told.text.partition('id="similar"')[2].partition("</section>")[0]
    assert open_one in beside
    assert done in beside
    assert "解决了" in beside
    assert gone.value.number not in beside
    elsewhere = await town.key("phone-operator", "lighting")
    told = await town.client.post("/desk/phone?lang=zh", data={"text": "和平社区停水，没有通知"}, headers=elsewhere)
    assert open_one not in told.text
    assert "没有找到" in Page(told.text).text


async def test_beside_each_of_thirty_reports_of_one_outage_are_others_of_them(tmp_path: Path) -> None:
    async with chengchuan(tmp_path) as town:
        reports = []
        for line in read_messages(town.clock.now()):
            case = (await town.receive(line["text"], place=(line.get("location") or {}).get("address"))).value
            if re.search("梧桐苑|Wutong", f"{line.get('location')} {line['text']}") and re.search(
                "水|water", line["text"]
            ):
                reports.append(case)
        numbers = {case.number for case in reports}
        boss, shown = await town.key("supervisor"), Counter[bool]()
        for case in reports:
            page = (await town.client.get(f"/desk/cases/{case.number}?lang=zh", headers=boss)).text
            beside = re.findall(r"/desk/cases/([-\d]+)", page.partition('class="similar"')[2].partition("</ul>")[0])
            shown.update(number in numbers for number in beside)
            assert case.number not in beside
        assert shown[True] > 75, "nearly all of three beside each"
        assert shown[False] < shown.total() / 10
        for said in (
            "我家在梧桐苑，从昨天下午开始停水，没有接到通知，想知道什么时候来水",
            "No water in Wutong Court since noon",
        ):
            items = (await ask(town, said, boss)).json()["items"]
            assert {item["number"] for item in items[:3]} <= numbers
            of_outages = [item["category"] in ("water-outage", "water") for item in items]
            assert of_outages == sorted(of_outages, reverse=True), "nothing else stands above them"


async def test_an_erased_case_is_listed_without_its_words(town: Town) -> None:
    keys = (await town.feedback("x"))[1].text
    gone = keys.model_copy(update={"key": "GONE/text"})
    number = (await town.receive("文昌街北段的路灯夜里熄灭了", text=gone)).value.number
    found = (await ask(town, "文昌街北段的路灯夜里熄灭了", await town.key("supervisor"))).json()["items"]
    assert [(item["number"], item["first_words"]) for item in found] == [(number, None)]

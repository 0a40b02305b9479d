"""The desk's queue: bands, lists, filters, one row unfolded, and whose cases are on it."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from services.routing import handlers
from services.routing.domain.case import Case
from shared.events.intake import FeedbackSupplemented
from shared.store.documents import Decision, Kept
from tests.component.test_pages import EVIL
from tests.support.routing import CITIZEN, MONDAY, Town, chengchuan


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


OWN = re.compile(r'<script type="module" src="/static/[^"]*"></script>')
"""Our own scripts, where they are built."""


async def page(town: Town, who: dict[str, str], path: str = "/desk", status: int = 200, **query: str) -> str:
    answer = await town.client.get(path, headers=who, params={"lang": "en", **query})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return OWN.sub("", answer.text)


def numbers(text: str) -> list[str]:
    return re.findall(r'data-number="([^"]+)"', text)


def band(text: str, name: str) -> list[str]:
    """The numbers under one band's heading."""
    found = re.search(rf'<section class="band">\s*<h2>{name} .*?</section>', text, re.DOTALL)
    return numbers(found[0]) if found else []


def counts(text: str) -> dict[str, str]:
    return dict(re.findall(r"<span>([^<]+)</span> <span class=\"count\">([^<]+)</span>", text))


def chips(text: str) -> dict[str, str]:
    """The filters that can be taken away: words → address without it."""
    listed = re.search(r'<ul class="filters".*?</ul>', text, re.DOTALL)
    assert listed
    found = re.findall(r'<li><a href="([^"]+)">(.*?) <span', listed[0])
    return {words: html.unescape(href) for href, words in found}


async def test_cases_stand_under_late_today_and_later(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    late = await town.receive("路灯不亮，逾期", received_at=MONDAY - timedelta(days=7))
    today = await town.receive("路灯不亮，今天", received_at=MONDAY - timedelta(days=4))
    later = await town.receive("路灯不亮，以后")
    text = await page(town, who)
    assert band(text, "Late") == [late.value.number]
    assert band(text, "Today") == [today.value.number]
    assert band(text, "Later") == [later.value.number]
    assert numbers(text) == [late.value.number, today.value.number, later.value.number]
    assert text.count('<span class="promise late">') == 1


async def test_a_case_whose_clock_stands_still_is_not_late(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    asked = (await town.receive("路灯不亮")).value.number
    answered = (await town.receive("路灯又不亮")).value.number
    for number, move in ((asked, "question"), (answered, "answer")):
        assert (await town.post(number, "acceptance", 1, who)).status_code == 200
        assert (await town.post(number, move, 2, who, {"text": "?"})).status_code == 200
    town.clock.advance(timedelta(days=30).total_seconds())
    text = await page(town, who, list="open")
    assert band(text, "Late") == []
    assert set(band(text, "Later")) == {asked, answered}
    assert "clock paused" in text


async def test_the_first_case_is_unfolded_or_the_one_asked_for(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    await town.receive("路灯不亮", received_at=MONDAY - timedelta(days=5))
    words = "路口的路灯坏了。\n" + "很黑。" * 40
    second = (await town.receive(words)).value.number
    first = await page(town, who)
    assert "很黑。" * 40 not in first
    text = await page(town, who, at=second)
    assert words in text
    assert '<mark class="heavy">路灯</mark>' in text
    assert "<b>Street Lighting</b>" in text
    current = re.search(r'<li class="row current".*?</li>', text, re.DOTALL)
    assert current
    assert numbers(current[0]) == [second]
    assert f'action="/desk/cases/{second}/acceptance?lang=en"' in current[0]
    assert f'href="/desk/cases/{second}?lang=en&amp;do=reassignment#do"' in current[0]
    assert "/question" not in current[0], "what the state forbids is no button"
    reader = await town.key("phone-operator", "lighting")
    assert "acceptance" not in await page(town, reader, at=second)


async def test_the_lists_are_counted_and_hold_what_they_say(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    colleague = await town.key("case-worker", "lighting")
    made = [(await town.receive("路灯不亮")).value.number for _ in range(6)]
    new, mine, theirs, waiting, verdict, closed = made
    for number in (mine, waiting, verdict, closed):
        await town.post(number, "acceptance", 1, who)
    await town.post(theirs, "acceptance", 1, colleague)
    await town.post(waiting, "question", 2, who, {"text": "?"})
    for number in (verdict, closed):
        await town.post(number, "answer", 2, who, {"text": "!"})
    await town.post(closed, "closure", 3, who, {})
    assert counts(await page(town, who)) == {
        "To do": "2",
        "Waiting for the citizen": "1",
        "Waiting for a verdict": "1",
        "Not accepted": "1",
        "Returned, to assign": "0",
        "All open": "5",
        "Closed lately": "1",
    }
    for name, expected in {
        "todo": {new, mine},
        "citizen": {waiting},
        "verdict": {verdict},
        "new": {new},
        "returned": set(),
        "open": {new, mine, theirs, waiting, verdict},
        "closed": {closed},
    }.items():
        assert set(numbers(await page(town, who, list=name))) == expected, name
    town.clock.advance(timedelta(days=15).total_seconds())
    assert numbers(await page(town, who, list="closed")) == []


async def test_filters_narrow_the_queue_and_can_be_taken_away(town: Town) -> None:
    boss = await town.key("supervisor")
    lamp = (await town.receive("路灯不亮", kind="help", channel="phone")).value.number
    pipe = (await town.receive("水管爆裂", kind="complaint")).value.number
    bus = (await town.receive("公交车晚点", kind="complaint", received_at=MONDAY - timedelta(days=30))).value.number
    unsorted = (await town.receive("你好")).value.number

    async def found(**query: str) -> set[str]:
        return set(numbers(await page(town, boss, "/desk", 200, list="open", **query)))

    assert await found() == {lamp, pipe, bus, unsorted}
    assert await found(department="urban-management") == {lamp}
    assert await found(kind="complaint") == {pipe, bus}
    assert await found(kind="complaint", late="1") == {bus}
    assert await found(channel="phone") == {lamp}
    assert await found(category="water") == {pipe}, "what lies below a category belongs to it"
    assert await found(state="triage") == {unsorted}
    assert await found(worker="mine") == set()
    assert await found(worker="free", kind="help") == {lamp}
    assert await found(department="nowhere") == await found(kind="x") == set()

    text = await page(town, boss, list="open", kind="complaint", department="water", late="1")
    assert set(chips(text)) == {"Water", "Late", "Complaint"}
    assert "try without one of the filters" in text
    answer = await town.client.get(chips(text)["Late"], headers=boss)
    assert numbers(answer.text) == [pipe]
    assert set(chips(answer.text)) == {"Water", "Complaint"}


async def test_the_list_to_do_can_be_widened_to_everybodys(town: Town) -> None:
    who, colleague = await town.key("case-worker", "lighting"), await town.key("case-worker", "lighting")
    number = (await town.receive("路灯不亮")).value.number
    await town.post(number, "acceptance", 1, colleague)
    text = await page(town, who)
    assert numbers(text) == []
    widened = await town.client.get(chips(text)["Mine and unassigned"], headers=who)
    assert numbers(widened.text) == [number]


async def test_a_long_list_has_pages_that_hold_every_case_once(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    made = {(await town.receive("路灯不亮")).value.number for _ in range(70)}
    seen: list[str] = []
    path: str | None = "/desk"
    while path:
        answer = await town.client.get(path, headers=who)
        seen += numbers(answer.text)
        assert '<h1>待办 <span id="total">70</span></h1>' in answer.text
        after = re.search(r'<a href="([^"]+)" rel="next"', answer.text)
        path = html.unescape(after[1]) if after else None
    assert len(seen) == 70
    assert set(seen) == made


@pytest.mark.row("A25")
async def test_another_departments_cases_are_in_no_list_count_or_row(town: Town) -> None:
    lamp = (await town.receive("路灯不亮，很黑")).value.number
    await town.receive("水管爆裂")
    for role, *departments in (("case-worker", "water"), ("department-lead", "transport"), ("case-worker",)):
        who = await town.key(role, *departments)
        for query in ({}, {"list": "open"}, {"department": "lighting"}, {"list": "open", "at": lamp, "kind": ""}):
            text = await page(town, who, "/desk", 200, **query)
            assert lamp not in text
            assert "很黑" not in text
        allowed = "1" if "water" in departments else "0"
        assert counts(await page(town, who))["All open"] == allowed
        assert await page(town, who, f"/desk/rows/{lamp}", 404) == await page(town, who, "/desk/rows/x", 404)
    own = await town.key("department-lead", "urban-management")
    assert numbers(await page(town, own, f"/desk/rows/{lamp}")) == [lamp]


@pytest.mark.parametrize("path", ["/desk", "/desk/rows/20260907-00000000-0"])
async def test_whoever_may_not_read_cases_has_no_queue(town: Town, path: str) -> None:
    for role in ("analyst", "operations", "admin", "auditor"):
        assert "Your role may not do this" in await page(town, await town.key(role), path, 403)
    sent = await town.client.get(path)
    assert sent.status_code == 303
    assert sent.headers["location"].startswith("/sign-in?next=")


async def test_a_department_that_is_gone_still_shows_by_its_id(town: Town) -> None:
    case = await town.receive("路灯不亮")

    def moved(kept: Kept[Case] | None) -> Decision[Case]:
        assert kept
        return Decision(replace(kept.value, department="old-lamps", category="old-category", area="old-area"))

    await town.cases.change(case.id, moved)
    text = await page(town, await town.key("supervisor"))
    assert '<span class="fact soft">old-lamps</span>' in text
    assert "old-category" in text
    assert "old-area" in text
    assert numbers(await page(town, await town.key("supervisor"), department="old-lamps")) == [case.value.number]


@pytest.mark.row("A16")
async def test_what_people_write_is_shown_as_text(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    made = [(await town.receive("路灯 " + evil)).value.number for evil in EVIL]
    for start in range(0, len(made), 20):
        for number, evil in list(zip(made, EVIL, strict=True))[start : start + 20]:
            text = await page(town, who, f"/desk/rows/{number}", at="1")
            assert str(escape("路灯 " + evil)) in text
            bare = re.sub(r'<(p|a) class="words"[^>]*>[^<]*</\1>', "", text)
            assert not re.search(r"<script|onerror|onload|onfocus|ontoggle|<iframe|<img|evil\.example", bare, re.I)
    text = await page(town, who, list="open")
    bare = re.sub(r'<(p|a) class="words"[^>]*>[^<]*</\1>', "", text)
    assert not re.search(r"<script|onerror|onload|onfocus|<iframe|<img|evil\.example", bare, re.I)


async def test_words_of_the_address_are_shown_as_text_too(town: Town) -> None:
    boss = await town.key("supervisor")
    evil = '"><script>alert(1)</script>'
    text = await page(town, boss, kind=evil, channel=evil, category=evil, department=evil, at=evil, lang=evil)
    assert "<script" not in text
    assert str(escape(evil)) in text


@pytest.mark.parametrize(
    "query", [{"list": "x"}, {"state": "lost"}, {"worker": "x"}, {"cursor": "nonsense"}, {"cursor": "e30="}]
)
async def test_an_address_that_cannot_be_read_is_told_on_a_page(town: Town, query: dict[str, str]) -> None:
    text = await page(town, await town.key("supervisor"), "/desk", 422, **query)
    assert "is not known" in text
    assert 'class="keys"' in text, "the page has the desk's frame"


async def test_a_page_that_is_not_there_is_told_in_the_frame(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    text = await page(town, who, "/desk/nowhere/at/all", 404)
    assert "<h1>Not found</h1>" in text
    assert "Street Lighting" in text


async def test_words_that_were_erased_are_said_to_be_so(town: Town) -> None:
    who = await town.key("case-worker", "lighting")
    case = await town.receive("路灯不亮")

    def erased(kept: Kept[Case] | None) -> Decision[Case]:
        assert kept
        return Decision(replace(kept.value, key_name="gone"))

    await town.cases.change(case.id, erased)
    assert "Erased as the citizen asked" in await page(town, who)


async def test_a_page_weighs_little(town: Town) -> None:
    who = await town.key("supervisor")
    for _ in range(40):
        await town.receive("路灯不亮。" * 300, kind="complaint")
    answer: Any = await town.client.get("/desk", headers=who)
    assert len(answer.content) < 60 * 1024


async def searched(town: Town, who: dict[str, str], said: str, **query: str) -> set[str]:
    """The numbers that the page finds; the API finds the same."""
    seen = numbers(await page(town, who, "/desk", 200, q=said, **query))
    answer = await town.client.get("/v1/cases", headers=who, params={"q": said, **query})
    assert answer.status_code == 200, answer.text
    assert [item["number"] for item in answer.json()["items"]] == seen
    return set(seen)


async def test_words_in_text_place_and_messages_are_found(town: Town) -> None:
    boss = await town.key("supervisor")
    lamp = await town.receive("和平路的路灯不亮了，Lamp 52 is dark", place="文昌街十八号")
    pipe = await town.receive("水管爆裂，路面都是水")
    number = lamp.value.number
    for said in (
        "路灯",
        "和平路",
        "路灯 不亮",
        "文昌街",
        "lamp",
        "LAMP dark",
        "52",
        "路灯lamp",
        "　路灯　",
        "ｌａｍｐ",
    ):
        assert await searched(town, boss, said) == {number}, said
    assert await searched(town, boss, "路面") == {pipe.value.number}
    for said in ("路灯 水管", "平灯", "lam", "灯塔", "。", "!?"):
        assert await searched(town, boss, said) == set(), said
    keys = town.keys[lamp.id]
    message = FeedbackSupplemented(
        at=town.clock.now(), actor=CITIZEN, message=keys.seal("text", "message", "昨晚又全黑了")
    )
    await town.happens(lamp.id, handlers.hear_citizen, message, {"message": "昨晚又全黑了"})
    assert await searched(town, boss, "全黑") == {number}
    assert await searched(town, boss, "全黑 路灯") == {number}


async def test_a_number_is_found_whole_and_by_its_tail(town: Town) -> None:
    boss = await town.key("supervisor")
    number = (await town.receive("路灯不亮")).value.number
    await town.receive("路灯不亮")
    for said in (number, number[9:], number[9:17], f" {number} "):
        assert await searched(town, boss, said) == {number}, said
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert await searched(town, boss, wrong[9:]) == set()
    assert await searched(town, boss, town.ids.number(town.clock.now().date())) == set()


async def test_one_character_is_said_to_be_too_short(town: Town) -> None:
    boss = await town.key("supervisor")
    number = (await town.receive("路灯不亮")).value.number
    for said in ("灯", "灯 路"):
        text = await page(town, boss, q=said)
        assert "needs two characters" in text
        assert numbers(text) == []
    text = await page(town, boss, q="灯 路灯")
    assert "needs two characters" in text
    assert numbers(text) == [number]
    assert "needs two characters" not in await page(town, boss, q="路灯")


@pytest.mark.row("A25")
async def test_a_search_finds_only_what_one_may_see(town: Town) -> None:
    lamp = (await town.receive("路灯不亮，很黑")).value.number
    for role, *departments in (("case-worker", "water"), ("department-lead", "transport"), ("case-worker",)):
        who = await town.key(role, *departments)
        for said in ("路灯", lamp, lamp[9:]):
            assert await searched(town, who, said) == set()
            assert await searched(town, who, said, department="lighting") == set()
    assert await searched(town, await town.key("department-lead", "urban-management"), "路灯") == {lamp}
    boss = await town.key("supervisor")
    assert await searched(town, boss, "路灯", department="urban-management") == {lamp}
    assert await searched(town, boss, "路灯", department="water") == set()
    worker = await town.key("case-worker", "lighting")
    await town.post(lamp, "reassignment", 1, worker, {"department": "water"})
    assert await searched(town, worker, "路灯") == set()
    assert await searched(town, await town.key("case-worker", "water"), "路灯") == {lamp}


async def test_what_is_kept_to_search_by_says_nothing(town: Town) -> None:
    case = await town.receive("路灯不亮 secretword")
    assert case.value.words
    assert all(re.fullmatch("[0-9a-f]{12}", word) for word in case.value.words)
    plain = await town.receive("路灯不亮。" * 4000 + "".join(chr(0x4E00 + n) for n in range(1000)))
    assert len(plain.value.words) == 600


async def test_many_found_have_pages(town: Town) -> None:
    boss = await town.key("supervisor")
    made = [(await town.receive("路灯不亮")).value.number for _ in range(35)]
    first = await town.client.get("/desk", headers=boss, params={"q": "路灯"})
    assert numbers(first.text) == made[:4:-1]
    after = re.search(r'<a href="([^"]+)" rel="next"', first.text)
    assert after
    second = await town.client.get(html.unescape(after[1]), headers=boss)
    assert numbers(second.text) == made[4::-1]


@pytest.mark.parametrize(
    "query", [{"q": "路灯", "state": "routed"}, {"q": ""}, {"q": "x" * 201}, {"q": "x", "cursor": "x"}]
)
async def test_a_search_that_cannot_be_read_is_refused(town: Town, query: dict[str, str]) -> None:
    refused = await town.client.get("/v1/cases", headers=await town.key("supervisor"), params=query)
    assert refused.status_code == 422

"""Whoever has lost the code, or never had it: told what to do, told nothing of the case, and not for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from services.intake.channels.lookups import MISSES
from tests.support.intake import Portal, portal
from tests.support.markup import Page

LANGUAGES = {
    "zh": ("没有找到", "查询码丢了？", "邮件里，链接都能直接打开", "查询码不补发", "再写一件", "次数太多"),
    "en": ("Not found", "Lost the code?", "the link in any mail", "never given out again", "write again", "Too many"),
}
WRONG = "0" * 26


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as town:
        yield town


async def track(town: Portal, number: str, code: str, language: str = "zh") -> httpx2.Response:
    return await town.client.post(f"/track?lang={language}", data={"number": number, "code": code})


async def ask(town: Portal, number: str, code: str) -> httpx2.Response:
    return await town.client.get(f"/v1/feedback/{number}", headers={"Authorization": f"Code {code}"})


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_says_what_to_do_without_the_code(town: Portal, language: str) -> None:
    receipt = await town.say()
    wrong, *told, _ = LANGUAGES[language]
    before = (await town.client.get(f"/track?lang={language}")).text
    assert '<details class="lost">' in before, "there for whoever looks, and out of the way of the others"
    for code in ("", WRONG):
        page = await track(town, receipt["number"], code, language)
        assert page.status_code == 404
        assert '<details class="lost" open>' in page.text
        for words in (wrong, *told):
            assert words in Page(page.text).text


async def test_a_wrong_code_says_nothing_of_the_case_not_even_that_it_exists(town: Portal) -> None:
    receipt = await town.say("和平路的路灯不亮了", contact={"email": "citizen@example.org"})
    await town.opens(receipt)
    unknown = "20260907-00000000-0"
    known, other = [(await track(town, number, WRONG)).text for number in (receipt["number"], unknown)]
    assert known.replace(receipt["number"], unknown) == other
    assert "citizen" not in known.replace('class="citizen', "")


@pytest.mark.row("A32")
async def test_misses_are_counted_over_page_and_call_and_told_when_to_come_back(town: Portal) -> None:
    receipt = await town.say()
    asking: list[Any] = [ask, track]
    for nth in range(MISSES):
        assert (await asking[nth % 2](town, receipt["number"], WRONG)).status_code == 404
    for language, (*_, too_many) in LANGUAGES.items():
        over = await track(town, receipt["number"], WRONG, language)
        assert (over.status_code, over.headers["retry-after"]) == (429, f"{3600 // MISSES}")
        assert too_many in Page(over.text).text
        assert f'value="{receipt["number"]}"' in over.text
    called = await ask(town, receipt["number"], WRONG)
    assert (called.status_code, called.headers["retry-after"]) == (429, f"{3600 // MISSES}")
    unknown = await ask(town, "20260907-00000000-0", WRONG)
    assert (unknown.status_code, unknown.json()["type"]) == (429, called.json()["type"])
    town.clock.advance(3600 / MISSES)
    assert (await ask(town, receipt["number"], WRONG)).status_code == 404


async def test_the_right_code_opens_the_case_however_often_others_were_wrong(town: Portal) -> None:
    receipt = await town.say()
    for _ in range(2 * MISSES):
        await ask(town, receipt["number"], WRONG)
    assert (await track(town, receipt["number"], receipt["code"])).status_code == 200
    assert (await ask(town, receipt["number"], receipt["code"])).status_code == 200

"""The whole way of a case through the pages: its submitter's and the desk's, in both languages, on a desk and on a phone,
with and without scripts.
"""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from shared.web.pages import translate
from tests.support.browser import WALKS, Look, Visit, axe
from tests.support.eventually import eventually
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAID = {
    "zh": "和平路与文昌街路口的路灯从上周五起不亮了",
    "en": "The street lamp on Peace Road has been dark since Friday",
}
ASKED = {"zh": "哪一根？", "en": "Which of the four?"}
ADDED = {"zh": "四个角都不亮", "en": "All four of them"}
ANSWERED = {"zh": "换了配电箱，四盏灯都亮了。", "en": "We have changed the box; all four are lit."}


async def follow(page: Page, look: Look, number: str, code: str) -> None:
    """Open the case by hand, from the receipt."""
    await page.goto(f"/track?lang={look.language}")
    await page.locator("#number").fill(number)
    await page.locator("#code").fill(code)
    await page.locator("main .button.main").click()
    await expect(page.locator("main .number")).to_have_text(number)


async def do(page: Page, look: Look, key: str, move: str, words: str = "") -> None:
    """A move of the case page: by its key where there are keys, else by what can be clicked."""
    by_keys = look.scripts and look.width > 390
    if by_keys:
        await page.keyboard.press(key)
    else:
        await page.locator(
            f'.case-actions form[action*="/{move}?"] button, .case-actions a[href*="do={move}#"]'
        ).click()
    if words:
        await expect(page.locator("#do-title")).to_have_text(translate(look.language, f"case.form.{move}"))
        await page.locator("#f-text").fill(words)
        await (page.locator("#f-text").press("Control+Enter") if by_keys else page.locator("#do .button.main").click())
    await expect(page.get_by_role("status")).to_have_text(translate(look.language, f"case.done.{move}"))


@pytest.mark.parametrize("look", WALKS, ids=str)
async def test_a_case_goes_its_whole_way(town: Town, visit: Visit, worker: Visit, look: Look) -> None:
    def words(key: str) -> str:
        return translate(look.language, key)

    closed = (await town.figures())["by"]["state"].get("closed", 0)
    page = await (await visit(look)).go("/")
    await page.locator("#text").fill(SAID[look.language])
    await page.get_by_label(words("kind.help"), exact=True).check()
    await page.locator("#address").fill("和平路")
    await page.locator("main .button.main").click()
    await expect(page.locator("h1")).to_have_text(words("receipt.title"))
    number = await page.locator(".slip .big").inner_text()
    groups = await page.locator(".slip .code span").all_inner_texts()
    assert [len(group) for group in groups] == [5, 5, 5, 5, 6]
    await page.get_by_role("button", name=words("receipt.follow")).click()
    await expect(page.locator("main .number")).to_have_text(number)

    await town.quiet()
    desk = await (await worker(look)).go(f"/desk?q={number[9:]}")
    await desk.locator(".row a.tail").click()
    await expect(desk.locator(".citizen").first).to_have_text(SAID[look.language])
    await do(desk, look, "a", "acceptance")
    await do(desk, look, "q", "question", ASKED[look.language])
    await town.quiet()

    await follow(page, look, number, " ".join(groups).lower())  # as it was noted down
    await expect(page.locator(".state b")).to_have_text(words("state.awaiting-citizen"))
    await expect(page.locator(".line .staff")).to_have_text(ASKED[look.language])
    await page.locator(".why summary").click()
    await expect(page.locator(".why q").first).to_be_visible()
    await page.locator("#message").fill(ADDED[look.language])
    await page.get_by_role("button", name=words("track.add")).click()
    await expect(page.get_by_role("status")).to_have_text(words("track.done.message"))
    await expect(page.locator(".line .citizen")).to_have_text([SAID[look.language], ADDED[look.language]])
    await town.quiet()

    await desk.reload()
    await expect(desk.locator(".citizen")).to_have_text([SAID[look.language], ADDED[look.language]])
    await do(desk, look, "w", "answer", ANSWERED[look.language])
    await town.quiet()

    await follow(page, look, number, "".join(groups))
    await expect(page.locator(".line .staff").last).to_have_text(ANSWERED[look.language])
    await page.get_by_label(words("solved.yes"), exact=True).check()
    await page.get_by_label("5", exact=True).check()
    await page.get_by_role("button", name=words("track.verdict")).click()
    await expect(page.get_by_role("status")).to_have_text(words("track.done.rating"))
    await town.quiet()

    await follow(page, look, number, "".join(groups))
    await expect(page.locator(".state b")).to_have_text(words("state.closed"))
    await desk.goto(f"/desk/cases/{number}?lang={look.language}")
    await expect(desk.locator(".case-title")).to_contain_text(words("case.state.closed"))
    if look.scripts:
        assert await axe(page) == []
        assert await axe(desk) == []

    async def counted() -> bool:
        return bool((await town.figures())["by"]["state"].get("closed", 0) == closed + 1)

    await eventually(counted)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_double_click_makes_one_case(town: Town, visit: Visit, scripts: bool) -> None:
    before = (await town.figures())["total"]
    page = await (await visit(Look(scripts=scripts))).go("/")
    await page.locator("#text").fill("公交车总是晚点")
    await page.locator("main .button.main").dblclick()
    await expect(page.locator(".slip .code")).to_be_visible()
    await town.quiet()
    assert (await town.figures())["total"] == before + 1

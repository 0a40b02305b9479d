"""The whole way of a case, as its submitter walks it: in both languages, on a desk and on a phone, with and without
scripts. What staff do comes over the interface.
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
ADDED = {"zh": "四个角都不亮", "en": "All four of them"}


async def follow(page: Page, look: Look, number: str, code: str) -> None:
    """Open the case by hand, from the receipt."""
    await page.goto(f"/track?lang={look.language}")
    await page.locator("#number").fill(number)
    await page.locator("#code").fill(code)
    await page.locator("main .button.main").click()
    await expect(page.locator("main .number")).to_have_text(number)


@pytest.mark.parametrize("look", WALKS, ids=str)
async def test_a_case_goes_its_whole_way(town: Town, visit: Visit, look: Look) -> None:
    def words(key: str) -> str:
        return translate(look.language, key)

    somebody = await visit(look)
    closed = (await town.figures())["by"]["state"].get("closed", 0)

    page = await somebody.go("/")
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
    await town.case(number)
    await town.move(number, "acceptance")
    await town.move(number, "question", text="哪一根？")
    await town.quiet()

    await follow(page, look, number, " ".join(groups).lower())  # as it was noted down
    await expect(page.locator(".state b")).to_have_text(words("state.awaiting-citizen"))
    await expect(page.locator(".line .staff")).to_have_text("哪一根？")
    await page.locator(".why summary").click()
    await expect(page.locator(".why q").first).to_be_visible()
    await page.locator("#message").fill(ADDED[look.language])
    await page.get_by_role("button", name=words("track.add")).click()
    await expect(page.get_by_role("status")).to_have_text(words("track.done.message"))
    await expect(page.locator(".line .citizen")).to_have_text([SAID[look.language], ADDED[look.language]])

    await town.quiet()
    await town.move(number, "answer", text="换了配电箱，四盏灯都亮了。")
    await town.quiet()
    await follow(page, look, number, "".join(groups))
    await page.get_by_label(words("solved.yes"), exact=True).check()
    await page.get_by_label("5", exact=True).check()
    await page.get_by_role("button", name=words("track.verdict")).click()
    await expect(page.get_by_role("status")).to_have_text(words("track.done.rating"))

    await town.quiet()
    await follow(page, look, number, "".join(groups))
    await expect(page.locator(".state b")).to_have_text(words("state.closed"))
    if look.scripts:
        assert await axe(page) == []

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

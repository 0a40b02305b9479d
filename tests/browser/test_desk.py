"""The queue as a case worker uses it: by keys, by clicks, and while others work too."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest
from playwright.async_api import Page, Route, expect

from shared.web.pages import Language
from tests.support.browser import Look, Visit, axe
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKS = (f"Lamp{n}" for n in itertools.count(100))


async def desk(visit: Visit, town: Town, look: Look, query: str, role: str = "supervisor") -> Page:
    """The queue, for somebody with a key of the role."""
    somebody = await visit(look)
    await somebody.page.context.set_extra_http_headers(town.key(role))
    await somebody.go(f"/desk?{query}")
    return somebody.page


async def three(town: Town) -> tuple[str, list[str]]:
    """A word that only three cases have, and their numbers in the order in which a search shows them."""
    word = next(MARKS)
    said = []
    for nth in range(3):
        said.append((await town.say(f"The street light {word} is dark, {nth}"))["number"])
        await town.case(said[-1])  # a search shows first what was opened last, and of several at once any may be
    return word, said[::-1]


async def test_keys_move_unfold_and_select(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    page = await desk(visit, town, Look("en"), f"q={word}")
    row = page.locator(".row.current")
    await expect(row).to_have_attribute("data-number", numbers[0])
    await page.keyboard.press("j")
    await expect(row).to_have_attribute("data-number", numbers[1])
    await expect(row.locator(".actions")).to_be_visible()
    await expect(page.locator(".more")).to_have_count(1)
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator(".picked")).to_have_text("2 selected, together:")
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    await expect(row).to_have_attribute("data-number", numbers[0])
    await expect(page.locator(".row input:checked")).to_have_count(2)
    await page.locator('button[value="acceptance"]').click()
    await expect(page.get_by_role("status")).to_have_text("Done for 2 of 2.")


async def test_keys_press_what_the_case_offers(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    page = await desk(visit, town, Look("en"), f"q={word}")
    await page.keyboard.press("q")
    assert "/desk?" in page.url, "a question is not possible before somebody has accepted"
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(rf"/desk/cases/{numbers[0]}"))
    await page.wait_for_load_state()  # before that the page has no keys
    await page.keyboard.press("u")
    await expect(page).to_have_url(re.compile(r"/desk(\?|$)"))


async def test_in_fields_keys_are_letters(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    page = await desk(visit, town, Look("en"), f"q={word}")
    await page.keyboard.press("/")
    await page.keyboard.type("jkx?")
    await expect(page.locator("#q")).to_have_value("jkx?")
    await expect(page.locator(".row.current")).to_have_attribute("data-number", numbers[0])
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+j")
    await expect(page.locator(".row.current")).to_have_attribute("data-number", numbers[0])
    await page.keyboard.press("j")
    await expect(page.locator(".row.current")).to_have_attribute("data-number", numbers[1])


async def test_all_keys_open_in_front_and_close(visit: Visit, town: Town) -> None:
    word, _ = await three(town)
    page = await desk(visit, town, Look("en"), f"q={word}")
    await page.keyboard.press("?")
    await expect(page.locator("dialog kbd").first).to_be_visible()
    assert await axe(page) == []
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog")).to_have_count(0)


async def test_what_others_do_is_told_and_only_its_row_is_fetched(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    page = await desk(visit, town, Look("en"), f"q={word}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await town.move(numbers[1], "acceptance")
    await expect(page.locator(f'[data-number="{numbers[1]}"] .standing')).to_contain_text("Accepted", timeout=20_000)
    await expect(page.locator("#changed")).to_have_text("1 changed, refresh")
    await town.say("Something that is not on this page")
    await expect(page.locator("#changed")).to_have_text("2 changed, refresh", timeout=20_000)
    assert [url for url in asked if "/desk" in url] == [f"{town.address}/desk/rows/{numbers[1]}?lang=en"]


async def test_without_scripts_the_queue_does_the_same(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    page = await desk(visit, town, Look("en", scripts=False), f"q={word}")
    await page.locator(".row a.words").nth(1).click()
    await expect(page.locator(".row.current")).to_have_attribute("data-number", numbers[2])
    await page.locator(f'input[name="case.{numbers[2]}"]').check()
    await page.locator('button[value="acceptance"]').click()
    await expect(page.get_by_role("status")).to_have_text("Done for 1 of 1.")


async def test_what_happens_before_the_page_listens_is_told_too(visit: Visit, town: Town) -> None:
    word, numbers = await three(town)
    somebody = await visit(Look("en"))
    page = somebody.page
    await page.context.set_extra_http_headers(town.key("supervisor"))
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await page.route("**/v1/live?*", lambda route: held.set_result(route))
    await somebody.go(f"/desk?q={word}")
    stream = await held
    await town.move(numbers[0], "acceptance")
    await town.quiet()
    await stream.continue_()
    await expect(page.locator("#changed")).to_have_text("1 changed, refresh", timeout=20_000)


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_case_page_says_that_somebody_was_faster_while_one_writes(
    visit: Visit, town: Town, language: Language
) -> None:
    _, numbers = await three(town)
    somebody = await visit(Look(language))
    page = somebody.page
    await page.context.set_extra_http_headers(town.key("supervisor"))
    await town.move(numbers[0], "acceptance")
    await somebody.go(f"/desk/cases/{numbers[0]}")
    await page.locator("#f-text").fill("half a sentence")
    await town.move(numbers[1], "acceptance")
    await town.quiet()
    await expect(page.locator("#overtaken")).to_be_hidden()
    await town.move(numbers[0], "start")
    await expect(page.locator("#overtaken")).to_be_visible(timeout=20_000)
    assert await axe(page) == []
    await expect(page.locator("#f-text")).to_have_value("half a sentence")
    await page.locator("#overtaken a").click()
    await expect(page.locator("#overtaken")).to_be_hidden()
    await expect(page.locator(".facts-line")).to_contain_text({"zh": "办理中", "en": "In progress"}[language])

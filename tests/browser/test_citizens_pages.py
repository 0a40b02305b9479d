"""Every page a citizen can come to: readable by everyone, at every size, light, and printed on one page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, Response, expect

from shared.web.pages import Language
from tests.support.browser import LANGUAGES, Look, Visit, Visitor, axe
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

WEIGHT = 60 * 1024
"""Bytes of a page with its styles and scripts, before compression."""

FILES = 30 * 1024
"""What of it the styles and scripts may have, which a browser keeps for the next page."""

Receipts = dict[str, dict[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cases(town: Town) -> Receipts:
    """Receipts of cases in the states that look different."""
    ways = {"routed": 0, "asked": 2, "answered": 3, "closed": 4}
    moves = [("acceptance", {}), ("question", {"text": "哪一根？"}), ("answer", {"text": "修好了"}), ("closure", {})]
    made: Receipts = {}
    for name, steps in ways.items():
        made[name] = await town.say("路灯不亮了 The lamp is dark", kind="help", location={"address": "和平路"})
        await town.case(made[name]["number"])
        for call, body in moves[:steps]:
            if call == "question" and steps > 2:
                continue
            await town.move(made[name]["number"], call, **body)
    await town.quiet()
    return made


async def pages(somebody: Visitor, cases: Receipts) -> AsyncIterator[tuple[str, Page]]:
    """Each page once, by name."""
    page = await somebody.go("/")
    yield "submit", page
    await page.locator("#email").fill("li.example.org")
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "errors", page
    await page.locator("#text").fill("和平路的路灯不亮了\nThe street lamp on Peace Road is dark")
    await page.locator("#email").fill("li@example.org")
    await page.locator("main .button.main").click()
    await expect(page.locator(".slip .code")).to_be_visible()
    yield "receipt", page
    page = await somebody.go("/track")
    yield "track", page
    await page.locator("#number").fill("20260101-00000000-0")
    await page.locator("#code").fill("0")
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    yield "not found", page
    for name, receipt in cases.items():
        page = await somebody.go("/track")
        await page.locator("#number").fill(receipt["number"])
        await page.locator("#code").fill(receipt["code"])
        await page.locator("main .button.main").click()
        await expect(page.locator("main .state")).to_be_visible()
        yield name, page
    yield "nothing there", await somebody.go("/nothing")
    yield "privacy", await somebody.go("/privacy")
    yield "insights", await somebody.go("/insights")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_axe_finds_nothing_on_any_page_in_either_scheme_and_every_page_is_light(
    visit: Visit, cases: Receipts, language: Language
) -> None:
    somebody = await visit(Look(language))
    found: dict[str, list[str]] = {}
    weights: dict[str, int] = {}
    async for name, page in pages(somebody, cases):
        found[name] = await axe(page)
        await page.emulate_media(color_scheme="dark")
        found[f"{name}, dark"] = await axe(page, "color-contrast")
        await page.emulate_media(color_scheme="light")
        weights[name] = len((await page.content()).encode())
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert {name: weight for name, weight in weights.items() if weight > WEIGHT - FILES} == {}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_at_four_hundred_percent_nothing_is_cut_off_and_targets_are_large(
    visit: Visit, cases: Receipts, language: Language
) -> None:
    """400 % of a window of 1280 is a window of 320. Links within a sentence and lists of errors are no targets."""
    somebody = await visit(Look(language, width=320))
    wide, small = {}, {}
    async for name, page in pages(somebody, cases):
        if (width := await page.evaluate("document.documentElement.scrollWidth")) > 320:
            wide[name] = width
        boxes = await page.evaluate(
            """() => [...document.querySelectorAll(
                 'button, summary, textarea, .choices label, .check label, nav a, .name a, .send a, .more a, footer a,' +
                 'input:not([type=hidden], [type=radio], [type=checkbox])')]
               .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect()])
               .filter(([, box]) => box.width && (box.width < 43.5 || box.height < 43.5))
               .map(([html, box]) => `${html} ${box.width}×${box.height}`)"""
        )
        if boxes:
            small[name] = boxes
    assert wide == {}
    assert small == {}


@pytest.mark.parametrize("path", ["/", "/insights"])
async def test_styles_and_scripts_weigh_little(visit: Visit, path: str) -> None:
    somebody = await visit(Look())
    answers: list[Response] = []
    somebody.page.on("response", lambda answer: answers.append(answer))
    await somebody.go(path)
    weights = {answer.url: len(await answer.body()) for answer in answers if "/static/" in answer.url}
    assert len(weights) >= 3
    assert sum(weights.values()) < FILES, weights


async def test_the_receipt_prints_alone_on_one_a5_page(visit: Visit) -> None:
    somebody = await visit(Look())
    page = await somebody.go("/")
    await page.locator("#text").fill("路灯不亮了。" * 300)
    await page.locator("main .button.main").click()
    await expect(page.locator(".slip .code")).to_be_visible()
    printed = await page.pdf(prefer_css_page_size=True)
    assert re.findall(rb"/MediaBox \[0 0 (\d+)[\d.]* (\d+)", printed) == [(b"420", b"594")]
    await page.emulate_media(media="print")
    assert await page.locator("main > div > :visible").count() == 1
    assert not await page.get_by_role("navigation").is_visible()


async def test_the_keyboard_shows_where_it_is_and_skips_to_the_content(visit: Visit) -> None:
    page = await (await visit(Look())).go("/")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    outlines = set()
    for _ in range(9):
        outlines.add(
            await page.evaluate(
                """() => { const e = document.activeElement;
                     const s = getComputedStyle(e.matches('.choices input') ? e.nextElementSibling : e);
                     return `${s.outlineWidth} ${s.outlineStyle} ${s.outlineOffset}`; }"""
            )
        )
        await page.keyboard.press("Tab")
    assert outlines == {"3px solid 2px"}


async def test_an_error_is_the_first_thing_a_reader_meets(visit: Visit) -> None:
    page = await (await visit(Look(scripts=False))).go("/")
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_focused()
    await expect(page).to_have_title(re.compile("^请看一看："))
    await page.get_by_role("alert").get_by_role("link").click()
    await expect(page.locator("#text")).to_be_focused()


async def test_the_other_language_keeps_the_case_and_what_was_written(visit: Visit, cases: Receipts) -> None:
    page = await (await visit(Look(scripts=False))).go("/")
    await page.locator("#text").fill("路灯不亮了")
    await page.locator("#email").fill("li.example.org")
    await page.locator("main .button.main").click()
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("#text")).to_have_value("路灯不亮了")
    await page.locator("#email").fill("")
    await page.locator("main .button.main").click()
    await expect(page.locator("h1")).to_have_text("Received.")
    await expect(page.locator(".citizen")).to_have_attribute("lang", "zh-CN")
    await page.get_by_role("button", name="Follow it").click()
    await page.get_by_role("button", name="中文").click()
    await expect(page.locator("main .state")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")

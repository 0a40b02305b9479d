"""Sixty ways to leave a text, in a browser: no script runs, no dialog opens, nobody else is asked for anything."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.component.test_pages import EVIL
from tests.support.browser import Look, Visit
from tests.support.town import Town

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.row("A16")]

ALL = "\n".join(EVIL).replace("\u2028", "\n")  # which is how it is kept

LINES = [one for one in EVIL if "\u2028" not in one and len(one) < 60]
BITS = [" ".join(LINES[start : start + 3]) for start in range(0, len(LINES), 3)]
"""The same in pieces that fit into one line."""


async def harmless(page: Page) -> None:
    """Only what the templates made is on the page. What opened, ran or was fetched is told when the visitor leaves."""
    strange = await page.evaluate(
        """() => [...document.querySelectorAll('script, iframe, object, embed, img, video, audio, base, meta, link, style, math, marquee, template, [onerror], [onload], [onfocus], [onmouseover], [style], [src], [srcset], [data-x]')]
             .map(e => e.outerHTML)
             .filter(html => !/^<(script type="module" src="\\/static\\/(portal|desk|case)|link rel="(stylesheet|icon)" href="\\/static\\/|meta (charset|name=))/.test(html))"""
    )
    assert strange == []
    await page.mouse.move(400, 300)


async def test_what_people_write_is_told_back_as_text(town: Town, visit: Visit) -> None:
    somebody = await visit(Look())
    page = await somebody.go("/")
    await page.locator("#text").fill(ALL)
    for field in ("address", "phone", "email"):
        await page.locator(f"#{field}").evaluate("(field, words) => field.value = words", ALL)
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.locator("#text")).to_have_value(ALL)
    await harmless(page)

    for field in ("phone", "email"):
        await page.locator(f"#{field}").fill("")
    await page.locator("#address").fill(EVIL[2] + EVIL[1])
    await page.locator("main .button.main").click()
    await expect(page.locator("h1")).to_have_text("收到了。")
    assert await page.locator(".citizen").inner_text() == await shown(page, ALL)
    await harmless(page)
    number = await page.locator(".slip .big").inner_text()
    code = "".join(await page.locator(".slip .code span").all_inner_texts())

    await town.case(number)
    state = (await town.case(number))["state"]
    if state == "triage":
        await town.move(number, "reassignment", department="lighting")
    await town.move(number, "acceptance")
    await town.move(number, "question", text=ALL)
    await town.quiet()
    await page.goto("/track?lang=zh")
    await page.locator("#number").fill(number)
    await page.locator("#code").fill(code)
    await page.locator("main .button.main").click()
    assert await page.locator(".line .staff").inner_text() == await shown(page, ALL)
    await page.locator("#message").fill(ALL)
    await page.get_by_role("button", name="补充一句").click()
    await expect(page.locator(".line .citizen")).to_have_count(2)
    await harmless(page)

    await page.goto("/track?lang=en")
    await page.locator("#number").evaluate("(field, words) => field.value = words", ALL)
    await page.locator("#code").evaluate("(field, words) => field.value = words", ALL)
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await harmless(page)


async def test_the_desk_shows_what_people_write_as_text(town: Town, supervisor: Visit) -> None:
    receipt = await town.say(ALL, location={"address": BITS[0]}, contact={"name": EVIL[2], "email": "a@example.org"})
    number = receipt["number"]
    if (await town.case(number))["state"] == "triage":
        await town.move(number, "reassignment", department="lighting", reason=ALL)
    await town.move(number, "acceptance")
    await town.move(number, "note", text=ALL)
    await town.move(number, "question", text=ALL)
    await town.quiet()
    said = {"headers": {"Authorization": f"Code {receipt['code']}"}, "json": {"text": ALL}}
    assert (await town.post(f"/v1/feedback/{number}/messages", **said)).status_code == 201
    await town.quiet()

    somebody = await supervisor(Look())
    page = await somebody.go(f"/desk?q={number[9:]}")
    await expect(page.locator(".row p.words")).to_contain_text(EVIL[0])
    await harmless(page)
    await page.locator(".row .tail").click()
    await expect(page.locator("ol .citizen")).to_have_count(2)
    assert await page.locator("ol .citizen").evaluate_all("all => all.map(one => one.textContent)") == [ALL, ALL]
    assert await page.locator("ol .staff").text_content() == ALL
    assert await page.locator("ol .note").text_content() == ALL
    await expect(page.locator("h1 .place")).to_have_text(BITS[0])
    await page.locator("#f-text").fill(ALL)
    await page.locator('#do button[name="check"]').click()
    await expect(page.locator(".advice")).to_be_visible()
    await expect(page.locator("#f-text")).to_have_value(ALL)
    await harmless(page)
    await page.locator("#do .button.main").click()
    await expect(page.locator("ol .staff")).to_have_count(2)
    assert await page.locator("ol .staff").last.text_content() == ALL
    await harmless(page)
    await page.locator("form.unmask button").click()
    await expect(page.locator("main")).to_contain_text(EVIL[2])
    await harmless(page)

    page = await somebody.go("/desk/phone")
    for field in ("text", "address", "name", "phone", "email"):
        await page.locator(f"#{field}").evaluate("(field, words) => field.value = words", ALL)
    await page.locator("button[formaction]").click()
    await expect(page.locator("#similar a").first).to_be_visible()
    await expect(page.locator("#text")).to_have_value(ALL)
    await harmless(page)
    await page.locator("main .button.main").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.locator("#text")).to_have_value(ALL)
    await harmless(page)

    for bit in BITS:
        words = quote(bit)
        await somebody.go(f"/desk?q={words}")
        await expect(page.locator("#q")).to_have_value(bit)
        await harmless(page)
        hostile = f"list={words}&state={words}&category={words}&worker={words}&department={words}&cursor={words}"
        for path in (f"/desk?{hostile}", f"/desk/cases/{number}?do={words}&done={words}&borrow={words}"):
            await somebody.go(path)
            await harmless(page)
    for path in (
        "/insights?days={}",
        "/insights/table?by={}",
        "/sign-in?next={}",
        f"/v1/feedback/{number}/contact?reason={{}}",
        "/desk/handed-over?number={}&department={}",
    ):
        await somebody.go(path.replace("{}", quote(EVIL[2])))
        await harmless(page)


async def shown(page: Page, words: str) -> str:
    """The words as this browser shows them when they are text and nothing else."""
    text: str = await page.evaluate(
        """words => { const box = document.createElement('p'); box.className = 'citizen'; box.textContent = words;
             document.body.append(box); const shown = box.innerText; box.remove(); return shown; }""",
        words,
    )
    return text

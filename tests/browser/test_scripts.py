"""What the script of the citizens' pages shortens."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import Look, Visit
from tests.support.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOK = 15_000
"""Milliseconds from one look at the status to the next."""


async def opened(page: Page, receipt: dict[str, str]) -> None:
    await page.goto(f"/track?lang=zh#number={receipt['number']}&code={receipt['code']}")
    await expect(page.locator("main .number")).to_have_text(receipt["number"])


async def test_a_link_in_a_message_opens_the_case_and_leaves_no_code_in_the_address(town: Town, visit: Visit) -> None:
    receipt = await town.say("路灯不亮了")
    page = (await visit(Look())).page
    await opened(page, receipt)
    assert "#" not in page.url
    await page.go_back()
    assert receipt["code"] not in page.url


async def test_a_link_with_a_wrong_code_says_so_once(town: Town, visit: Visit) -> None:
    receipt = await town.say("路灯不亮了")
    page = (await visit(Look())).page
    await page.goto(f"/track?lang=zh#number={receipt['number']}&code={'0' * 26}")
    await expect(page.get_by_role("alert")).to_have_text("没有找到。请检查编号和查询码。")
    await expect(page.locator("#number")).to_have_value(receipt["number"])


async def test_number_and_code_are_copied_by_a_button_that_only_scripts_show(visit: Visit) -> None:
    somebody = await visit(Look())
    await somebody.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await somebody.go("/")
    await page.locator("#text").fill("路灯不亮了")
    await page.locator("main .button.main").click()
    await page.get_by_role("button", name="复制编号和查询码").click()
    await expect(page.get_by_role("button", name="已复制")).to_be_visible()
    number = await page.locator(".slip .big").inner_text()
    code = "".join(await page.locator(".slip .code span").all_inner_texts())
    assert await page.evaluate("navigator.clipboard.readText()") == f"编号 {number}\n查询码 {code}"


async def test_without_scripts_no_button_stands_there_that_needs_them(visit: Visit) -> None:
    page = await (await visit(Look(scripts=False))).go("/")
    await page.locator("#text").fill("路灯不亮了")
    await page.locator("main .button.main").click()
    assert await page.locator("main button:visible").all_inner_texts() == ["查看进度"]


async def test_the_page_follows_the_case_by_itself(town: Town, visit: Visit) -> None:
    receipt = await town.say("路灯不亮了")
    await town.case(receipt["number"])
    await town.quiet()
    page = (await visit(Look())).page
    await page.clock.install()
    await opened(page, receipt)
    before = await page.locator("main").element_handle()
    async with page.expect_response(re.compile("/v1/feedback/")):
        await page.clock.fast_forward(LOOK)
    assert before
    assert await before.evaluate("main => main.isConnected")  # nothing had changed
    await town.move(receipt["number"], "acceptance")
    await town.quiet()
    await page.clock.fast_forward(LOOK)
    await expect(page.locator(".state b")).to_have_text("已接办")
    await expect(page.get_by_role("button", name="打印全部经过")).to_be_visible()


async def test_nothing_moves_under_somebody_who_is_writing(town: Town, visit: Visit) -> None:
    receipt = await town.say("路灯不亮了")
    await town.case(receipt["number"])
    await town.quiet()
    page = (await visit(Look())).page
    await page.clock.install()
    await opened(page, receipt)
    await page.get_by_text("补充一句").first.click()
    await page.locator("#message").fill("今天也不亮")
    await page.locator("h1").click()  # looks away, the words still stand
    await town.move(receipt["number"], "acceptance")
    await town.quiet()
    await page.clock.fast_forward(LOOK)
    await expect(page.locator("#message")).to_have_value("今天也不亮")
    await expect(page.locator(".state b")).to_have_text("已分派")
    await page.get_by_role("button", name="补充一句").click()
    await expect(page.locator(".state b")).to_have_text("已接办")

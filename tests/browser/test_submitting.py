"""Submitting, as a person does it."""

from __future__ import annotations

import pytest

from tests.support.browser import WALKS, Look, Visit, axe

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("look", WALKS, ids=str)
async def test_a_person_submits_and_gets_a_receipt(visit: Visit, look: Look) -> None:
    somebody = await visit(look)
    page = await somebody.go("/")
    await page.locator("#text").fill("和平路的路灯不亮了")
    await page.locator("form .button.main").click()
    await page.locator(".slip .code").wait_for()
    if look.scripts:
        assert await axe(page) == []

"""A call: taken down at the desk, kept by intake, its number read out, its code never."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.intake.store import FEEDBACK
from shared.errors import Unavailable
from shared.events.intake import FeedbackReceived
from shared.http.access import ROLES
from shared.store.port import Outcome
from shared.text import clean
from shared.vault.vault import key_name
from tests.component.test_pages import EVIL, hidden
from tests.support.faults import FaultyStore
from tests.support.intake import Portal, portal
from tests.support.markup import Page
from tests.support.routing import Town, chengchuan

CALL = {
    "text": "和平社区 3 号楼从昨天下午开始停水，家里有老人",
    "address": "和平社区 3 号楼",
    "name": "三号楼住户",
    "kind": "help",
    "told": "email",
    "email": "wang@example.org",
    "phone": "13900000021",
    "key": "call-1",
}
TAKES_CALLS = {"phone-operator", "case-worker", "department-lead", "supervisor"}


class NoDisk(FaultyStore):
    """A store that keeps nothing."""

    full = True

    async def write(self, changes: Any) -> list[Outcome]:
        if self.full and any(change.collection == FEEDBACK.name for change in changes):
            raise Unavailable("the disk is full")
        return await self._store.write(changes)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal(tmp_path) as desk:
        yield desk


async def key(town: Any, role: str = "phone-operator", *departments: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {await town.access.create_key(role, departments)}"}


async def call(desk: Portal, who: dict[str, str], **said: str) -> Any:
    return await desk.client.post("/phone?lang=zh", data={"csrf": "", **CALL, **said}, headers=who)


async def kept(desk: Portal) -> list[FeedbackReceived]:
    from shared.events.registry import read

    events = [read(envelope) for envelope in await desk.store.pending(1000)]
    return [event for event in events if isinstance(event, FeedbackReceived)]


async def test_a_call_is_kept_with_the_caller_as_its_actor_and_its_number_is_read_in_groups(desk: Portal) -> None:
    done = await call(desk, await key(desk))
    assert done.status_code == 201
    (event,) = await kept(desk)
    assert (event.channel, event.actor.kind, event.kind) == ("phone", "citizen", "help")
    assert event.contact_kinds == ("phone", "email")
    day, digits, check = event.number.split("-")
    spelt = re.findall(r"<span>(\d+)</span>", done.text.partition('class="spelt')[2].partition("</p>")[0])
    assert spelt == [day, digits[:4], digits[4:], check]
    keys = (await desk.vault.fetch([key_name(event.contact)]))[key_name(event.contact)]
    contact = keys.open(event.contact, "contact")
    code = re.search(r'"code":"(\w{26})"', contact)
    assert code
    assert code[1] not in done.text
    assert all(code[1][start : start + 5] not in done.text for start in range(0, 20))
    assert "查询码用电子邮件发给来电人" in done.text
    assert 'href="/desk/phone?lang=zh"' in done.text
    assert keys.open(event.text, "text") == CALL["text"]


async def test_a_call_sent_twice_is_one(desk: Portal) -> None:
    operator = await key(desk)
    first, second = await call(desk, operator), await call(desk, operator)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.text == second.text
    assert len(await kept(desk)) == 1
    changed = await call(desk, operator, text="另一件事")
    assert changed.status_code == 422
    assert "另一件事" in changed.text
    assert hidden(changed.text, "key") != CALL["key"]


async def test_who_does_not_want_to_be_told_leaves_no_way_to_be_reached(desk: Portal) -> None:
    done = await call(desk, await key(desk), told="none")
    assert done.status_code == 201
    (event,) = await kept(desk)
    assert event.contact_kinds == ()
    assert "收不到查询码" in done.text


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"text": " "}, "text"),
        ({"email": "li.example"}, "email"),
        ({"phone": "none", "told": "phone"}, "phone"),
        ({"email": " "}, "told"),
        ({"told": "phone", "phone": ""}, "told"),
        ({"address": "长" * 201}, "address"),
        ({"name": "长" * 201}, "name"),
    ],
)
async def test_what_is_missing_is_said_at_its_field_and_everything_stays(
    desk: Portal, said: dict[str, str], field: str
) -> None:
    refused = await call(desk, await key(desk), **said)
    assert refused.status_code == 422
    assert f'href="#{field}"' in refused.text
    assert f'id="{field}"' in refused.text
    for name, words in {**CALL, **said}.items():
        if name not in ("kind", "told") and words.strip():
            assert words in refused.text, name
    assert 'value="help" checked' in refused.text
    assert hidden(refused.text, "key") == CALL["key"]
    assert await kept(desk) == []


async def test_our_fault_keeps_what_was_written_and_its_key(tmp_path: Path) -> None:
    faulty: list[NoDisk] = []

    def wrap(store: Any) -> Any:
        faulty.append(NoDisk(store, 1, refused=0, lost=0))
        return faulty[0]

    async with portal(tmp_path, wrap) as desk:
        operator = await key(desk)
        away = await call(desk, operator)
        assert away.status_code == 503
        assert CALL["text"] in away.text
        assert hidden(away.text, "key") == CALL["key"]
        faulty[0].full = False
        assert (await call(desk, operator)).status_code == 201
        assert len(await kept(desk)) == 1


async def test_whoever_is_signed_out_takes_the_call_along_to_the_sign_in(desk: Portal) -> None:
    out = await call(desk, {})
    assert out.status_code == 307
    assert out.headers["location"].startswith("/sign-in/kept?next=/phone")
    assert await kept(desk) == []


@pytest.mark.parametrize("role", ROLES)
async def test_only_those_who_answer_the_phone_take_calls_down(desk: Portal, town: Town, role: str) -> None:
    assert (await call(desk, await key(desk, role))).status_code == (201 if role in TAKES_CALLS else 403)
    form = await town.client.get("/desk/phone", headers=await town.key(role))
    assert form.status_code == (200 if role in TAKES_CALLS else 403)


@pytest.mark.row("A26")
async def test_no_field_but_the_forms_own_is_taken(desk: Portal) -> None:
    more = {"channel": "web", "number": "x", "received_at": "2020-01-01T00:00:00Z", "live": "yes", "category": "x"}
    assert (await call(desk, await key(desk), **more)).status_code == 201
    (event,) = await kept(desk)
    assert (event.channel, event.category, event.historic) == ("phone", None, False)
    assert event.number != "x"


async def test_the_form_foretells_who_will_have_it_without_scripts(town: Town) -> None:
    operator = await key(town)
    form = await town.client.get("/desk/phone?lang=zh", headers=operator)
    assert form.status_code == 200
    assert 'formaction="/desk/phone?lang=zh#foretold"' in form.text
    told = await town.client.post("/desk/phone?lang=zh", data={**CALL, "csrf": ""}, headers=operator)
    assert told.status_code == 200
    text = Page(told.text).text
    assert "水务局停水 依据 停水" in " ".join(text.split())
    assert "最迟 9 月 7 日 18:00（周一）答复" in text
    for name in ("text", "address", "name", "email", "phone"):
        assert CALL[name] in told.text
    assert 'value="help" checked' in told.text
    assert 'value="email" checked' in told.text
    assert hidden(told.text, "key") == CALL["key"]
    unclear = await town.client.post("/desk/phone?lang=zh", data={"text": "你好"}, headers=operator)
    assert "先由受理部门分派" in unclear.text


@pytest.mark.row("A16")
async def test_whatever_the_caller_says_comes_back_as_text(town: Town, desk: Portal) -> None:
    at_desk, at_intake = await key(town), await key(desk)
    for evil in EVIL:
        said = {**CALL, **dict.fromkeys(("text", "address", "name", "phone", "email", "key", "kind"), evil)}
        told = await town.client.post("/desk/phone", data=said, headers=at_desk)
        refused = await call(desk, at_intake, **{**said, "key": "k"})
        assert (told.status_code, refused.status_code) == (200, 422)
        for page in (Page(told.text), Page(refused.text)):
            assert page.alive == [], evil
            assert evil in page.text or clean(evil) in page.text, evil
            assert page.values.count(evil) >= 3, evil

"""Signing in, one's own account, people and keys, as a browser without JavaScript uses them."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shared.http.people import Person
from shared.http.sign_ins import TRIES
from shared.store.port import Query
from tests.component.test_pages import EVIL
from tests.support.routing import Town, chengchuan

PASSWORD = "correct horse battery"
NEW = "staple correct horse"


class Browser:
    """Keeps cookies, says where a form comes from, follows where it is sent."""

    def __init__(self, town: Town) -> None:
        transport = town.client._transport
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://town", follow_redirects=True)
        self.client.headers["Sec-Fetch-Site"] = "same-origin"
        self.page = ""

    async def open(self, path: str, status: int = 200) -> str:
        return self._read(await self.client.get(path), status)

    async def send(self, path: str, status: int = 200, page: str | None = None, **fields: Any) -> str:
        """Send a form with the secret of the page that was open."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.page if page is None else page)
        csrf = {"csrf": found[1]} if found else {}
        return self._read(await self.client.post(path, data=csrf | fields), status)

    async def resend(self, status: int = 200) -> str:
        """Send the last form of the page as it stands."""
        form = self.page[self.page.rindex("<form") :]
        action = re.search(r'action="([^"]*)"', form)
        assert action
        fields = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'name="([^"]+)" value="([^"]*)"', form)}
        return self._read(await self.client.post(html.unescape(action[1]), data=fields), status)

    async def sign_in(self, name: str, password: str = PASSWORD, **query: str) -> str:
        answer = await self.client.post("/sign-in", params=query, data={"name": name, "password": password})
        return self._read(answer, 200)

    def _read(self, answer: httpx2.Response, status: int) -> str:
        assert answer.status_code == status, (answer.status_code, answer.url, answer.text[:2000])
        assert answer.headers["cache-control"] == "no-store"
        self.at = answer.url.path
        self.page = answer.text
        return self.page


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


@pytest.fixture
async def browser(town: Town) -> Browser:
    return Browser(town)


async def joined(town: Town, name: str = "wang", role: str = "case-worker", *departments: str) -> Person:
    _, token = await town.access.people.add(name, role, departments or ("lighting",))
    return await town.access.people.redeem(token, PASSWORD)


async def test_a_link_leads_to_a_password_and_to_the_desk(town: Town, browser: Browser) -> None:
    _, token = await town.access.people.add("wang", "case-worker", ("lighting",))
    page = await browser.open(f"/sign-in/link/{token}")
    assert "工号 101" in page
    assert "至少 12 个字符" in page
    await browser.open(f"/sign-in/link/{token}")
    page = await browser.send(f"/sign-in/link/{token}", 422, password="short", again="short")
    assert 'aria-describedby="password-hint password-error"' in page
    assert "short" not in page.replace("too_short", "")
    await browser.send(f"/sign-in/link/{token}", 422, password=PASSWORD, again=PASSWORD + "x")
    await browser.send(f"/sign-in/link/{token}", password=PASSWORD, again=PASSWORD)
    assert browser.at == "/desk"
    assert "这条链接用不了" in await Browser(town).open(f"/sign-in/link/{token}", 404)
    await Browser(town).send(f"/sign-in/link/{token}", 404, password=NEW, again=NEW)
    await Browser(town).sign_in("wang")


async def test_a_link_opened_from_a_mail_program_is_welcome(town: Town) -> None:
    _, token = await town.access.people.add("wang", "case-worker")
    browser = Browser(town)
    browser.client.headers["Sec-Fetch-Site"] = "cross-site"
    await browser.open(f"/sign-in/link/{token}")


@pytest.mark.parametrize(
    ("role", "home"),
    [("case-worker", "/desk"), ("supervisor", "/desk"), ("admin", "/desk/people"), ("editor", "/desk/me")],
)
async def test_everyone_lands_where_their_work_is(town: Town, browser: Browser, role: str, home: str) -> None:
    await joined(town, "wang", role)
    await browser.open("/desk")
    assert browser.at == "/sign-in"
    await browser.sign_in("wang", next="/desk")
    assert browser.at == home
    await browser.open("/sign-in")
    assert browser.at == home


async def test_one_comes_back_to_where_one_wanted_to_go(town: Town, browser: Browser) -> None:
    await joined(town)
    number = (await town.receive("路灯不亮")).value.number
    page = await browser.open(f"/desk/cases/{number}?lang=en")
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action
    answer = await browser.client.post(html.unescape(action[1]), data={"name": "wang", "password": PASSWORD})
    assert (answer.url.path, answer.url.query) == (f"/desk/cases/{number}", b"lang=en")


@pytest.mark.row("A38")
@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\/evil.example", "/\t/evil.example", "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x", "/desk\r\nSet-Cookie: x=y", "http:/evil.example", "evil.example", "", "/" * 2000, "/\u2028",
        "///evil.example", " //evil.example",
    ],
)  # fmt: skip
async def test_nobody_is_sent_to_another_site(town: Town, next: str) -> None:
    await joined(town)
    for where in ("/sign-in", "/sign-in/kept"):
        answer = await town.client.post(
            where, params={"next": next}, data={"name": "wang", "password": PASSWORD, "sign-in": "yes"}
        )
        assert "evil.example" not in answer.headers.get("location", "/desk").replace("%2F%2Fevil.example", "")
        assert re.match(r"/(?![/\\])", answer.headers.get("location", "/desk"))
        assert 'action="//' not in answer.text
        assert 'action="http' not in answer.text
        assert answer.headers.get_list("set-cookie") == [answer.headers["set-cookie"]]
        town.client.cookies.clear()


async def test_wrong_and_too_many_are_told_and_the_name_stays(town: Town, browser: Browser) -> None:
    await joined(town)
    for _ in range(TRIES):
        page = await browser.send("/sign-in", 401, name="wang", password="not the password")
    assert "登录名或密码不对" in page
    assert 'value="wang"' in page
    assert "not the password" not in page
    assert 'aria-describedby="problem"' in page
    answer = await browser.client.post("/sign-in", data={"name": "wang", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert "试得太多了" in answer.text


@pytest.mark.row("A29")
async def test_a_form_of_another_site_is_refused(town: Town, browser: Browser) -> None:
    person = await joined(town, "wang", "admin")
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    secret = re.search(r'name="csrf" value="([^"]*)"', browser.page)
    assert secret
    forms = {
        "/desk/me": {"shown": "evil"},
        "/desk/me/sessions": {},
        "/desk/people": {"name": "evil", "role": "admin"},
        "/desk/keys": {"name": "evil", "role": "supervisor"},
        "/sign-out": {},
    }
    for path, form in forms.items():
        for headers, csrf in (
            ({"Sec-Fetch-Site": "cross-site"}, secret[1]),
            ({"Sec-Fetch-Site": "same-site"}, secret[1]),
            ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, secret[1]),
            ({"Sec-Fetch-Site": "same-origin"}, ""),
            ({"Sec-Fetch-Site": "same-origin"}, "x"),
            ({"Sec-Fetch-Site": "same-origin"}, "密钥"),
        ):
            answer = await browser.client.post(path, data={**form, "csrf": csrf}, headers=headers)
            assert answer.status_code == 403, (path, headers)
    refused = await browser.client.post("/sign-in", data={"name": "wang"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403
    assert (await town.access.people.by_number(person.number)).shown is None
    assert len(await town.access.people.everyone()) == 1
    assert await town.access.keys.every() == []
    await browser.open("/desk/me")
    assert browser.at == "/desk/me"


async def test_what_was_written_when_the_session_ended_is_given_back(town: Town, browser: Browser) -> None:
    person = await joined(town)
    case = (await town.receive("路灯不亮")).value
    await browser.sign_in("wang")
    open_page = await browser.open(f"/desk/cases/{case.number}")
    await town.access.sessions.end_all(person.number)
    words = '师傅今晚去看\n<b>带上梯子</b> "别忘了"'
    page = await browser.send(
        f"/desk/cases/{case.number}/note?lang=zh", 401, page=open_page, version=str(case.version), text=words
    )
    assert browser.at == "/sign-in/kept"
    assert "您写的没有丢" in page
    assert html.escape("<b>带上梯子</b>", quote=False) in page
    fields = {html.unescape(n): html.unescape(v) for n, v in re.findall(r'name="([^"]+)" value="([^"]*)"', page)}
    assert "kept.csrf" not in fields
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action
    wrong = await browser.client.post(
        html.unescape(action[1]), data={**fields, "name": "wang", "password": "not the password"}
    )
    assert wrong.status_code == 401
    assert 'name="kept.text"' in wrong.text
    right = await browser.client.post(html.unescape(action[1]), data={**fields, "name": "wang", "password": PASSWORD})
    assert right.status_code == 200
    browser.page = right.text
    kept, _ = await town.cases.find(Query({"number": case.number}))
    assert len(kept[0].value.messages) == 1, "nothing is sent before the person says so"
    page = await browser.resend()
    assert browser.at.startswith(f"/desk/cases/{case.number}")
    assert html.escape("<b>带上梯子</b>", quote=False) in page
    kept, _ = await town.cases.find(Query({"number": case.number}))
    assert len(kept[0].value.messages) == 2


async def test_one_decides_about_oneself(town: Town, browser: Browser) -> None:
    await joined(town)
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    page = await browser.send("/desk/me", shown="小王", language="en")
    assert "Saved." in page
    assert 'value="小王"' in page
    assert '<html lang="en">' in await browser.open("/desk")
    assert 'data-keys="off"' in browser.page
    assert "小王" in browser.page
    await browser.open("/desk/me")
    page = await browser.send("/desk/me", 422, shown="x" * 41, keys_on="yes", language="en")
    assert "x" * 41 in page
    assert 'href="#shown"' in page


async def test_a_new_password_ends_the_other_sessions(town: Town, browser: Browser) -> None:
    await joined(town)
    other = Browser(town)
    await other.sign_in("wang")
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    for fields, code in (
        ({"current": "wrong", "password": NEW, "again": NEW}, "current-error"),
        ({"current": PASSWORD, "password": NEW, "again": "x"}, "again-error"),
        ({"current": PASSWORD, "password": "short", "again": "short"}, "password-error"),
        ({}, "current-error"),
    ):
        page = await browser.send("/desk/me/password", 422, **fields)
        assert f'id="{code}"' in page
        assert NEW not in page
    await browser.send("/desk/me/password", current=PASSWORD, password=NEW, again=NEW)
    assert browser.at == "/desk/me"
    await other.open("/desk/me")
    assert other.at == "/sign-in"
    await other.sign_in("wang", NEW)


@pytest.mark.row("A30")
async def test_a_borrowed_browser_cannot_guess_the_password(town: Town, browser: Browser) -> None:
    await joined(town)
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    for _ in range(TRIES):
        await browser.send("/desk/me/password", 422, current="wrong", password=NEW, again=NEW)
    await browser.send("/desk/me/password", 429, current=PASSWORD, password=NEW, again=NEW)


async def test_sessions_are_listed_and_ended(town: Town, browser: Browser) -> None:
    await joined(town)
    others = [Browser(town) for _ in range(3)]
    for n, other in enumerate(others):
        other.client.headers["User-Agent"] = f"Browser <b>{n}</b>"
        await other.sign_in("wang")
    await browser.sign_in("wang")
    page = await browser.open("/desk/me")
    assert page.count("另一个浏览器") == 3
    assert page.count("这个浏览器") == 1
    assert "Browser &lt;b&gt;1&lt;/b&gt;" in page
    ids = re.findall(r'name="id" value="([^"]+)"', page)
    await browser.send("/desk/me/sessions", id=ids[0])
    assert browser.page.count("另一个浏览器") == 2
    await browser.send("/desk/me/sessions", id="nonsense")
    assert browser.page.count("另一个浏览器") == 2
    await browser.send("/desk/me/sessions")
    assert browser.page.count("另一个浏览器") == 0
    await browser.send("/sign-out", everywhere="yes")
    assert browser.at == "/sign-in"
    assert "您已退出" in browser.page
    await browser.open("/desk")
    assert browser.at == "/sign-in"


async def test_nobody_ends_the_sessions_of_another(town: Town, browser: Browser) -> None:
    await joined(town)
    li = await joined(town, "li")
    other = Browser(town)
    await other.sign_in("li")
    (theirs,) = await town.access.sessions.of(li.number)
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    await browser.send("/desk/me/sessions", id=theirs.id)
    await other.open("/desk/me")
    assert other.at == "/desk/me"


@pytest.fixture
async def admin(town: Town, browser: Browser) -> Browser:
    await joined(town, "admin", "admin")
    await browser.sign_in("admin")
    return browser


async def test_an_administrator_adds_someone_and_gives_them_the_link(town: Town, admin: Browser) -> None:
    page = await admin.send(
        "/desk/people", 201, **{"name": "li", "role": "case-worker", "shown": "老李", "department.water": "yes"}
    )
    link = re.search(r'value="http://127.0.0.1:8080(/sign-in/link/[0-9a-f]+)"', page)
    assert link
    assert "工号 102" in page
    assert link[1] not in await admin.open("/desk/people"), "it is shown once"
    assert "还没选密码" in admin.page
    li = Browser(town)
    await li.open(link[1])
    await li.send(link[1], password=NEW, again=NEW)
    assert li.at == "/desk"
    assert "水务局" in await admin.open("/desk/people")


async def test_what_is_wrong_is_said_at_its_field_and_what_was_written_stays(admin: Browser) -> None:
    page = await admin.send("/desk/people?lang=en", 422, **{"name": "a b", "shown": "Li", "department.water": "yes"})
    for said in ('id="name-error"', 'id="role-error"', 'value="a b"', 'value="Li"', 'href="#role"'):
        assert said in page
    assert re.search(r'name="department.water" value="yes" checked', page)
    page = await admin.send("/desk/people", 422, name="ADMIN", role="editor")
    assert "已经有人用" in page
    assert re.search(r'<option value="editor" selected>', page)
    page = await admin.send("/desk/people", 422, **{"name": "li", "role": "editor", "department.moon": "yes"})
    assert 'id="departments-error"' in page


async def test_a_change_of_role_holds_at_once_and_disabling_too(town: Town, admin: Browser) -> None:
    await joined(town, "li")
    li = Browser(town)
    await li.sign_in("li")
    assert li.at == "/desk"
    await admin.open("/desk/people/102")
    change: dict[str, Any] = {"role": "auditor", "department.lighting": "yes"}
    await admin.send("/desk/people/102", **change)
    await li.open("/desk", 403)
    await admin.send("/desk/people/102/disabled")
    assert "已停用" in admin.page
    await li.open("/desk")
    assert li.at == "/sign-in"
    await li.send("/sign-in", 401, name="li", password=PASSWORD)
    await admin.send("/desk/people/102/link", 422)
    await admin.send("/desk/people/102/disabled", disabled="no")
    await li.sign_in("li")
    await admin.send("/desk/people/102/sessions")
    await li.open("/desk/me")
    assert li.at == "/sign-in"
    page = await admin.send("/desk/people/102/link", 201)
    assert "/sign-in/link/" in page


async def test_an_administrator_cannot_give_themselves_cases(town: Town, admin: Browser) -> None:
    await admin.open("/desk/people/101")
    page = await admin.send("/desk/people/101", 403, **{"role": "supervisor", "department.lighting": "yes"})
    assert "另一位管理员" in page
    await admin.send("/desk/people/101", 403, **{"role": "admin", "department.water": "yes"})
    await admin.send("/desk/people/101/disabled", 403)
    key = await town.key("admin")
    answer = await town.client.post("/desk/people/101/disabled", headers=key)
    assert answer.status_code == 422
    assert "最后一位" in answer.text
    assert (await town.access.people.by_number("101")).role == "admin"
    await admin.open("/desk", 403)
    await admin.open("/desk/people/999", 404)


async def test_keys_are_shown_once_and_revoked(town: Town, admin: Browser) -> None:
    await admin.open("/desk/keys")
    await admin.send("/desk/keys", 422, name="", role="king")
    page = await admin.send("/desk/keys", 201, **{"name": "热线 <b>", "role": "supervisor"})
    key = re.search(r"hk_[0-9A-Z]{26}_[0-9A-Z]{26}", page)
    assert key
    who = {"Authorization": f"Bearer {key[0]}"}
    assert (await town.client.get("/v1/cases", headers=who)).status_code == 200
    page = await admin.open("/desk/keys")
    assert key[0] not in page
    assert key[0].rpartition("_")[2] not in page
    assert "热线 &lt;b&gt;" in page
    (kept,) = await town.access.keys.every()
    assert kept.value.by == "101"
    assert kept.value.hash not in page
    await admin.send(f"/desk/keys/{kept.id}/revoked")
    assert (await town.client.get("/v1/cases", headers=who)).status_code == 401
    await admin.send(f"/desk/keys/{kept.id}/revoked", 404)


@pytest.mark.row("A26")
async def test_fields_that_are_not_of_the_form_change_nothing(town: Town, browser: Browser) -> None:
    await joined(town)
    await browser.sign_in("wang")
    await browser.open("/desk/me")
    before = await town.access.people.by_number("101")
    extra: dict[str, Any] = {
        "role": "admin",
        "number": "1",
        "departments": "water",
        "department.water": "yes",
        "disabled": "yes",
        "name": "x",
    }
    await browser.send("/desk/me", keys_on="yes", **extra)
    assert await town.access.people.by_number("101") == before


@pytest.mark.row("A16")
async def test_hostile_names_are_told_back_as_text(town: Town, admin: Browser) -> None:
    for n, evil in enumerate(EVIL):
        shown = evil[:40]
        pages = [
            await admin.send("/desk/people?lang=en", 422, name=evil, shown=evil, role=evil),
            (await admin.client.post("/sign-in/kept?next=/desk", data={"text": evil, evil[:60]: evil})).text,
            (await Browser(town).client.post("/sign-in", data={"name": evil, "password": evil})).text
            if n < TRIES - 1
            else "",
        ]
        if shown.isprintable() and n < 20:
            await admin.open("/desk/people/101")
            change: dict[str, Any] = {"role": "admin", "shown": shown, "department.lighting": "yes"}
            await admin.send("/desk/people/101", **change)
            pages += [await admin.open("/desk/people"), await admin.open("/desk/me")]
        for page in pages:
            outside = re.sub(
                r'(?:value|name)="[^"<>]*"|<p class="staff">[^<]*</p>|<td[^<>]*>[^<>]*</td>|<span class="worker">[^<]*</span>',
                "",
                page,
            )
            assert not re.search(
                r"<script(?! type=.module. src=./static)|onerror|onload|onfocus|ontoggle|<iframe", outside, re.I
            ), evil


async def test_pages_are_small(town: Town, admin: Browser) -> None:
    for n in range(30):
        await joined(town, f"person{n}")
    for path in ("/desk/people", "/desk/people/101", "/desk/keys", "/desk/me"):
        assert len((await admin.open(path)).encode()) < 60 * 1024

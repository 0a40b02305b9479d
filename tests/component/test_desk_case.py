"""The case page, as a browser without JavaScript uses it: every move, every refusal, and nothing typed is ever lost."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from services.routing import handlers
from services.routing.domain.case import Case
from services.routing.domain.states import MOVES, moves
from services.routing.pages.moving import FORMS
from shared.events.intake import FeedbackRated, FeedbackSupplemented
from shared.events.routing import State
from shared.store.documents import Decision
from shared.store.port import Query
from shared.text import clean
from tests.component.test_pages import EVIL
from tests.support.markup import Page
from tests.support.routing import CITIZEN, Town, chengchuan

SAID: dict[str, dict[str, str]] = {
    "acceptance": {},
    "start": {},
    "answer": {"text": "哨兵：今天上午已经修好了"},
    "question": {"text": "哨兵：哪一盏？"},
    "resumption": {},
    "closure": {"text": "哨兵：谢谢"},
    "return": {"reason_code": "not-ours", "reason": "哨兵：不归我们管"},
    "reassignment": {"department": "water", "category": "water-pipe", "reason": "哨兵：是水管"},
    "note": {"text": "哨兵：常坏"},
}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with chengchuan(tmp_path) as town:
        yield town


async def act(
    town: Town, case: Case, name: str, who: dict[str, str], said: dict[str, str] | None = None, **more: Any
) -> Any:
    """Send a move's form, without following where it leads."""
    form = {"version": str(case.version), "csrf": "", **(SAID[name] if said is None else said), **more}
    return await town.client.post(f"/desk/cases/{case.number}/{name}", data=form, headers=who)


async def look(town: Town, number: str, who: dict[str, str], **asked: str) -> Any:
    return await town.client.get(f"/desk/cases/{number}", params={"lang": "zh", **asked}, headers=who)


async def at(town: Town, number: str) -> Case:
    found, _ = await town.cases.find(Query({"number": number}, limit=1))
    return found[0].value


async def in_state(town: Town, state: State) -> Case:
    """A case of the lighting department, put into a state."""
    kept = await town.receive("和平路的路灯不亮了")
    put = replace(kept.value, state=state)
    changed = await town.cases.change(kept.id, lambda _: Decision(put))
    assert changed
    return changed.value


def offered(page: str) -> set[str]:
    """The moves that the action bar offers."""
    bar = page.partition('class="case-actions"')[2].partition("</ul>")[0]
    return set(re.findall(r"/([a-z]+)\?lang=", bar)) | set(re.findall(r"do=([a-z]+)", bar))


def plain(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page))


async def test_every_move_can_be_made_by_page(town: Town) -> None:
    lamp = await town.receive("哨兵：和平路的路灯不亮了")
    boss, number = await town.key("supervisor"), lamp.value.number
    for name, state in [
        ("return", "returned"),
        ("reassignment", "routed"),
        ("acceptance", "accepted"),
        ("start", "in-progress"),
        ("note", "in-progress"),
        ("question", "awaiting-citizen"),
        ("resumption", "in-progress"),
        ("answer", "answered"),
        ("closure", "closed"),
    ]:
        town.clock.advance(600)
        done = await act(town, await at(town, number), name, boss)
        assert done.status_code == 303, done.text
        assert done.headers["location"] == f"/desk/cases/{number}?lang=zh&done={name}"
        assert (await at(town, number)).state == state
        shown = await town.client.get(done.headers["location"], headers=boss)
        assert shown.status_code == 200
        assert 'role="status"' in shown.text
    page = plain((await look(town, number, boss)).text)
    for words in ("和平路的路灯不亮了", "不归我们管", "是水管", "常坏", "哪一盏？", "今天上午已经修好了", "谢谢"):
        assert f"哨兵：{words}" in page
    assert "退回：不归我们管" in page


@pytest.mark.parametrize("state", MOVES)
async def test_the_page_offers_what_the_state_allows_and_nothing_else(town: Town, state: State) -> None:
    case = await in_state(town, state)
    worker = await town.key("case-worker", "lighting")
    page = (await look(town, case.number, worker)).text
    assert offered(page) == {*moves(state), "note"}
    operator = await town.key("phone-operator", "lighting")
    assert offered((await look(town, case.number, operator)).text) == set()


@pytest.mark.parametrize("name", [name for name in FORMS if name != "note"])
async def test_a_move_that_the_state_does_not_allow_is_refused_in_words_and_keeps_what_was_typed(
    town: Town, name: str
) -> None:
    case = await in_state(town, "withdrawn")
    worker = await town.key("case-worker", "lighting")
    refused = await act(town, case, name, worker)
    assert refused.status_code == 409
    assert "这件事现在是“市民已撤回”" in plain(refused.text)
    for words in SAID[name].values():
        if words.startswith("哨兵"):
            assert words in plain(refused.text)
            assert "您写的没有丢" in refused.text
    assert (await at(town, case.number)).version == case.version


async def test_who_was_slower_is_told_who_was_faster_and_keeps_what_they_typed(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    boss, worker = await town.key("supervisor"), await town.key("case-worker", "lighting")
    town.clock.advance(3600)
    assert (await act(town, case, "acceptance", boss)).status_code == 303
    slow = await act(town, case, "note", worker)
    assert slow.status_code == 412
    text = plain(slow.text)
    assert re.search(r"这件事在 10:00 已由工号 …\w{4}接办。 ?您写的没有丢。", text)
    assert SAID["note"]["text"] in text
    assert '<input type="hidden" name="version" value="2">' in slow.text
    again = await act(town, await at(town, case.number), "note", worker)
    assert again.status_code == 303


async def test_a_citizen_who_was_faster_is_named_as_the_citizen(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    worker = await town.key("case-worker", "lighting")
    assert (await act(town, lamp.value, "acceptance", worker)).status_code == 303
    before = await at(town, lamp.value.number)
    words = town.keys[lamp.id].seal("text", "message", "又亮了")
    await town.happens(
        lamp.id, handlers.hear_citizen, FeedbackSupplemented(at=town.clock.now(), actor=CITIZEN, message=words)
    )
    slow = await act(town, before, "answer", worker)
    assert slow.status_code == 412
    assert "已由市民补充" in plain(slow.text)
    assert "又亮了" in plain(slow.text)
    assert "哨兵：今天上午已经修好了" in slow.text


async def test_words_of_a_form_that_is_no_longer_possible_stay_to_be_copied(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    worker = await town.key("case-worker", "lighting")
    await act(town, lamp.value, "acceptance", worker)
    before = await at(town, lamp.value.number)
    assert (await act(town, before, "answer", worker, {"text": "已修好，今天就亮。"})).status_code == 303
    slow = await act(town, before, "question", await town.key("case-worker", "lighting"))
    assert slow.status_code == 412
    assert "您写的，还没有发出" in slow.text
    assert SAID["question"]["text"] in slow.text


@pytest.mark.parametrize("name", FORMS)
async def test_a_double_click_is_one_move_and_both_see_it_done(town: Town, name: str) -> None:
    case = await in_state(town, next(state for state, legal in MOVES.items() if name in {*legal, "note"}))
    boss = await town.key("supervisor")
    answers = [await act(town, case, name, boss) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert (await at(town, case.number)).version == case.version + 1


@pytest.mark.row("F31")
async def test_of_many_at_once_one_is_done(town: Town) -> None:
    case = await in_state(town, "in-progress")
    workers = [await town.key("case-worker", "lighting") for _ in range(8)]
    answers = await asyncio.gather(
        *(act(town, case, "note", who, {"text": f"备注 {n}"}) for n, who in enumerate(workers))
    )
    assert sorted(answer.status_code for answer in answers) == [303] + [412] * 7


async def test_other_words_at_the_same_version_are_not_taken_for_a_double_click(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    worker = await town.key("case-worker", "lighting")
    assert (await act(town, case, "note", worker, {"text": "一"})).status_code == 303
    assert (await act(town, case, "note", worker, {"text": "二"})).status_code == 412


async def test_a_case_that_was_sent_on_says_where_it_went(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    worker = await town.key("case-worker", "lighting")
    for answer in [await act(town, case, "return", worker), await act(town, case, "return", worker)]:
        assert answer.status_code == 303
        told = await town.client.get(answer.headers["location"], headers=worker)
        assert f"{case.number} 已转给便民服务中心。" in told.text
    assert (await look(town, case.number, worker)).status_code == 404


async def test_a_case_that_left_while_someone_typed_gives_their_words_back(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    worker, boss = await town.key("case-worker", "lighting"), await town.key("supervisor")
    handed = await act(town, case, "reassignment", boss)
    assert handed.status_code == 303
    lost = await act(town, case, "note", worker)
    assert lost.status_code == 404
    assert SAID["note"]["text"] in lost.text


@pytest.mark.row("A25")
async def test_another_departments_case_is_not_there(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    stranger = await town.key("case-worker", "water")
    for number in (case.number, "20260907-00000000-0", "nonsense"):
        assert (await look(town, number, stranger)).status_code == 404
        for name in [*FORMS, "nonsense"]:
            said = SAID.get(name, {})
            refused = await town.client.post(
                f"/desk/cases/{number}/{name}", data={"version": "1", **said}, headers=stranger
            )
            assert refused.status_code == 404, name
    assert (await at(town, case.number)).version == 1


async def test_neighbours_are_the_next_in_the_queue_of_ones_own_departments(town: Town) -> None:
    numbers = []
    for words in ("路灯不亮", "自来水管爆裂", "路灯坏了", "路灯又坏了"):
        numbers.append((await town.receive(words)).value.number)
        town.clock.advance(60)
    worker = await town.key("case-worker", "lighting")
    page = (await look(town, numbers[2], worker)).text
    assert re.findall(r'class="neighbours">.*?</p>', page)
    around = page.partition('class="neighbours"')[2].partition("</p>")[0]
    assert re.findall(r"/desk/cases/([\d-]+)", around) == [numbers[0], numbers[3]]


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("answer", {"text": "  \n "}, "请写几个字。"),
        ("question", {}, "请写几个字。"),
        ("note", {"text": "a\x00b"}, "有的字符认不出来"),
        ("answer", {"text": "长" * 20_001}, "太长了"),
        ("return", {"reason": "哨兵"}, "请选一个理由。"),
        ("return", {"reason_code": "<b>", "reason": "哨兵"}, "请选一个理由。"),
        ("reassignment", {"department": "nowhere"}, "请选一个部门。"),
        ("reassignment", {"department": "water", "category": "nothing"}, "请选一个类别。"),
        ("reassignment", {}, "请选一个部门。"),
    ],
)
async def test_what_cannot_be_taken_is_said_at_its_field_and_stays(
    town: Town, name: str, said: dict[str, str], words: str
) -> None:
    case = await in_state(town, "accepted")
    refused = await act(town, case, name, await town.key("supervisor"), said)
    assert refused.status_code == 422
    assert refused.text.count(words) == 2, "in the summary and at the field"
    if said.get("reason"):
        assert said["reason"] in refused.text
    assert (await at(town, case.number)).version == case.version


@pytest.mark.row("A26")
async def test_fields_of_the_document_in_a_form_change_nothing(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    more: dict[str, Any] = {f.name: "closed" for f in fields(Case)} | {
        "role": "admin",
        "outbox": "x",
        "revision": "9",
        "sequence": "9",
    }
    more.pop("version")
    boss, names = await town.key("supervisor"), sorted(more)
    for part in (names[::2], names[1::2]):
        done = await act(town, await at(town, case.number), "note", boss, **{name: more[name] for name in part})
        assert done.status_code == 303
    after = await at(town, case.number)
    changed = {f.name for f in fields(Case) if getattr(after, f.name) != getattr(case, f.name)}
    assert changed <= {"version", "changed_at", "timeline", "messages", "written"}


@pytest.mark.parametrize("version", ["", "x", "-1", "²", "9" * 5000, "2"])
async def test_a_version_that_is_none_is_a_stale_page(town: Town, version: str) -> None:
    case = (await town.receive("路灯不亮")).value
    refused = await act(town, case, "note", await town.key("supervisor"), version=version)
    assert refused.status_code == 412
    assert SAID["note"]["text"] in refused.text


async def test_whoever_is_signed_out_takes_the_form_along_to_sign_in(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    answer = await act(town, case, "note", {})
    assert answer.status_code == 307, "the browser sends the form again, to where it is kept"
    assert answer.headers["location"].startswith(f"/sign-in/kept?next=/desk/cases/{case.number}/note")


async def test_the_page_says_why_the_case_is_here_and_marks_the_words_that_decided(town: Town) -> None:
    case = (await town.receive("和平路的路灯不亮了")).value
    page = (await look(town, case.number, await town.key("supervisor"))).text
    assert '和平路的<mark class="heavy">路灯</mark><mark class="light">不亮</mark>了' in page
    assert "把握 0.86，门槛 0.5" in page
    assert "路灯管理所" in page


async def test_an_erased_case_says_so_and_offers_no_words(town: Town) -> None:
    keys = (await town.feedback("x"))[1].text
    case = (await town.receive("路灯不亮", text=keys.model_copy(update={"key": "GONE/text"}))).value
    boss = await town.key("supervisor")
    page = await look(town, case.number, boss)
    assert page.status_code == 200
    assert "已删除" in page.text
    assert offered(page.text) == {"acceptance", "return", "reassignment"}
    refused = await act(town, case, "note", boss)
    assert refused.status_code == 409
    assert SAID["note"]["text"] in refused.text
    assert (await act(town, case, "acceptance", boss)).status_code == 303


async def test_a_department_and_a_category_that_are_no_more_are_shown_by_their_ids(town: Town) -> None:
    kept = await town.receive("路灯不亮")
    gone = replace(kept.value, department="gone-office", category="gone-matter", first_receiver="gone-office")
    await town.cases.change(kept.id, lambda _: Decision(gone))
    page = await look(town, gone.number, await town.key("supervisor"))
    assert page.status_code == 200
    assert "gone-office" in page.text
    assert "gone-matter" in page.text


async def test_an_identity_that_is_withheld_cannot_be_asked_for_by_the_department(town: Town) -> None:
    case = (await town.receive("路灯不亮", anonymous=True, contact_kinds=("phone",))).value
    link = f'action="/v1/feedback/{case.number}/contact"'
    assert link not in (await look(town, case.number, await town.key("case-worker", "lighting"))).text
    assert link in (await look(town, case.number, await town.key("supervisor"))).text
    named = (await town.receive("路灯不亮", contact_kinds=("phone",))).value
    page = (await look(town, named.number, await town.key("case-worker", "lighting"))).text
    assert f'action="/v1/feedback/{named.number}/contact"' in page


async def test_advice_is_given_when_asked_for_and_holds_nothing_back(town: Town) -> None:
    lamp = await town.receive("路灯不亮，什么时候能修好？")
    worker = await town.key("case-worker", "lighting")
    await act(town, lamp.value, "acceptance", worker)
    case = await at(town, lamp.value.number)
    checked = await act(town, case, "answer", worker, {"text": "我们高度重视，予以处理。", "check": "yes"})
    assert checked.status_code == 200
    text = plain(checked.text)
    assert "什么时候能修好？" in text
    assert "“予以”“高度重视”不好懂" in text
    assert "没有写什么时候办好" in text
    assert (await at(town, case.number)).version == case.version
    assert (await act(town, case, "answer", worker, {"text": "我们高度重视，予以处理。"})).status_code == 303


async def test_a_rating_without_words_is_told_as_a_rating(town: Town) -> None:
    lamp = await town.receive("路灯不亮")
    rating = FeedbackRated(at=town.clock.now(), actor=CITIZEN, satisfaction=2)
    await town.happens(lamp.id, handlers.take_rating, rating)
    page = plain((await look(town, lamp.value.number, await town.key("supervisor"))).text)
    assert "市民 评价" in page
    assert "满意度 2" in page


@pytest.mark.row("A16")
async def test_whatever_is_written_comes_back_as_text_and_nothing_else(town: Town) -> None:
    boss = await town.key("supervisor")
    for evil in EVIL:
        id, event = await town.feedback(evil)
        event = event.model_copy(update={"place": town.keys[id].seal("text", "place", evil)})
        kept = await town.happens(id, handlers.open_case, event, {"text": evil})
        page = await act(town, kept.value, "answer", boss, {"text": evil, "version": "0"})
        assert page.status_code == 412
        seen = Page(page.text)
        assert seen.alive == [], evil
        assert seen.text.count(clean(evil)) >= 3, evil


async def test_the_page_speaks_english_too(town: Town) -> None:
    case = (await town.receive("路灯不亮")).value
    page = await look(town, case.number, await town.key("supervisor"), lang="en")
    assert page.status_code == 200
    assert "Why it is here" in page.text
    assert len(page.content) < 60 * 1024

"""Pages for citizens when something is wrong: nothing that was written is lost, and nothing is kept twice."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx2
import pytest

from services.intake.store import Feedbacks
from shared.events import routing
from shared.events.envelope import Actor
from shared.http.forms import FIELDS
from shared.store.port import Change, DocumentStore, Outcome
from tests.support.faults import FaultyStore
from tests.support.intake import Portal, portal

WHY = routing.Explanation(method="keywords", version="v", confidence=0.9, bar=0.5, words=("路灯",))


class Shop:
    """A town whose store can fail."""

    town: Portal
    faulty: FaultyStore

    def wrap(self, store: DocumentStore) -> DocumentStore:
        self.faulty = FaultyStore(store, 1, refused=0, lost=0)
        return self.faulty

    async def post(self, path: str, **said: str) -> httpx2.Response:
        return await self.town.client.post(path, data=said)


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setenv("INTAKE_RATE", "off")
    shop = Shop()
    async with portal(tmp_path, wrap=shop.wrap) as town:
        shop.town = town
        yield shop


def form(page: str, action: str) -> dict[str, str]:
    """What a browser would send back from the form with this value, as it was filled in; the navigation's comes first."""
    *_, found = [f for f in re.findall(r"<form.*?</form>", page, re.S) if f'value="{action}"' in f]
    said = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', found))
    said |= dict(re.findall(r'<input type="(?:text|tel|email)"[^>]*? name="([^"]*)"[^>]*? value="([^"]*)"', found))
    said |= dict(re.findall(r'<textarea[^>]*? name="([^"]*)"[^>]*>\n?([^<]*)</textarea>', found))
    said |= dict(re.findall(r'type="radio" name="([^"]*)" value="([^"]*)" checked', found))
    return {name: html.unescape(value) for name, value in said.items()}


async def answered(shop: Shop) -> dict[str, str]:
    """The receipt of a case that was answered."""
    receipt = await shop.town.say()
    await shop.town.opens(receipt)
    words = await shop.town.reply(receipt, "修好了")
    await shop.town.happens(receipt, routing.CaseAnswered, "answered", text=words)
    return receipt


async def test_a_form_may_come_in_utf_8_percent_encoded_or_not(shop: Shop) -> None:
    media = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in ("text=路灯&address=和平路".encode(), b"text=%E8%B7%AF%E7%81%AF&address=%E5%92%8C%E5%B9%B3%E8%B7%AF"):
        page = (await shop.town.client.post("/", content=body, headers=media)).text
        assert "路灯</p>" in page
        case = await shop.post("/track", number=form(page, "和平路")["key"], code="x")
        assert case.status_code == 404
    for body in (b"text=\xff", b"text=%ff", b"&".join(b"a%d=b" % n for n in range(FIELDS + 1))):
        answer = await shop.town.client.post("/", content=body, headers=media)
        assert answer.status_code == 400


async def test_an_outage_while_submitting_keeps_words_and_key_and_makes_one_case(shop: Shop) -> None:
    shop.faulty.faults.lost = 1.0
    failed = await shop.post(
        "/?lang=en", text="Lamp <out>", email="me@example.org", kind="help", anonymous="yes", key="k1"
    )
    assert failed.status_code == 503
    assert "Your words are still here" in failed.text
    assert "<!doctype html>" in failed.text
    said = form(failed.text, "k1")
    assert (said["text"], said["email"], said["kind"], said["key"]) == ("Lamp <out>", "me@example.org", "help", "k1")
    assert re.search(r'name="anonymous"[^>]* checked', failed.text)
    shop.faulty.faults.heal()
    again = await shop.post("/", **said, anonymous="yes")
    assert again.status_code == 201
    assert again.text == (await shop.post("/", **said, anonymous="yes")).text


async def test_what_was_accepted_gets_its_receipt_although_nothing_can_be_read_any_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = shop.faulty.write

    async def the_last_thing(changes: Sequence[Change]) -> list[Outcome]:
        outcomes = await write(changes)
        shop.faulty.faults.refused = 1.0
        return outcomes

    monkeypatch.setattr(shop.faulty, "write", the_last_thing)
    receipt = await shop.post("/", text="路灯不亮了")
    assert receipt.status_code == 201
    assert "路灯不亮了" in receipt.text


async def test_a_page_gone_back_to_and_changed_gets_a_new_key(shop: Shop) -> None:
    assert (await shop.post("/", text="一", key="k1")).status_code == 201
    changed = await shop.post("/", text="二", key="k1")
    assert changed.status_code == 422
    said = form(changed.text, "help")
    assert said["text"] == "二"
    assert said["key"] != "k1"
    assert (await shop.post("/", **said)).status_code == 201


async def test_too_many_submissions_keep_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTAKE_RATE", "1/1")
    async with portal(tmp_path) as town:
        await town.client.post("/", data={"text": "一"})
        over = await town.client.post("/", data={"text": "二", "key": "k2"})
        assert (over.status_code, over.headers["retry-after"]) == (429, "1")
        assert (form(over.text, "help")["text"], form(over.text, "help")["key"]) == ("二", "k2")


@pytest.mark.parametrize("seed", range(6))  # some lose the write, some only its answer
async def test_an_outage_while_adding_keeps_the_words_and_they_arrive_once(shop: Shop, seed: int) -> None:
    receipt = await answered(shop)
    page = (await shop.post("/track", number=receipt["number"], code=receipt["code"])).text
    said = form(page, "message") | {"text": "还是 <b>不亮"}
    shop.faulty.faults.random.seed(seed)
    shop.faulty.faults.lost = 1.0
    failed = await shop.post("/track", **said)
    assert failed.status_code == 503
    assert "您写的没有丢" in failed.text
    assert "还是 &lt;b&gt;不亮" in failed.text
    assert form(failed.text, "message") == said
    shop.faulty.faults.heal()
    assert (await shop.post("/track", **form(failed.text, "message"))).status_code == 200
    seen = await shop.town.follow(receipt)
    assert [m["text"] for m in seen["messages"] if m["from"] == "citizen"] == ["路灯不亮了", "还是 <b>不亮"]


async def test_an_outage_while_judging_keeps_the_verdict(shop: Shop) -> None:
    receipt = await answered(shop)
    page = (await shop.post("/track", number=receipt["number"], code=receipt["code"])).text
    said = form(page, "rating") | {"solved": "no", "satisfaction": "2", "comment": "没人来"}
    shop.faulty.faults.refused = 1.0
    failed = await shop.post("/track", **said)
    assert failed.status_code == 503
    shop.faulty.faults.heal()
    assert (await shop.post("/track", **form(failed.text, "rating"))).status_code == 200
    *_, rated = await shop.town.told(receipt["id"])
    assert (rated.type, rated.solved, rated.satisfaction) == ("feedback.rated", False, 2)


async def test_an_outage_while_looking_is_a_page_too(shop: Shop) -> None:
    receipt = await answered(shop)
    shop.faulty.faults.refused = 1.0
    failed = await shop.post("/track", number=receipt["number"], code=receipt["code"])
    assert failed.status_code == 503
    assert f'value="{receipt["number"]}"' in failed.text


@pytest.mark.parametrize(
    ("action", "field", "words"),
    [("message", "text", "  "), ("message", "text", "灯" * 20_001), ("rating", "comment", "灯" * 20_001)],
)
async def test_an_error_stands_at_its_field_with_what_was_written(
    shop: Shop, action: str, field: str, words: str
) -> None:
    receipt = await answered(shop)
    page = (await shop.post("/track", number=receipt["number"], code=receipt["code"])).text
    wrong = await shop.post("/track", **form(page, action) | {field: words, "solved": "no"})
    assert wrong.status_code == 422
    assert form(wrong.text, action)[field] == words
    id = "comment" if action == "rating" else action
    assert f'href="#{id}"' in wrong.text
    assert f'aria-describedby="{id}-error"' in wrong.text
    assert len(await shop.town.told(receipt["id"])) == 1


async def test_a_double_click_on_each_action_is_one_event(shop: Shop) -> None:
    receipt = await answered(shop)
    page = (await shop.post("/track", number=receipt["number"], code=receipt["code"])).text
    for action in ("message", "rating", "reopening", "withdrawal"):
        said = form(page, action) | ({"text": "再说一句"} if action == "message" else {})
        for _ in range(2):
            assert (await shop.post("/track", **said)).status_code == 200
    assert len(await shop.town.told(receipt["id"])) == 5


async def test_the_language_can_be_changed_on_a_page_that_a_form_made(shop: Shop) -> None:
    chinese = (await shop.post("/?lang=zh", text="路灯\n不亮了", kind="help", key="k1")).text
    english = (await shop.post("/?lang=en", **form(chinese, "k1"))).text
    code = r'<p class="code">(.*?)</p>'
    assert re.findall(code, chinese) == re.findall(code, english) != []
    assert "Received." in english
    case = (
        await shop.post("/track?lang=zh", **dict(re.findall(r'name="(number|code)" value="([^"]*)"', english)))
    ).text
    switch = re.search(r'<form method="post" action="/track\?lang=en">.*?</form>', case, re.S)
    assert switch
    said = dict(re.findall(r'name="(number|code)" value="([^"]*)"', switch[0]))
    assert '<html lang="en">' in (await shop.post("/track?lang=en", **said)).text


async def test_a_receipt_asked_for_again_says_who_has_it_and_by_when(shop: Shop) -> None:
    said = {"text": "路灯不亮了", "email": "chen@example.org", "key": "k1"}
    first = (await shop.post("/?lang=zh", **said)).text
    assert "正在分派" in first
    assert "最迟答复" not in first
    assert "c***@example.org" in first
    number = re.search(r'name="number" value="([^"]*)"', first)
    assert number
    kept = await Feedbacks(shop.town.store, shop.town.clock).by_number(number[1])
    assert kept
    await shop.town.happens({"id": kept.id, "number": number[1]}, routing.CaseRouted, "routed", explanation=WHY)
    again = (await shop.post("/?lang=en", **said)).text
    for words in ("Lighting", "Street lamps", "Answer by", "10 Sep, 09:00"):
        assert words in again, words


async def test_the_case_names_who_works_on_it_and_by_when_they_answer(shop: Shop) -> None:
    receipt = await shop.town.say()
    person, program = Actor(kind="staff", id="107"), Actor(kind="staff", id="01M8C90S8A43GRM86FHQDZX706")
    code = {"number": receipt["number"], "code": receipt["code"]}
    await shop.town.happens(receipt, routing.CaseRouted, "routed", explanation=WHY)
    assert "最迟 9 月 10 日 09:00 答复" in (await shop.post("/track?lang=zh", **code)).text
    await shop.town.happens(receipt, routing.CaseAccepted, "accepted", actor=person)
    question = await shop.town.reply(receipt, "哪一根？")
    await shop.town.happens(receipt, routing.CaseAwaitingCitizen, "awaiting-citizen", actor=person, text=question)
    page = (await shop.post("/track?lang=zh", **code)).text
    assert "承办人工号 107" in page
    assert page.count("工号 107") == 3, "in the panel, at the step and at the question"
    await shop.town.happens(receipt, routing.CaseReassigned, "routed", actor=person)
    await shop.town.happens(receipt, routing.CaseAccepted, "accepted", actor=program)
    page = (await shop.post("/track?lang=zh", **code)).text
    assert page.count("工号 107") == 2, "what was is still told"
    assert "01M8C" not in page


async def test_a_static_file_asked_for_by_its_version_may_be_kept_for_ever(shop: Shop) -> None:
    page = (await shop.town.client.get("/")).text
    addresses = re.findall(r'href="(/static/[^"]*)"', page)
    assert len(addresses) == 4
    for address in addresses:
        assert "immutable" in (await shop.town.client.get(html.unescape(address))).headers["cache-control"]
    old = (await shop.town.client.get("/static/page.css?v=old")).headers["cache-control"]
    assert old == "public, max-age=3600"


async def test_no_page_puts_the_code_into_an_address(shop: Shop) -> None:
    receipt = await answered(shop)
    page = await shop.post("/track", number=receipt["number"], code=receipt["code"])
    addresses = re.findall(r'(?:href|action|src)="([^"]*)"', page.text)
    assert addresses
    assert not any(receipt["code"] in address for address in addresses)
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"

"""What the mails say, and that nothing in them can become a header."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from typing import Any

import pytest

from services.notify.channels.channel import Letter, Stationery
from services.notify.channels.letters import Letters
from services.notify.domain import Delivery, Entry, Progress
from shared.events.routing import Category, Label, Organisation
from shared.web.pages import translate
from tests.support.clock import ManualClock

NUMBER = "20260302-00000001-1"
CODE = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
TOWN = Organisation(
    name=Label(zh="云溪镇", en="Yunxi"),
    time_zone="Asia/Shanghai",
    reception="r",
    departments=(),
    categories=(Category(id="lamp", label=Label(zh="路灯", en="Street lamp")),),
)
LETTERS = Letters("https://town.test", "zh")
STATIONERY = Stationery("noreply@town.test", "云溪镇", "town.test", ManualClock())


class Read(HTMLParser):
    """A page as a reader of HTML takes it in."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.text = ""
        self.language = ""

    @classmethod
    def of(cls, html: str) -> Read:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.add(tag)
        self.links += [given["href"] or ""] if "href" in given else []
        self.language = given.get("lang") or self.language

    def handle_data(self, data: str) -> None:
        self.text += data


def to_citizen(kind: Any, language: str, text: str | None) -> Letter:
    delivery = Delivery("c-1", "e", kind, "citizen", "email", Progress())
    return LETTERS.to_citizen(delivery, NUMBER, language, "wang@home.test", CODE, text, TOWN)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("kind", ["acknowledgement", "question", "answer", "closing"])
def test_a_mail_has_the_number_the_words_and_a_link_that_opens_the_case(kind: str, language: str) -> None:
    letter = to_citizen(kind, language, None if kind == "acknowledgement" else "灯已修好。\nThe lamp is repaired.")
    assert NUMBER in letter.subject
    assert f"https://town.test/track#number={NUMBER}&code={CODE}\n" in letter.text
    assert ("灯已修好。\nThe lamp is repaired." in letter.text) == (kind != "acknowledgement")
    assert (letter.language, ("云溪镇" if language == "zh" else "Yunxi") in letter.text) == (language, True)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    ("kind", "state"),
    [("acknowledgement", "received"), ("question", "awaiting-citizen"), ("answer", "answered"), ("closing", "closed")],
)
def test_both_renderings_say_the_same_with_one_link(kind: str, state: str, language: Any) -> None:
    letter = to_citizen(kind, language, None if kind == "acknowledgement" else "灯已修好。")
    page = Read.of(letter.html)
    assert page.links == [f"https://town.test/track#number={NUMBER}&code={CODE}"]
    assert letter.text.count("http") == 1
    for words in (
        NUMBER,
        translate(language, f"state.{state}"),
        *(["灯已修好。"] if kind != "acknowledgement" else []),
    ):
        assert words in page.text
        assert words in letter.text
    assert page.language == language


@pytest.mark.parametrize("kind", ["acknowledgement", "question", "answer", "closing"])
def test_a_mail_is_small_and_loads_nothing(kind: str) -> None:
    letter = to_citizen(kind, "zh", "灯已修好。")
    assert len(STATIONERY.message(letter).as_bytes()) < 6_000
    assert not {"img", "link", "script", "iframe", "object", "video", "form"} & Read.of(letter.html).elements
    assert "url(" not in letter.html
    assert "@import" not in letter.html
    assert "prefers-color-scheme:dark" in letter.html


@pytest.mark.row("A16")
@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</div><a href=https://evil.test>click</a>",
        "{{ 7 * 7 }}{% for x in y %}",
        "<style>*{display:none}</style>",
        "javascript:alert(1)",
        "\u202eevil\u2066",
        "&lt;b&gt; &amp; &#60;",
        "-->]]></title><svg onload=1>",
    ],
)
def test_what_was_written_is_words_and_never_markup(attack: str) -> None:
    page = Read.of(to_citizen("answer", "en", attack).html)
    calm = Read.of(to_citizen("answer", "en", "words").html)
    assert (page.elements, page.links) == (calm.elements, calm.links)
    assert attack in page.text
    assert attack in to_citizen("answer", "en", attack).text


def test_a_mail_is_the_same_bytes_each_time() -> None:
    letter = to_citizen("answer", "zh", "灯已修好。")
    assert STATIONERY.message(letter).as_bytes() == STATIONERY.message(letter).as_bytes()


def test_a_case_closed_by_silence_has_no_words_but_asks_for_a_rating() -> None:
    letter = to_citizen("closing", "en", None)
    assert "None" not in letter.text
    assert "rate" in letter.subject


def test_what_people_write_is_never_read_as_a_template() -> None:
    assert "{{ link }}{% raw %}" in to_citizen("answer", "en", "{{ link }}{% raw %}").text


def test_a_department_gets_numbers_categories_deadlines_and_links() -> None:
    due = datetime(2026, 3, 2, 8, tzinfo=UTC)
    entries = [
        Entry("a", "a-1", "new-case", NUMBER, "lamp", due),
        Entry("b", "b-1", "overdue", "20260302-00000002-9", None, None),
    ]
    letter = LETTERS.to_department("digest-1", "light@town.test", entries, TOWN)
    assert letter.subject == "新案件 1 件，超期 1 件"
    assert f"{NUMBER}  路灯  期限 2026-03-02 16:00\n  https://town.test/desk/cases/{NUMBER}\n" in letter.text
    assert "20260302-00000002-9  未分类  无期限\n" in letter.text


def test_a_mail_is_named_by_its_delivery() -> None:
    mail = message_from_bytes(STATIONERY.message(to_citizen("answer", "zh", "好")).as_bytes(), policy=default)
    assert mail["Message-ID"] == "<c-1@town.test>"
    assert (mail["From"], mail["To"]) == ("云溪镇 <noreply@town.test>", "wang@home.test")
    assert mail["Auto-Submitted"] == "auto-generated"


@pytest.mark.row("A20")
@pytest.mark.parametrize(
    "attack", ["\r\nBcc: eve@evil.test", "\nBcc: eve@evil.test", "\r\n\r\nhidden", "\r\n.\r\nMAIL FROM:<x>"]
)
def test_no_words_become_a_header_or_end_the_mail(attack: str) -> None:
    town = TOWN.model_copy(update={"name": Label(zh=f"镇{attack}", en=f"Town{attack}")})
    delivery = Delivery("c-1", "e", "answer", "citizen", "email", Progress())
    letter = LETTERS.to_citizen(delivery, NUMBER + attack, "en", "wang@home.test", CODE, f"words{attack}", town)
    mail = message_from_bytes(STATIONERY.message(letter).as_bytes(), policy=default)
    assert "Bcc" not in mail
    assert mail["To"] == "wang@home.test"
    assert set(mail.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "Content-Type",
        "MIME-Version",
    }  # fmt: skip


@pytest.mark.row("A20")
def test_an_address_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError):
        STATIONERY.message(Letter("c-1", "a@b.cn\r\nBcc: eve@evil.test", "s", "t", "h", "en"))

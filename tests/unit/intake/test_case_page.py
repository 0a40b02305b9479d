"""What the page says of a case: the promise in words, and its steps in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.pages.case import promise, shown
from shared.web.pages import lasting
from tests.support.intake import TOWN

RECEIVED = datetime(2026, 9, 7, 1, 0, tzinfo=UTC)
DUE = RECEIVED + timedelta(days=4)


def case(
    state: str, *steps: tuple[int, str], words: tuple[tuple[int, str, str], ...] = (), **more: Any
) -> dict[str, Any]:
    """A case with steps and words at these hours after it was received."""
    at = [{"at": RECEIVED, "state": "received", "department": None}]
    at += [{"at": RECEIVED + timedelta(hours=h), "state": s, "department": "lighting"} for h, s in steps]
    said = [{"at": RECEIVED, "from": "citizen", "text": "路灯不亮了"}]
    said += [{"at": RECEIVED + timedelta(hours=h), "from": who, "text": text} for h, who, text in words]
    fields = {"number": "n", "state": state, "deadline": DUE, "received_at": RECEIVED, "timeline": at, "messages": said}
    return fields | {"department": "lighting", "category": "street-lamp", "kind": None, "place": None} | more


@pytest.mark.parametrize(
    ("state", "steps", "passed", "words", "stands", "share"),
    [
        ("accepted", (), timedelta(days=1), "还剩 3 天", "running", 25),
        ("accepted", (), timedelta(days=3, hours=22, minutes=50), "还剩 1 小时 10 分", "running", 99),
        ("accepted", (), timedelta(days=4), "还剩 0 分", "running", 100),
        ("in-progress", (), timedelta(days=4, hours=14), "逾期 14 小时", "late", 100),
        ("returned", (), timedelta(days=6, hours=2, minutes=3), "逾期 2 天 2 小时", "late", 100),
        ("awaiting-citizen", (), timedelta(days=9), "计时暂停", "paused", 0),
        ("answered", ((69, "answered"),), timedelta(days=9), "比期限早 1 天 3 小时", "met", 100),
        ("closed", ((100, "answered"), (101, "closed")), timedelta(days=9), "逾期 4 小时", "met", 100),
        ("in-progress", ((2, "answered"), (3, "in-progress")), timedelta(days=1), "还剩 3 天", "running", 25),
    ],
)
def test_the_deadline_is_told_in_words(
    state: str, steps: tuple[tuple[int, str], ...], passed: timedelta, words: str, stands: str, share: int
) -> None:
    told = promise(case(state, *steps), "zh", RECEIVED + passed)
    assert told
    assert (told.words, told.state, told.share) == (words, stands, share)


@pytest.mark.parametrize(
    ("state", "deadline"), [("withdrawn", DUE), ("closed", DUE), ("routed", None), ("answered", None)]
)
def test_where_nothing_is_promised_nothing_is_said(state: str, deadline: datetime | None) -> None:
    assert promise(case(state, deadline=deadline), "zh", DUE + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("span", "zh", "en"),
    [
        (timedelta(seconds=59), "0 分", "0 min"),
        (timedelta(minutes=70), "1 小时 10 分", "1 h 10 min"),
        (timedelta(hours=24), "1 天", "1 d"),
        (timedelta(days=2, hours=9, minutes=59), "2 天 9 小时", "2 d 9 h"),
        (timedelta(days=3, minutes=59), "3 天", "3 d"),
    ],
)
def test_a_span_is_told_in_its_largest_units(span: timedelta, zh: str, en: str) -> None:
    assert (lasting("zh", span), lasting("en", span)) == (zh, en)


def test_a_word_of_the_body_stands_for_the_step_it_led_to() -> None:
    seen = case(
        "answered",
        (0, "routed"), (1, "accepted"), (2, "awaiting-citizen"), (3, "in-progress"), (30, "answered"),
        words=((2, "staff", "哪一根？"), (3, "citizen", "The one at the corner"), (30, "staff", "修好了")),
    )  # fmt: skip
    items = shown(seen, TOWN, "zh", DUE)["items"]
    assert [(item["state"], item["words"], item["kept"], item["waits"]) for item in items] == [
        (None, "路灯不亮了", 1, False),
        ("routed", None, 2, False),
        ("accepted", None, 2, False),
        ("awaiting-citizen", "哪一根？", 2, True),
        (None, "The one at the corner", 2, False),
        ("in-progress", None, 2, False),
        ("answered", "修好了", 3, True),
    ]
    assert [item["new_day"] for item in items] == [True, False, False, False, False, False, True]
    assert [item["lang"] for item in items if item["words"]] == ["zh-CN", "zh-CN", "en", "zh-CN"]


def test_a_case_is_late_only_while_the_answer_is_owed() -> None:
    later = DUE + timedelta(hours=1)
    assert shown(case("accepted"), TOWN, "en", later)["late"]
    assert not shown(case("answered", (1, "answered")), TOWN, "en", later)["late"]
    assert not shown(case("awaiting-citizen"), TOWN, "en", later)["late"]


def test_words_whose_key_is_gone_are_a_dash() -> None:
    (item, *_) = shown(case("received", messages=[{"at": RECEIVED, "from": "citizen", "text": None}]), TOWN, "zh", DUE)[
        "items"
    ]
    assert item["words"] == "—"


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ({"method": "keywords", "words": ("路灯", "lamp")}, ("why.keywords", [("路灯", "zh-CN"), ("lamp", "en")])),
        ({"method": "person", "words": ()}, ("why.person", [])),
        ({"method": "of a later version", "words": ("路灯",)}, None),
        (None, None),
    ],
)
def test_the_page_says_why_a_department_has_it(why: dict[str, Any] | None, told: Any) -> None:
    seen = case("routed", (0, "routed"))
    seen["timeline"][1] |= {"why": why} if why else {}
    said = shown(seen, TOWN, "en", DUE)["items"][1]["why"]
    assert (said and (said["key"], said["words"])) == told

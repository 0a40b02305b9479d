"""The pages of open figures over real files: what the public sees, what staff see, and what both can take away."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import tests.support.analytics as town
from services.analytics.pages.sheets import SHEETS
from shared.clock import rfc3339
from shared.events import routing
from shared.events.routing import Area, Category, Department, Label
from tests.component.test_pages import EVIL
from tests.support.analytics import Office, opened
from tests.support.figures import Life

LONG = timedelta(days=40)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


def weeks(office: Office, count: int = 240, departments: tuple[str, ...] = ("works", "reception")) -> list[Life]:
    """Cases of the last forty days, six a day; two thirds answered, some of them late, some late and not answered."""
    stories = []
    now = office.clock.now()
    for n in range(count):
        at = (now - LONG * (n / count)).replace(microsecond=0)
        story = Life.begin(f"c{n}", at, channel="web" if n % 3 else "api", kind="help", number=f"n{n}")
        given: dict[str, Any] = {"deadline": at + timedelta(hours=48)}
        department = departments[n % len(departments)]
        story.happens(routing.CaseRouted, "routed", 60, department=department, category="water", **given)
        if n % 3:
            story.happens(routing.CaseAccepted, "accepted", 600, **given)
            story.happens(routing.CaseAnswered, "answered", 3_000 + 3_600 * (n % 60), **given)
        elif n % 2:
            story.happens(routing.CaseOverdue, "routed", 48 * 3_600, **given)
        stories.append(story)
    return stories


async def page(client: httpx2.AsyncClient, path: str, **headers: str) -> str:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert "text/html" in answer.headers["content-type"]
    assert len(answer.content) < 60 * 1024
    return answer.text


async def test_the_page_has_its_numbers_charts_and_tables(office: Office) -> None:
    await office.told(weeks(office))
    async with office.client() as client:
        for path in ("/insights", "/insights?days=7&lang=en", "/insights?days=365&lang=zh"):
            text = await page(client, path)
            assert len(re.findall("<h1>", text)) == 1
            assert text.count('class="figure') == 4
            images = re.findall(r'role="img" aria-label="([^"]+)"', text)
            assert len(images) >= 3
            assert all(len(words) > 10 for words in images)
            assert not re.search(r"\sstyle=|<script|https?://", text.replace("http://www.w3.org", ""))
        text = await page(client, "/insights?lang=zh")
        days = (await client.get("/insights/day.json")).json()["day"]
        assert f'<dd class="figure">{sum(row["count"] for row in days)}</dd>' in text
        assert "您已登录" not in text
        assert text.index('class="free"') > 0
        for name in SHEETS:
            assert f"/insights/table?by={name}" in text


async def test_staff_see_the_same_page_in_full_and_are_told_so(office: Office) -> None:
    await office.told(weeks(office, 9))
    key = await office.key()
    async with office.client() as client:
        assert "您已登录" not in await page(client, "/insights?lang=zh&days=365")
        full = await page(client, "/insights?lang=zh&days=365", **key)
        assert "您已登录" in full
        assert "最久" in full
        integrator = await client.get("/insights", headers={"Authorization": "Bearer hk_wrong"})
        assert integrator.status_code == 401


@pytest.mark.parametrize("by", SHEETS)
async def test_every_series_is_a_table_a_csv_and_a_json_of_the_same_rows(office: Office, by: str) -> None:
    await office.told(weeks(office))
    async with office.client() as client:
        for headers in ({}, await office.key()):
            text = await page(client, f"/insights/table?by={by}&lang=en", **headers)
            told = await client.get(f"/insights/{by}.csv?lang=en", headers=headers)
            machine = (await client.get(f"/insights/{by}.json", headers=headers)).json()
            assert told.headers["content-type"] == "text/csv; charset=utf-8"
            assert re.fullmatch(
                rf'attachment; filename="{by}-\d{{4}}-\d\d-\d\d.csv"', told.headers["content-disposition"]
            )
            assert told.content.startswith(b"\xef\xbb\xbf")
            body = told.content[3:].decode()
            assert all(line.startswith('"') and line.endswith('"') for line in body.split("\r\n")[:-1])
            header, *rows = csv.reader(io.StringIO(body, newline=""))
            assert rows
            assert len(rows) == len(machine[by])
            assert text.count("<tr>") == min(len(rows), 400) + 1
            assert len(re.findall("<th scope=.col", text)) == len(header)
            counts = [row["count"] for row in machine[by] if "count" in row]
            assert headers or all(n >= 5 for n in counts)
            if by not in ("answer", "on-time", "flow"):
                days = (await client.get("/insights/day.json", headers=headers)).json()["day"]
                assert sum(counts) == sum(row["count"] for row in days) > 170
                assert [row[1] for row in rows] == [str(n) for n in counts]


@pytest.mark.row("A16")
@pytest.mark.row("A18")
@pytest.mark.parametrize("evil", [*EVIL, "=1+1", "\t=cmd", "＝1", " \u3000@SUM(A1)"])
async def test_labels_are_text_in_pages_and_no_formulas_in_files(
    office: Office, evil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Label(zh=evil, en=evil)
    content = town.TOWN.content.model_copy(
        update={
            "name": words,
            "departments": (Department(id="works", label=words), Department(id="reception", label=words)),
            "categories": (Category(id="water", label=words),),
            "areas": (Area(id="north", label=words),),
        }
    )
    monkeypatch.setattr(town, "TOWN", town.TOWN.model_copy(update={"content": content}))
    await office.told(weeks(office, 30))
    async with office.client() as client:
        for path in ("/insights", "/insights/table?by=department", "/insights/table?by=on-time"):
            text = await page(client, path, **await office.key())
            outside = re.sub(r'aria-label="[^"<>]*"', "", text)
            outside = re.sub(r">[^<>]*<", "><", outside)
            assert "evil.example" not in outside
            assert not re.search(r"<script|onerror|onload|onfocus|ontoggle|<iframe|javascript:", outside, re.I)
            assert html.escape(evil.strip("\u2028\t "), quote=False)[:12] in text.replace("&#34;", '"').replace(
                "&#39;", "'"
            )
        told = await client.get("/insights/department.csv", headers=await office.key())
        for row in csv.reader(io.StringIO(told.content[3:].decode(), newline="")):
            assert row[0].lstrip(" \u3000")[:1] not in set("=+-@\t\r＝＋－＠")


async def test_what_does_not_exist_is_told_so(office: Office) -> None:
    await office.told([])
    async with office.client() as client:
        for path in ("/insights/weather.csv", "/insights/day.xml", "/insights/..%2fday.csv", "/insights/nothing"):
            assert (await client.get(path)).status_code == 404
        weather = (await client.get("/insights/table?by=weather")).text
        assert weather == (await client.get("/insights/table?by=day")).text, "what nobody counts is shown by days"
        assert (await client.get("/insights?days=-1&lang=klingon")).status_code == 200


async def test_without_a_single_case_every_page_still_tells_so(office: Office) -> None:
    await office.told([])
    async with office.client() as client:
        for headers in ({}, await office.key()):
            for name in SHEETS:
                assert "没有可列的数。" in await page(client, f"/insights/table?by={name}&lang=zh", **headers)
                assert (await client.get(f"/insights/{name}.csv", headers=headers)).status_code == 200
            text = await page(client, "/insights?lang=zh", **headers)
            assert text.count("还没有") >= 3


@pytest.mark.parametrize(("language", "words"), [("zh", "每个数怎么算"), ("en", "How each number is counted")])
async def test_every_number_has_its_numerator_denominator_and_exclusions(
    office: Office, language: str, words: str
) -> None:
    await office.told([])
    async with office.client() as client:
        text = await page(client, f"/insights/definitions?lang={language}")
    assert words in text
    assert text.count("<dl") == 6
    assert text.count("<dt>") == text.count("<dd>") == 18


@pytest.mark.row("A46")
async def test_a_public_window_is_whole_days_joined_until_they_hold_enough(office: Office) -> None:
    start = office.clock.now().replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(days=10)
    stories = []
    for day, count in enumerate((7, 2, 4, 6)):
        stories += [Life.begin(f"d{day}-{n}", start + timedelta(days=day, minutes=n)) for n in range(count)]
    await office.told(stories)
    async with office.client() as client:

        async def told(first: int, last: int, **headers: str) -> tuple[int, dict[str, str]]:
            span = {"from": start + timedelta(days=first), "to": start + timedelta(days=last)}
            answer = (
                await client.get("/v1/insights/summary", params={k: str(v) for k, v in span.items()}, headers=headers)
            ).json()
            return answer["total"], answer["window"]

        assert (await told(1, 2, **await office.key()))[0] == 2
        total, window = await told(1, 2)
        assert total == 6
        midnight = (start - timedelta(hours=10)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        assert window["from"] > midnight
        assert (await told(0, 1))[0] == 13, "the second half of that day is in the next local day's run"
        assert (await told(-5, 20)) == (19, {})
        assert (await told(-5, -4))[0] == 0


@pytest.mark.row("A46")
async def test_open_and_overdue_are_told_over_everything_and_left_out_of_public_windows(office: Office) -> None:
    stories = weeks(office, 12)
    for story in stories:
        if story.state == "answered":
            story.happens(routing.CaseClosed, "closed")
    await office.told(stories)
    async with office.client() as client:
        public = (await client.get("/v1/insights/summary")).json()
        full = (await client.get("/v1/insights/summary", headers=await office.key())).json()
        first = rfc3339(min(story.received.received_at for story in stories) + timedelta(days=7))
        window = (await client.get("/v1/insights/summary", params={"from": first})).json()
    for told in (public, full):
        assert (told["total"], told["open"], told["overdue"]) == (12, 4, 2)
        assert "withheld" not in told
    if window["total"] < 12:
        assert window["withheld"] == ["open", "overdue"]
        assert not {"open", "overdue"} & window.keys()

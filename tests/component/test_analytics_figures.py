"""Analytics over real files: however the log is cut and repeated, the board says what a recount of the events says."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.store import Board, Counts, Window
from shared.delivery.dead_letters import COLLECTION as DEAD_LETTERS
from shared.events import routing
from shared.store.port import Query
from tests.support.analytics import Office, opened
from tests.support.events import key_in
from tests.support.figures import IMPORTER, MONDAY, Life, assert_told, lives, woven

KEYS = [key_in(partition, nth) for nth in range(12) for partition in (0, 5)]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as office:
        yield office


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Windows whose ends lie on a quarter, cut one, or are missing."""
    ends: list[datetime | None] = []
    for _ in range(2):
        quarter = MONDAY + timedelta(minutes=15 * draw(st.integers(-1, 10)))
        within = timedelta(milliseconds=draw(st.integers(0, 899_999)))
        ends.append(draw(st.sampled_from([None, quarter, quarter + within])))
    since, until = ends
    if since and until and since > until:
        since, until = until, since
    return Window(since, until)


async def assert_board(counts: Counts, window: Window, stories: Sequence[Life]) -> Board:
    board = await counts.board(window)
    assert_told(board, [story for story in stories if window.covers(story.received.received_at)])
    return board


@pytest.mark.row("F21")
@settings(max_examples=20, deadline=None)
@given(data=st.data(), stories=lives(KEYS))
async def test_any_cut_and_repetition_of_the_log_gives_the_recounts_figures(
    data: st.DataObject, stories: list[Life]
) -> None:
    chance = data.draw(st.randoms(use_true_random=False))
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder)) as office:
            reader = Counts(office.store, office.clock)
            await office.bus.publish(woven(chance, stories))
            for records in await office.partitions():
                start = 0
                while start < len(records):
                    size = chance.randint(1, 15)
                    for _ in range(chance.randint(1, 2)):
                        await office.pipeline.deliver(records[start : start + size])
                    if chance.random() < 0.2:
                        office = office.restarted()
                    if chance.random() < 0.1:
                        await reader.board(Window())
                    start += chance.randint(1, size)
            assert (await office.store.find(DEAD_LETTERS.name, Query())).documents == []
            chosen = [Window(), *data.draw(st.lists(windows(), min_size=3, max_size=3), label="windows")]
            for window in chosen:
                await assert_board(reader, window, stories)
                await assert_board(office.restarted().counts, window, stories)
            before = await office.cells()
            await office.rebuild()
            await office.take_all()
            assert await office.cells() == before
            for window in chosen:
                await assert_board(reader, window, stories)


async def test_every_moment_of_a_quarter_can_be_the_end_of_a_window(office: Office) -> None:
    moments = [MONDAY + timedelta(milliseconds=offset) for offset in (-1, 0, 1, 899_998, 899_999, 900_000)]
    stories = [
        Life.begin(f"k{n}", moment)
        .happens(routing.CaseRouted, "routed")
        .happens(routing.CaseAccepted, "accepted")
        .happens(routing.CaseAnswered, "answered")
        for n, moment in enumerate(moments)
    ]
    await office.told(stories)
    for since in (None, *moments):
        for until in (None, *moments):
            board = await assert_board(office.counts, Window(since, until), stories)
            assert sum(board.flow.get(("received", "answered"), {}).values()) == board.total


@pytest.mark.parametrize("end", ["0001-01-01T00:01:00Z", "1000-01-01", "9999-12-31T23:59:59.999Z", "9999-12-31T23:46Z"])
async def test_the_ends_of_the_calendar_are_ends_of_windows(office: Office, end: str) -> None:
    await office.told([Life.begin("k")])
    async with office.client() as client:
        name, other = ("from", "to") if end < "2" else ("to", "from")
        answer = await client.get("/v1/insights/summary", params={name: end})
        assert (answer.status_code, answer.json()["total"]) == (200, 1)
        answer = await client.get("/v1/insights/summary", params={other: end})
        assert (answer.status_code, answer.json()["total"]) == (200, 0)


def town() -> list[Life]:
    """Twelve by portal, six by phone, two by letter; some answered, one closed, one overdue, one imported half-way."""
    stories = []
    for n in range(20):
        channel = "portal" if n < 12 else "phone" if n < 18 else "letter"
        story = Life.begin(f"k{n}", MONDAY + timedelta(minutes=10 * n), channel=channel, kind="help")
        story.happens(
            routing.CaseRouted,
            "routed",
            department="works" if n % 2 else "reception",
            area="north" if n < 8 else None,
            category="water" if n < 7 else None,
        )
        if n < 9:
            story.happens(routing.CaseAccepted, "accepted", 600)
        if n < 6:
            story.happens(routing.CaseAnswered, "answered", 3_000 + n)
        stories.append(story)
    stories[0].happens(routing.CaseClosed, "closed")
    stories[19].happens(routing.CaseOverdue, "routed")
    return stories


async def test_the_summary_is_complete_for_a_key_and_suppressed_for_the_public(office: Office) -> None:
    await office.told(town())
    async with office.client() as client:
        full = (await client.get("/v1/insights/summary", headers=await office.key())).json()
        public = (await client.get("/v1/insights/summary")).json()
    assert set(full) == {"as_of", "window", "total", "open", "overdue", "by"}
    assert (full["total"], full["open"], full["overdue"]) == (20, 19, 1)
    assert sum(full["as_of"]["positions"].values()) == sum((await office.bus.ends()).values())
    assert full["as_of"]["time"].endswith("Z")
    assert full["by"] == {
        "channel": {"portal": 12, "phone": 6, "letter": 2},
        "kind": {"help": 20},
        "category": {"water": 7, "unspecified": 13},
        "department": {"reception": 10, "works": 10},
        "area": {"north": 8, "unspecified": 12},
        "state": {"routed": 11, "answered": 5, "accepted": 3, "closed": 1},
    }
    assert public["total"] == 20
    assert public["by"]["channel"] == {"portal": 12, "suppressed": 8}
    for series in public["by"].values():
        assert sum(series.values()) == 20
        assert min(series.values()) >= 5


@pytest.mark.parametrize("by", ["hour", "day", "channel", "kind", "category", "department", "area", "state"])
async def test_a_series_adds_up_to_the_total_whoever_asks(office: Office, by: str) -> None:
    await office.told(town())
    async with office.client() as client:
        for headers in ({}, await office.key()):
            answer = await client.get("/v1/insights/series", params={"by": by}, headers=headers)
            assert answer.status_code == 200, answer.text
            cells = answer.json()["series"]
            assert all(set(cell) == {"key", "label", "count"} for cell in cells)
            assert sum(cell["count"] for cell in cells) == 20
            if not headers:
                assert min(cell["count"] for cell in cells) >= 5
            elif by == "day":
                days = {cell["key"]: cell["count"] for cell in cells}
                assert days == {"2026-03-01T16:00:00.000Z": 6, "2026-03-02T16:00:00.000Z": 14}
            elif by == "hour":
                assert [cell["key"] for cell in cells] == [f"2026-03-02T{hour}:00:00.000Z" for hour in (15, 16, 17, 18)]


@pytest.mark.parametrize(
    ("by", "language", "words"),
    [
        ("department", "zh", {"reception": "前台", "works": "市政"}),
        ("department", "en", {"reception": "Desk", "works": "Works"}),
        ("category", "en", {"water": "Water", "unspecified": "unspecified"}),
        ("area", "zh", {"north": "城北", "unspecified": "unspecified"}),
    ],
)
async def test_labels_are_the_organisations_words(
    office: Office, by: str, language: str, words: dict[str, str]
) -> None:
    await office.told(town())
    async with office.client() as client:
        answer = await client.get("/v1/insights/series", params={"by": by, "lang": language})
    assert {cell["key"]: cell["label"] for cell in answer.json()["series"]} == words


async def test_the_flow_tells_steps_and_percentiles_and_few_cases_only_to_keys(office: Office) -> None:
    half = Life.begin("half", MONDAY, IMPORTER).happens(routing.CaseTriaged, "triage", actor=IMPORTER)
    half.happens(routing.CaseReassigned, "routed")  # the town's own staff take it over
    await office.told([*town(), half])
    async with office.client() as client:
        full = (await client.get("/v1/insights/flow", headers=await office.key())).json()
        public = (await client.get("/v1/insights/flow")).json()
        windowed = await client.get("/v1/insights/flow", params={"to": "2026-03-02T15:01Z"}, headers=await office.key())
    steps: dict[tuple[str, str], dict[str, Any]] = {(step["from"], step["to"]): step for step in full["steps"]}
    assert set(full) == {"as_of", "window", "steps"}
    assert {ends: step["count"] for ends, step in steps.items()} == {
        ("received", "routed"): 20,
        ("received", "triage"): 1,
        ("routed", "accepted"): 9,
        ("accepted", "answered"): 6,
        ("answered", "closed"): 1,
        ("received", "answered"): 6,
        ("received", "closed"): 1,
    }
    whole = steps["received", "answered"]
    assert set(whole) == {"from", "to", "count", "p50_seconds", "p90_seconds", "p99_seconds"}
    assert whole["p50_seconds"] == pytest.approx(3_662, rel=0.016)
    assert whole["p99_seconds"] == pytest.approx(3_665, rel=0.016)
    assert {(step["from"], step["to"]) for step in public["steps"]} == {
        ends for ends, step in steps.items() if step["count"] >= 5
    }
    assert {(step["from"], step["to"]): step["count"] for step in windowed.json()["steps"]} == {
        ("received", "routed"): 1,
        ("received", "triage"): 1,
        ("routed", "accepted"): 1,
        ("accepted", "answered"): 1,
        ("answered", "closed"): 1,
        ("received", "answered"): 1,
        ("received", "closed"): 1,
    }


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("series", {"by": "weather"}, "/query/by"),
        ("series", {}, "/query/by"),
        ("series", {"by": "day", "lang": "fr"}, "/query/lang"),
        ("summary", {"from": "yesterday"}, "/query/from"),
        ("summary", {"to": "2026-13-01"}, "/query/to"),
        ("flow", {"to": "0001-01-01"}, "/query/to"),
        ("flow", {"from": "x" * 41}, "/query/from"),
        ("summary", {"from": "2026-03-02T00:00Z", "to": "2026-03-02T00:00Z"}, "/query/to"),
        ("series", {"by": "day", "from": "2026-03-03", "to": "2026-03-02"}, "/query/to"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_the_name_of_its_field(
    office: Office, path: str, asked: dict[str, str], field: str
) -> None:
    await office.told([])
    async with office.client() as client:
        answer = await client.get(f"/v1/insights/{path}", params=asked)
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == [field]


async def test_a_time_without_a_zone_is_on_the_towns_clock(office: Office) -> None:
    await office.told([Life.begin("k", MONDAY), Life.begin("l", MONDAY + timedelta(hours=1))])
    async with office.client() as client:
        answer = await client.get("/v1/insights/summary", params={"from": "2026-03-03"}, headers=await office.key())
    assert answer.json()["total"] == 1


async def test_before_the_organisation_is_announced_there_are_no_figures(office: Office) -> None:
    async with office.client() as client:
        answer = await client.get("/v1/insights/summary")
    assert answer.status_code == 503

"""The first start with the sample: a filled desk, also after a start that died in the middle of it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from services.sample.mark import Mark, is_unfinished, write_mark
from services.sample.script import read_messages, read_steps
from shared.events.routing import State
from tests.support.checker import check_folder
from tests.support.eventually import eventually
from tests.support.town import Town

DIMENSIONS = ("hour", "day", "channel", "kind", "category", "department", "area", "state")
ENDS_AT = datetime.now(UTC).replace(microsecond=0)
"""The same in both installations, so that the same is true in them."""


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Callable[[str], Town]]:
    """Makes installations that show the sample when they start; all of them are stopped at the end."""
    made: list[Town] = []

    def make(name: str) -> Town:
        folder = tmp_path / name
        folder.mkdir()
        town = Town(folder, HUIYIN_SAMPLE="on", NOTIFY_CHANNEL="discard")
        town.data.mkdir(mode=0o700)
        write_mark(town.data, Mark(ENDS_AT))
        made.append(town)
        return town

    yield make
    for town in made:
        town.stop()


def events(town: Town) -> list[tuple[str, str, dict[str, Any]]]:
    """The log so far: id, type and value of every event, some perhaps twice."""
    log = sqlite3.connect(f"file:{town.data / 'log.db'}?mode=ro", uri=True)
    rows = log.execute("SELECT headers, value FROM log ORDER BY partition, offset").fetchall()
    log.close()
    told = [(json.loads(headers), json.loads(value)) for headers, value in rows]
    return [(headers["ce_id"], headers["ce_type"], value) for headers, value in told]


def length(town: Town) -> int:
    """How many events are on the log so far."""
    try:
        log = sqlite3.connect(f"file:{town.data / 'log.db'}?mode=ro", uri=True)
        ((rows,),) = log.execute("SELECT count(*) FROM log")
        log.close()
    except sqlite3.OperationalError:
        return 0  # there is no log yet
    return int(rows)


def told(town: Town) -> Counter[str]:
    """How many events of each type there are; letters are on their way for a while."""
    types = {id: type for id, type, _ in events(town)}
    return Counter(type for type in types.values() if not type.startswith("delivery."))


async def series(town: Town) -> dict[str, list[Any]]:
    found = {}
    for by in DIMENSIONS:
        answer = await town.get(f"/v1/insights/series?by={by}", headers=town.key())
        found[by] = sorted((cell["key"], cell["count"]) for cell in answer.json()["series"])
    return found


async def settled(town: Town) -> None:
    """Wait until what was due at the end of the import has happened."""

    async def fired() -> bool:
        now = datetime.now(UTC).isoformat()
        routing = sqlite3.connect(f"file:{town.data / 'routing.db'}?mode=ro", uri=True)
        bodies = [json.loads(body) for (body,) in routing.execute("SELECT body FROM cases")]
        routing.close()
        return not any(timer["due"] < now for body in bodies for timer in body["timers"])

    await eventually(fired, within=60)
    await town.quiet()


def the_guests_are_let_in(town: Town) -> None:
    """The first start says where three people can sign in, once."""
    assert town.process
    assert town.process.stdout is not None
    links: list[str] = []
    while len(links) < 3:
        links += re.findall(r"sign in once as .*http://\S+/sign-in/link/(\S+)", town.process.stdout.readline())
    assert len(set(links)) == 3
    users = town.command("users", "list").stdout.splitlines()
    assert [line.split()[:3] for line in users] == [
        ["101", "admin", "admin"], ["102", "lead", "department-lead"], ["103", "worker", "case-worker"]
    ]  # fmt: skip


@pytest.mark.row("F1")
async def test_a_sample_that_was_killed_in_the_middle_is_the_same_sample(new: Callable[[str], Town]) -> None:
    calm = new("calm")
    await calm.start()
    the_guests_are_let_in(calm)
    await settled(calm)
    expected = await series(calm)
    assert "refused" not in calm.log.read_text()
    states = dict(expected["state"])
    assert set(states) == set(get_args(State)) - {"received"}, "every state that can last occurs"
    causes = Counter(value.get("cause") for _, type, value in events(calm) if type == "case.closed")
    assert {"rated", "staff"} <= set(causes)
    cases = (await calm.get("/v1/cases?limit=500", headers=calm.key())).json()["items"]
    assert any(case["overdue"] for case in cases)

    calm.stop()
    before = told(calm)
    await calm.start()
    await calm.quiet()
    assert told(calm) == before, "a second start adds nothing"
    assert calm.stop() == 0

    town = new("killed")
    town.launch()

    async def far() -> bool:
        return length(town) >= 1000

    await eventually(far, within=60)
    town.kill()
    assert is_unfinished(town.data)
    assert not [type for _, type, _ in events(town) if type == "case.overdue"], "no timer fires before its time"
    await town.start()
    assert not is_unfinished(town.data)
    await settled(town)
    assert await series(town) == expected
    assert town.stop() == 0
    total = len(list(read_messages(ENDS_AT)))
    assert check_folder(town.data, {}, total) == []
    steps = read_steps(ENDS_AT)
    said = {id for id, type, _ in events(town) if type.startswith("feedback.")}
    staff = {
        id for id, type, value in events(town) if type.startswith("case.") and value["actor"].get("id", "").isdigit()
    }
    assert len(said) == total + sum(step.by_citizen for step in steps), "each word once"
    assert len(staff) == sum(not step.by_citizen for step in steps), "each move once"


async def test_switched_off_a_half_taken_sample_stays_as_it_is_and_timers_run(new: Callable[[str], Town]) -> None:
    town = new("off")
    town.launch()

    async def begun() -> bool:
        return length(town) >= 400

    await eventually(begun, within=60)
    town.kill()
    town.settings["HUIYIN_SAMPLE"] = "off"
    await town.start()

    async def fired() -> bool:
        return any(type == "case.overdue" for _, type, _ in events(town))

    await eventually(fired, within=60)
    assert not (town.data / "sample.json").exists()
    assert town.stop() == 0

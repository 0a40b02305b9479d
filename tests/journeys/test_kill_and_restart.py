"""The process dies without warning, and nothing that was accepted is lost or told twice."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.checker import check_folder
from tests.support.eventually import eventually
from tests.support.town import Town

SENTENCES = (
    "小区停水了，水管爆裂",
    "The street lamp on Peace Road is broken",
    "公交车总是晚点",
    "Rubbish lies in the yard",
    "嗯",
)
REQUESTS = 24


class Client:
    """Sends marked feedback under idempotency keys, and remembers what it was told."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.told: dict[str, dict[str, Any]] = {}
        self.secrets = [f"哨兵{n:04d}" for n in range(REQUESTS)] + [f"sentinel{n}@example.org" for n in range(REQUESTS)]

    async def send(self, number: int) -> None:
        text = f"{SENTENCES[number % len(SENTENCES)]} 哨兵{number:04d}"
        body = {"text": text, "contact": {"email": f"sentinel{number}@example.org"}}
        key = f"key-{number}"
        try:
            answer = await self.town.post("/v1/feedback", json=body, headers={"Idempotency-Key": key})
        except httpx2.TransportError:
            return  # unknown: it may be there or not
        if answer.status_code == 201:
            receipt = {name: value for name, value in answer.json().items() if name != "links"}  # it has a new port
            assert self.told.setdefault(key, receipt) == receipt, "the same key was told two cases"

    async def send_all(self) -> None:
        await asyncio.gather(*(self.send(number) for number in range(REQUESTS)))


@pytest.mark.row("F1")
@pytest.mark.row("F2")
@pytest.mark.parametrize(
    "failpoint",
    [
        "intake.committed:5",
        "routing.folded:3",
        "notify.before-submit:1",
        "notify.after-submit:1",
        "analytics.counted:3",
    ],
)
async def test_a_death_at_a_failpoint_loses_nothing_and_tells_nothing_twice(
    founding: type[Town], tmp_path: Path, failpoint: str
) -> None:
    town = founding(tmp_path)
    client = Client(town)
    await town.start()
    town.stop()
    await town.start(HUIYIN_FAILPOINT=failpoint)
    await client.send_all()
    assert town.died() == -9

    await town.start()
    before = dict(client.told)
    await client.send_all()
    assert len(client.told) == REQUESTS
    assert {key: client.told[key] for key in before} == before
    await town.quiet()

    async def everyone_told() -> bool:
        return len(acknowledged(town)) == REQUESTS

    await eventually(everyone_told, within=60)
    await town.quiet()
    assert set(acknowledged(town).values()) == {1}, "a person was told twice"
    assert (await town.figures())["total"] == REQUESTS
    assert town.stop() == 0
    ids = {key: receipt["id"] for key, receipt in client.told.items()}
    assert check_folder(await town.kept(), ids, REQUESTS, client.secrets) == []


def acknowledged(town: Town) -> Counter[str]:
    """How many messages each citizen got."""
    return Counter(to for message in town.mail() if (to := str(message["To"])).startswith("sentinel"))


def table(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("no", "when", "what"))
        for n in range(rows):
            writer.writerow((n, f"2019-03-{n % 28 + 1:02d} 09:{n % 60:02d}:00", f"{SENTENCES[n % 5]} 第{n}件"))


MAPPING = ("--map", "no=id", "--map", "when=received_at", "--map", "what=text")


async def series(town: Town) -> dict[str, list[Any]]:
    """Every cell of every dimension."""
    found = {}
    for by in ("hour", "day", "channel", "kind", "category", "department", "area", "state"):
        answer = await town.get(f"/v1/insights/series?by={by}", headers=town.key())
        found[by] = sorted((cell["key"], cell["count"]) for cell in answer.json()["series"])
    return found


@pytest.mark.row("F1")
async def test_an_import_that_was_killed_and_run_again_has_every_row_once(founding: type[Town], tmp_path: Path) -> None:
    rows = 1500
    source = tmp_path / "rows.csv"
    table(source, rows)
    calm = founding(tmp_path / "calm")
    calm.folder.mkdir()
    await calm.start()
    calm.command("import", str(source), *MAPPING)
    await calm.quiet()
    expected = await series(calm)
    calm.stop()

    town = founding(tmp_path / "killed")
    town.folder.mkdir()
    await town.start()
    key = town.key()
    town.stop()
    await town.start(HUIYIN_FAILPOINT="intake.accepted:2")
    stopped = town.command("import", str(source), *MAPPING, check=False)
    assert town.died() == -9
    assert stopped.returncode != 0, "an import that lost its process says so"
    assert "stopped after row 500 " in stopped.stderr
    await town.start()
    await town.quiet()
    assert (await town.figures())["total"] == 1000, "what was committed and not answered is kept"

    town.command("import", str(source), *MAPPING)
    await town.quiet()
    assert await series(town) == expected
    numbers: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (
            await town.get("/v1/cases", params={"limit": 100} | ({"cursor": cursor} if cursor else {}), headers=key)
        ).json()
        numbers += [item["number"] for item in page["items"]]
        cursor = page["next"]
    assert len(numbers) == len(set(numbers)) == rows
    assert town.stop() == 0
    assert check_folder(await town.kept(), {}, rows) == []

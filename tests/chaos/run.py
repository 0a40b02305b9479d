"""One seed: a fresh installation, load and faults for a while, then healing, quiet, and the verdict."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import socket
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import verdict as judge
from tests.chaos.crowd import Crowd
from tests.chaos.footprint import Footprint
from tests.chaos.history import History
from tests.chaos.nemesis import Nemesis
from tests.chaos.verdict import Verdict
from tests.support.disk import Disk
from tests.support.eventually import eventually
from tests.support.town import Town

RATE = 20.0
"""Calls a second."""

DRAIN = 60.0
"""Seconds from the healed start to quiet; a letter that was cut off waits for its lease of 30 s."""

FIRST = 5.0
"""Seconds from the healed start to the first thing accepted."""

DISK = "96m"
"""Bytes of the disk that is filled."""

ORGANISATION = Path(__file__).parents[2] / "samples" / "organisation.yaml"


@dataclass(frozen=True)
class Ran:
    """What came of a seed. `folder` is there only if something was found; `footprint` is that of the process in the end,
    None where it broke off before."""

    seed: int
    findings: list[str]
    accepted: int
    lost: int
    twice: int
    kills: int
    told: str
    folder: Path
    footprint: Footprint | None


async def run(seed: int, seconds: float, folder: Path, usual: Footprint | None) -> Ran:
    """Everything of one seed happens in `folder`, which must not be there.

    `usual`: what a process takes that lived through the same load in peace; None: this one is to, and suffers no faults.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    disk = Disk(folder / "town" / "data", DISK)
    settings = {
        "HUIYIN_PORT": str(_free_port()),
        "HUIYIN_ORGANISATION": str(_organisation(folder)),
        "NOTIFY_RETRIES": "[1,1,2,2,4,4,8,8,8,8,8,8,8,8,8,8]",
    }
    town = Town(folder / "town", **settings)
    history, verdict = History(folder / "history.jsonl"), Verdict()
    nemesis = Nemesis(town, disk, random.Random(chance.random()), folder / "faults.jsonl")
    footprint = None
    try:
        footprint = await _history(town, nemesis, history, verdict, chance, seconds, harmful=usual is not None)
        verdict.findings += footprint.grown(usual or footprint)
    except Exception:
        verdict.findings.append(f"it broke off: {traceback.format_exc(limit=-3)}")
    finally:
        town.kill()
        history.close()
        findings = [*nemesis.findings, *verdict.findings]
        disk.release(folder / "data" if findings else None)
    if not findings:
        shutil.rmtree(folder)
    outcomes = history.outcomes()
    told = ", ".join(f"{outcomes[name]} {name}" for name in ("ok", "fail", "unknown"))
    accepted = sum(call.accepted for call in history.calls.values())
    lost, twice = len(verdict.lost), len(verdict.twice)
    told = f"{told}; {nemesis.faults} faults"
    return Ran(seed, findings, accepted, lost, twice, nemesis.kills, told, folder, footprint)


async def _history(
    town: Town,
    nemesis: Nemesis,
    history: History,
    verdict: Verdict,
    chance: random.Random,
    seconds: float,
    harmful: bool,
) -> Footprint:
    """The run itself, from the first start to the last look into the files; what the process took when all was quiet."""
    await nemesis.up()
    crowd = Crowd(town.address, town.key(), history, chance)
    calling = asyncio.create_task(crowd.call(seconds + FIRST, RATE))
    await (nemesis.harm(seconds) if harmful else asyncio.sleep(seconds))
    healed = await nemesis.heal()
    await calling
    await crowd.settle()
    await crowd.hang_up()
    first = min((at for at in history.successes if at > healed), default=float("inf")) - healed
    if first > FIRST:
        verdict.findings.append(f"I18: the first success came {first:.1f} s after the healed start")
    await judge.quiet(verdict, town, time.monotonic(), DRAIN)
    footprint = await _footprint(town)
    await judge.ask(verdict, town, history)
    if status := town.stop():
        verdict.findings.append(f"I18: it stopped with {status}")
    judge.read(verdict, town.data, history)
    return footprint


async def _footprint(town: Town) -> Footprint:
    """What the process takes when nobody is connected any more."""
    await town.quiet()
    assert town.process
    taken: list[Footprint] = [Footprint.of(town.process.pid)]

    async def settled() -> bool:
        assert town.process
        taken.append(Footprint.of(town.process.pid))
        return taken[-1].files == taken[-2].files and taken[-1].databases == taken[-2].databases

    await eventually(settled)
    return taken[-1]


def _organisation(folder: Path) -> Path:
    """The sample's, at work day and night, with pauses that end by themselves after seconds: timers fire meanwhile."""
    text = ORGANISATION.read_text(encoding="utf-8")
    text = re.sub(r"pause_cap: \d+", "pause_cap: 0.001", text)
    week = "\n".join(f"    {day}: [00:00-24:00]" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    text = re.sub(r"country: CN.*\n  hours:\n(    .*\n)+", f"hours:\n{week}\n", text)
    path = folder / "organisation.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number: int = taken.getsockname()[1]
        return number

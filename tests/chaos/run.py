"""One seed: a fresh installation, load and faults for a while, then healing, quiet, and the verdict."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.chaos import verdict as judge
from tests.chaos.crowd import Crowd
from tests.chaos.footprint import Footprint
from tests.chaos.history import History
from tests.chaos.nemesis import Nemesis
from tests.chaos.verdict import Verdict
from tests.support.eventually import eventually
from tests.support.town import Town

ORGANISATION = Path(__file__).parents[2] / "samples" / "organisation.yaml"


class Stage(ABC):
    """Where a seed is played: an installation and who harms it."""

    rate: ClassVar[float]
    """Calls a second."""

    drain: ClassVar[float]
    """Seconds from the healed start to quiet; a letter that was cut off waits for its lease of 30 s."""

    first: ClassVar[float]
    """Seconds from the healed start to the first thing accepted."""

    spare: ClassVar[int]
    """Descriptors that a process may have open beyond what is usual: connections that a driver opens when it needs them."""

    town: Town
    nemesis: Nemesis

    @abstractmethod
    def processes(self) -> Mapping[str, int]:
        """The pids of what runs now, by name."""

    @abstractmethod
    def close(self, keep: Path | None) -> None:
        """The end; what is not in the seed's folder is copied to `keep` where that is wanted."""


@dataclass(frozen=True)
class Ran:
    """What came of a seed. `folder` is there only if something was found; `footprints` are those of the processes in the
    end, none where it broke off before."""

    seed: int
    findings: list[str]
    accepted: int
    lost: int
    twice: int
    kills: int
    told: str
    folder: Path
    footprints: Mapping[str, Footprint]


async def run(
    seed: int,
    seconds: float,
    folder: Path,
    usual: Mapping[str, Footprint] | None,
    stage_of: Callable[[Path, random.Random], Stage],
) -> Ran:
    """Everything of one seed happens in `folder`, which must not be there.

    `usual`: what the processes take that lived through the same load in peace; None: these are to, and suffer no faults.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)
    stage = stage_of(folder, random.Random(chance.random()))
    history, verdict = History(folder / "history.jsonl"), Verdict()
    footprints: Mapping[str, Footprint] = {}
    try:
        footprints = await _history(stage, history, verdict, chance, seconds, harmful=usual is not None)
        for name, footprint in footprints.items():
            verdict.findings += footprint.grown((usual or footprints)[name], stage.spare)
    except Exception:
        verdict.findings.append(f"it broke off: {traceback.format_exc(limit=-3)}")
    finally:
        stage.town.kill()
        history.close()
        findings = [*stage.nemesis.findings, *verdict.findings]
        stage.close(folder / "data" if findings else None)
    if not findings:
        shutil.rmtree(folder)
    outcomes = history.outcomes()
    told = ", ".join(f"{outcomes[name]} {name}" for name in ("ok", "fail", "unknown"))
    accepted = sum(call.accepted for call in history.calls.values())
    lost, twice = len(verdict.lost), len(verdict.twice)
    told = f"{told}; {stage.nemesis.faults} faults"
    return Ran(seed, findings, accepted, lost, twice, stage.nemesis.kills, told, folder, footprints)


async def _history(
    stage: Stage, history: History, verdict: Verdict, chance: random.Random, seconds: float, harmful: bool
) -> Mapping[str, Footprint]:
    """The run itself, from the first start to the last look into what is kept; what the processes took when all was
    quiet."""
    town, nemesis = stage.town, stage.nemesis
    await nemesis.up()
    crowd = Crowd(town.address, town.key(), history, chance)
    calling = asyncio.create_task(crowd.call(float("inf"), stage.rate))
    await (nemesis.harm(seconds) if harmful else asyncio.sleep(seconds))
    healed = await nemesis.heal()
    await asyncio.sleep(stage.first)
    calling.cancel()
    await crowd.settle()
    await crowd.hang_up()
    first = min((at for at in history.successes if at > healed), default=float("inf")) - healed
    if first > stage.first:
        verdict.findings.append(f"I18: the first success came {first:.1f} s after the healed start")
    await judge.quiet(verdict, town, time.monotonic(), stage.drain)
    footprints = await _footprints(stage)
    await town.alone()
    await judge.ask(verdict, town, history)
    if status := await asyncio.to_thread(town.stop):
        verdict.findings.append(f"I18: it stopped with {status}")
    judge.read(verdict, await town.kept(), history)
    return footprints


async def _footprints(stage: Stage) -> Mapping[str, Footprint]:
    """What the processes take when nobody is connected any more."""
    await stage.town.quiet()
    last: dict[str, Footprint] = {}

    async def settled() -> bool:
        before = dict(last)
        last.update({name: Footprint.of(pid) for name, pid in stage.processes().items()})
        return {n: (f.files, f.databases) for n, f in before.items()} == {
            n: (f.files, f.databases) for n, f in last.items()
        }

    await eventually(settled)
    return last


def round_the_clock(folder: Path) -> Path:
    """The sample's organisation, at work day and night, with pauses that end by themselves after seconds: timers fire
    meanwhile."""
    text = ORGANISATION.read_text(encoding="utf-8")
    text = re.sub(r"pause_cap: \d+", "pause_cap: 0.001", text)
    week = "\n".join(f"    {day}: [00:00-24:00]" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"))
    text = re.sub(r"country: CN.*\n  hours:\n(    .*\n)+", f"hours:\n{week}\n", text)
    path = folder / "organisation.yaml"
    path.write_text(text, encoding="utf-8")
    return path


RETRIES = "[1,1,2,2,4,4,8,8,8,8,8,8,8,8,8,8]"
"""Seconds between two tries of a letter: it is tried as long as faults may last."""

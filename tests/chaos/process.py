"""Whoever does harm: every few seconds a random subset of faults, sometimes none, drawn from the seed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import signal
import time
from pathlib import Path

import httpx2

from tests.support.disk import Disk, limit_files
from tests.support.eventually import eventually
from tests.support.town import Town

STORES = ("intake", "routing", "notify", "analytics", "vault", "log")
SERVICES = ("intake", "routing", "notify", "analytics")
FAILPOINTS = (
    "intake.accepted",
    "notify.before-submit",
    "notify.after-submit",
    "analytics.count",
    "analytics.counted",
    *(f"{store}.{point}" for store in STORES for point in ("commit", "committed")),
    *(f"{service}.{point}" for service in SERVICES for point in ("publish", "published", "folded")),
)
FILE_SIZES = (4_096, 65_536, 1_048_576, 4_194_304)
LIKELY = 0.35
"""How likely each kind is in each step: of six kinds two on average, and one time in thirteen none."""

READY = 60.0
"""Seconds that a start may take on a machine that others use too."""


class Nemesis:
    """Owns the process. `kills` counts its deaths without a word; `findings` is what no fault excuses."""

    def __init__(self, town: Town, disk: Disk, chance: random.Random, journal: Path) -> None:
        self._town, self._disk, self._chance = town, disk, chance
        self._journal = journal.open("a", encoding="utf-8", buffering=1)
        self._started = time.monotonic()
        self._armed = self._short = False
        self.kills = 0
        self.faults = 0
        self.findings: list[str] = []

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("kill", "failpoint", "pause", "stop", "limit", *(("full",) if self._disk.fillable else ()))

    async def harm(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            drawn = [kind for kind in self.kinds if self._chance.random() < LIKELY]
            self.faults += len(drawn)
            await self._step(drawn, left)
            await self._pass(min(self._chance.uniform(0.2, 1.5), max(0.0, end - time.monotonic())))

    async def heal(self) -> float:
        """A process without failpoints and limits, with space; when it was ready."""
        self._disk.empty()
        if self._armed or not self._alive():
            await asyncio.to_thread(self._end, signal.SIGKILL)
        else:
            self._limit(None)
        await self._up()
        self._note("healed")
        self._journal.close()
        return time.monotonic()

    async def up(self) -> None:
        """The first start."""
        await self._up()

    async def _step(self, drawn: list[str], left: float) -> None:
        self._note(*(drawn or ["nothing"]))
        self._short = "full" in drawn or "limit" in drawn
        try:
            if "full" in drawn:
                self._disk.fill()
            if "limit" in drawn:
                self._limit(self._chance.choice(FILE_SIZES))
            if "pause" in drawn and self._alive():
                await self._pause(self._chance.uniform(0.5, 5.0))
            if "kill" in drawn:
                await asyncio.to_thread(self._end, signal.SIGKILL)
            if "stop" in drawn and self._alive():
                await asyncio.to_thread(self._end, signal.SIGTERM)
            if "failpoint" in drawn:
                await asyncio.to_thread(self._end, signal.SIGKILL)
                points = self._chance.sample(FAILPOINTS, 3)
                setting = ",".join(f"{point}:{self._chance.randint(1, 40)}" for point in points)
                self._note(setting)
                self._armed = True
                await self._launched(HUIYIN_FAILPOINT=setting)
            elif not self._alive():
                await self._launched()
            await self._pass(min(self._chance.uniform(0.3, 3.0), left))
        finally:
            self._alive()  # whoever ended is judged by what there was
            self._disk.empty()
            self._limit(None)
            self._short = False
        if not self._alive():
            await self._up()

    async def _pause(self, seconds: float) -> None:
        process = self._town.process
        assert process
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    async def _pass(self, seconds: float) -> None:
        """Let time pass; a process that died is started again, as its supervisor would."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(0.1, left))
            if not self._alive() and not self._short:
                await self._up()

    async def _up(self) -> None:
        """Start until it is ready."""

        async def ready() -> bool:
            if not self._alive():
                await self._launched()
            with contextlib.suppress(httpx2.TransportError):
                return (await self._town.get("/ready")).status_code == 200
            return False

        await eventually(ready, within=READY)

    async def _launched(self, **settings: str) -> None:
        """One try: it has told its address, or it ended."""
        self._end(signal.SIGKILL)
        self._armed = bool(settings)
        self._town.launch(**settings)
        process = self._town.process
        assert process
        assert process.stdout
        line = await asyncio.to_thread(process.stdout.readline)
        if found := re.search(r"http://\S+", line):
            self._town.address = found.group()
        else:
            await asyncio.to_thread(process.wait)

    def _alive(self) -> bool:
        process = self._town.process
        if process is None:
            return False
        if process.poll() is None:
            return True
        self._end(signal.SIGKILL)
        return False

    def _end(self, number: int) -> None:
        """End the process, or notice that it has ended, and judge how."""
        process = self._town.process
        if process is None:
            return
        by_itself = process.poll() is not None
        status = self._town.stop() if number == signal.SIGTERM else self._killed()
        if status == -signal.SIGKILL:
            self.kills += 1
        if by_itself:
            self._note(f"it ended with {status}")
        excused = status == -signal.SIGKILL and (self._armed or not by_itself)
        if not excused and status != 0 and not (by_itself and self._short):
            self.findings.append(f"the process ended with {status}")

    def _killed(self) -> int:
        process = self._town.process
        assert process
        self._town.kill()
        return int(process.returncode)

    def _limit(self, size: int | None) -> None:
        if self._alive():
            assert self._town.process
            with contextlib.suppress(ProcessLookupError):
                limit_files(self._town.process.pid, size)

    def _note(self, *what: str) -> None:
        line = {"t": round(time.monotonic() - self._started, 3), "faults": what}
        self._journal.write(json.dumps(line) + "\n")

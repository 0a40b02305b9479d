"""One process over files: killed, paused, stopped, made to die at failpoints, its disk filled, its files limited."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import socket
import time
from pathlib import Path

import httpx2

from tests.chaos.nemesis import Nemesis
from tests.chaos.run import RETRIES, Stage, round_the_clock
from tests.support.disk import Disk, limit_files
from tests.support.eventually import eventually
from tests.support.town import Town

FILE_SIZES = (4_096, 65_536, 1_048_576, 4_194_304)
READY = 60.0
"""Seconds that a start may take on a machine that others use too."""


DISK = "96m"
"""Bytes of the disk that is filled."""


class OneProcess(Stage):
    """One process, on a disk that can be filled."""

    rate, drain, first, spare = 20.0, 60.0, 5.0, 0

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._disk = Disk(folder / "town" / "data", DISK)
        settings = {
            "HUIYIN_PORT": str(_free_port()),
            "HUIYIN_ORGANISATION": str(round_the_clock(folder)),
            "NOTIFY_RETRIES": RETRIES,
        }
        self.town = Town(folder / "town", **settings)
        self.nemesis = Harm(self.town, self._disk, chance, folder / "faults.jsonl")

    def processes(self) -> dict[str, int]:
        assert self.town.process
        return {"all four": self.town.process.pid}

    def close(self, keep: Path | None) -> None:
        self._disk.release(keep)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number: int = taken.getsockname()[1]
        return number


class Harm(Nemesis):
    """Owns the process."""

    def __init__(self, town: Town, disk: Disk, chance: random.Random, journal: Path) -> None:
        super().__init__(chance, journal)
        self.kinds = ("kill", "failpoint", "pause", "stop", "limit", *(("full",) if disk.fillable else ()))
        self._town, self._disk = town, disk
        self._armed = self._short = False

    async def _mend(self) -> None:
        self._disk.empty()
        if self._armed or not self._alive():
            await asyncio.to_thread(self._end, signal.SIGKILL)
        else:
            self._limit(None)
        await self.up()

    async def _step(self, drawn: list[str], left: float) -> None:
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
                await self._launched(HUIYIN_FAILPOINT=self._armed_points())
            elif not self._alive():
                await self._launched()
            await self._pass(min(self._chance.uniform(0.3, 3.0), left))
        finally:
            self._alive()  # whoever ended is judged by what there was
            self._disk.empty()
            self._limit(None)
            self._short = False
        if not self._alive():
            await self.up()

    async def _pause(self, seconds: float) -> None:
        process = self._town.process
        assert process
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    async def _pass(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(0.1, left))
            if not self._alive() and not self._short:
                await self.up()

    async def up(self) -> None:
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

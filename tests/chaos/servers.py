"""Several processes over three brokers and a replica set of three: killed, paused, stopped, cut off, coming and going."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2

from deploy.native import kafka, mongodb
from deploy.native.cluster import Cluster
from deploy.native.network import Network
from deploy.native.node import Node
from tests.chaos.nemesis import Nemesis
from tests.chaos.run import RETRIES, Stage, round_the_clock
from tests.support.distributed import Process, Replicated
from tests.support.eventually import eventually

OF_PROCESSES = ("kill", "pause", "stop", "failpoint", "leave")
OF_BROKERS = ("broker killed", "controller killed", "broker paused", "broker cut off")
OF_MEMBERS = ("primary killed", "primary steps down", "member paused", "member cut off")

HOLD = (2.0, 9.0)
"""Seconds that what is lasting lasts: longer than an election, shorter or longer than a broker is waited for."""

SETTLES = 20.0
"""Seconds after a fault of the servers in which a start may fail because of it: it says so and ends."""

READY = 90.0
"""Seconds until everything runs again on a machine that others use too."""


class Servers(Stage):
    """One process of each service, two of routing; the servers are shared by all seeds."""

    rate, drain, first, spare = 10.0, 120.0, 20.0, 16

    def __init__(self, folder: Path, chance: random.Random, servers: Cluster, where: Network | None) -> None:
        (folder / "town").mkdir()
        settings = {
            "HUIYIN_ORGANISATION": str(round_the_clock(folder)),
            "NOTIFY_RETRIES": RETRIES,
        }
        self.town = self._town = Replicated(folder / "town", **settings)
        self.nemesis = Harm(self._town, servers, where, chance, folder / "faults.jsonl")

    def processes(self) -> dict[str, int]:
        return {p.data.name: p.running.pid for p in self._town.processes if p.running}

    def close(self, keep: Path | None) -> None:
        if keep is None:
            self.town.gone()


class Harm(Nemesis):
    """Owns the processes and the servers. A process that has ended is started again, as its supervisor would."""

    kinds = (*OF_PROCESSES, *OF_BROKERS, *OF_MEMBERS)
    likely = 0.2

    def __init__(
        self, town: Replicated, servers: Cluster, where: Network | None, chance: random.Random, journal: Path
    ) -> None:
        super().__init__(chance, journal)
        self._town, self._servers, self._where = town, servers, where
        self._keepers: list[asyncio.Task[None]] = []
        self._armed: dict[Process, str] = {}
        self._away: set[Process] = set()
        self._excused: set[tuple[Process, int]] = set()
        self._shaken = 0.0

    async def up(self) -> None:
        await self._town.start()
        self._keepers = [asyncio.create_task(self._keep(process)) for process in self._town.processes]

    async def _step(self, drawn: list[str], left: float) -> None:
        """One fault of a broker and one of a member at most: what has no majority any more only waits."""
        for group in (OF_BROKERS, OF_MEMBERS):
            for more in [kind for kind in drawn if kind in group][1:]:
                drawn.remove(more)
        hold = min(self._chance.uniform(*HOLD), left)
        harms = [self._harm_of(kind, hold) for kind in drawn]
        await asyncio.gather(asyncio.sleep(hold), *harms)

    def _harm_of(self, kind: str, hold: float) -> Any:
        if kind in OF_PROCESSES:
            return self._process(kind, self._chance.choice(self._town.processes), hold)
        return self._server(kind, self._chance.randrange(3), hold)

    async def _process(self, kind: str, process: Process, hold: float) -> None:
        if kind == "leave":
            process = self._chance.choice([p for p in self._town.processes if p.service == "routing"])
            self._away.add(process)
        if kind == "failpoint":
            self._armed[process] = self._armed_points()
        self._note(f"{kind} {process.data.name}")
        if kind == "pause":
            self._signal(process, signal.SIGSTOP)
        else:
            self._signal(process, signal.SIGKILL if kind in ("kill", "failpoint") else signal.SIGTERM)
        if kind in ("pause", "leave"):
            await asyncio.sleep(hold)
            self._signal(process, signal.SIGCONT)
            self._away.discard(process)

    def _signal(self, process: Process, number: signal.Signals) -> None:
        if process.running and process.running.poll() is None:
            if number == signal.SIGKILL:
                self.kills += 1
                self._excused.add((process, process.running.pid))
            process.running.send_signal(number)

    async def _server(self, kind: str, number: int, hold: float) -> None:
        brokers, members = self._servers.kafka, self._servers.mongodb
        node = (brokers if kind in OF_BROKERS else members)[number]
        if kind == "controller killed":
            node = await self._controller() or node
        elif kind.startswith("primary"):
            node = await mongodb.primary(members) or node
        self._note(f"{kind} {node.name}")
        self._shaken = time.monotonic() + hold
        if kind.endswith("killed"):
            self.kills += 1
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(hold)
            node.start()
        elif kind.endswith("paused"):
            node.pause()
            await asyncio.sleep(hold)
            node.resume()
        elif kind.endswith("cut off") and self._where:
            self._where.cut(node.name)
            await asyncio.sleep(hold)
            self._where.join(node.name)
        elif kind.endswith("down"):
            await mongodb.step_down(node)

    async def _controller(self) -> Node | None:
        number = await asyncio.to_thread(kafka.controller, self._servers.kafka)
        return next((node for node in self._servers.kafka if node.name == f"kafka-{number}"), None)

    async def _keep(self, process: Process) -> None:
        """Its supervisor. How it ended is judged."""
        while True:
            if process not in self._away and (process.running is None or process.ended):
                await self._again(process)
            await asyncio.sleep(0.1)

    async def _again(self, process: Process) -> None:
        if process.running:
            self._judge(process, bool(process.address), process.running)
            process.end(None)
        armed = self._armed.pop(process, None)
        process.address = ""
        process.launch(self._town.folder, self._town.environment | ({"HUIYIN_FAILPOINT": armed} if armed else {}))
        assert process.running
        if armed:
            self._excused.add((process, process.running.pid))
        await asyncio.to_thread(process.hear)
        self._town.show()

    def _judge(self, process: Process, started: bool, running: subprocess.Popen[str]) -> None:
        status = running.wait()
        self._note(f"{process.data.name} ended with {status}")
        shaken = time.monotonic() < self._shaken + SETTLES
        killed = status == -signal.SIGKILL and (process, running.pid) in self._excused
        refused = not started and shaken and status == 1
        if status != 0 and not killed and not refused:
            self.findings.append(f"{process.data.name} ended with {status}")

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _mend(self) -> None:
        self._away.clear()
        await asyncio.to_thread(self._servers.up)
        self._armed.clear()
        for process in self._town.processes:
            if process.running and (process, process.running.pid) in self._excused:
                self._signal(process, signal.SIGKILL)
        await eventually(self._all_ready, within=READY)
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _all_ready(self) -> bool:
        if any(process.running is None or process.ended or not process.address for process in self._town.processes):
            return False
        with contextlib.suppress(httpx2.TransportError):
            return await self._town.ready()
        return False

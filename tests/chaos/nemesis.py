"""Whoever does harm: every few seconds a random subset of faults, sometimes none, drawn from the seed."""

from __future__ import annotations

import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

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
LIKELY = 0.35
"""How likely each kind is in each step: of six kinds two on average, and one time in thirteen none."""


class Nemesis(ABC):
    """Owns what is harmed. `kills` counts deaths without a word; `findings` is what no fault excuses."""

    kinds: Sequence[str] = ()
    """What may be drawn for a step."""

    likely = LIKELY

    def __init__(self, chance: random.Random, journal: Path) -> None:
        self._chance = chance
        self._journal = journal.open("a", encoding="utf-8", buffering=1)
        self._started = time.monotonic()
        self.kills = 0
        self.faults = 0
        self.findings: list[str] = []

    @abstractmethod
    async def up(self) -> None:
        """The first start."""

    async def harm(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            drawn = [kind for kind in self.kinds if self._chance.random() < self.likely]
            self.faults += len(drawn)
            self._note(*(drawn or ["nothing"]))
            await self._step(drawn, left)
            await self._pass(min(self._chance.uniform(0.2, 1.5), max(0.0, end - time.monotonic())))

    async def heal(self) -> float:
        """Everything runs, without failpoints and limits; when it was ready."""
        await self._mend()
        self._note("healed")
        self._journal.close()
        return time.monotonic()

    @abstractmethod
    async def _step(self, drawn: list[str], left: float) -> None:
        """Do it, for a while; what is lasting is undone. `left`: seconds until the harm ends."""

    @abstractmethod
    async def _pass(self, seconds: float) -> None:
        """Let time pass; what died is started again, as its supervisor would."""

    @abstractmethod
    async def _mend(self) -> None: ...

    def _armed_points(self) -> str:
        """A setting with three failpoints to die at."""
        points = self._chance.sample(FAILPOINTS, 3)
        setting = ",".join(f"{point}:{self._chance.randint(1, 40)}" for point in points)
        self._note(setting)
        return setting

    def _note(self, *what: str) -> None:
        line = {"t": round(time.monotonic() - self._started, 3), "faults": what}
        self._journal.write(json.dumps(line) + "\n")

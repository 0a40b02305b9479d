"""B7 and B8: memory at rest, and the time from nothing to the first 201."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import httpx2

from tests.bench.bodies import body
from tests.bench.measures import Measure
from tests.bench.served import EVERYTHING, running, town, until

ROUNDS = 5


def rest(folder: Path) -> Measure:
    """B7, at rest: all four services in one process that has nothing to do."""
    data = town(folder)
    with running(EVERYTHING, data) as process:
        until(lambda: httpx2.get(f"{process.address}/ready", trust_env=False).status_code == 200)
        time.sleep(3)
        return Measure("B7", "memory of all four services at rest", process.memory(), 180, "MB", 1.0, False, "180 MB")


def start(folder: Path) -> Measure:
    """B8: from the start of the process over an empty folder to the first 201."""
    seconds = []
    for number in range(ROUNDS):
        started = time.monotonic()
        with running(EVERYTHING, folder / f"data{number}") as process, httpx2.Client(trust_env=False) as client:
            until(lambda: client.post(f"{process.address}/v1/feedback", content=body(0)).status_code == 201, 0.02)
            seconds.append(time.monotonic() - started)
    more = {"seconds": [round(s, 2) for s in seconds]}
    return Measure("B8", "start to first 201", median(seconds), 2, "s", 1.0, False, "2 s", more)

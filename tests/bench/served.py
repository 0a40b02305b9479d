"""Processes that are measured: Huiyin or one of its services over a data folder, the bare route, the load generator."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from shared.bus.table import ends_of

HUIYIN = str(Path(sys.executable).with_name("huiyin"))
EVERYTHING = (HUIYIN, "serve")
INTAKE = (sys.executable, "-m", "services.intake")
BARE = (sys.executable, "-m", "tests.bench.bare")
ROOT = Path(__file__).parents[2]

PATIENCE = 1_800.0
"""Seconds that anything may take before it is given up."""


class Process:
    """A running process that has told its address."""

    def __init__(self, process: subprocess.Popen[str], address: str, data: Path) -> None:
        self.pid, self.address, self.data = process.pid, address, data

    def ask(self, path: str) -> Any:
        """What an operator is told, over `control.sock`."""
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(self.data / "control.sock"))) as client:
            return client.get(f"http://control{path}", timeout=60).json()

    def load(self, *options: str) -> dict[str, Any]:
        """Run the load generator against it."""
        command = [sys.executable, "-m", "tests.bench.load", self.address, *options]
        result: dict[str, Any] = json.loads(subprocess.check_output(command, cwd=ROOT))
        assert not result["refused"], f"refused: {result['refused']}"
        return result

    def cpu(self) -> float:
        """Seconds of processor time used so far, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Megabytes in memory now."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) / 1024


@contextmanager
def running(command: Sequence[str], data: Path, **settings: str) -> Iterator[Process]:
    """The process, from the line that tells its address until the end of the block; then it is stopped and waited for."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HUIYIN_", "INTAKE_", "NOTIFY_", "OTEL_"))}
    fixed = {"HUIYIN_DATA": str(data), "HUIYIN_PORT": "0", "INTAKE_RATE": "off", "NOTIFY_CHANNEL": "discard"}
    data.mkdir(parents=True, exist_ok=True)
    with (data.parent / f"{data.name}.log").open("a") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=kept | fixed | settings, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, f"{command} did not start: {Path(log.name).read_text()[-2000:]}"
        yield Process(process, found.group(), data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.wait(60)


def until(condition: Callable[[], bool], every: float = 0.1) -> None:
    """Wait until it is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(every)


def on_the_log(data: Path) -> int:
    """Events on the log."""
    with closing(sqlite3.connect(f"file:{data}/log.db?mode=ro", uri=True)) as connection:
        return sum(ends_of(connection).values())


def settle(process: Process) -> None:
    """Wait until the process has nothing left to publish or to read."""
    before = -1
    while any(service["lag"] for service in process.ask("/control/lag").values()) or before != on_the_log(process.data):
        before = on_the_log(process.data)
        time.sleep(0.7)


def town(folder: Path) -> Path:
    """A data folder whose services know their organisation, and nothing else."""
    data = folder / "data"
    with running(EVERYTHING, data) as process:
        until(lambda: httpx2.get(f"{process.address}/ready", trust_env=False).status_code == 200)
    return data

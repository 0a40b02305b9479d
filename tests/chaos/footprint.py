"""What a process takes of its machine: after the faults no more than one that lived through the same load in peace (I18)."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MORE = 1.1
"""How much more than usual is taken for the same."""

CONNECTIONS = 3
"""To one database at most, so its file and its log are open so often: one that writes, two that read, opened when needed."""


@dataclass(frozen=True)
class Footprint:
    """`memory`: resident bytes; `databases`: how often each of their files is open; `files`: every other descriptor."""

    memory: int
    databases: Counter[str]
    files: int

    @classmethod
    def of(cls, process: int) -> Footprint:
        folder = Path("/proc") / str(process)
        (line,) = [line for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS:")]
        opened: Counter[str] = Counter()
        for descriptor in (folder / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                opened[os.readlink(descriptor).rpartition("/")[2]] += 1
        databases = Counter({name: n for name, n in opened.items() if ".db" in name})
        return cls(int(line.split()[1]) * 1024, databases, opened.total() - databases.total())

    def grown(self, usual: Footprint, spare: int = 0) -> list[str]:
        """What is more than a tenth larger than usual; `spare` descriptors are not counted."""
        found = []
        if self.memory > usual.memory * MORE:
            found.append(f"I18: {self.memory >> 20} MiB of memory, {usual.memory >> 20} MiB without faults")
        if self.files - spare > usual.files * MORE:
            found.append(f"I18: {self.files} open descriptors, {usual.files} without faults")
        found += [f"I18: {name} is open {n} times" for name, n in self.databases.items() if n > CONNECTIONS]
        return found

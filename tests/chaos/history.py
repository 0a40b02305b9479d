"""What the clients know: a line before each call and a line after it, as JSON.

Three outcomes. ok: a 2xx, and then it must be there. fail: a 4xx or a refused connection, and then it must not. unknown:
a reset, a time-out or a 5xx, and then either is right, until the same key is told ok.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(eq=False)
class Call:
    """One wish of a client under one key, however often it was sent. `about` is what it was about."""

    key: str
    op: str
    about: dict[str, Any]
    outcomes: list[Outcome] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return "ok" in self.outcomes

    @property
    def open(self) -> bool:
        """It may be there or not."""
        return not self.accepted and "unknown" in self.outcomes


class History:
    """Every call, also in a file that outlives the run."""

    def __init__(self, path: Path) -> None:
        self.calls: dict[str, Call] = {}
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._started = time.monotonic()
        self.successes: list[float] = []
        """When something was accepted, in the machine's monotonic seconds."""

    def begins(self, key: str, op: str, about: dict[str, Any]) -> Call:
        call = self.calls.setdefault(key, Call(key, op, about))
        self._write({"k": key, "op": op, "t0": self._now(), **about})
        return call

    def ends(self, call: Call, outcome: Outcome, told: dict[str, Any], why: str) -> None:
        call.outcomes.append(outcome)
        if outcome == "ok":
            call.told.append(told)
            self.successes.append(time.monotonic())
        self._write({"k": call.key, "t": outcome, "id": told.get("id"), "t1": self._now(), "why": why})

    def of(self, *ops: str) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.op in ops)

    def outcomes(self) -> Counter[Outcome]:
        return Counter(outcome for call in self.calls.values() for outcome in call.outcomes)

    def close(self) -> None:
        self._file.close()

    def _now(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

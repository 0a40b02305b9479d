"""A loop that does not turn is told of, once, with the line of code that keeps it."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from shared.clock import SystemClock
from shared.telemetry import watchdog
from shared.telemetry.logs import configure


@pytest.mark.row("F38")
async def test_what_keeps_the_loop_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("json")
    monkeypatch.setattr(watchdog, "LIMIT", 0.2)
    watching = asyncio.create_task(watchdog.watch_loop(SystemClock()))
    await asyncio.sleep(0.01)
    _compute(1.0)
    await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["level"], line["event"]) == ("warning", "the event loop does not turn")
    assert line["at"].startswith("tests/unit/shared/telemetry/test_watchdog.py:")


def _compute(seconds: float) -> None:
    """Keep the loop from turning."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)

"""The alarm about events that do not come."""

from __future__ import annotations

from datetime import timedelta

from shared.clock import Clock
from shared.delivery.dead_letters import DeadLetters
from shared.telemetry.logs import log
from shared.telemetry.metrics import GAPS_OVERDUE

PATIENCE = timedelta(seconds=60)
"""How long a case may wait for a missing event before someone should look."""

LOOK = 10.0
"""Seconds between two looks."""


async def watch_gaps(service: str, letters: DeadLetters, clock: Clock) -> None:
    """Keep the metric of overdue gaps, and log each case once when its wait becomes too long. Runs until cancelled."""
    known: set[str] = set()
    while True:
        try:
            overdue = {letter.record.key for letter in await letters.overdue(clock.now() - PATIENCE)}
        except Exception as error:
            log(service).warning("the dead letters cannot be read", error=type(error).__name__)
        else:
            GAPS_OVERDUE.labels(service).set(len(overdue))
            for case in sorted(overdue - known):
                log(service).error("an event is missing for over a minute, and its case waits", case=case)
            known = overdue
        await clock.sleep(LOOK)

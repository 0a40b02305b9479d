"""The event loop, watched from a thread of its own: when it does not turn, nobody is served, and a line says where."""

from __future__ import annotations

import sys
import threading
from types import FrameType

from shared.clock import Clock
from shared.telemetry.logs import log, place_of

LIMIT = 2.0
"""Seconds without a turn after which it is told."""

CALLERS = 5
"""How many of our own lines of code are told, innermost first."""


async def watch_loop(clock: Clock) -> None:
    """Show a sign of life until cancelled; a thread that sees none for too long tells what keeps the loop.

    A process that was stopped and goes on may be told of as well: nobody was served either.
    """
    turned = clock.monotonic()
    stopped = threading.Event()
    watched = threading.get_ident()

    def watch() -> None:
        told = 0.0
        while not stopped.wait(LIMIT / 4):
            late = clock.monotonic() - turned
            if late > LIMIT and told != turned:
                told = turned
                at = _places(sys._current_frames().get(watched))
                log("runtime").warning("the event loop does not turn", seconds=round(late, 1), at=at)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        while True:
            await clock.sleep(LIMIT / 4)
            turned = clock.monotonic()
    finally:
        stopped.set()


def _places(frame: FrameType | None) -> str:
    """The innermost lines of our own code in a stack, as `file:line`."""
    found: list[str] = []
    while frame is not None and len(found) < CALLERS:
        if place := place_of(frame.f_code.co_filename, frame.f_lineno):
            found.append(place)
        frame = frame.f_back
    return " < ".join(found)

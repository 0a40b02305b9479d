"""Waiting in tests: for something to become true, never for time to pass."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def eventually(check: Callable[[], Any], within: float = 10.0) -> Any:
    """Ask `check`, a function or a coroutine function, until its answer is true, and return that answer.

    An `AssertionError` counts as "not yet"; after `within` seconds the last one is raised.
    """
    end = time.monotonic() + within
    while True:
        failure = None
        try:
            answer = check()
            answer = await answer if inspect.isawaitable(answer) else answer
            if answer:
                return answer
        except AssertionError as error:
            failure = error
        if time.monotonic() > end:
            raise failure or AssertionError(f"still not true after {within} s: {check}")
        await asyncio.sleep(0.01)

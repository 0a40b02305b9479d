"""Points at which a test may have the process die, to hit the windows that random kills miss.

`HUIYIN_FAILPOINT=name` kills at the first hit of `name`, `name:n` at the n-th; several are separated by commas.
"""

from __future__ import annotations

import os
import signal


def _armed(setting: str) -> dict[str, int]:
    armed = {}
    for entry in filter(None, setting.split(",")):
        name, _, hits = entry.partition(":")
        armed[name] = int(hits or 1)
    return armed


_ARMED = _armed(os.environ.get("HUIYIN_FAILPOINT", ""))


def failpoint(name: str) -> None:
    """Die here, as if by `kill -9`, if the environment says so. Otherwise one look into an empty dict."""
    if name not in _ARMED:
        return
    _ARMED[name] -= 1
    if _ARMED[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

"""How often one sender may submit: the generic cell rate algorithm (ITU-T I.371).

The `limits` library counts in windows and has no burst that refills steadily, which is what the product promises.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

from shared.clock import Clock
from shared.errors import Misconfigured, TooMany
from shared.http.roles import Principal
from shared.telemetry.metrics import LIMITED

REMEMBERED = 100_000
"""Senders kept in memory; the longest unseen is forgotten first. Nothing of them is ever stored."""

KEYS = 10
"""How many times an address's budget a bearer key has: a channel speaks for many people."""


class Rate:
    """`"60/1"`: a burst of 60, then 1 a second. `"off"`: no limit."""

    def __init__(self, setting: str, clock: Clock) -> None:
        """Raises `Misconfigured` for anything else."""
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()
        self._interval = self._burst = 0.0
        if setting == "off":
            return
        try:
            burst, per_second = (float(part) for part in setting.split("/"))
        except ValueError:
            burst = per_second = 0.0
        if not (1 <= burst < math.inf and 0 < per_second < math.inf):
            raise Misconfigured(f"a rate is 'burst/per-second' or 'off', not {setting!r}")
        self._interval = 1 / per_second
        self._burst = burst * self._interval

    def admit(self, client: str, principal: Principal | None = None) -> None:
        """Count one submission: on the key's own budget if there is one, else on the address's; an operator's never.

        Raises `TooMany` with the seconds to wait.
        """
        if not self._interval:
            return
        if principal is None:
            self.take(neighbourhood(client))
        elif principal.kind == "key":
            self.take(f"key:{principal.id}", KEYS)

    def take(self, whose: str, times: int = 1) -> None:
        """Count one submission on a budget of so many times the setting. Raises `TooMany`."""
        if not self._interval:
            return
        interval, now = self._interval / times, self._clock.monotonic()
        due = max(self._due.get(whose, now), now)
        # A nanosecond of tolerance: sums of floats are not exact.
        over = due - now + interval - self._burst - 1e-9
        if over > 0:
            LIMITED.inc()
            raise TooMany(math.ceil(over))
        self._due[whose] = due + interval
        self._due.move_to_end(whose)
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)

    def give_back(self, whose: str) -> None:
        """Undo one `take`: it was not what the limit is for."""
        if whose in self._due:
            self._due[whose] -= self._interval


def neighbourhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    mapped = ip.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((ip.packed, 64), strict=False))

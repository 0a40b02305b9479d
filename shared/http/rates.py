"""How often one address may submit: the generic cell rate algorithm (ITU-T I.371).

The `limits` library counts in windows and has no burst that refills steadily, which is what the product promises.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

from shared.clock import Clock
from shared.errors import Misconfigured, TooMany

REMEMBERED = 100_000
"""Addresses kept in memory; the longest unseen is forgotten first. Nothing of them is ever stored."""


class Rate:
    """`"60/1"`: a burst of 60, then 1 a second. `"off"`: no limit."""

    def __init__(self, setting: str, clock: Clock) -> None:
        self._clock = clock
        self._due: OrderedDict[str, float] = OrderedDict()
        self._interval = self._burst = 0.0
        if setting != "off":
            try:
                burst, per_second = (float(part) for part in setting.split("/"))
                self._interval = 1 / per_second
            except (ValueError, ZeroDivisionError):
                raise Misconfigured(f"a rate is 'burst/per-second' or 'off', not {setting!r}") from None
            self._burst = burst * self._interval

    def take(self, whose: str) -> None:
        """Count one submission. Raises `TooMany` with the seconds to wait."""
        if not self._interval:
            return
        now = self._clock.monotonic()
        due = max(self._due.get(whose, now), now)
        if due - now > self._burst - self._interval + 1e-9:
            raise TooMany(math.ceil(due - now - self._burst + self._interval))
        self._due[whose] = due + self._interval
        self._due.move_to_end(whose)
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)


def neighbourhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 /64."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if ip.version == 6:
        mapped = ip.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)

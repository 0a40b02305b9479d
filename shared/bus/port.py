"""The port to the log. Every numbered promise is one test in `tests/contract/bus.py`, run by every adapter.

 1  `publish` returns when all envelopes are durable. If it raises, for each key a prefix of its envelopes may be
    durable, never a later one without every earlier one.
 2  One key is in one partition, in the order of returned publishes.
 3  `deliver` gets consecutive records of one partition.
 4  At least once: until `deliver` has returned and the position is saved, the records come again.
 5  If `deliver` raises, the same records come again, perhaps cut differently.
 6  Members of a consumer share the partitions. Around a takeover a late member may still be working, so effects
    are guarded by whoever has them.
 7  Every consumer sees every record; a new one starts at the beginning.
 8  The position is saved only after `deliver`.
 9  `read` needs no consumer and moves none.
10  `reset` is refused (`RuntimeError`) while the consumer has members.
11  `close` lets the running `deliver` finish (10 s at most), saves, returns; `consume` then returns.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from shared.events.envelope import Envelope, Event

PARTITIONS = 12
"""Fixed at birth in both modes, so an installation that moves keeps its positions."""


def partition_of(key: str) -> int:
    """The partition of a message key: CRC-32 of its UTF-8 bytes, mod 12."""
    return zlib.crc32(key.encode()) % PARTITIONS


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the log as it lies there, readable or not. A log may hand the same one to several consumers."""

    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: bytes
    _read: list[Envelope | Event] = field(default_factory=list, init=False, repr=False, compare=False)

    def envelope(self) -> Envelope:
        """What its headers say; read once, whoever asks. Raises `Undecodable`."""
        if not self._read:
            self._read.append(Envelope.of(self.key, self.headers, self.value))
        return cast(Envelope, self._read[0])

    def event(self, read: Callable[[Envelope], Event]) -> Event:
        """What `read` makes of its value; read once, whoever asks. Raises what `read` raises."""
        envelope = self.envelope()
        if len(self._read) == 1:
            self._read.append(read(envelope))
        return cast(Event, self._read[1])


Positions = Mapping[int, int]
"""Where a consumer is: partition → next offset."""

Deliver = Callable[[Sequence[Record]], Awaitable[None]]


class EventBus(Protocol):
    """See the module's promises. Failures of the outside world raise `Unavailable`."""

    async def publish(self, envelopes: Sequence[Envelope]) -> None: ...

    async def consume(self, consumer: str, deliver: Deliver) -> None:
        """Serve the consumer's partitions until `close`; a cancelled call leaves like a crashed member."""

    def read(self, start: Positions, stop: Positions) -> AsyncIterator[Sequence[Record]]:
        """Batches of the records from `start` (inclusive) to `stop` (exclusive), per partition in order.

        A partition missing from `start` begins at 0; one missing from `stop` is not read.
        """

    async def ends(self) -> dict[int, int]:
        """For each of the 12 partitions, the offset after its last record."""

    async def lag(self, consumer: str) -> dict[int, int]:
        """For each partition, how many records the consumer's saved position is behind the end."""

    async def reset(self, consumer: str, positions: Positions) -> None:
        """Have the consumer go on from `positions`; a partition that is not given starts at its beginning."""

    async def close(self) -> None: ...

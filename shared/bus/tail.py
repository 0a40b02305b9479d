"""The records that consumers are about to want, in memory: what was appended last, and what was read last.

Several consumers read the same records at nearly the same time. So each is read from the file once, or never, and its
event is decoded once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from shared.bus.port import PARTITIONS, Record, partition_of
from shared.events.envelope import Envelope

RECORDS = 256
"""Records of a partition that are kept after they were appended."""

BYTES = 256 * 1024
"""Bytes of their values; the newest one is kept whatever it weighs."""


class Tail:
    """Consecutive records of each partition. What is not here is in the file."""

    def __init__(self) -> None:
        self._appended: list[deque[Record]] = [deque() for _ in range(PARTITIONS)]
        self._weights = [0] * PARTITIONS
        self._read: list[Sequence[Record]] = [() for _ in range(PARTITIONS)]

    def append(self, envelopes: Sequence[Envelope], ends: Mapping[int, int]) -> None:
        """These were appended together; each partition that grew now ends where `ends` says."""
        following = dict(ends)
        for envelope in reversed(envelopes):
            following[partition_of(envelope.key)] -= 1
        for envelope in envelopes:
            partition = partition_of(envelope.key)
            record = Record(partition, following[partition], envelope.key, envelope.headers(), envelope.value)
            following[partition] += 1
            self._add(record)

    def remember(self, records: Sequence[Record]) -> None:
        """These consecutive records of one partition were read."""
        if records:
            self._read[records[0].partition] = records

    def find(self, partition: int, start: int) -> Sequence[Record]:
        """Records of a partition from `start` on; none if they are not here."""
        for kept in (self._appended[partition], self._read[partition]):
            if kept and kept[0].offset <= start <= kept[-1].offset:
                return list(kept)[start - kept[0].offset :]
        return ()

    def _add(self, record: Record) -> None:
        kept = self._appended[record.partition]
        if kept and kept[-1].offset + 1 != record.offset:  # its predecessor was told late: begin anew
            kept.clear()
            self._weights[record.partition] = 0
        kept.append(record)
        self._weights[record.partition] += len(record.value)
        while len(kept) > 1 and (len(kept) > RECORDS or self._weights[record.partition] > BYTES):
            self._weights[record.partition] -= len(kept.popleft().value)

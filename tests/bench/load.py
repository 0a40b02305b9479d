"""The load generator, in a process of its own: raw HTTP/1.1 over kept connections, one request at a time on each.

`python -m tests.bench.load ADDRESS --connections N --seconds S [--rate R]` prints one JSON object.
With a rate it is an open loop: request n is due at n / rate, whether or not earlier ones are answered, and its latency
counts from then. Without one, every connection sends its next request as soon as it has its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import uvloop

from tests.bench.bodies import bodies

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
NUMBER = re.compile(rb'"number": *"([0-9-]+)"')


class Load:
    """What is still to be sent, and what came of it."""

    def __init__(self, host: str, seconds: float, rate: float | None) -> None:
        head = f"POST /v1/feedback HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
        self._requests = [head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies()]
        self._at = 0
        self._open_loop = rate is not None
        self._rate = rate or 0.0
        self._seconds = seconds
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._scheduled = 0
        self.started = self.ended = 0.0
        self.answers: list[tuple[float, float, str]] = []
        self.refused: dict[str, int] = {}

    def request(self) -> bytes:
        self._at = (self._at + 1) % len(self._requests)
        return self._requests[self._at]

    def answered(self, since: float, status: bytes, answer: bytes) -> None:
        self.ended = time.monotonic()
        if status == b"201":
            number = NUMBER.search(answer) if self._open_loop else None
            self.answers.append((since, self.ended - since, number[1].decode() if number else ""))
        else:
            self.refused[status.decode()] = self.refused.get(status.decode(), 0) + 1

    def free(self, connection: Connection) -> None:
        """A connection that can send; it gets what is due, or waits."""
        if not self._open_loop:
            if time.monotonic() - self.started < self._seconds:
                connection.send(time.monotonic())
        elif self._due:
            connection.send(self._due.popleft())
        else:
            self._idle.append(connection)

    async def run(self, connections: list[Connection]) -> None:
        self.started = time.monotonic()
        for connection in connections:
            self.free(connection)
        while (now := time.monotonic() - self.started) < self._seconds:
            while self._scheduled < now * self._rate:
                self._due.append(self.started + self._scheduled / self._rate)
                self._scheduled += 1
            while self._due and self._idle:
                self._idle.popleft().send(self._due.popleft())
            await asyncio.sleep(0.001 if self._open_loop else 0.05)
        async with asyncio.timeout(30):
            while any(connection.busy for connection in connections) or self._due:
                await asyncio.sleep(0.005)


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._since = 0.0
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self.busy = False
            self._load.answered(self._since, b"lost", b"")

    def send(self, since: float) -> None:
        assert self._transport
        self._since, self.busy = since, True
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._received, 0, head)
        if len(self._received) < head + 4 + (int(length[1]) if length else 0):
            return
        self._load.answered(self._since, self._received[9:12], self._received[head:])
        self._received, self.busy = b"", False
        self._load.free(self)


async def generate(address: str, connections: int, seconds: float, rate: float | None) -> dict[str, object]:
    where = urlsplit(address)
    assert where.hostname
    assert where.port
    load = Load(where.netloc, seconds, rate)
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(load), where.hostname, where.port))[1]
        for _ in range(connections)
    ]
    offset = time.time() - time.monotonic()
    await load.run(opened)
    latencies = sorted(latency for _, latency, _ in load.answers)
    return {
        "answered": len(load.answers),
        "refused": load.refused,
        "per_second": len(load.answers) / (load.ended - load.started),
        "p50": latencies[len(latencies) // 2] if latencies else None,
        "p99": latencies[len(latencies) * 99 // 100] if latencies else None,
        "sent": {number: offset + since for since, _, number in load.answers if number},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rate", type=float)
    asked = parser.parse_args()
    json.dump(uvloop.run(generate(asked.address, asked.connections, asked.seconds, asked.rate)), sys.stdout)


if __name__ == "__main__":
    main()

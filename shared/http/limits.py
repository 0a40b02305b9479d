"""What a request may weigh and how long it may take to come, before anything of it is understood.

The server itself limits neither the headers' size nor the time of a body, and gives a body to the app as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import Message, Receive, Scope

from shared.errors import Malformed, Problem, TooLarge
from shared.http.problems import told

LARGEST = 256 * 1024
"""Bytes of a body, unless its route reads a stream and limits that itself."""

HEADERS = 16 * 1024
"""Bytes of all header names and values together."""

BODY_SECONDS = 15.0
"""How long a body may take to come; of a stream: the next piece of it."""

PARAMETERS = 100
"""Parameters of a query."""

ONCE = frozenset({b"host", b"content-length", b"content-type", b"authorization", b"idempotency-key", b"if-match"})
"""Headers whose repetition two readers could understand differently."""

HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def read_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers by name; of repeated ones the values, joined by commas.

    Raises the problems 400 (one that must stand alone is repeated, a bad Host or none, Content-Length beside
    Transfer-Encoding), 431 (too large) and 415 (the body is compressed).
    """
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in found:
            if name in ONCE:
                raise Malformed(f"the header {name.decode('ascii')} is given twice")
            value = found[name] + b", " + value
        found[name] = value
    if size > HEADERS:
        raise told(431, "headers-too-large", "The request's headers are too large")
    if not HOST.fullmatch(found.get(b"host", b"" if scope["http_version"] == "1.1" else b"-")):
        raise Malformed("the header host is no host")
    if b"content-length" in found:
        if not found[b"content-length"].isdigit():
            raise Malformed("the header content-length is no number")
        if b"transfer-encoding" in found:
            raise Malformed("content-length and transfer-encoding exclude each other")
    if found.get(b"content-encoding", b"identity").lower() != b"identity":
        raise told(415, "encoding", "Compressed bodies are not accepted")
    return found


def check_query(query: bytes) -> None:
    """Raises `Malformed` for a parameter given twice: readers would disagree on which one counts."""
    if not query:
        return
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS)
    except ValueError:
        raise Malformed("there are too many parameters") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise Malformed("a parameter is given twice")


class Incoming:
    """A body on its way in. `ended`: nothing more of it will come."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.ended = False
        self._declared = 0

    def expect(self, headers: Mapping[bytes, bytes]) -> None:
        """Learn from headers that were found good what is to come."""
        self._declared = int(headers.get(b"content-length", b"0"))
        self.ended = not self._declared and b"transfer-encoding" not in headers

    async def whole(self) -> bytes:
        """All of it. Raises the problems 413, as soon as it is known to be too large, 408 and 400 (it broke off)."""
        if self.ended:
            return b""
        if self._declared > LARGEST:
            raise TooLarge()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                more = True
                while more:
                    message = await self._next()
                    if message["type"] == "http.disconnect":
                        raise Malformed("the body broke off")
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    if size > LARGEST:
                        raise TooLarge()
                    more = message.get("more_body", False)
        except TimeoutError:
            raise _too_slow() from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def piece(self) -> Message:
        """What a route that reads a stream receives. Raises the problem 408 when nothing comes for too long."""
        if self.ended:
            return await self.receive()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._next()
        except TimeoutError:
            raise _too_slow() from None

    async def discard(self, seconds: float) -> None:
        """Take in what is still coming and keep nothing of it, so that the sender lives to read the answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.ended:
                    await self._next()

    async def _next(self) -> Message:
        message = await self.receive()
        self.ended = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body, and then what `receive` gives."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def _too_slow() -> Problem:
    return told(408, "too-slow", "The body did not come in time")

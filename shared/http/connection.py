"""One connection to the server: the head of a request has to come in time, or the connection ends.

And an address has only so many of them. When it opens one more, the one that has kept us waiting longest is closed for
it: so whoever holds connections without asking anything cannot keep others behind the same address out.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from collections import defaultdict

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.errors import Misconfigured
from shared.http.rates import neighbourhood

HEAD_SECONDS = 10.0
"""How long a request's head may take to come, from the connection or from its first byte on; the server itself would
wait for ever. Between two requests a connection may be silent for a shorter time, which the server measures."""


AMBIGUOUS = (
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    b"GET / HTTP/1.1\nHost: h\n\n",
)
"""Requests that two servers could read differently, and so smuggle a second one past the first."""


def prove_parser() -> None:
    """Raises `Misconfigured` where the installed parser would take an ambiguous request."""
    for raw in AMBIGUOUS:
        try:
            httptools.HttpRequestParser(object()).feed_data(raw)
        except httptools.HttpParserError:
            continue
        raise Misconfigured("the installed httptools takes ambiguous requests: install the version of uv.lock")


class Callers:
    """The connections of every address (IPv6 by /64), the oldest first. `most`: how many one may have; None: any."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._held: defaultdict[str, dict[Connection, None]] = defaultdict(dict)

    def enter(self, connection: Connection, address: str) -> bool:
        """Count a new connection, if need be in place of one that keeps us waiting; False: all the others are busy."""
        held = self._held[address]
        if self._most is not None and len(held) >= self._most:
            idle = next((other for other in held if other.waits), None)
            if idle is None:
                return False
            del held[idle]
            idle.transport.close()
        held[connection] = None
        return True

    def leave(self, connection: Connection, address: str) -> None:
        """It is gone; one that was not counted, or no longer is, may leave as well."""
        held = self._held[address]
        held.pop(connection, None)
        if not held:
            del self._held[address]


class Connection(HttpToolsProtocol):
    """uvicorn's connection on httptools, with a deadline whenever no request is being answered and bytes were seen."""

    callers = Callers(None)
    """Of the server it belongs to; see `connections`."""

    _address: str | None = None
    _deadline: TimerHandle | None = None
    _heading = True
    """Whether a head has begun, or is the first, and is not complete."""

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: nothing was asked, or not wholly."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            self._address = neighbourhood(self.client[0])
            if not self.callers.enter(self, self._address):
                transport.close()
                return
        self._deadline = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_deadline()
        if self._address is not None:
            self.callers.leave(self, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Most heads come whole: then no timer is set. A stray line break, or the rest of a body that nobody reads any
        # more, begins no head and would keep the connection as well.
        if not (self._heading or self.cycle.response_complete):
            self._no_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        self._heading = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._heading = False
        super().on_headers_complete()

    def _no_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def connections(most: int | None) -> type[Connection]:
    """The connections of one server, `most` at once for each address."""

    class Counted(Connection):
        callers = Callers(most)

    return Counted

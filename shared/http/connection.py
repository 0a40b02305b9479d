"""One connection to the server: the head of a request has to come in time, or the connection ends."""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
"""How long a request's head may take to come, from the connection or from its first byte on; the server itself would
wait for ever. Between two requests a connection may be silent for a shorter time, which the server measures."""


class Connection(HttpToolsProtocol):
    """uvicorn's connection on httptools, with a deadline whenever no request is being answered and bytes were seen."""

    _deadline: TimerHandle | None = None
    _heading = True
    """Whether a head has begun, or is the first, and is not complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_deadline()
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

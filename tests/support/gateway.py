"""One origin in front of service processes: each path goes to the service that owns it, replicas take turns."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from services.four import owner_of
from tests.support.http import calling

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


class Gateway:
    """Where each service answers may change while it serves; a service without an address is 502."""

    def __init__(self) -> None:
        self.addresses: dict[str, Sequence[str]] = {}
        self.address = ""
        self._turns = itertools.count()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve on a loopback port in a thread of its own, so that a test that waits does not hold it up."""
        listening = socket.create_server(("127.0.0.1", port))
        host, number = listening.getsockname()
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
        app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=methods)])
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), name="gateway", daemon=True
        )
        thread.start()
        try:
            yield f"http://{host}:{number}"
        finally:
            server.should_exit = True
            thread.join(10)
            listening.close()

    async def _pass_on(self, request: Request) -> Response:
        found = self.addresses.get(owner_of(request.url.path), ())
        if not found:
            return Response("nobody answers\n", 502)
        base = found[next(self._turns) % len(found)]
        client = calling(timeout=60)
        headers = [(k, v) for k, v in request.headers.raw if k.decode().lower() not in HOP_BY_HOP]
        url = httpx2.URL(base).copy_with(raw_path=request.scope["raw_path"] + _query(request))
        try:
            asked = client.build_request(request.method, url, headers=headers, content=request.stream())
            answer = await client.send(asked, stream=True)
        except httpx2.TransportError:
            await client.aclose()
            return Response("nobody answers\n", 502)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_raw():
                    yield piece
            except httpx2.TransportError:
                return
            finally:
                await answer.aclose()
                await client.aclose()

        passed = StreamingResponse(body(), answer.status_code)
        passed.raw_headers = [(k.lower(), v) for k, v in answer.headers.raw if k.decode().lower() not in HOP_BY_HOP]
        return passed


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    return b"?" + query if query else b""

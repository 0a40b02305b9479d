"""The server around the edge: uvicorn, set so that nothing goes past what the edge checks."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.connection import connections, prove_parser


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the runtime decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave every signal to the runtime."""
        yield


def server_config(app: ASGIApp, grace: float, per_address: int | None = None) -> uvicorn.Config:
    """`grace`: seconds that requests get to finish when the server is told to stop. `per_address`: how many connections
    one address may have at once.

    Connections are read by httptools, which refuses what uvicorn's other parser lets a request smuggle in; raises
    `Misconfigured` if it does not.
    """
    prove_parser()
    return uvicorn.Config(
        app,
        http=connections(per_address),
        loop="uvloop" if os.name == "posix" else "asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        limit_concurrency=2000,
        backlog=2048,
        timeout_graceful_shutdown=int(grace),
    )


def as_operator(app: ASGIApp) -> ASGIApp:
    """The same interface for whoever may open `control.sock`."""

    async def operated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "huiyin.operator": True}, receive, send)

    return operated

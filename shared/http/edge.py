"""The edge: what every request passes before a route sees it, and every answer before it leaves.

In this order: request id, headers, query, body (bytes, time, strict JSON), then a door or a route, then errors as problems,
then security headers. It is plain ASGI around FastAPI, because the embedded mode may have no proxy in front.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.clock import Clock, Ids
from shared.errors import Malformed, Problem, TooLarge
from shared.http.access import Access
from shared.http.health import Health
from shared.http.problems import MEDIA, body_of, handle_errors, problem_of
from shared.http.strict import strict_json
from shared.settings import PlatformSettings
from shared.telemetry.logs import log
from shared.telemetry.metrics import REQUEST_SECONDS, REQUESTS

LARGEST = 256 * 1024
"""Bytes of a body, unless its route reads a stream."""

HEADERS = 16 * 1024
"""Bytes of all header names and values."""

BODY_SECONDS = 15.0

JSON = b"application/json"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(self), camera=(self)"),
)


class _Plain(Problem):
    def __init__(self, status: int, slug: str, title: str) -> None:
        self.status, self.slug, self.title = status, slug, title
        super().__init__()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a door sees it: the body is whole, within limits, not yet parsed."""

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes
    client: str
    operator: bool

    def header(self, name: bytes) -> str | None:
        """A header as text, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    content_type: bytes = JSON


Door = Callable[[Asked], Awaitable[Answer]]
"""A hot path that the edge calls before FastAPI, for one exact method and path. May raise a `Problem`."""


def build_app(
    routers: Iterable[APIRouter],
    doors: Mapping[tuple[str, str], Door],
    *,
    settings: PlatformSettings,
    clock: Clock,
    ids: Ids,
    access: Access,
    health: Health,
    streams: frozenset[str] = frozenset({"/v1/feedback/batch"}),
) -> Edge:
    """The whole HTTP interface. `streams` are paths whose routes read their bodies themselves, with limits of their own."""
    app = FastAPI(title="Huiyin", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.access = access
    app.include_router(health.router())
    for router in routers:
        app.include_router(router)
    handle_errors(app)
    return Edge(app, doors, settings, clock, ids, streams)


class Edge:
    """See the module."""

    def __init__(
        self,
        app: FastAPI,
        doors: Mapping[tuple[str, str], Door],
        settings: PlatformSettings,
        clock: Clock,
        ids: Ids,
        streams: frozenset[str],
    ) -> None:
        self.app = app
        self._doors, self._streams = doors, streams
        self._clock, self._ids = clock, ids
        self._proxies = settings.trusted_proxies
        https = settings.link_base.startswith("https:")
        hsts = ((b"strict-transport-security", b"max-age=31536000"),) if https else ()
        self._security = SECURITY + hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = _Exchange(send, self._security)
        scope["huiyin.request"] = self._ids.document()
        started = self._clock.monotonic()
        try:
            await self._serve(scope, receive, exchange)
        except Exception as error:
            await self._fail(scope, exchange, error)
        route = getattr(scope.get("route"), "path", scope["path"] if exchange.door else "other")
        REQUESTS.labels(route, exchange.status).inc()
        REQUEST_SECONDS.labels(route).observe(self._clock.monotonic() - started)

    async def _serve(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        headers = _headers(scope)
        scope["huiyin.client"] = self._client(scope, headers)
        _check_query(scope)
        path, method = scope["path"], scope["method"]
        if path in self._streams:
            await self.app(scope, receive, exchange.send)
            return
        body = await _body(headers, receive) if method not in ("GET", "HEAD") else b""
        if door := self._doors.get((method, path)):
            exchange.door = True
            asked = Asked(
                method,
                path,
                scope["query_string"].decode("latin-1"),
                headers,
                body,
                scope["huiyin.client"],
                bool(scope.get("huiyin.operator")),
            )
            await exchange.answer(await door(asked))
            return
        if body and headers.get(b"content-type", b"").partition(b";")[0].strip().lower() in (JSON, b""):
            strict_json(body)
        await self.app(scope, _replay(body, receive), exchange.send)

    async def _fail(self, scope: Scope, exchange: _Exchange, error: Exception) -> None:
        problem = problem_of(error)
        if problem.status == 500:
            log("http").error("a request failed", error=type(error).__name__, request=scope["huiyin.request"])
        if exchange.status:
            return
        body = body_of(problem, f"urn:huiyin:request:{scope['huiyin.request']}")
        extra = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        await exchange.answer(Answer(problem.status, body, extra, MEDIA.encode()))

    def _client(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The address of the client: the peer's, or what the outermost trusted proxy saw."""
        peer = (scope.get("client") or ("unknown", 0))[0]
        if self._proxies:
            chain = [part.strip() for part in headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")]
            chain = [part for part in chain if part]
            if chain:
                return chain[-min(self._proxies, len(chain))]
        return str(peer)


class _Exchange:
    """One answer on its way out: adds the security headers, remembers the status."""

    def __init__(self, send: Send, security: Sequence[tuple[bytes, bytes]]) -> None:
        self._send, self._security = send, security
        self.status = 0
        self.door = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._security]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def answer(self, answer: Answer) -> None:
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": answer.body})


def _headers(scope: Scope) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in found and name in (b"host", b"content-length", b"authorization", b"content-type"):
            raise Malformed(f"the header {name.decode('latin-1')} is given twice")
        found[name] = value
    if size > HEADERS:
        raise _Plain(431, "headers-too-large", "The request's headers are too large")
    if b"content-length" in found and b"transfer-encoding" in found:
        raise Malformed("Content-Length and Transfer-Encoding exclude each other")
    if found.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _Plain(415, "encoding", "Encoded bodies are not accepted")
    return found


def _check_query(scope: Scope) -> None:
    names = [name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)]
    if len(set(names)) != len(names):
        raise Malformed("a parameter is given twice")


async def _body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. Refused as soon as it is known to be too large; nothing is kept of what was refused."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise Malformed("Content-Length is not a number")
    if int(declared) > LARGEST:
        raise TooLarge()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Malformed("the body did not come whole")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > LARGEST:
                    raise TooLarge()
                chunks.append(chunk)
                if not message.get("more_body"):
                    return b"".join(chunks)
    except TimeoutError:
        raise _Plain(408, "too-slow", "The body did not come in time") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def as_operator(app: ASGIApp) -> ASGIApp:
    """The same interface for whoever may open `control.sock`."""

    async def operated(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "huiyin.operator": True}, receive, send)

    return operated


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the runtime decides when to stop."""

    def install_signal_handlers(self) -> None:
        """Nothing: see the class."""


def server_config(app: Any, grace: float) -> uvicorn.Config:
    """httptools refuses what h11 lets a request smuggle in, so it is pinned."""
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop" if os.name == "posix" else "asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=5,
        limit_concurrency=2000,
        timeout_graceful_shutdown=int(grace),
    )

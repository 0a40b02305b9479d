"""The edge: what every request passes before a route sees it, and every answer before it leaves.

In this order: headers, query, body (bytes, time), strict JSON, then a door or a route, then errors as problems, then
security headers. It is plain ASGI around FastAPI, because the embedded mode may have no proxy in front. Links are
built from the settings and never from a Host header, and nothing here redirects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import Counter, Histogram
from starlette.types import Message, Receive, Scope, Send

from shared.clock import Clock, Ids
from shared.errors import NotDeclared, Unavailable
from shared.http.access import Access, undeclared_routes
from shared.http.health import Health
from shared.http.limits import Incoming, check_query, read_headers, replayed
from shared.http.problems import (
    ANYWHERE,
    MEDIA,
    SCHEMA,
    Teller,
    body_of,
    handle_errors,
    instance_of,
    problem_of,
    problems,
)
from shared.http.server import Server, as_operator, server_config
from shared.http.strict import fields_of, strict_json
from shared.settings import PlatformSettings
from shared.telemetry.logs import log
from shared.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from shared.telemetry.tracing import continue_trace, recording, span

__all__ = [
    "Answer", "Asked", "Door", "Edge", "Server", "as_operator", "build_app", "fields_of", "server_config", "strict_json",
]  # fmt: skip

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

LINGER = 2.0
"""Seconds in which a body that was refused is still taken in and thrown away."""


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
        """A header as text (Latin-1, as HTTP has it), or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    content_type: bytes = JSON


Door = Callable[[Asked], Awaitable[Answer]]
"""A hot path that the edge calls before FastAPI, for one exact method and path. May raise a `Problem`.

A route of the same method and path is never called; it is welcome for what OpenAPI says of it.
"""


def build_app(
    routers: Iterable[APIRouter],
    doors: Mapping[tuple[str, str], Door],
    *,
    settings: PlatformSettings,
    clock: Clock,
    ids: Ids,
    access: Access,
    health: Health,
    stray: Teller | None = None,
    streams: frozenset[str] = frozenset({"/v1/feedback/batch", "/v1/feedback/follow-ups", "/v1/cases/batch"}),
) -> Edge:
    """The whole HTTP interface. `streams` are paths whose routes read their bodies themselves, with limits of their own;
    `stray` tells a person that nothing is at an address.

    Raises `NotDeclared` for a route that is not public and declares no permission.
    """
    app = _App(
        title="Huiyin",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        responses=problems(*ANYWHERE),
    )
    app.state.access = access
    app.state.health = health
    app.include_router(health.router())
    for router in routers:
        app.include_router(router)
    handle_errors(app, ids, stray)
    if undeclared := undeclared_routes(app):
        raise NotDeclared(f"no permission is declared for {', '.join(undeclared)}")
    return Edge(app, doors, settings, clock, ids, streams)


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; every status that an operation may answer is declared in it."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = dict(SCHEMA)
        return document


class Edge:
    """See the module. `app` is the FastAPI inside."""

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
        self._security = (*SECURITY, *([(b"strict-transport-security", b"max-age=31536000")] if https else []))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = self._clock.monotonic()
        scope.setdefault("huiyin.operator", False)
        if scope["method"] == "HEAD":  # the server sends no body to it
            scope = {**scope, "method": "GET"}
        incoming, outgoing = Incoming(receive), _Outgoing(send, self._security)
        door = self._doors.get((scope["method"], scope["path"]))
        try:
            headers = read_headers(scope)
            incoming.expect(headers)
            check_query(scope["query_string"])
            scope["huiyin.client"] = self._client(scope, headers)
            if b"traceparent" in headers or recording():
                traceparent = headers.get(b"traceparent", b"").decode("latin-1")
                with continue_trace(traceparent), span(f"{scope['method']} {scope['path'] if door else 'a route'}"):
                    await self._serve(door, scope, headers, incoming, outgoing)
            else:
                await self._serve(door, scope, headers, incoming, outgoing)
        except Exception as error:
            await self._fail(scope, incoming, outgoing, error)
        route = scope["path"] if door else getattr(scope.get("route"), "path", "other")
        answered, seconds = _meters(route, outgoing.status)
        answered.inc()
        seconds.observe(self._clock.monotonic() - started)

    async def _serve(
        self, door: Door | None, scope: Scope, headers: Mapping[bytes, bytes], incoming: Incoming, outgoing: _Outgoing
    ) -> None:
        if scope["path"] in self._streams and door is None:
            await self.app(scope, incoming.piece, outgoing.send)
            return
        body = await incoming.whole()
        if door is None:
            if body and _is_json(headers):
                strict_json(body)
            await self.app(scope, replayed(body, incoming.receive), outgoing.send)
            return
        query = scope["query_string"].decode("latin-1")
        client, operator = scope["huiyin.client"], scope["huiyin.operator"]
        answer = await door(Asked(scope["method"], scope["path"], query, headers, body, client, operator))
        await outgoing.answer(answer)

    async def _fail(self, scope: Scope, incoming: Incoming, outgoing: _Outgoing, error: Exception) -> None:
        """Tell the caller, unless an answer has begun. A body that was not wanted is let run out, and then no more."""
        problem = problem_of(error)
        instance = instance_of(scope, self._ids)
        if problem.status == 500:
            log("http").error("a request failed", request=instance, exc_info=error)
        elif isinstance(error, Unavailable):
            log("http").warning("a request met an outage", request=instance, exc_info=error)
        if outgoing.status:
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        answer = Answer(problem.status, body_of(problem, instance), headers, MEDIA.encode())
        await outgoing.answer(answer, unread=None if incoming.ended else incoming)

    def _client(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The address of the client: the peer's, or what the outermost trusted proxy saw."""
        if self._proxies:
            chain = [part.strip() for part in headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")]
            if chain := [part for part in chain if part]:
                return chain[-min(self._proxies, len(chain))]
        peer = scope.get("client")
        return str(peer[0]) if peer else "unknown"


class _Outgoing:
    """One answer on its way out: adds the security headers, remembers the status (0: nothing was sent yet)."""

    def __init__(self, send: Send, security: Sequence[tuple[bytes, bytes]]) -> None:
        self._send, self._security = send, security
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._security]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def answer(self, answer: Answer, unread: Incoming | None = None) -> None:
        """Send it whole. The connection ends after an answer to an `unread` body, but not before the sender sees it;
        whoever was too slow has had the time."""
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            *answer.headers,
        ]
        if unread is not None:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if unread is not None:
            await self.send({"type": "http.response.body", "body": answer.body, "more_body": True})
            await unread.discard(LINGER if answer.status != 408 else 0)
            await self.send({"type": "http.response.body", "body": b""})
        else:
            await self.send({"type": "http.response.body", "body": answer.body})


@cache
def _meters(route: str, status: int) -> tuple[Counter, Histogram]:
    """The two metrics of a route's answers; looking them up by their labels costs more than counting."""
    return REQUESTS.labels(route, status), REQUEST_SECONDS.labels(route)


def _is_json(headers: Mapping[bytes, bytes]) -> bool:
    media = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    return media == JSON or media.endswith(b"+json")

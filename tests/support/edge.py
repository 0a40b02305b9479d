"""A small app behind the real edge: a door, a route of every kind, a stream, and routes that fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp

from shared.clock import SystemClock, SystemIds
from shared.errors import IllegalMove, Invalid, Unavailable
from shared.http.access import COLLECTIONS, Access, Principal, requires
from shared.http.edge import Answer, Asked, Edge, Server, as_operator, build_app, fields_of, server_config, strict_json
from shared.http.health import Health
from shared.settings import PlatformSettings
from shared.store.sqlite import SqliteStore
from shared.telemetry.tracing import current_traceparent
from tests.support.eventually import eventually


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str
    size: int = 0
    more: dict[str, Any] = {}


def routes(streamed: list[int]) -> APIRouter:
    router = APIRouter()

    @router.post("/notes", status_code=201)
    async def take_note(note: Note) -> Note:
        return note

    @router.get("/notes")
    async def list_notes(limit: int = 10) -> list[int]:
        return [limit]

    @router.get("/page")
    async def page() -> HTMLResponse:
        return HTMLResponse("<p>hello", headers={"Cache-Control": "public, max-age=60"})

    @router.get("/who")
    async def who(request: Request) -> dict[str, Any]:
        return {
            "client": request.scope["huiyin.client"],
            "operator": request.scope["huiyin.operator"],
            "trace": current_traceparent(),
        }

    @router.post("/v1/feedback/batch")
    async def batch(
        request: Request, principal: Annotated[Principal, Depends(requires("feedback.import"))]
    ) -> dict[str, str]:
        streamed.extend([len(piece) async for piece in request.stream()])
        return {"role": principal.role}

    @router.post("/broken")
    async def broken(request: Request) -> None:
        raise RuntimeError(f"cannot handle {await request.body()!r}")

    @router.get("/away")
    async def away() -> None:
        raise Unavailable("the store does not answer")

    @router.get("/illegal")
    async def illegal() -> None:
        raise IllegalMove("closed", ["reopen"])

    return router


async def door(asked: Asked) -> Answer:
    """Reads a note the fast way."""
    try:
        note = Note.model_validate(strict_json(asked.body))
    except ValueError as error:
        raise Invalid(fields_of(error.errors())) from None  # type: ignore[attr-defined]  # pydantic's ValidationError
    if note.text == "break":
        raise RuntimeError(note.text)
    return Answer(201, b'{"size":%d}' % len(note.text))


@dataclass
class Behind:
    """What lies behind the edge."""

    edge: Edge
    access: Access
    health: Health
    streamed: list[int]

    def client(self, operator: bool = False, address: str = "192.0.2.7") -> httpx2.AsyncClient:
        app = as_operator(self.edge) if operator else self.edge
        transport = httpx2.ASGITransport(app=app, client=(address, 1234), raise_app_exceptions=True)
        return httpx2.AsyncClient(transport=transport, base_url="http://town.test")


@asynccontextmanager
async def behind_the_edge(folder: Path, **settings: Any) -> AsyncIterator[Behind]:
    clock = SystemClock()
    ids = SystemIds(clock)
    store = await SqliteStore.open(folder / "access.db", COLLECTIONS, clock)
    access, health, streamed = Access(store, ids, clock), Health(), list[int]()
    edge = build_app(
        [routes(streamed)],
        {("POST", "/door"): door},
        settings=PlatformSettings(data=folder, **settings),
        clock=clock,
        ids=ids,
        access=access,
        health=health,
    )
    yield Behind(edge, access, health, streamed)
    await store.close()


@asynccontextmanager
async def served(edge: ASGIApp, per_address: int | None = None) -> AsyncIterator[tuple[str, int]]:
    """The edge on a loopback port, on the server and with the settings that are used in earnest."""
    # Named as TCP: asyncio leaves Nagle's delay on for what a socket of no named protocol accepts.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = Server(server_config(edge, 1.0, per_address))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await eventually(lambda: server.started)
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        await serving
        listening.close()


class Answered:
    """A raw answer."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        pairs = (line.partition(": ") for line in lines[1:])
        self.headers = {name.lower(): value for name, _, value in pairs}


async def said(address: tuple[str, int], *pieces: bytes, within: float = 10.0) -> Answered:
    """Say exactly these bytes to a server, one piece after the other, and hear its answer to the end."""
    async with asyncio.timeout(within):
        reader, writer = await asyncio.open_connection(*address)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = Answered(head).headers.get("content-length")
            return Answered(head + (await reader.readexactly(int(length)) if length else await reader.read()))
        finally:
            writer.close()

"""Importers' batches: NDJSON in, read as a stream; NDJSON out, one result a line, sent after the last line was read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from shared.errors import FieldError, Invalid, Problem, TooLarge
from shared.http.problems import body_of

MEDIA = "application/x-ndjson"
LINES = 10_000
LINE_BYTES = 256 * 1024

EARLY = timedelta(minutes=5)
"""How far in the future an importer's clock may be."""

TOGETHER = 500
"""Results sent in one piece."""


async def lines_of(request: Request) -> AsyncIterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1. Raises `TooLarge` past their number or size."""
    rest, number = b"", 0
    async for chunk in request.stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if _is_said(number, line):
                yield number, line
        if len(rest) > LINE_BYTES:
            raise TooLarge()
    if _is_said(number + 1, rest):
        yield number + 1, rest


def _is_said(number: int, line: bytes) -> bool:
    if len(line) > LINE_BYTES:
        raise TooLarge()
    if not line.strip():
        return False
    if number > LINES:
        raise TooLarge(f"more than {LINES} lines")
    return True


class Ahead:
    """Results of work that is done in order, of which a few pieces are under way at once. `all` has them after the block;
    the first error of a piece is raised, when none is under way any more."""

    def __init__(self, most: int) -> None:
        self.all: list[bytes] = []
        self._most = most
        self._under_way: deque[asyncio.Task[Sequence[bytes]]] = deque()

    async def after(self, work: Callable[[], Coroutine[Any, Any, Sequence[bytes]]]) -> None:
        """Begin a piece, once there are few enough; returns when it waits for something, or is done."""
        if len(self._under_way) == self._most:
            self.all.extend(await self._under_way.popleft())
        begun = asyncio.create_task(work())
        self._under_way.append(begun)
        await asyncio.wait([begun], timeout=0)

    async def __aenter__(self) -> Ahead:
        return self

    async def __aexit__(self, *error: object) -> None:
        done = await asyncio.gather(*self._under_way, return_exceptions=True)
        if error[0] is None:
            for results in done:
                if isinstance(results, BaseException):
                    raise results
                self.all.extend(results)


def business_time(text: str, field: str, zone: ZoneInfo, now: datetime) -> datetime:
    """When something happened, as an importer tells it; without an offset it is in `zone`. Raises `Invalid`."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or zone).astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        raise Invalid([FieldError(field, "not_a_time")]) from None
    if moment > now + EARLY or moment.year < 1970:
        raise Invalid([FieldError(field, "out_of_range")])
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def result(line: int, status: int, **more: Any) -> bytes:
    """The result of a line that was accepted."""
    return to_json({"line": line, "status": status, **more}) + b"\n"


def refusal(line: int, problem: Problem) -> bytes:
    """The result of a line that was not."""
    return result(line, problem.status, problem=from_json(body_of(problem, f"#{line}")))


def answer(results: Sequence[bytes]) -> StreamingResponse:
    """All the results, in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(results), TOGETHER):
            yield b"".join(results[start : start + TOGETHER])

    return StreamingResponse(pieces(), media_type=MEDIA)


def schema_of(shape: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of NDJSON: its lines, as the items of an array."""
    items = shape.model_json_schema(ref_template="#/components/schemas/{model}")
    items.pop("$defs", None)
    return {MEDIA: {"schema": {"type": "array", "items": items}}}

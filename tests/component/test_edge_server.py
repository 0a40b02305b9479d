"""The edge on its real server: what only raw bytes can ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from shared.errors import Misconfigured
from shared.http import connection, limits
from shared.http.edge import as_operator, server_config
from tests.support.edge import Behind, behind_the_edge, said, served

Address = tuple[str, int]

HEAD = b"POST /notes HTTP/1.1\r\nHost: town.test\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    async with behind_the_edge(tmp_path) as behind:
        yield behind


@pytest.fixture
async def address(behind: Behind) -> AsyncIterator[Address]:
    async with served(behind.edge) as address:
        yield address


@pytest.mark.row("A1")
async def test_a_hundred_megabytes_are_refused_before_any_of_them_comes(address: Address) -> None:
    answer = await said(address, HEAD + b"Content-Length: 104857600\r\n\r\n")
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert b"too-large" in answer.body


@pytest.mark.row("A1")
async def test_whoever_sends_too_much_in_earnest_still_hears_why(address: Address) -> None:
    body = b"x" * 3_000_000
    answer = await said(address, HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body)
    assert answer.status == 413


@pytest.mark.row("A1")
@pytest.mark.row("A2")
async def test_an_endless_chunked_body_is_cut_at_the_limit(address: Address) -> None:
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = await said(address, CHUNKED, *[piece] * 10)
    assert answer.status == 413


@pytest.mark.row("A2")
@pytest.mark.row("A3")
def test_heads_and_bodies_have_the_time_that_was_promised() -> None:
    assert (connection.HEAD_SECONDS, limits.BODY_SECONDS, limits.LARGEST) == (10.0, 15.0, 256 * 1024)


@pytest.mark.row("A2")
@pytest.mark.row("A3")
async def test_a_body_that_drips_is_cut_in_time(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.limits.BODY_SECONDS", 0.3)
    for start in (CHUNKED + b"1\r\nx\r\n", HEAD + b'Content-Length: 50\r\n\r\n{"te'):
        answer = await said(address, start)
        assert answer.status == 408
        assert answer.headers["connection"] == "close"


@pytest.mark.row("A3")
@pytest.mark.parametrize(
    "start", [b"", b"\r\n", b"GET /live HTTP/1.1\r\nHost: a", HEAD], ids=["silent", "blank", "name", "head"]
)
async def test_a_head_that_does_not_come_ends_the_connection(
    address: Address, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr("shared.http.connection.HEAD_SECONDS", 0.3)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(start)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.row("A3")
async def test_a_second_head_that_drips_ends_the_connection_too(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http.connection.HEAD_SECONDS", 0.3)
    async with asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*address)
        for piece in (b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n"):
            writer.write(piece)
            head = await reader.readuntil(b"\r\n\r\n") if piece != b"\r\n" else b""
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) if head else 0)
        dripped = 0
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof() and dripped < 100:
                writer.write(b"\r\n" if dripped % 2 else b"")
                dripped += 1
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.05)
        assert dripped < 100
        writer.close()


SLOW = (b"", b"GET /live HTTP/1.1\r\nHost: a", CHUNKED + b"1\r\nx\r\n", HEAD + b'Content-Length: 50\r\n\r\n{"te')


@pytest.mark.row("A3")
async def test_a_thousand_slow_connections_of_one_address_keep_nobody_out(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http.connection.HEAD_SECONDS", 0.3)
    monkeypatch.setattr("shared.http.limits.BODY_SECONDS", 0.3)
    async with served(behind.edge, per_address=100) as address, asyncio.timeout(20):
        opened = []
        for number in range(1000):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(SLOW[number % len(SLOW)])
            opened.append((reader, writer))
        assert (await said(address, b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
        ended = await asyncio.gather(*(reader.read() for reader, _ in opened), return_exceptions=True)
        assert [word for word in ended if word and not (isinstance(word, bytes) and b" 408 " in word)] == []
        assert sum(not word for word in ended) > 800, "those beyond the hundred were closed without a word"
        for _, writer in opened:
            writer.close()


@pytest.mark.row("A3")
async def test_a_connection_too_many_is_let_go_while_all_the_others_are_being_answered(behind: Behind) -> None:
    begun, waited = asyncio.Semaphore(0), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        begun.release()
        await waited.wait()
        await behind.edge(scope, receive, send)

    request = b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"
    async with served(slow, per_address=2) as address, asyncio.timeout(10):
        both = [asyncio.create_task(said(address, request)) for _ in range(2)]
        for _ in both:
            await begun.acquire()
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        waited.set()
        assert [answer.status for answer in await asyncio.gather(*both)] == [200, 200]
        assert (await said(address, request)).status == 200


@pytest.mark.row("A3")
async def test_a_request_that_is_answered_late_is_not_cut(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.connection.HEAD_SECONDS", 0.1)
    waited = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.wait([asyncio.create_task(waited.wait())], timeout=0.5)
        await behind.edge(scope, receive, send)

    async with served(slow) as address:
        assert (await said(address, b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200


async def test_a_stream_that_stops_coming_is_cut_in_time(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.http.limits.BODY_SECONDS", 0.3)
    async with served(as_operator(behind.edge)) as address:
        start = b"POST /v1/feedback/batch HTTP/1.1\r\nHost: town.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
        assert (await said(address, start)).status == 408


@pytest.mark.row("A35")
@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /who HTTP/1.1\r\nHost: a\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
        HEAD + b"Content-Length: +2\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET /who HTTP/1.1\nHost: town.test\n\n",
        b"GET /who HTTP/1.1\r\nHost: town.test\r\nX : y\r\n\r\n",
        b"GET /who HTTP/1.1\r\nHost: one\r\nHost: two\r\n\r\n",
        b"GET /who HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: town.test\r\n\r\n",
    ],
    ids=[
        "both-lengths",
        "two-lengths",
        "signed-length",
        "odd-coding",
        "bare-lf",
        "space-in-name",
        "two-hosts",
        "no-host",
        "odd-address",
    ],
)
async def test_a_request_that_two_servers_could_read_differently_is_malformed(address: Address, raw: bytes) -> None:
    """And nothing that it may carry is read as a second one: the connection ends."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(raw)
        told = await reader.read()
        writer.close()
    assert told.startswith(b"HTTP/1.1 400 ")
    assert told.count(b"HTTP/1.1 ") == 1


@pytest.mark.row("A35")
def test_a_parser_that_takes_ambiguous_requests_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lenient:
        def __init__(self, protocol: object) -> None: ...

        def feed_data(self, data: bytes) -> None: ...

    connection.prove_parser()
    monkeypatch.setattr("httptools.HttpRequestParser", Lenient)
    with pytest.raises(Misconfigured, match="httptools"):
        server_config(None, 1.0)  # type: ignore[arg-type]  # it does not come to that


@pytest.mark.row("A33")
async def test_raw_bytes_in_the_authorization_are_401(address: Address) -> None:
    raw = b"POST /v1/feedback/batch HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer \xe5\xaf\x86\xff\r\nContent-Length: 0\r\n\r\n"
    assert (await said(address, raw)).status == 401


async def test_a_connection_serves_again_after_an_error(address: Address) -> None:
    reader, writer = await asyncio.open_connection(*address)
    for body, status in ((b"[", b"400"), (b'{"text":1}', b"422"), (b'{"text":"x"}', b"201")):
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.split(b" ")[1] == status
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await asyncio.wait_for(reader.readexactly(length), 5)
    writer.close()


async def test_an_answer_names_neither_server_nor_version(address: Address) -> None:
    answer = await said(address, b"GET /live HTTP/1.1\r\nHost: town.test\r\n\r\n")
    assert answer.status == 200
    assert "server" not in answer.headers
    assert "date" in answer.headers

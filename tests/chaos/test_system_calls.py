"""A whole installation whose system calls die, fail or dawdle, and whose files change behind its back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.chaos.verdict import Verdict, quiet
from tests.support.checker import check_folder
from tests.support.eventually import eventually
from tests.support.http import calling
from tests.support.town import Town

traced = pytest.mark.skipif(shutil.which("strace") is None and not os.environ.get("CI"), reason="needs strace")

SECRET = "哨兵"

ATTACHED = 10.0
"""Seconds in which strace has all threads of a process."""


@contextlib.contextmanager
def injected(town: Town, call: str, what: str) -> Iterator[None]:
    """While inside, this happens to a system call of the running process, in each of its threads."""
    assert town.process
    arguments = [
        "-f",
        "-o",
        os.devnull,
        "-p",
        str(town.process.pid),
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{what}",
    ]
    strace = subprocess.Popen(["strace", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert strace.stderr
        if select.select([strace.stderr], [], [], ATTACHED)[0]:
            assert "attached" in strace.stderr.readline()
        else:  # it waits for ever for a thread of a process that has just died of what happened to the first threads
            strace.kill()
        yield
    finally:
        strace.terminate()
        strace.communicate()


class Senders:
    """Say things under keys of their own. `accepted`: key → case; `open`: keys whose outcome is not known."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self.accepted: dict[str, str] = {}
        self.open: set[str] = set()
        self.seconds: list[float] = []

    @property
    def tried(self) -> int:
        return len(self.accepted) + len(self.open)

    async def say(self, client: httpx2.AsyncClient, key: str) -> bool:
        """Say it; False: the process is dead."""
        started = time.monotonic()
        self.open.add(key)
        try:
            answer = await client.post(
                "/v1/feedback", json={"text": f"路灯不亮了 {SECRET}"}, headers={"Idempotency-Key": key}
            )
        except httpx2.ConnectError:
            return False
        except httpx2.TransportError:
            return True
        self.seconds.append(time.monotonic() - started)
        assert answer.status_code in (201, 503), answer.text
        if answer.status_code == 201:
            self.open.discard(key)
            self.accepted[key] = answer.json()["id"]
        else:
            assert int(answer.headers["retry-after"]) >= 1
        return True

    async def say_all(self, keys: list[str]) -> None:
        async with self.connected() as client:
            await asyncio.gather(*(self.say(client, key) for key in keys))

    async def settle(self) -> None:
        """Say again what was left open, until it is settled."""

        async def settled() -> bool:
            await self.say_all(list(self.open))
            return not self.open

        await eventually(settled, within=30)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[httpx2.AsyncClient]:
        async with calling(self._town.address) as client:
            yield client


async def judge(town: Town, senders: Senders) -> None:
    """Everything that was told is there once, after everybody has come to rest."""
    verdict = Verdict()
    await quiet(verdict, town, time.monotonic(), 60)
    assert verdict == Verdict()
    assert await asyncio.to_thread(town.stop) == 0
    assert check_folder(town.data, senders.accepted, senders.tried, [SECRET]) == []


@traced
@pytest.mark.row("F3")
@pytest.mark.parametrize(("call", "numbers"), [("pwrite64", (1, 6, 11, 16, 21, 46, 71, 96)), ("fdatasync", (1, 6, 11))])
async def test_death_at_the_nth_system_call_loses_nothing(tmp_path: Path, call: str, numbers: tuple[int, ...]) -> None:
    town = Town(tmp_path)
    senders = Senders(town)
    try:
        for number in numbers:
            await town.start()
            with injected(town, call, f"signal=SIGKILL:when={number}"):
                async with senders.connected() as client:
                    for n in range(400):
                        if not await senders.say(client, f"{number}-{n}"):
                            break
                    else:
                        raise AssertionError(f"it survived its call number {number}")
            assert await asyncio.to_thread(town.died) == -9
        await town.start()
        await senders.settle()
        await judge(town, senders)
    finally:
        town.kill()


@traced
@pytest.mark.row("F9")
async def test_syncs_that_fail_lose_nothing_and_double_nothing(town: Town) -> None:
    senders = Senders(town)
    with injected(town, "fdatasync", "error=EIO:when=2+3"):
        async with senders.connected() as client:
            for n in range(60):
                assert await senders.say(client, f"{n}")
    await senders.settle()
    await judge(town, senders)


@traced
@pytest.mark.row("F10")
async def test_a_slow_disk_makes_larger_groups_and_no_storm(town: Town) -> None:
    senders = Senders(town)
    await senders.say_all([f"warm-{n}" for n in range(50)])
    senders.seconds.clear()
    with injected(town, "fdatasync", "delay_exit=100000"):
        started = time.monotonic()
        await senders.say_all([f"slow-{n}" for n in range(300)])
        whole = time.monotonic() - started
    assert len(senders.accepted) == 350
    assert min(senders.seconds) >= 0.1, "a sync was not waited for"
    assert whole < 300 * 0.1 / 3, "what was queued was not committed together"
    assert max(senders.seconds) < 5, "somebody waited longer than the store's limit"
    await judge(town, senders)


@pytest.mark.row("F11")
@pytest.mark.parametrize(("file", "words"), [("intake", b'"channel":"api"'), ("log", b'"anonymous":false')])
async def test_a_bit_that_flips_in_a_file_keeps_the_installation_from_starting(
    town: Town, file: str, words: bytes
) -> None:
    await town.say("路灯不亮了")
    await town.quiet()
    assert await asyncio.to_thread(town.stop) == 0
    path = town.data / f"{file}.db"
    content = bytearray(path.read_bytes())
    content[content.index(words) + 3] ^= 4
    path.write_bytes(content)
    town.settings["HUIYIN_LOG"] = "text"
    refused = town.command("serve", check=False)
    (line,) = refused.stderr.strip().splitlines()
    assert refused.returncode == 1
    assert f"{file}.db is damaged (row " in line

"""The disk is full: nothing is accepted that is not kept, everything can be read, and space alone mends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx2
import pytest

from tests.support.disk import Disk, limit_files
from tests.support.eventually import eventually
from tests.support.town import Town

SMALL = "24m"
"""Bytes of the disk: what a fresh installation takes, and a little."""


@contextlib.contextmanager
def shortage(kind: Literal["disk", "file-size"], town: Town, disk: Disk) -> Iterator[None]:
    """Nothing more can be written."""
    assert town.process
    if kind == "disk":
        disk.fill()
    else:
        limit_files(town.process.pid, 1)
    try:
        yield
    finally:
        if kind == "disk":
            disk.empty()
        else:
            limit_files(town.process.pid, None)


@pytest.mark.row("F7")
@pytest.mark.row("F8")
@pytest.mark.parametrize("kind", ["disk", "file-size"])
async def test_a_full_disk_refuses_keeps_and_recovers(tmp_path: Path, kind: Literal["disk", "file-size"]) -> None:
    town = Town(tmp_path)
    disk = Disk(town.data, SMALL)
    try:
        if kind == "disk" and not disk.fillable:
            pytest.skip("only root may mount the small disk; the other half of this test limits the size of files")
        await town.start()
        first = await town.say("路灯不亮了")
        await town.case(first["number"])
        accepted = [first]
        town.key("auditor")
        with shortage(kind, town, disk):
            refused = await _until_refused(town, accepted)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert refused.json()["type"] == "urn:huiyin:problem:busy"
            for receipt in accepted:
                assert (await town.track(receipt))["number"] == receipt["number"]
            assert (await town.case(first["number"]))["number"] == first["number"]
            assert (await town.figures())["total"] >= 1
            if kind == "disk":
                await _the_reserve_is_for_the_audit(town, first["number"])
            assert town.process
            assert town.process.poll() is None

        async def again() -> bool:
            answer = await town.post("/v1/feedback", json={"text": "终于好了"})
            if answer.status_code == 201:
                accepted.append(answer.json())
            return answer.status_code == 201

        await eventually(again, within=30)
        if kind == "disk":
            await eventually((town.data / "reserve").exists)
        await town.quiet()
        states = [(await town.track(receipt))["state"] for receipt in accepted]
        assert "received" not in states
        assert (await town.figures())["total"] >= len(accepted)
        assert town.stop() == 0
        await town.start()
        await town.track(accepted[0])
        assert town.stop() == 0
    finally:
        town.kill()
        disk.release()


@pytest.mark.row("F7")
async def test_a_start_on_a_full_disk_lets_people_read(tmp_path: Path) -> None:
    town = Town(tmp_path)
    disk = Disk(town.data, SMALL)
    try:
        if not disk.fillable:
            pytest.skip("only root may mount the small disk")
        disk.fill()
        refused = town.command("serve", check=False)
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert "cannot be" in line
        disk.empty()
        await town.start()
        receipt = await town.say("路灯不亮了")
        await town.case(receipt["number"])
        town.kill()
        disk.fill()
        await town.start()
        assert (await town.track(receipt))["number"] == receipt["number"]
        disk.empty()
        assert town.stop() == 0
    finally:
        town.kill()
        disk.release()


async def _the_reserve_is_for_the_audit(town: Town, number: str) -> None:
    """What was kept back is given back, and it is not for what anybody says but for who looks at whom."""
    await eventually(lambda: not (town.data / "reserve").exists())
    shown = await town.get(f"/v1/feedback/{number}/contact?reason=call-back", headers=town.key())
    assert shown.status_code == 200, shown.text
    audit = await town.get(f"/v1/audit?number={number}", headers=town.key("auditor"))
    assert [look["reason"] for look in audit.json()["items"]] == ["call-back"]
    refused = await town.post("/v1/feedback", json={"text": "一"})
    assert (refused.status_code, int(refused.headers["retry-after"]) >= 1) == (503, True)


async def _until_refused(town: Town, accepted: list[dict[str, str]]) -> httpx2.Response:
    """Submit until it is refused; what the files still had room for is accepted, and so it is kept."""
    for _ in range(2_000):
        answers = await asyncio.gather(
            *(town.post("/v1/feedback", json={"text": "没有地方了" * 500}) for _ in range(4))
        )
        accepted += [answer.json() for answer in answers if answer.status_code == 201]
        refused = [answer for answer in answers if answer.status_code != 201]
        if refused:
            assert {answer.status_code for answer in refused} == {503}
            return refused[0]
    raise AssertionError("a full disk takes whatever is given")

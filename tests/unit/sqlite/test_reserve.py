"""What is kept back of the disk: taken where there is space, given back where there is none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.clock import SystemClock
from shared.sqlite import Reserve

MIB = 1 << 20

Space = Callable[[int], None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Space:
    """Says how many bytes of a disk of 1 GiB are free; what the reserve takes is not looked at."""
    real = os.statvfs(".")

    def free(size: int) -> None:
        told = os.statvfs_result((4096, 4096, 262_144, size // 4096, size // 4096, *real[5:]))
        monkeypatch.setattr("os.statvfs", lambda path: told)

    return free


@pytest.fixture
def reserve(tmp_path: Path) -> Reserve:
    return Reserve(tmp_path, 64 * MIB)


@pytest.mark.row("F7")
def test_it_is_released_when_the_disk_is_full_and_taken_again_when_there_is_space(
    reserve: Reserve, free: Space, tmp_path: Path
) -> None:
    file = tmp_path / "reserve"
    for size, held, full in (
        (900, 64, False),
        (17, 64, False),
        (15, 0, True),
        (79, 0, True),
        (95, 0, True),
        (97, 64, False),
    ):
        free(size * MIB)
        reserve.look()
        assert (file.stat().st_size // MIB if file.exists() else 0, reserve.is_full()) == (held, full), size
    assert file.stat().st_blocks * 512 >= 64 * MIB, "it is only written down, and takes no space"
    reserve.release()
    assert not file.exists()


@pytest.mark.row("F7")
def test_a_disk_without_room_for_it_is_not_full_for_that(reserve: Reserve, free: Space, tmp_path: Path) -> None:
    free(70 * MIB)
    reserve.look()
    assert not reserve.is_full()
    assert not (tmp_path / "reserve").exists()


@pytest.mark.row("F7")
def test_what_an_earlier_process_left_is_held_and_given_back(free: Space, tmp_path: Path) -> None:
    free(900 * MIB)
    Reserve(tmp_path, 64 * MIB).look()
    free(0)
    reserve = Reserve(tmp_path, 64 * MIB)
    reserve.look()
    assert reserve.is_full()
    assert not (tmp_path / "reserve").exists()


async def test_whoever_watches_the_disk_stops_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.sqlite.reserve.LOOK", 0)
    reserve = Reserve(tmp_path, MIB)
    for _ in range(100):
        watching = asyncio.create_task(reserve.watch(SystemClock()))
        await asyncio.sleep(0.0005)
        watching.cancel()
        _, left = await asyncio.wait([watching], timeout=5)
        assert not left


def test_without_one_nothing_is_ever_refused(free: Space, tmp_path: Path) -> None:
    free(0)
    reserve = Reserve(tmp_path, 0)
    reserve.look()
    assert not reserve.is_full()
    assert list(tmp_path.iterdir()) == []

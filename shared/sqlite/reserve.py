"""Space that is kept free of everything: when the disk is full, it is given back to what must be written even then."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from shared.clock import Clock
from shared.telemetry.logs import log
from shared.telemetry.metrics import DISK_FULL

LOOK = 1.0
"""Seconds between two looks at the disk."""

LIMIT = 5.0
"""Seconds that a look may take."""

PART = 10
"""On a small disk the reserve is no more than one part of so many."""

PIECE = b"\0" * (1 << 20)


class Reserve:
    """The file `reserve` in the data folder, of `size` bytes or a tenth of the disk, whichever is less; 0: none.

    With less than a quarter of it free besides, the disk counts as full: the file is removed, and stores take only
    what is urgent. With one and a half times its size free it is made again, and they take everything. As a context it
    is looked after once at the beginning, and removed at the end.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._path = folder / "reserve"
        self._wanted = size
        self._full = False

    def __enter__(self) -> Reserve:
        self.look()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def is_full(self) -> bool:
        """Whether the disk was full at the last look."""
        return self._full

    async def watch(self, clock: Clock) -> None:
        """Look every second until cancelled; say when the disk is full, and when it no longer is."""
        told = False
        while True:
            async with asyncio.timeout(LIMIT):
                await asyncio.to_thread(self.look)
            DISK_FULL.set(self._full)
            if self._full != told:
                told = self._full
                if told:
                    log("runtime").critical("the disk is full: nothing is accepted until there is space again")
                else:
                    log("runtime").warning("the disk has space again: everything is accepted")
            await clock.sleep(LOOK)

    def look(self) -> None:
        """Give the reserve back where the disk is full, take it again where there is space. Raises nothing."""
        try:
            disk = os.statvfs(self._path.parent)
            held = self._path.stat().st_size if self._path.exists() else 0
        except OSError:
            return
        free = (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize
        size = min(self._wanted, disk.f_blocks * disk.f_frsize // PART)
        if free < size // 4:
            self.release()
            self._full = True
        elif held >= size or (free >= size + size // 2 and self._take(size)):
            self._full = False

    def release(self) -> None:
        """Give the space back."""
        self._path.unlink(missing_ok=True)

    def _take(self, size: int) -> bool:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file, 0, size)
                else:
                    for start in range(0, size, len(PIECE)):
                        os.pwrite(file, PIECE[: size - start], start)
            finally:
                os.close(file)
        except OSError:
            self.release()
            return False
        return True

"""One process has the data folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from shared.errors import Misconfigured


class FolderLock:
    """The right of one process to the data folder, from construction to `release` or the death of the process.

    The folder is created with mode 0700 if need be; its file `lock` holds the owner's process id. Raises
    `Misconfigured`: another process has it, or it is not writable.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Misconfigured(f"the data folder {folder} is not writable: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._file, 20).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise Misconfigured(f"the data folder {folder} is in use by process {owner}") from error
        with contextlib.suppress(OSError):  # on a full disk the next one is told of an unknown owner, and that is all
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have it. Call it once."""
        os.close(self._file)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

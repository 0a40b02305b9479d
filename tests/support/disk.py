"""A disk that can be filled: a small one in memory under the data folder where we may mount one, else none.

Beside it a limit on the size of files, which anybody may set on a process of their own.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path


class Disk:
    """The data folder of an installation. `size` in bytes, or with a letter as `mount` takes it."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir(parents=True, mode=0o700)
        self.fillable = os.geteuid() == 0 and _tried(
            "mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "huiyin", folder
        )

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as file:
            piece = b"\0" * (1 << 20)
            while piece:
                try:
                    file.write(piece)
                except OSError:
                    piece = piece[: len(piece) // 2]

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def release(self, keep: Path | None = None) -> None:
        """Let go of it; its files are copied to `keep` where that is wanted."""
        if not self.fillable:
            return
        if keep is not None:
            shutil.copytree(self.folder, keep, ignore=shutil.ignore_patterns("control.sock"))
        subprocess.run(["umount", "--lazy", self.folder], check=True)


def limit_files(process: int, size: int | None) -> None:
    """No file of the process may grow beyond `size` bytes; None: as before."""
    _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _tried(*words: str | Path) -> bool:
    return shutil.which(str(words[0])) is not None and subprocess.run(words, capture_output=True).returncode == 0

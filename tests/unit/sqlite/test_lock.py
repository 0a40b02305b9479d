"""One process has the data folder, and a folder that cannot be used is refused in one line."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import Misconfigured
from shared.sqlite import FolderLock

HOLDER = "import sys; from pathlib import Path; from shared.sqlite import FolderLock; "
HOLD = HOLDER + "lock = FolderLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


@pytest.mark.row("F45")
def test_a_second_process_is_refused_and_told_who_has_the_folder(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "data"):
        second = subprocess.run([sys.executable, "-c", HOLD, tmp_path / "data"], capture_output=True, text=True)
    assert second.returncode != 0
    said = second.stderr.strip().splitlines()[-1]
    assert said.endswith(f"the data folder {tmp_path / 'data'} is in use by process {os.getpid()}")


@pytest.mark.row("F45")
def test_a_second_lock_in_the_same_process_is_refused(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(Misconfigured, match="in use by process"):
        FolderLock(tmp_path)


def test_a_released_folder_can_be_locked_again(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()
    with FolderLock(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.row("F45")
def test_the_death_of_its_owner_releases_the_folder(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(Misconfigured, match=f"in use by process {owner.pid}$"):
            FolderLock(tmp_path)
        owner.send_signal(signal.SIGKILL)
    FolderLock(tmp_path).release()


def test_the_folder_is_created_for_its_owner_only(tmp_path: Path) -> None:
    with FolderLock(tmp_path / "new" / "data"):
        assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "new" / "data" / "lock").stat().st_mode) == 0o600


def test_a_file_in_place_of_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(Misconfigured, match=r"the data folder .* is not writable: [^\n]*$"):
        FolderLock(tmp_path / "data")


def test_a_folder_in_which_nothing_can_be_created_is_refused_in_one_line() -> None:
    with pytest.raises(Misconfigured, match=r"the data folder /proc is not writable: [^\n]*$"):
        FolderLock(Path("/proc"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_to_write_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Misconfigured, match=r"the data folder .* is not writable: Permission denied$"):
        FolderLock(tmp_path)

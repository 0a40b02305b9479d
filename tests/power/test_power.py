"""The power goes, at any moment: nothing that was confirmed is lost, and no file is damaged."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest


@pytest.mark.row("F4")
@pytest.mark.skipif(shutil.which("cc") is None and not os.environ.get("CI"), reason="needs a C compiler")
def test_a_power_cut_loses_nothing_that_was_confirmed_and_normal_syncing_would() -> None:
    command = [sys.executable, "-m", "tests.power", "--cuts", "300"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    told = re.search(
        r"^powercut: 300 cuts, (\d+) with loss, (\d+) corrupt; NORMAL: (\d+) with loss$", ended.stdout, re.M
    )
    assert told, ended.stdout + ended.stderr[-3000:]
    lost, corrupt, normal = map(int, told.groups())
    assert (lost, corrupt) == (0, 0)
    assert normal > 100, "the test cannot tell a loss"
